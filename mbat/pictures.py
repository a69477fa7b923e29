"""Pictures: maps of an index and the bars of an explanation, drawn with Altair (extra ``plot``)."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Final

from mbat.errors import MbatError, ParameterError
from mbat.explaining import ALL_ELSE, Explanation, Part
from mbat.explanation_table import part_name, part_values
from mbat.extras import extra_module
from mbat.mapping import MOST_CATEGORIES, Grey, Map
from mbat.terminal import cut, printable

ENDINGS: Final = (".html", ".png", ".svg")
"""Of the files that a picture is written to."""

COLOURS: Final = (
    *("#332288", "#ddaa33", "#117733", "#cc6677", "#44bbdd"),
    *("#882255", "#999933", "#aa4499", "#33aa99", "#000000"),
)
"""Ten that the colour-blind can tell apart, after Paul Tol's muted ones; shapes tell them apart besides."""

_SHAPES: Final = ("circle", "square", "triangle-up", "diamond", "cross")
_GREY_SHAPES: Final = {Grey.OTHER: "circle", Grey.MISSING: "triangle-down"}
_GREY: Final = "#bbbbbb"
_ADDS, _TAKES, _MISSED = "#0072b2", "#d55e00", "#dddddd"
_NUMBERS: Final = "viridis"
_MAP_WIDTH, _MAP_HEIGHT = 640, 520
_BARS_WIDTH, _BAR_HEIGHT = 320, 22
_LEAST_PART: Final = 0.005
_NAME, _VALUES = 40, 60
_PPI: Final = 144
_SKEWED: Final = 1000.0
_TAKEN: Final = ("id", "title", "image")
"""Titles under the mouse that no field may have: that of the id, and two that a page takes for more than text."""


def check_picture(path: Path) -> None:
    """Refuse a picture that cannot be made, before any work is done.

    Raises
    ------
    ParameterError
        If the name of the file does not end as one of a picture.
    MissingExtraError
        If what draws it is not installed.
    """
    if path.suffix.lower() not in ENDINGS:
        raise ParameterError(f"The picture {path} should end in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}.")
    for module in ("altair", "vl_convert"):
        extra_module(module, "plot", "A picture")


def save_picture(chart: Any, path: Path) -> None:
    """Write a chart to a file: a page that needs no network, a PNG or an SVG.

    Raises
    ------
    ParameterError, MissingExtraError
        As for `check_picture`.
    MbatError
        If it cannot be drawn, or the file cannot be written.
    """
    check_picture(path)
    writers: dict[str, Callable[[], str | bytes]] = {".html": lambda: _page(chart), ".svg": lambda: _svg(chart)}
    try:
        content = writers.get(path.suffix.lower(), lambda: _png(chart))()
    except ValueError as error:  # of vl_convert
        raise MbatError(f"The picture {path} cannot be drawn: {error}") from error
    try:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise MbatError(f"The picture cannot be written to {path}: {error.strerror or error}.") from error


def _specified(chart: Any) -> dict[str, Any]:
    """Return what a chart is in Vega-Lite; its data sets, of thousands of points, are not checked one by one."""
    light = chart.copy(deep=False)
    sets = light.datasets
    light.datasets = extra_module("altair", "plot", "A picture").Undefined
    found: dict[str, Any] = light.to_dict()
    return {**found, "datasets": sets} if isinstance(sets, dict) else found


def _page(chart: Any) -> str:
    alt = extra_module("altair", "plot", "A picture")
    actions = {"export": True, "source": False, "compiled": False, "editor": False}
    page: str = extra_module("altair.utils", "plot", "A picture").spec_to_html(
        _specified(chart),
        mode="vega-lite",
        template="inline",
        vega_version=alt.VEGA_VERSION,
        vegalite_version=alt.VEGALITE_VERSION,
        vegaembed_version=alt.VEGAEMBED_VERSION,
        embed_options={"renderer": "canvas", "actions": actions},
        json_kwds={"cls": _ScriptEncoder},
    )
    return page


class _ScriptEncoder(json.JSONEncoder):
    """Writes JSON that may stand in a script of a page: no text of a document ends it."""

    def encode(self, o: Any) -> str:
        return super().encode(o).replace("<", "\\u003c")


def _svg(chart: Any) -> str:
    picture: str = extra_module("vl_convert", "plot", "A picture").vegalite_to_svg(_specified(chart))
    return picture


def _png(chart: Any) -> bytes:
    picture: bytes = extra_module("vl_convert", "plot", "A picture").vegalite_to_png(_specified(chart), ppi=_PPI)
    return picture


def map_chart(drawn: Map) -> Any:
    """Return a map as an `altair.Chart`: a point a document, which tells its id and main fields under the mouse."""
    alt = extra_module("altair", "plot", "A picture")
    rows = [
        {"x": round(float(x), 4), "y": round(float(y), 4), "id": printable(one)}
        for (x, y), one in zip(drawn.places, drawn.ids, strict=True)
    ]
    names = {f"field {i}": path for i, path in enumerate(drawn.fields)}
    for name, path in names.items():
        for row, value in zip(rows, drawn.fields[path], strict=True):
            row[name] = value
    labels = _labels(drawn)
    for row, colour in zip(rows, drawn.colours, strict=False):
        row["colour"] = labels[colour] if isinstance(colour, Grey) else colour
    tooltip = [alt.Tooltip("id:N"), *(alt.Tooltip(f"{name}:N", title=_title(path)) for name, path in names.items())]
    if drawn.colour is not None and drawn.colour not in drawn.fields:
        tooltip.append(alt.Tooltip("colour:Q" if drawn.is_numeric else "colour:N", title=_title(drawn.colour)))
    axis = {"axis": None, "scale": alt.Scale(zero=False, nice=False, padding=12)}
    shown = f"{len(rows):,} of {drawn.documents:,}" if len(rows) < drawn.documents else f"{len(rows):,}"
    chart = (
        alt.Chart(
            alt.Data(name="documents"), title=alt.Title(f"{shown} documents", subtitle=drawn.method, anchor="start")
        )
        .mark_point(filled=True, size=_size(len(rows)), opacity=0.8)
        .encode(x=alt.X("x:Q", **axis), y=alt.Y("y:Q", **axis), tooltip=tooltip, **_colouring(alt, drawn))
        .properties(width=_MAP_WIDTH, height=_MAP_HEIGHT)
        .configure_view(stroke="#cccccc")
        .interactive()
    )
    chart.datasets = {"documents": rows}
    return chart


def _title(path: str) -> str:
    """Return a path, in quotes if its name is taken, as a title under the mouse: Vega takes it as inside a string."""
    return printable(f'"{path}"' if path in _TAKEN else path).replace("\\", "\\\\")


def _labels(drawn: Map) -> dict[Grey, str | None]:
    """Return what the grey points are called: nothing among numbers, and never as a value is."""
    return {grey: None if drawn.is_numeric else _unlike(grey.value, drawn.categories) for grey in Grey}


def _unlike(text: str, others: Collection[str]) -> str:
    return _unlike(f"({text})", others) if text in others else text


def _size(points: int) -> float:
    """Return the area of a point: the more, the smaller."""
    return max(6.0, min(60.0, 40000.0 / points))


def _colouring(alt: Any, drawn: Map) -> dict[str, Any]:
    if drawn.colour is None:
        return {"color": alt.value(COLOURS[0])}
    if drawn.is_numeric:
        numbers = [colour for colour in drawn.colours if isinstance(colour, float)]
        title = printable(drawn.colour)
        skewed = min(numbers) > 0 and max(numbers) / min(numbers) > _SKEWED
        scale = alt.Scale(scheme=_NUMBERS, type="log" if skewed else "linear")
        missing = alt.condition(
            "isValid(datum.colour)", alt.Color("colour:Q", scale=scale, title=title), alt.value(_GREY)
        )
        return {"color": missing}
    own, labels = drawn.categories, _labels(drawn)
    grey = [one for one in Grey if one in drawn.colours]
    categories = [*own, *(labels[one] for one in grey)]
    colours = [*COLOURS[: len(own)], *[_GREY] * len(grey)]
    shapes = [*(_SHAPES[i % len(_SHAPES)] for i in range(len(own))), *(_GREY_SHAPES[one] for one in grey)]
    legend = alt.Legend(title=printable(drawn.colour), labelLimit=200, symbolLimit=MOST_CATEGORIES + 2, symbolSize=80)
    return {
        "color": alt.Color("colour:N", scale=alt.Scale(domain=categories, range=colours), legend=legend),
        "shape": alt.Shape("colour:N", scale=alt.Scale(domain=categories, range=shapes), legend=legend),
    }


def explanation_chart(why: Explanation) -> Any:
    """Return an explanation as an `altair.LayerChart`: a bar a field, as long as what it adds to the score.

    Grey is what a field would add besides if the documents agreed in it. Fields of next to nothing are taken together
    with "all else", so that the bars sum to the score.
    """
    alt = extra_module("altair", "plot", "A picture")
    data = alt.Data(values=[_row(number, part) for number, part in enumerate(_drawn_parts(why.parts))])
    title = alt.Title(
        f"score {why.score:.3f}",
        subtitle=f"agreement in the fields asked for {why.agreement:.3f}",
        anchor="start",
        frame="group",
    )
    base = alt.Chart(data).encode(
        y=alt.Y("row:O", axis=None),
        tooltip=[alt.Tooltip(f"{name}:N") for name in ("path", "adds", "would add", "values")],
    )
    scale = {"domain": ["adds", "takes away", "would add if they agreed"], "range": [_ADDS, _TAKES, _MISSED]}
    legend = alt.Legend(title=None, orient="bottom", symbolType="square")
    colour = alt.Color("what:N", scale=alt.Scale(**scale), legend=legend)
    axis = alt.Axis(title="part of the score", gridColor="#eeeeee", tickCount=5)
    missed = base.mark_bar(size=14).encode(x=alt.X("missed:Q", axis=axis), color=alt.datum("would add if they agreed"))
    added = base.mark_bar(size=14).encode(x="adds:Q", color=colour)
    text = base.mark_text(align="left", dx=6, color="#555555").encode(x="end:Q", text="values:N")
    names = base.mark_text(align="right", dx=-8).encode(x=alt.value(0), text="path:N")
    return (
        alt.layer(missed, added, text, names)
        .properties(width=_BARS_WIDTH, height=alt.Step(_BAR_HEIGHT), title=title)
        .configure_view(stroke=None)
    )


def _drawn_parts(parts: tuple[Part, ...]) -> list[Part]:
    """Return the parts that have bars: those of next to nothing are added to the last one, "all else"."""
    small = [p for p in parts if p.path == ALL_ELSE or max(p.possible, abs(p.contribution)) < _LEAST_PART]
    rest = Part(ALL_ELSE, ALL_ELSE, sum(p.contribution for p in small), sum(p.possible for p in small))
    return [*(part for part in parts if part not in small), rest]


def _row(number: int, part: Part) -> dict[str, Any]:
    missed = max(part.possible, 0.0)
    return {
        "row": number,
        "path": cut(part_name(part), _NAME),
        "values": part_values(part, _VALUES),
        "adds": round(part.contribution, 5),
        "would add": round(part.possible, 5),
        "missed": round(missed, 5),
        "end": round(max(part.contribution, missed, 0.0), 5),
        "what": "adds" if part.contribution >= 0 else "takes away",
    }

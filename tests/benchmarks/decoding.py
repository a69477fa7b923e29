"""Measure how often a field is read back out of a vector, and write ``docs/decoding.md``: its table and its picture.

    python tests/benchmarks/decoding.py

Takes some minutes. Needs the extra ``plot``.
"""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from scipy.special import ndtr

from mbat import Encoder
from mbat.pictures import save_picture

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "decoding.md"
PICTURE: Final = ROOT / "docs" / "decoding.svg"

CANDIDATES: Final = 1000
DIMS: Final = (512, 1024)
FIELDS: Final = (5, 10, 15, 20, 30, 45, 60)
THEORY, STRICT, CODES = "theory", "strict, codes", "default, codes"
STRICT_NAMES, NAMES, UNBOUND = "strict, names", "default, names", "default, names, unbound alone"
SERIES: Final = (THEORY, STRICT, CODES, STRICT_NAMES, NAMES, UNBOUND)
_RECORDS, _READ, _FITTED = 40, 8, 500


class Figure(NamedTuple):
    """How often the value of a field is the first of the candidates."""

    series: str
    dim: int
    fields: int
    accuracy: float


def theory(dim: int, fields: int, candidates: int = CANDIDATES) -> float:
    """Return the probability that the right value of a record of unrelated unit vectors scores highest.

    Its score is 1 and noise of variance (fields - 1)/dim; that of each other value is noise of variance fields/dim.
    """
    z = np.linspace(-8, 8, 4001)
    own = 1.0 + z * ((fields - 1) / dim) ** 0.5
    density = np.exp(-(z**2) / 2) / (2 * np.pi) ** 0.5
    return float(np.sum(density * ndtr(own / (fields / dim) ** 0.5) ** (candidates - 1)) * (z[1] - z[0]))


def names(rng: random.Random) -> list[str]:
    """Return texts of three words each, out of 1,000 words of three syllables."""
    parts = [
        ["ba", "ko", "tri", "mel", "sun", "var", "pel", "dor", "gri", "hul"],
        ["ta", "ni", "lo", "ru", "mes", "kil", "zan", "fo", "be", "pu"],
        ["n", "rs", "lia", "top", "dek", "ma", "xi", "go", "st", "ya"],
    ]
    return [" ".join("".join(rng.choice(part) for part in parts) for _ in range(3)) for _ in range(CANDIDATES)]


def measured(series: str, dim: int, fields: int) -> Figure:
    """Read some fields of some records back."""
    if series == THEORY:
        return Figure(series, dim, fields, theory(dim, fields))
    rng = random.Random(0)
    as_codes = series in (STRICT, CODES)
    values = [f"v{i}" for i in range(CANDIDATES)] if as_codes else names(rng)
    softness = {"softness": 0.0} if series in (STRICT, STRICT_NAMES) else {}
    encoder = Encoder(dim=dim, strings="symbol" if as_codes else "text", **softness)

    def record() -> dict[str, str]:
        return {f"field {i}": rng.choice(values) for i in range(fields)}

    if series != STRICT:
        encoder.fit(record() for _ in range(_FITTED))
    right = [
        first(encoder, series, encoder.encode_one(one), name, values) == one[name]
        for one in (record() for _ in range(_RECORDS))
        for name in list(one)[:_READ]
    ]
    return Figure(series, dim, fields, float(np.mean(right)))


def first(encoder: Encoder, series: str, vector: Any, name: str, values: list[str]) -> str:
    """Return the best candidate: by `decode`, or by the cosine with what is unbound alone."""
    path = f'"{name}"'
    if series == UNBOUND:
        return values[int(np.argmax(encoder.encode(values) @ encoder.unbind(vector, path)))]
    best: str = encoder.decode(vector, path, values)[0][0]
    return best


def table(found: list[Figure]) -> str:
    """Return the figures as a Markdown table."""
    lines = ["| D | fields | " + " | ".join(SERIES) + " |", "|---:|---:|" + "---:|" * len(SERIES)]
    accuracy = {(one.series, one.dim, one.fields): one.accuracy for one in found}
    for dim in DIMS:
        for fields in FIELDS:
            cells = " | ".join(f"{accuracy[series, dim, fields]:.2f}" for series in SERIES)
            lines.append(f"| {dim} | {fields} | {cells} |")
    return "\n".join(lines)


def chart(found: list[Figure]) -> Any:
    """Return a line for each series, the theory dashed, side by side for each length of vectors."""
    import altair as alt

    rows = [{**one._asdict(), "title": f"D = {one.dim}"} for one in found]
    series = alt.Scale(domain=SERIES, range=["#000000", "#332288", "#44bbdd", "#ddaa33", "#117733", "#cc6677"])
    shapes = alt.Scale(domain=SERIES, range=["stroke", "circle", "square", "cross", "triangle-up", "diamond"])
    dashes = alt.Scale(domain=SERIES, range=[[6, 4], *[[1, 0]] * 5])
    legend = alt.Legend(title=None, orient="bottom", labelLimit=0, symbolSize=80, columns=3)
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("fields:Q", title="fields of the record", scale=alt.Scale(domain=[0, 62], nice=False)),
        y=alt.Y("accuracy:Q", title="read back right", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])),
        color=alt.Color("series:N", scale=series, legend=legend),
    )
    lines = base.mark_line().encode(strokeDash=alt.StrokeDash("series:N", scale=dashes, legend=legend))
    points = base.mark_point(filled=True, size=50).encode(shape=alt.Shape("series:N", scale=shapes, legend=legend))
    drawn = alt.layer(lines, points).properties(width=300, height=240)
    return drawn.facet(column=alt.Column("title:N", title=None, sort=[f"D = {dim}" for dim in DIMS]))


def main() -> None:
    """Write the page and the picture."""
    found = [measured(series, dim, fields) for series in SERIES for dim in DIMS for fields in FIELDS]
    page = PAGE.read_text(encoding="utf-8")
    filled = re.compile(r"(<!-- decoding: table -->\n).*?(<!-- /decoding: table -->)", re.DOTALL)
    PAGE.write_text(filled.sub(lambda match: f"{match[1]}\n{table(found)}\n\n{match[2]}", page), encoding="utf-8")
    save_picture(chart(found), PICTURE)


if __name__ == "__main__":
    main()

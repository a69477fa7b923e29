"""Maps and pictures: what is on them, and the files they become."""

from __future__ import annotations

import importlib
import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mbat import Encoder, Explanation, Index, MbatError, MissingExtraError, ParameterError, Part, PathError
from mbat.mapping import Grey, Map, map_of, principal
from mbat.paths import format_path
from mbat.pictures import COLOURS, check_picture, explanation_chart, map_chart, save_picture

COUNTRIES = [
    json.loads(line)
    for line in (Path(__file__).parent.parent / "examples/countries.jsonl").read_text(encoding="utf-8").splitlines()
]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    path = tmp_path_factory.mktemp("maps") / "countries.mbat"
    with Index.create(path, COUNTRIES, [country["name"] for country in COUNTRIES]) as opened:
        yield opened


def made(tmp_path: Path, documents: list[Any]) -> Index:
    return Index.create(tmp_path / "made.mbat", documents)


def points(chart: Any) -> list[dict[str, Any]]:
    drawn = chart.to_dict()
    rows: list[dict[str, Any]] = drawn["datasets"]["documents"] if "datasets" in drawn else drawn["data"]["values"]
    return rows


def test_a_map_has_a_point_for_every_document_with_its_id_main_fields_and_colour(index: Index) -> None:
    drawn = map_of(index, "continent")
    rows = points(map_chart(drawn))
    assert [row["id"] for row in rows] == [country["name"] for country in COUNTRIES]
    assert [row["colour"] for row in rows] == [country["continent"] for country in COUNTRIES]
    assert list(drawn.fields) == ["name", "code", "region", "continent", "currency.code", "currency.name"]
    assert list(drawn.fields["currency.name"]) == [country["currency"]["name"] for country in COUNTRIES]
    encoding = map_chart(drawn).to_dict()["encoding"]
    assert [one["field"] for one in encoding["tooltip"]] == ["id", *(f"field {i}" for i in range(6))]
    assert [one["title"] for one in encoding["tooltip"][1:]] == list(drawn.fields)
    assert encoding["color"]["scale"]["domain"][0] == "Africa"
    assert encoding["color"]["scale"]["range"] == list(COLOURS[:6])


def test_documents_that_are_alike_lie_near_each_other(index: Index) -> None:
    drawn = map_of(index)
    place = dict(zip(drawn.ids, drawn.places, strict=True))

    def distance(a: str, b: str) -> float:
        return float(np.linalg.norm(place[a] - place[b]))

    assert distance("Finland", "Estonia") < 0.5 * distance("Finland", "Chad")
    assert distance("Mali", "Senegal") < 0.5 * distance("Mali", "Estonia")


def test_the_same_index_gives_the_same_map_and_a_sample_is_some_of_its_documents(index: Index) -> None:
    first, second = map_of(index, sample=50), map_of(index, sample=50)
    assert first.places.tobytes() == second.places.tobytes()
    assert len(set(first.ids)) == 50
    assert list(first.ids) == [one for one, _ in index.items() if one in set(first.ids)]
    assert first.documents == 193
    assert map_chart(first).to_dict()["title"]["text"] == "50 of 193 documents"
    assert len(map_of(index, sample=193).ids) == 193


@settings(max_examples=50, deadline=None)
@given(arrays(np.float32, st.tuples(st.integers(3, 8), st.integers(3, 6)), elements=st.floats(-1, 1, width=16)))
def test_principal_components_are_those_of_the_singular_values(vectors: Any) -> None:
    places, share = principal(vectors)
    centred = (vectors - vectors.mean(axis=0)).astype(np.float64)
    singular = np.linalg.svd(centred, compute_uv=False)
    assert np.linalg.norm(places, axis=0) == pytest.approx(singular[:2], abs=1e-3)
    assert abs(float(places[:, 0] @ places[:, 1])) < 1e-3
    assert share == pytest.approx((singular[:2] ** 2).sum() / max((singular**2).sum(), 1e-30), abs=1e-2)


def test_ten_values_have_colours_and_the_others_share_one(tmp_path: Path) -> None:
    values = [f"v{i:02}" for i in range(12) for _ in range(20 - i)]
    with made(tmp_path, [*({"a": value} for value in values), {"b": 1}]) as opened:
        drawn = map_of(opened, "a")
    assert drawn.categories == [f"v{i:02}" for i in range(10)]
    assert list(drawn.colours).count(Grey.OTHER) == 10 + 9
    assert drawn.colours[-1] is Grey.MISSING
    encoding = map_chart(drawn).to_dict()["encoding"]
    assert len(set(zip(encoding["color"]["scale"]["range"], encoding["shape"]["scale"]["range"], strict=True))) == 12
    assert encoding["color"]["scale"]["domain"] == [*drawn.categories, "other", "missing"]


def marks(drawn: Map, path: Path) -> list[tuple[str | None, list[float]]]:
    """Return fill and outline of the points of a map, as they are drawn."""
    save_picture(map_chart(drawn), path)
    points = [one for one in ElementTree.parse(path).iter() if one.get("aria-roledescription") == "point"]
    return [(one.get("fill"), [float(x) for x in re.findall(r"-?[\d.]+", one.get("d") or "")]) for one in points]


def test_every_document_has_a_mark_that_is_not_empty(tmp_path: Path) -> None:
    colours: list[float | str | Grey] = [*(f"v{i}" for i in range(10)), Grey.OTHER, Grey.MISSING]
    drawn = Map(np.eye(12)[:, :2], [f"i{i}" for i in range(12)], {}, "a", colours, "made up", 12)
    found = marks(drawn, tmp_path / "a.svg")
    assert [fill for fill, _ in found] == [*COLOURS, "#bbbbbb", "#bbbbbb"]
    assert all(max(outline) > 1 and np.ptp(outline[1::2]) > 1 for _, outline in found)
    assert found[-1][1] != found[-2][1]


def test_values_that_are_called_as_the_grey_points_keep_colours_of_their_own(tmp_path: Path) -> None:
    values = ["other", "missing", *(f"v{i}" for i in range(8))] * 2 + ["rare"]
    with made(tmp_path, [*({"a": value} for value in values), {"b": 1}]) as opened:
        drawn = map_of(opened, "a")
    assert drawn.colours[-2:] == [Grey.OTHER, Grey.MISSING]
    rows = points(map_chart(drawn))
    assert [rows[i]["colour"] for i in (0, 1, -2, -1)] == ["other", "missing", "(other)", "(missing)"]
    fills = [fill for fill, _ in marks(drawn, tmp_path / "a.svg")]
    assert fills.count("#bbbbbb") == 2
    assert fills[-2:] == ["#bbbbbb", "#bbbbbb"]


@pytest.mark.parametrize("character", ["\0", "\7", "\x1b"])
@pytest.mark.parametrize("ending", [".png", ".svg"])
def test_control_characters_of_documents_are_written_as_in_python(character: str, ending: str, tmp_path: Path) -> None:
    evil = f"x{character}y"
    documents = [{evil: evil}, {evil: evil, "a": f"b{evil}"}, {evil: f"c{evil}"}]
    with Index.create(tmp_path / "evil.mbat", documents, ids=[f"{i}{evil}" for i in range(3)]) as opened:
        save_picture(map_chart(map_of(opened, evil)), tmp_path / f"map{ending}")
    save_picture(explanation_chart(Encoder().explain(documents[0], documents[1])), tmp_path / f"why{ending}")
    if ending == ".svg":
        escaped = evil.encode("unicode_escape").decode()
        for name, least in (("map.svg", 3 * 2), ("why.svg", 2)):
            root = ElementTree.parse(tmp_path / name).getroot()
            assert ElementTree.tostring(root, encoding="unicode").count(escaped) >= least


def test_what_cannot_be_drawn_is_told_in_a_sentence(tmp_path: Path) -> None:
    chart = explanation_chart(explained())
    chart.layer[0].encoding.x.field = "datum["
    chart.layer[0].transform = [{"filter": "datum["}]
    with pytest.raises(MbatError, match=r"^The picture .*a\.svg cannot be drawn: "):
        save_picture(chart, tmp_path / "a.svg")
    assert not (tmp_path / "a.svg").exists()


def test_no_field_has_a_title_that_a_page_takes_for_a_heading_a_picture_or_the_id(tmp_path: Path) -> None:
    documents = [{"id": i, "title": "t", "image": "https://example.com/x.png", '"id"': 1} for i in range(3)]
    with made(tmp_path, documents) as opened:
        for colour in (None, '"image"'):
            tooltip = map_chart(map_of(opened, colour)).to_dict()["encoding"]["tooltip"]
            titles = [one.get("title", one["field"]) for one in tooltip]
            assert titles == ["id", '"id"', '"title"', '"image"', r'"\\"id\\""']


def test_a_title_is_shown_as_the_path_is_whatever_is_in_its_keys(tmp_path: Path) -> None:
    path = format_path(['"id\\', "a\\x00"])
    drawn = Map(np.eye(3)[:, :2], ["a", "b", "c"], {path: ["u", "v", "w"]}, "image", ["x", "y", "z"], "made up", 3)
    save_picture(map_chart(drawn), tmp_path / "a.svg")
    described = [one.get("aria-label") or "" for one in ElementTree.parse(tmp_path / "a.svg").iter()]
    assert [one for one in described if one.endswith(f'{path}: v; "image": y')]


@pytest.mark.parametrize(
    ("values", "scale"), [([1, 2.5, 3, None], None), ([1, 10, 10**6], "log"), ([0, 10, 10**6], "linear")]
)
def test_numbers_colour_by_a_scale_which_is_logarithmic_if_they_are_spread_far(
    values: list[Any], scale: str | None, tmp_path: Path
) -> None:
    documents = [{"a": {"n": value}, "b": "x"} if value is not None else {"b": "y"} for value in values]
    with made(tmp_path, documents) as opened:
        drawn = map_of(opened, "a.n")
    assert drawn.is_numeric
    assert list(drawn.colours) == [Grey.MISSING if value is None else value for value in values]
    color = map_chart(drawn).to_dict()["encoding"]["color"]
    assert color["condition"]["scale"] == {"scheme": "viridis", "type": scale or "linear"}


def test_of_several_values_the_first_colours_and_what_is_no_text_is_written_as_json(tmp_path: Path) -> None:
    documents = [{"tags": ["red", "blue"]}, {"tags": [True]}, {"tags": [{"a": 1}]}, {"tags": []}]
    with made(tmp_path, documents) as opened:
        assert list(map_of(opened, "tags[]").colours) == ["red", "true", '{"a":1}', Grey.MISSING]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"colour": "nope"}, r"No document has a value at nope, so it cannot colour the map\."),
        ({"method": "tsne"}, r"method is 'pca' or 'umap'; 'tsne' is neither\."),
        ({"sample": 2}, "sample is how many documents to show, 3 or more; 2 is not"),
        ({"sample": True}, "True is not"),
    ],
)
def test_what_cannot_be_mapped_is_told_in_a_sentence(options: dict[str, Any], message: str, index: Index) -> None:
    with pytest.raises(ParameterError, match=message):
        map_of(index, **options)


def test_a_map_needs_three_documents_and_a_path(tmp_path: Path, index: Index) -> None:
    with made(tmp_path, ["a", "b"]) as opened, pytest.raises(ParameterError, match=r"3 documents or more; .* has 2\."):
        map_of(opened)
    with pytest.raises(PathError, match="not well formed"):
        map_of(index, "a..b")


def test_documents_of_no_fields_and_all_alike_have_a_map(tmp_path: Path) -> None:
    with made(tmp_path, ["same"] * 4) as opened:
        drawn = map_of(opened, "$")
    assert np.abs(drawn.places).max() < 1e-6
    assert len(points(map_chart(drawn))) == 4


def explained() -> Explanation:
    parts = (
        Part("name", "name", 0.5, 0.6, "Ann", "Ann"),
        Part("a.b", "c", 0.1, 0.0, 3, [1, 2]),
        Part("small", None, 0.001, 0.002, "x"),
        Part("town", "town", -0.05, 0.3, "Oslo", "Rome"),
        Part("all else", "all else", 0.01, 0.098),
    )
    return Explanation(0.561, 0.7, parts)


def test_an_explanation_has_a_bar_a_field_and_the_bars_sum_to_the_score() -> None:
    rows = points(explanation_chart(explained()))
    assert [row["path"] for row in rows] == ["name", "a.b <-> c", "town", "all else"]
    assert [row["adds"] for row in rows] == [0.5, 0.1, -0.05, 0.011]
    assert [row["what"] for row in rows] == ["adds", "adds", "takes away", "adds"]
    assert [row["missed"] for row in rows] == [0.6, 0.0, 0.3, 0.1]
    assert [row["values"] for row in rows] == ["= Ann", "3 | [1,2]", "Oslo | Rome", ""]
    assert sum(row["adds"] for row in rows) == pytest.approx(0.561)


def test_the_bars_of_real_documents_sum_to_their_score(index: Index) -> None:
    why = Encoder().explain(COUNTRIES[0], COUNTRIES[1])
    rows = points(explanation_chart(why))
    assert sum(row["adds"] for row in rows) == pytest.approx(why.score, abs=1e-3)
    assert rows[-1]["path"] == "all else"


def test_a_page_needs_no_network(index: Index, tmp_path: Path) -> None:
    path = tmp_path / "map.html"
    save_picture(map_chart(map_of(index, "continent")), path)
    page = path.read_text(encoding="utf-8")
    around = re.sub(r"(<script[^>]*>).*?(</script>)", r"\1\2", page, flags=re.DOTALL)
    assert len(around) < 2000
    assert not re.search(r"src=|href=|http|@import", around)
    assert page.count('"id": "Finland"') == 1


def test_no_text_of_a_document_becomes_part_of_the_page(tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script>"
    with Index.create(tmp_path / "evil.mbat", [{evil: evil}, {"a": evil}, "c"], ids=[evil, "b", "c"]) as opened:
        save_picture(map_chart(map_of(opened, "a")), tmp_path / "map.html")
    save_picture(explanation_chart(Encoder().explain({evil: evil}, {evil: evil})), tmp_path / "why.html")
    for name in ("map.html", "why.html"):
        page = (tmp_path / name).read_text(encoding="utf-8")
        assert "<script>alert" not in page
        assert r"\u003c/script>\u003cscript>alert(1)" in page


@pytest.mark.parametrize(
    ("name", "start"),
    [("a.png", b"\x89PNG"), ("a.svg", b"<svg"), ("A.PNG", b"\x89PNG"), ("a.html", b"<!DOCTYPE html>")],
)
def test_a_picture_is_written_in_the_form_that_its_name_tells(name: str, start: bytes, tmp_path: Path) -> None:
    save_picture(explanation_chart(explained()), tmp_path / name)
    assert (tmp_path / name).read_bytes().lstrip()[: len(start)] == start


def test_a_picture_says_the_names_and_values_of_its_fields(tmp_path: Path) -> None:
    save_picture(explanation_chart(explained()), tmp_path / "a.svg")
    written = (tmp_path / "a.svg").read_text(encoding="utf-8")
    for text in ("score 0.561", "Oslo | Rome", "a.b &lt;-&gt; c", "takes away", "would add if they agreed"):
        assert f">{text}<" in written


def test_bad_names_and_places_of_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"The picture a\.pdf should end in \.html, \.png or \.svg\."):
        check_picture(Path("a.pdf"))
    with pytest.raises(MbatError, match=r"The picture cannot be written to .*: No such file or directory\."):
        save_picture(explanation_chart(explained()), tmp_path / "no" / "a.svg")


@pytest.mark.parametrize("missing", ["altair", "vl_convert", "umap"])
def test_a_missing_package_is_one_sentence_with_the_line_that_installs_it(
    missing: str, monkeypatch: pytest.MonkeyPatch, index: Index
) -> None:
    def imported(name: str) -> Any:
        if name == missing:
            raise ModuleNotFoundError(name)
        return importlib.import_module(name)

    monkeypatch.setattr("mbat.extras.import_module", imported)
    extra = "umap" if missing == "umap" else "plot"
    drawn = (lambda: map_of(index, method="umap")) if missing == "umap" else lambda: check_picture(Path("a.png"))
    with pytest.raises(MissingExtraError, match=rf"needs {missing}, .* Run: pip install 'mbat\[{extra}\]'"):
        drawn()


def test_a_map_of_more_points_than_altair_takes_by_itself_is_drawn(tmp_path: Path) -> None:
    count = 6000
    drawn = Map(np.zeros((count, 2)), [str(i) for i in range(count)], {}, None, [], "made up", count)
    assert len(points(map_chart(drawn))) == count

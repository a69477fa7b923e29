"""The commands that read vectors back and draw: what they print and write, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mbat import Encoder, Field, Index
from mbat_cli.main import cli, run

COUNTRIES = Path(__file__).parent.parent / "examples/countries.jsonl"


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("indexed") / "countries.mbat"
    documents = [json.loads(line) for line in COUNTRIES.read_text(encoding="utf-8").splitlines()]
    Index.create(path, documents, [one["name"] for one in documents]).close()
    return path


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, indexed: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MBAT_INDEX", str(indexed))
    return tmp_path


def mbat(*arguments: str) -> int:
    return run(lambda **options: cli.main(list(arguments), prog_name="mbat", **options))


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_the_values_of_the_index_are_ranked(capfd: pytest.CaptureFixture[str]) -> None:
    assert mbat("decode", "continent", "--like", "Finland") == 0
    out, err = capfd.readouterr()
    ranked = lines(out)
    assert ranked[0]["value"] == "Europe"
    assert sorted(one["value"] for one in ranked) == [
        *("Africa", "Asia", "Europe", "North America", "Oceania", "South America")
    ]
    assert [one["score"] for one in ranked] == sorted((one["score"] for one in ranked), reverse=True)
    assert err == ""


def test_a_document_or_a_vector_is_read_as_one_of_the_index_is(
    indexed: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with Index.open(indexed) as index:
        document, encoder = index.get("Chad"), index.encoder
    Path("chad.json").write_text(json.dumps(document), encoding="utf-8")
    np.save("flat.npy", encoder.encode_one(document))
    np.save("row.npy", encoder.encode([document]))
    found = []
    for how in (
        *(["--like", "Chad"], ["--document", json.dumps(document)], ["--document", "@chad.json"]),
        *(["--vector", "flat.npy"], ["--vector", "row.npy"]),
    ):
        assert mbat("decode", "borders[]", *how, "-k", "3") == 0
        found.append(capfd.readouterr().out)
    assert len(set(found)) == 1
    assert lines(found[0])[0]["value"] in document["borders"]
    assert len(lines(found[0])) == 3


def test_numbers_come_with_a_range_and_are_ranked_if_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    assert mbat("decode", "area_km2", "--like", "Finland") == 0
    (number,) = lines(capfd.readouterr().out)
    assert list(number) == ["value", "low", "high", "score"]
    assert number["low"] < 338_455 < number["high"]
    assert mbat("decode", "area_km2", "--like", "Finland", "--plain") == 0
    shown = capfd.readouterr().out.splitlines()
    assert shown[0] == " score  value"
    assert shown[1].endswith(f"{number['value']:.6g}, {number['low']:.6g} to {number['high']:.6g}")
    assert mbat("decode", "area_km2", "--like", "Finland", "-k", "2") == 0
    assert [list(one) for one in lines(capfd.readouterr().out)] == [["value", "score"]] * 2


@pytest.mark.parametrize("fields", [{"code": Field(numbers="symbol")}, {}])
def test_numbers_without_a_scale_are_ranked_and_that_is_said(
    fields: dict[str, Field], capfd: pytest.CaptureFixture[str]
) -> None:
    documents = [{"name": f"n{i}", "code": i} for i in range(5)]
    encoder = Encoder(fields=fields).fit(documents if fields else [{"name": "n", "code": "x"}])
    Index.create("coded.mbat", documents, encoder=encoder).close()
    assert mbat("decode", "code", "-i", "coded.mbat", "--like", "3") == 0
    out, err = capfd.readouterr()
    assert [lines(out)[0]["value"], len(lines(out))] == [3, 5]
    assert err == "Note: numbers at code have no scale to read one from, so those of the index are ranked.\n"
    np.save("short.npy", np.ones(7))
    assert mbat("decode", "code", "-i", "coded.mbat", "--vector", "short.npy") == 1
    assert "Note" not in capfd.readouterr().err


def test_values_are_a_table_when_plain(capfd: pytest.CaptureFixture[str]) -> None:
    assert mbat("decode", "continent", "--like", "Finland", "--plain", "-k", "1") == 0
    title, first = capfd.readouterr().out.splitlines()
    assert title == " score  value"
    assert first.endswith('  "Europe"')


def test_a_value_that_may_be_there_by_chance_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    for path in ("continent", "area_km2"):
        assert mbat("decode", path, "--document", '{"name": "Nowhere"}') == 0
        assert "Note: even the best value fits hardly better than by chance." in capfd.readouterr().err


def test_more_values_than_are_ranked_are_told(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mbat_cli.decoding._MOST_VALUES", 3)
    assert mbat("decode", "name", "--like", "Albania") == 0
    out, err = capfd.readouterr()
    assert lines(out)[0]["value"] == "Albania"
    assert len(lines(out)) == 3
    assert err == "Note: only the first 3 different values at name are ranked.\n"


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["name"], 2, "Say which vector to read: with one of --like ID, --document JSON, --vector FILE.npy."),
        (["name", "--like", "Chad", "--vector", "v.npy"], 2, "Say which vector to read"),
        (["name", "--like", "Nowhere"], 1, "There is no document with the id 'Nowhere' in "),
        (["nope", "--like", "Chad"], 1, " has a value at nope."),
        (["a..b", "--like", "Chad"], 1, "The path 'a..b' is not well formed"),
        (["capital.location.lat", "--like", "Chad"], 1, "no value of its own; decode capital.location."),
        (["capital.location.lon", "--like", "Chad", "-k", "3"], 1, "no value of its own; decode capital.location."),
        (["name", "--document", "{"], 1, "is not JSON"),
        (["name", "--vector", "nope.npy"], 1, "The vector nope.npy cannot be read: No such file or directory."),
        (["name", "--vector", "text.npy"], 1, "text.npy cannot be read: it is no array of numbers that NumPy has"),
        (["name", "--vector", "empty.npy"], 1, "empty.npy cannot be read: it is no array of numbers that NumPy has"),
        (["name", "--vector", "objects.npy"], 1, "it is no array of numbers that NumPy has written."),
        (["name", "--vector", "several.npz"], 1, "several.npz cannot be read: it holds several arrays."),
        (["name", "--vector", "two.npy"], 1, "two.npy holds 2 vectors; give a file of one."),
        (["name", "--vector", "short.npy"], 1, "A vector of this encoder is an array of 1024 numbers"),
        (["name", "--vector", "words.npy"], 1, "A vector is an array of 1024 numbers"),
        (["name", "--like", "Chad", "-k", "0"], 2, "0 is not in the range x>=1"),
    ],
)
def test_what_cannot_be_decoded_is_one_sentence(
    arguments: list[str], status: int, sentence: str, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("text.npy").write_text("no vector", encoding="utf-8")
    Path("empty.npy").touch()
    np.save("objects.npy", np.array([{}, {}]))
    np.savez("several.npz", np.ones(1024))
    np.save("two.npy", np.ones((2, 1024)))
    np.save("short.npy", np.ones(7))
    np.save("words.npy", np.array(["a"] * 1024))
    assert mbat("decode", *arguments) == status
    out, err = capfd.readouterr()
    assert out == ""
    assert sentence in err.splitlines()[-1]


@pytest.mark.parametrize("ending", [".html", ".svg", ".png"])
def test_a_map_is_written_and_told_of(ending: str, indexed: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert mbat("map", "-o", f"a{ending}", "--colour", "continent") == 0
    out, err = capfd.readouterr()
    assert (out, err) == ("", f"Drew 193 documents: a{ending}\n")
    assert mbat("map", str(indexed), "-o", f"b{ending}", "--color", "continent") == 0
    assert Path(f"a{ending}").stat().st_size > 10_000
    assert Path(f"a{ending}").read_bytes()[:500] == Path(f"b{ending}").read_bytes()[:500]


def test_a_sample_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    assert mbat("map", "-o", "a.svg", "--sample", "20") == 0
    note, drew = capfd.readouterr().err.splitlines()
    assert note == "Note: 20 of 193 documents are shown; more with --sample."
    assert drew == "Drew 20 documents: a.svg"


def test_an_explanation_is_drawn_with_its_fields_grouped(capfd: pytest.CaptureFixture[str]) -> None:
    assert mbat("explain", "Finland", "Sweden", "-o", "why.svg") == 0
    out, err = capfd.readouterr()
    assert (out, err) == ("", "Drew the explanation: why.svg\n")
    assert ">currency.name<" in Path("why.svg").read_text(encoding="utf-8")
    assert mbat("explain", "Finland", "Sweden", "-o", "why.svg", "--depth", "1") == 0
    assert ">currency.name<" not in Path("why.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["map"], 2, "Missing option '-o' / '--output'."),
        (["map", "-o", "a.pdf"], 2, "The picture a.pdf should end in .html, .png or .svg."),
        (["map", "-o", "no/a.svg"], 1, "The picture cannot be written to no/a.svg: No such file or directory."),
        (["map", "x.mbat", "-i", "y.mbat", "-o", "a.svg"], 2, "Name the index once, as NAME.mbat or with -i."),
        (["map", "x.mbat", "-o", "a.svg"], 1, "x.mbat does not exist."),
        (["map", "-o", "a.svg", "--colour", "nope"], 1, "No document has a value at nope"),
        (["map", "-o", "a.svg", "--colour", "a..b"], 1, "The path 'a..b' is not well formed"),
        (["map", "-o", "a.svg", "--sample", "2"], 2, "2 is not in the range x>=3"),
        (["map", "-o", "a.svg", "--method", "tsne"], 2, "'tsne' is not one of 'pca', 'umap'."),
        (["explain", "Chad", "Mali", "-o", "a.txt"], 2, "The picture a.txt should end in .html, .png or .svg."),
        (["explain", "Chad", "Mali", "-o", "a.svg", "--json"], 2, "leave out --json and --plain."),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence_and_leaves_no_file(
    arguments: list[str], status: int, sentence: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert mbat(*arguments) == status
    out, err = capfd.readouterr()
    assert out == ""
    assert sentence in err.splitlines()[-1]
    assert not list(Path().glob("a.*"))


def test_a_vector_of_another_encoder_fits_only_by_chance(capfd: pytest.CaptureFixture[str]) -> None:
    np.save("other.npy", Encoder(seed=1).encode_one({"continent": "Europe"}))
    assert mbat("decode", "continent", "--vector", "other.npy") == 0
    assert "hardly better than by chance" in capfd.readouterr().err

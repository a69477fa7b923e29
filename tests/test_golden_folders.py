"""Folders of every format that there was: opened with the answers they were made with, or refused in a sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import mbat
from mbat import Index
from mbat.encoder import FORMAT_VERSION
from mbat.manifest import FOLDER_FORMAT
from tests.make_golden_folder import GOLDEN, PRESENT, answers

FOLDERS = sorted(path.name for path in GOLDEN.glob("folder-*") if path.is_dir())


@pytest.fixture
def copy(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN / request.param, tmp_path / request.param))


def test_there_is_a_folder_of_the_present_formats() -> None:
    assert PRESENT in FOLDERS
    assert f"folder-{FOLDER_FORMAT - 1}-vectors-3" in FOLDERS


@pytest.mark.parametrize("copy", [name for name in FOLDERS if name == PRESENT], indirect=True)
def test_a_folder_of_the_present_formats_gives_the_answers_it_was_made_with(copy: Path) -> None:
    expected = json.loads((GOLDEN / f"{copy.name}.json").read_text(encoding="utf-8"))
    with Index.open(copy) as index:
        assert answers(index) == expected
        assert index.verify() == []
        assert len(index.content.segments) == 2
        index.add(["more"])
        assert index.get("0") == "more"
        index.compact()
        del expected["found"]
        assert {**answers(index)["documents"]} == {**expected["documents"], "0": "more"}
        assert index.verify() == []


@pytest.mark.parametrize("copy", [name for name in FOLDERS if name != PRESENT], indirect=True)
def test_a_folder_of_another_format_is_refused_in_a_sentence_and_can_be_made_again(copy: Path) -> None:
    folder, vectors = (int(number) for number in copy.name.split("-")[1::2])
    sentence = (
        f"has format {folder}; this version of mbat reads format {FOLDER_FORMAT}. Index the documents again, or use"
        if folder != FOLDER_FORMAT
        else f"holds an encoder of vector format {vectors}; this version of mbat makes format {FORMAT_VERSION}. Index"
    )
    with pytest.raises(mbat.IndexVersionError, match=sentence):
        Index.open(copy)
    with Index.create(copy, ["new"], overwrite=True) as index:
        assert index.get("0") == "new"
        needed = {index.manifest.database, *(name for segment in index.content.segments for name in segment.files)}
    assert {path.name for path in copy.iterdir()} == {"manifest.json", "writer.lock", *needed}

"""Files that others put in the place of those of an open index: what is there now is read."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from mbat import Encoder, Index

SMALL = Encoder(dim=32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    Index.create(tmp_path / "a.mbat", ["one", "two"], encoder=SMALL).close()
    return tmp_path / "a.mbat"


def test_files_put_back_from_a_copy_are_read_though_the_manifest_stayed(path: Path) -> None:
    copy = shutil.copytree(path, path.with_name("copy"))
    with Index.open(path) as index:
        index.delete(["0"])
        assert len(index) == 1
        for file in path.iterdir():
            if file.name != "manifest.json":
                file.unlink()
        for file in copy.iterdir():
            if file.name != "manifest.json":
                os.replace(file, path / file.name)
        assert len(index) == 2
        assert index.delete(["1"]) == 1
        assert [hit.document for hit in index.search("two")] == ["one"]

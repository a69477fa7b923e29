"""An interrupt at a bad instant, in a process that lives on: the index can be read and changed as before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from mbat import Encoder, Index, locking
from mbat.store import Store


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with Index.create(tmp_path / "a.mbat", ["one", "two"], encoder=Encoder(dim=32)) as index:
        yield index


def interrupted(*_: Any) -> NoReturn:
    raise KeyboardInterrupt


def test_an_interrupt_while_the_lock_is_taken_does_not_keep_it(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(locking, "_this_process", interrupted)
        with pytest.raises(KeyboardInterrupt) as kept:
            index.add(["three"])
    assert index.add(["three"]).added == 1
    assert kept.type is KeyboardInterrupt  # its traceback, with all that frames hold, lived until here


@pytest.mark.parametrize("name", ["begin", "end"])
def test_an_interrupt_at_either_end_of_a_look_does_not_spoil_the_next(
    name: str, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = getattr(Store, name)

    def begin(store: Store) -> NoReturn:
        real(store)
        interrupted()

    with monkeypatch.context() as patch:
        patch.setattr(Store, name, begin if name == "begin" else interrupted)
        with pytest.raises(KeyboardInterrupt):
            index.get("0")
    assert index.get("0") == "one"
    index.add(["three"])
    assert index.get("2") == "three"

"""Where compiled kernels are kept."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from mbat import kernel_cache
from mbat.kernels import Kernel


def _sum(count: int) -> int:
    total = 0
    for i in range(count):
        total += i
    return total


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Let the folder be chosen anew, here and by whoever comes after."""
    from numba import config

    monkeypatch.setattr(config, "CACHE_DIR", "")
    kernel_cache.kernel_folder.cache_clear()
    monkeypatch.setattr(kernel_cache, "_told", set())
    yield monkeypatch
    kernel_cache.kernel_folder.cache_clear()


def test_kernels_are_kept_in_the_users_folder_for_caches_and_a_new_one_is_told(
    fresh: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fresh.setenv("XDG_CACHE_HOME", str(tmp_path))
    with caplog.at_level(logging.INFO, logger="mbat"):
        assert Kernel(_sum).compiled(5) == 10
        assert Kernel(_sum).compiled(6) == 15
    folder = kernel_cache.kernel_folder()
    assert folder is not None
    assert folder.parent == tmp_path / "mbat"
    assert len(list(folder.rglob("*.nbi"))) == 1
    assert caplog.messages == ["Compiling the inner loops of mbat, once; this takes some seconds."]


def test_the_folder_named_for_numba_is_used_and_left_as_the_setting_it_was(
    fresh: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from numba import config

    fresh.setattr(config, "CACHE_DIR", str(tmp_path))
    assert Kernel(_sum).compiled(5) == 10
    assert str(tmp_path) == config.CACHE_DIR
    assert list(tmp_path.rglob("*.nbi"))


def test_without_a_folder_kernels_are_compiled_all_the_same_and_it_is_told_once(
    fresh: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fresh.setenv("XDG_CACHE_HOME", "/dev/null/caches")
    assert [Kernel(_sum).compiled(5), Kernel(_sum).compiled(6)] == [10, 15]
    (told,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert told.startswith("mbat compiles its inner loops in every process")
    assert told.endswith("cannot be written. Set NUMBA_CACHE_DIR to a folder that can.")


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.parametrize("damaged", ["*.nbi", "*.nbc"])
@pytest.mark.parametrize("content", [b"", b"\x80\x05", b"no pickle"])
def test_a_damaged_kernel_is_compiled_anew_and_kept_and_it_is_told_once(
    damaged: str, content: bytes, fresh: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fresh.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Kernel(_sum).compiled(5) == 10
    (file,) = tmp_path.rglob(damaged)
    for _ in range(2):
        file.write_bytes(content)
        assert Kernel(_sum).compiled(5) == 10
    (told,) = warnings(caplog)
    assert told.startswith(
        f"mbat compiles inner loops anew, which takes some seconds, because what it keeps in {tmp_path}"
    )
    caplog.clear()
    kernel_cache._told.clear()
    assert Kernel(_sum).compiled(5) == 10
    assert warnings(caplog) == []


def test_a_kernel_that_cannot_be_kept_is_compiled_all_the_same_and_it_is_told(
    fresh: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fresh.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Kernel(_sum).compiled(5) == 10
    (index,) = tmp_path.rglob("*.nbi")
    index.unlink()
    index.mkdir()  # which can be neither read nor replaced, even by root
    assert Kernel(_sum).compiled(5) == 10
    (told,) = warnings(caplog)
    assert "IsADirectoryError" in told


def test_a_change_of_any_source_of_the_package_changes_the_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(kernel_cache, "__file__", str(tmp_path / "kernel_cache.py"))
    (tmp_path / "texts.py").write_text("A = 1\n")
    before = kernel_cache._digest()
    assert kernel_cache._digest() == before
    (tmp_path / "texts.py").write_text("A = 2\n")
    assert kernel_cache._digest() != before

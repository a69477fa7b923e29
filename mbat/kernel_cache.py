"""Where compiled kernels are kept: a folder of the user's, a new one for every change of mbat or numba.

numba by itself would keep a kernel beside its source, where a read-only installation has no place for it, and would
not notice a change of a helper in another file.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

_log = logging.getLogger(__name__)

_told: set[Path] = set()
"""The folders of which a warning was given."""


def compiled_and_kept(function: Callable[..., int], options: dict[str, Any]) -> Callable[..., int]:
    """Return a function as numba compiles it at its first call, or as it was compiled before."""
    import numba

    folder = kernel_folder()
    config: Any = numba.config
    before = config.CACHE_DIR
    config.CACHE_DIR = "" if folder is None else str(folder)
    try:
        compiled: Callable[..., int] = numba.njit(cache=folder is not None, **options)(function)
    finally:
        config.CACHE_DIR = before
    if folder is not None:
        _forgive(compiled, function, folder)
    return compiled


def _forgive(compiled: Any, function: Callable[..., int], folder: Path) -> None:
    """Let numba compile a function where what was kept of it cannot be read, and go on where it cannot be kept."""
    kept = compiled._cache

    def forgiving(work: Callable[..., Any]) -> Callable[..., Any]:
        def tried(*arguments: Any) -> Any:
            try:
                return work(*arguments)
            except Exception as error:  # a damaged pickle raises anything
                _tell(folder, f"{type(error).__name__}: {error}")
                _remove(function, folder)
                return None

        return tried

    kept.load_overload, kept.save_overload = forgiving(kept.load_overload), forgiving(kept.save_overload)


def _remove(function: Callable[..., int], folder: Path) -> None:
    """Remove what was kept of a function."""
    code = function.__code__
    for file in folder.rglob(f"*{code.co_name}-{code.co_firstlineno}.*"):
        with suppress(OSError):
            file.unlink()


def _tell(folder: Path, error: str) -> None:
    if folder not in _told:
        _told.add(folder)
        _log.warning(
            "mbat compiles inner loops anew, which takes some seconds, because what it keeps in %s cannot be read or "
            "written (%s). If this is told again, remove the folder, or see whether the disk is full.",
            folder,
            error,
        )


@cache
def kernel_folder() -> Path | None:
    """Return the folder for the kernels of these sources, None if no folder can be written; tell if it is new.

    It is in ``$NUMBA_CACHE_DIR``, else in the user's folder for caches.
    """
    import numba
    from platformdirs import user_cache_path

    named: str = getattr(numba.config, "CACHE_DIR", "")
    base = Path(named) if named else user_cache_path("mbat")
    folder = base / f"kernels-{_digest()}"
    try:
        if not folder.exists():
            _log.info("Compiling the inner loops of mbat, once; this takes some seconds.")
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        _log.warning(
            "mbat compiles its inner loops in every process, which takes some seconds, because %s cannot be written. "
            "Set NUMBA_CACHE_DIR to a folder that can.",
            folder,
        )
    return folder if writable else None


def _digest() -> str:
    """Return a hash of the sources of the package and the version of numba."""
    import numba

    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]

"""Steps after which something is on the disk to stay: the order of these is what makes a change whole or not at all.

Every one is announced before and after it is taken, so that a test can end the process at any of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def _nobody_watches(step: str) -> None:
    """Do nothing."""


watch: Callable[[str], None] = _nobody_watches
"""Called before and after each step with what it is."""


@contextmanager
def step(name: str) -> Iterator[None]:
    """Announce a step."""
    watch(f"before {name}")
    yield
    watch(f"after {name}")


def sync(path: Path) -> None:
    """Make sure that a file, or the names in a folder, are on the disk."""
    with step(f"sync of {path.name}"):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def replace(path: Path, content: bytes) -> None:
    """Give a file another content, at once: a reader sees the old or the new one, after a crash too."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(content)
    sync(partial)
    with step(f"rename to {path.name}"):
        os.replace(partial, path)
    sync(path.parent)


def remove(path: Path) -> None:
    """Remove a file; nothing happens if there is none."""
    with step(f"removal of {path.name}"):
        path.unlink(missing_ok=True)

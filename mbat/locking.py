"""One writer at a time: a lock on a file of the folder, which the end of a process frees, however it ends."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mbat.errors import IndexBusyError, IndexFolderError

LOCK_FILE: Final = "writer.lock"

_MOST_COMMAND: Final = 120


@contextmanager
def writer_lock(folder: Path) -> Iterator[None]:
    """Be the one writer of a folder.

    Raises
    ------
    IndexBusyError
        If another has the lock; the message tells who.
    IndexFolderError
        If the folder cannot be written.
    """
    try:
        descriptor = _locked(folder)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(_this_process()).encode(), 0)
    except BlockingIOError:
        raise IndexBusyError(
            f"{folder} is being changed by {_holder(folder)}. Try again when it has finished."
        ) from None
    except OSError as error:
        reason = error.strerror or error
        raise IndexFolderError(f"{folder} cannot be changed: {reason}. Nothing was changed.") from error
    try:
        yield
    finally:
        os.close(descriptor)


def _locked(folder: Path) -> int:
    """Return a descriptor of the lock file that is there now, locked as long as it is open."""
    path = folder / LOCK_FILE
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # a build that failed had the lock, and removed the file


def _this_process() -> dict[str, str | int]:
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    short = command if len(command) <= _MOST_COMMAND else command[: _MOST_COMMAND - 1] + "…"
    since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    return {"pid": os.getpid(), "host": socket.gethostname(), "command": short, "since": since}


def _holder(folder: Path) -> str:
    """Tell who has the lock."""
    try:
        told = json.loads((folder / LOCK_FILE).read_text(encoding="utf-8"))
        return f"process {told['pid']} on {told['host']} ({told['command']}), since {told['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "a process that has just begun"

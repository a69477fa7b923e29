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
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from mbat.errors import IndexBusyError
from mbat.refusals import NOTHING_CHANGED, as_folder_error

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
    with ExitStack() as held:
        with as_folder_error(f"{folder} cannot be changed", NOTHING_CHANGED):
            _take(folder, held)
        yield


def _take(folder: Path, held: ExitStack) -> None:
    """Lock the lock file that is there now, for as long as it is held, and write who has it.

    The file is an object from the first instant: whenever an interrupt comes, it is closed.
    """
    path = folder / LOCK_FILE
    while True:
        file = held.enter_context(open(path, "r+b", buffering=0, opener=_opened))  # noqa: SIM115, the stack closes it
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise IndexBusyError(
                f"{folder} is being changed by {_holder(folder)}. Try again when it has finished."
            ) from None
        if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
            file.truncate()
            file.write(json.dumps(_this_process()).encode())
            return
        held.close()  # a build that failed had the lock, and removed the file


def _opened(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CREAT, 0o666)


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

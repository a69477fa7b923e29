"""A cluster of Ray for a command: one that is there, or one that is started on this machine and ended afterwards."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from mbat.errors import MbatError
from mbat.ray.library import ray

_QUIET: Final = {
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""What the environment says to Ray, unless the user says otherwise: print nothing, and report nothing to its makers."""

_PATIENCE: Final = 5.0
"""Seconds for a cluster to answer at all; Ray by itself waits for minutes."""


@contextmanager
def cluster(address: str | None, workers: int | None) -> Iterator[None]:
    """Use a cluster from the main thread, without a word printed by Ray.

    Parameters
    ----------
    address : str or None
        As `ray.init` takes it; None starts one on this machine. A cluster that this process uses already is kept.
    workers : int or None
        How many processors one that is started has; as many as the machine, if it is None.

    Raises
    ------
    MbatError
        If none can be reached or started.
    """
    if ray.is_initialized():
        yield
        return
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    ended = signal.getsignal(signal.SIGTERM)
    own: dict[str, Any] = {"num_cpus": workers, "include_dashboard": False} if address is None else {}
    try:
        _check_answer(address)
        with _mute():
            ray.init(address=address or "local", log_to_driver=False, logging_level="CRITICAL", **own)
    except (OSError, RuntimeError, ValueError) as error:
        where = f"at {address}" if address else "on this machine"
        raise MbatError(f"No Ray cluster can be used {where}: {str(error).strip().splitlines()[0]}") from error
    except SystemExit:  # of Ray's handler
        if callable(ended):
            ended(signal.SIGTERM, None)
        raise
    finally:
        signal.signal(signal.SIGTERM, ended)  # for which Ray has put a handler of its own
    try:
        yield
    finally:
        ray.shutdown()


def _check_answer(address: str | None) -> None:
    """Raise OSError if nobody answers at an address of the form host:port."""
    host, colon, port = (address or "").rpartition(":")
    if colon and port.isdecimal() and "/" not in host:
        socket.create_connection((host, int(port)), _PATIENCE).close()


@contextmanager
def _mute() -> Iterator[None]:
    """Let nothing reach stderr, where the compiled part of Ray says that it says nothing; errors are raised."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)

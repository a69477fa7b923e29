"""A line on stderr that tells how far the work is; nothing when stderr is no terminal."""

from __future__ import annotations

import sys
import time
from typing import Final

_INTERVAL: Final = 0.2
_STAGES: Final = {
    "read": "Reading and fitting",
    "count": "Counting",
    "encode": "Encoding",
    "compare": "Comparing",
    "check": "Checking",
    "write": "Writing",
    "look": "Looking again",
}


class ProgressLine:
    """Shows stage, count, rate and remaining time."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._stage, self._start, self._last = "", 0.0, 0.0

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """Tell that `done` documents of `total` are done in a stage; `total` is None while not known."""
        if not self._shown:
            return
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._start, self._last = stage, now, 0.0
        if now - self._last < _INTERVAL and done != total:
            return
        self._last = now
        rate = done / max(now - self._start, 1e-3)
        of = f" of {total:,}" if total else ""
        left = f", {_duration((total - done) / max(rate, 1.0))} left" if total and done < total else ""
        sys.stderr.write(f"\r\x1b[K{_STAGES.get(stage, stage)}: {done:,}{of} documents, {rate:,.0f}/s{left}")
        sys.stderr.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self._shown and self._stage:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"

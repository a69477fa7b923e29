"""Paths such as ``a.b[].c``: how they are written, and the table of those a stream of documents uses.

Nothing here looks at a value: a path is where a value stands, whatever it is.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterable
from typing import Final

from mbat.binding import array_hash
from mbat.errors import DocumentError, PathError
from mbat.hashing import domain, extend, hash_text, mix

ELEMENT: Final = "[]"
"""The step from an array to any of its elements, as it is written; a key ``"[]"`` is quoted."""

MAX_DEPTH: Final = 250
"""Levels of nesting that a document may have."""

Steps = tuple[str | None, ...]
"""The steps from the root to a value: a key, or None for "any element of the array"."""

_PLAIN_KEY = re.compile(r'[^.\[\]"\s]+')
_STEP = re.compile(r'(?P<element>\[\])|(?P<dot>\.)?(?:(?P<plain>[^.\[\]"\s]+)|(?P<quoted>"(?:[^"\\]|\\.)*"))')


def format_path(steps: Iterable[str | None]) -> str:
    """Write steps as a path.

    Examples
    --------
    >>> format_path(["seller", "offers", None, "price.net"])
    'seller.offers[]."price.net"'
    >>> format_path([])
    '$'
    """
    written = ""
    for step in steps:
        if step is None:
            written += ELEMENT
        else:
            key = step if _PLAIN_KEY.fullmatch(step) and step != "$" else json.dumps(step, ensure_ascii=False)
            written += f".{key}" if written else key
    return written or "$"


def parse_path(path: str) -> Steps:
    """Read a path as its steps; the inverse of `format_path`.

    Raises
    ------
    PathError
        If the path is no string, not well formed or of more steps than a document has levels; the message shows where.

    Examples
    --------
    >>> parse_path('seller.offers[]."price.net"')
    ('seller', 'offers', None, 'price.net')
    """
    return tuple(step for step, _ in parsed_steps(path))


def parsed_steps(path: str) -> list[tuple[str | None, bool]]:
    """Read a path as `parse_path` does; return besides each step whether it is a key that is not quoted."""
    if not isinstance(path, str):
        raise PathError(f"{path!r} is no path such as a.b[].c.")
    if path == "$":
        return []
    steps: list[tuple[str | None, bool]] = []
    position = 0
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None or (match["element"] is None and (match["dot"] is None) == (position > 0)):
            raise PathError(
                f"The path {path!r} is not well formed at {path[position:]!r}. Write keys with dots between them, [] "
                'for the elements of an array, and quote a key that holds a dot, a bracket or a space: a."b.c"[].d'
            )
        if match["element"] is not None:
            steps.append((None, False))
        else:
            steps.append((match["plain"] or _unquoted(path, match["quoted"]), match["plain"] is not None))
        position = match.end()
    if not steps:
        raise PathError("The path is empty. Write $ for the whole document.")
    if len(steps) > MAX_DEPTH:
        raise PathError(f"The path {path[:40]!r}... has {len(steps)} steps; documents have at most {MAX_DEPTH} levels.")
    return steps


def _unquoted(path: str, quoted: str) -> str:
    try:
        key: str = json.loads(quoted)
    except ValueError as error:
        raise PathError(f"The path {path!r} is not well formed: {quoted} is not a JSON string ({error}).") from None
    return key


class PathTable:
    """The distinct paths met so far, numbered from 0 (the root), with what the kernels need of each.

    Each attribute but the methods is a growing column with one entry a path. A table only ever grows;
    whoever streams without end starts a new one when this one has become too long.
    """

    def __init__(self, seed: int) -> None:
        self._key_domain = domain(seed, "key")
        self._path_domain = domain(seed, "path")
        self._element_hash = array_hash(seed)
        self._numbers: dict[tuple[int, str | None], int] = {}
        self._key_slots: dict[str, int] = {}
        self.parents = array("q", [0])
        self.keys: list[str | None] = [None]
        self.depths = array("q", [0])
        self.elements = array("b", [0])
        self.key_hashes = array("q", [0])
        self.path_hashes = array("q", [mix(self._path_domain)])
        self.key_slots = array("q", [-1])

    def __len__(self) -> int:
        return len(self.keys)

    def child(self, parent: int, key: str | None) -> int:
        """Return the number of the path one step below `parent`, adding it if it is new."""
        number = self._numbers.get((parent, key))
        return self._add(parent, key) if number is None else number

    def number(self, steps: Steps) -> int:
        """Return the number of the path of some steps, adding what is new."""
        number = 0
        for step in steps:
            number = self.child(number, step)
        return number

    def _add(self, parent: int, key: str | None) -> int:
        depth = self.depths[parent] + 1
        if depth > MAX_DEPTH:
            raise DocumentError(f"the document is nested deeper than {MAX_DEPTH} levels")
        key_hash = self._element_hash if key is None else hash_text(key, self._key_domain)
        number = self._numbers[parent, key] = len(self.keys)
        self.parents.append(parent)
        self.keys.append(key)
        self.depths.append(depth)
        self.elements.append(key is None)
        self.key_hashes.append(key_hash)
        self.path_hashes.append(mix(extend(self.path_hashes[parent], key_hash)))
        self.key_slots.append(-1 if key is None else self._key_slots.setdefault(key, len(self._key_slots)))
        return number

    def steps(self, number: int) -> Steps:
        """Return the steps from the root to a path."""
        steps: list[str | None] = []
        while number:
            steps.append(self.keys[number])
            number = self.parents[number]
        return tuple(reversed(steps))

"""Splitting a large JSON array into the texts of its elements, without holding all of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import numpy as np

from mbat.errors import SourceError
from mbat.kernels import Kernel

_BLOCK: Final = 1 << 20
_WHITESPACE: Final = b" \t\r\n"
_QUOTE, _ESCAPE, _COMMA = ord('"'), ord("\\"), ord(",")
_OPEN_ARRAY, _CLOSE_ARRAY, _OPEN_OBJECT, _CLOSE_OBJECT = map(ord, "[]{}")

_DEPTH, _IN_STRING, _ESCAPED = 0, 1, 2


def _find_ends(start: int, text: Any, state: Any, ends: Any) -> int:
    """Write where elements of the outermost array end, until the array or the text does; return how many.

    The state holds the depth of nesting, and whether the text so far ends in a string, after a backslash.
    """
    found = 0
    for i in range(start, len(text)):
        byte = text[i]
        if state[_ESCAPED] != 0:
            state[_ESCAPED] = 0
        elif state[_IN_STRING] != 0:
            if byte == _ESCAPE:
                state[_ESCAPED] = 1
            elif byte == _QUOTE:
                state[_IN_STRING] = 0
        elif byte == _QUOTE:
            state[_IN_STRING] = 1
        elif byte == _OPEN_ARRAY or byte == _OPEN_OBJECT:
            state[_DEPTH] += 1
        elif byte == _CLOSE_ARRAY or byte == _CLOSE_OBJECT:
            state[_DEPTH] -= 1
            if state[_DEPTH] == 0:
                ends[found] = i
                return found + 1
        elif byte == _COMMA and state[_DEPTH] == 1:
            ends[found] = i
            found += 1
    return found


find_ends = Kernel(_find_ends)


def split_array(name: str, block: bytes, file: BinaryIO) -> Iterator[bytes]:
    """Yield the texts of the elements of an array; whether each is JSON is for its parser to say.

    Parameters
    ----------
    name : str
        The file's, for messages.
    block : bytes
        The start of the file, from the opening bracket on.
    file : binary file
        The rest of it.

    Raises
    ------
    SourceError
        If the array does not end, or the file goes on after it.
    """
    state = np.zeros(3, dtype=np.int64)
    pieces: list[bytes] = []
    count = 0
    done = False
    while block:
        ends = np.empty(block.count(b",") + 1, dtype=np.int64)
        found = find_ends(len(block), 0, np.frombuffer(block, dtype=np.uint8), state, ends)
        begin = 0
        for end in ends[:found].tolist():
            text = b"".join([*pieces, block[begin:end]])
            text = (text[1:] if count == 0 else text).strip(_WHITESPACE)
            pieces, begin = [], end + 1
            closed = state[_DEPTH] == 0 and end == ends[found - 1]
            if text or count or not closed:
                yield text
            count += 1
            done = closed
        if done:
            if block[begin - 1] != _CLOSE_ARRAY:
                raise SourceError(f"{name}, document {count}: not JSON, the array is closed with a brace.")
            _check_rest(name, block[begin:], file)
            return
        pieces.append(block[begin:])
        block = file.read(_BLOCK)
    raise SourceError(f"{name} ends in the middle of document {count + 1}: the array is not closed.")


def _check_rest(name: str, rest: bytes, file: BinaryIO) -> None:
    while rest:
        if rest.strip(_WHITESPACE):
            raise SourceError(f"{name} goes on after the end of its array; for many documents use JSON lines.")
        rest = file.read(_BLOCK)

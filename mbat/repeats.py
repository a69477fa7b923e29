"""Leaves that repeat: an equal leaf at the same path has the same symbols, which need not be made again.

Fields that are one of a few values are most of many collections. What is met again within a run of items is found
through a small hash table; what the table has no room for is taken as new, at no harm but to speed.
"""

from __future__ import annotations

from typing import Any, Final

from mbat.columns import Kind
from mbat.hashing import MASK, extend, mix
from mbat.kernels import nth
from mbat.leaves import Leaves, SymbolBuffer

_STRING, _NUMBER = int(Kind.STRING), int(Kind.NUMBER)

_PROBES: Final = 4
_ENTRY_BITS: Final = 20  # more than a run has items
_ENTRY_MASK: Final = (1 << _ENTRY_BITS) - 1


def text_start(string: int, leaves: Leaves) -> Any:
    """Return where a string starts in the text."""
    return leaves.text_ends[string - 1] + 1 if string > 0 else 0


def _equal(one: int, other: int, leaves: Leaves) -> Any:
    """Return whether two strings of the batch are equal."""
    begin, end = text_start(one, leaves), leaves.text_ends[one]
    start = text_start(other, leaves)
    if end - begin != leaves.text_ends[other] - start:
        return False
    i = 0
    while begin + i < end and leaves.text[nth(begin + i)] == leaves.text[nth(start + i)]:
        i += 1
    return begin + i == end


def _slot(kind: int, code: int, cursor: Any, leaves: Leaves, mask: int) -> int:
    """Return where to look up a leaf: a hash of its path, kind and value."""
    state = mix(code)
    if kind == _STRING:
        for i in range(text_start(cursor[0], leaves), leaves.text_ends[cursor[0]]):
            state = extend(state, leaves.text[nth(i)])
    elif kind == _NUMBER:
        state = extend(state, leaves.number_bits[cursor[1]] & MASK)
    return mix(state) & mask


def met_before(kind: int, item: int, start: int, cursor: Any, leaves: Leaves, buffer: SymbolBuffer) -> Any:
    """Return the item of the run that is an equal leaf at the same path; note this one if there is none, and return -1.

    An entry holds the item, counted from 1 from the start of the run, and which string or number of the batch it is.
    """
    code, mask = leaves.items[item], len(buffer.known) - 1
    slot = _slot(kind, code, cursor, leaves, mask)
    value = cursor[0] if kind == _STRING else cursor[1]
    for step in range(_PROBES):
        place = (slot + step) & mask
        entry = buffer.known[place]
        if entry == 0:
            buffer.known[place] = (value << _ENTRY_BITS) | (item - start + 1)
            return -1
        other, held = start + (entry & _ENTRY_MASK) - 1, entry >> _ENTRY_BITS
        if leaves.items[other] != code:
            continue
        if kind == _STRING and not _equal(value, held, leaves):
            continue
        if kind == _NUMBER and leaves.number_bits[value] != leaves.number_bits[held]:
            continue
        return other
    return -1


REPEATS: Final = (text_start, _equal, _slot, met_before)
"""What a kernel that calls `met_before` has to name as its helpers."""

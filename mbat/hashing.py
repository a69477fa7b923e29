"""The hash that names every symbol, part of the file format: version 1, never to change.

All arithmetic is on integers of 63 bits, which are never negative and fit a signed machine word, so that
the same source text gives the same number as compiled code and as plain Python.
"""

from __future__ import annotations

HASH_VERSION = 1

MASK = (1 << 63) - 1
_MULTIPLIER_1 = 0x3C79AC492BA7B653
_MULTIPLIER_2 = 0x1C69B3F74AC4AE35
_STEP = 0x1E3779B97F4A7C15


def times(x: int, y: int) -> int:
    """Multiply modulo 2**63. Compiled code has its own version: see `mbat.kernels`."""
    return x * y & MASK


def mix(x: int) -> int:
    """Scramble an integer below 2**63; a bijection whose every output bit depends on every input bit."""
    x = times(x ^ (x >> 32), _MULTIPLIER_1)
    x = times(x ^ (x >> 29), _MULTIPLIER_2)
    x = times(x ^ (x >> 32), _MULTIPLIER_1)
    return x ^ (x >> 29)


def extend(state: int, item: int) -> int:
    """Add one item, a code point or another number of at least 0 and well below 2**63, to the hash of a sequence.

    Items that differ in their highest bits may fall together, as negative numbers taken modulo 2**63 would: for
    those there is `extend_signed`.
    """
    return times(state ^ item, _STEP) ^ item


def extend_signed(state: int, item: int) -> int:
    """Add one item of either sign, its size below 2**62, to the hash of a sequence."""
    return extend(state, 2 * item if item >= 0 else -2 * item - 1)


def hash_text(text: str, domain: int) -> int:
    """Hash a string within a domain: the same text in two domains has unrelated hashes."""
    state = domain
    for character in text:
        state = extend(state, ord(character))
    return mix(state)


def domain(seed: int, name: str) -> int:
    """Return the starting state of a domain: a namespace of symbols under one seed."""
    return hash_text(name, mix(times(seed, _STEP) ^ HASH_VERSION))

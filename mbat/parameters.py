"""The parameters of an encoder, checked."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbat.binding import FAMILIES
from mbat.bundling import Shares
from mbat.errors import ParameterError
from mbat.fields import NUMBERS, STRINGS, Fields, plain_fields
from mbat.leaves import POSITION_SOFTNESS, shares_of

PRESENCE: Final = 0.5
"""Weight of the symbol that says that a key is there, under soft binding."""


@dataclass(frozen=True)
class Parameters:
    """What makes an encoder, but for what it learns; see `mbat.Encoder`."""

    dim: int
    seed: int
    softness: float
    binding: str
    strings: str
    numbers: str
    fields: Fields = field(default=(), repr=False)

    def plain(self) -> dict[str, Any]:
        """Return the arguments of `mbat.Encoder` as JSON."""
        return {**asdict(self), "fields": plain_fields(self.fields)}


def checked(p: Parameters) -> Parameters:
    """Return parameters that are all in range, or raise ParameterError."""
    if type(p.dim) is not int or not 16 <= p.dim <= 65536:
        raise ParameterError(f"dim is the length of the vectors, an integer from 16 to 65536; {p.dim!r} is not.")
    if type(p.seed) is not int or not 0 <= p.seed < 1 << 62:
        raise ParameterError(f"seed is an integer from 0 to 2**62 - 1; {p.seed!r} is not.")
    if not isinstance(p.softness, float | int) or isinstance(p.softness, bool) or not 0.0 <= p.softness <= 100.0:
        raise ParameterError(f"softness is a number from 0 (strict) to 100 (keys hardly count); {p.softness!r} is not.")
    for name, value, allowed in (
        ("binding", p.binding, tuple(FAMILIES)),
        ("strings", p.strings, STRINGS),
        ("numbers", p.numbers, NUMBERS),
    ):
        if value not in allowed:
            raise ParameterError(f"{name} is one of {', '.join(map(repr, allowed))}; {value!r} is not.")
    return replace(p, softness=float(p.softness))


def shares(softness: float) -> Shares:
    """Return the unbound and bound shares of keys and positions, the squares of each pair summing to 1."""
    key_bound, key_free = shares_of(softness)
    position_bound, position_free = shares_of(POSITION_SOFTNESS * softness)
    return Shares(key_free, key_bound, position_free, position_bound)


def checked_vector(vector: Any, dim: int) -> NDArray[np.float64]:
    """Return a vector as float64 of shape (dim,), or raise ParameterError if it is none."""
    try:
        array = np.asarray(vector, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"A vector is an array of {dim} numbers: {error}.") from None
    if array.shape != (dim,) or not np.isfinite(array).all():
        what = f"one of shape {array.shape}" if array.shape != (dim,) else "one with numbers that are not finite"
        raise ParameterError(f"A vector of this encoder is an array of {dim} numbers, and not {what}.")
    return array

"""Which kind to use, where nobody says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mbat_indexes.kinds import KINDS

QUICK_NUMBERS: Final = 100_000 * 1024
"""How many numbers are compared quickly enough for every search to look at all of them."""

_SMALL: Final = ("flat", "flat-fp16", "sq8")
_LARGE: Final = ("ivf", "ivf-fp16", "ivf-rabitq")


@dataclass(frozen=True)
class Choice:
    """A kind of index, and why.

    Attributes
    ----------
    kind : str
        Name of the kind.
    reason : str
        Why, in a sentence.
    memory_bytes : int
        What a search may read, and what should stay in memory for it to be quick.
    disk_bytes : int
        What the files of the vectors take.
    """

    kind: str
    reason: str
    memory_bytes: int
    disk_bytes: int


def estimate(kind: str, count: int, dim: int) -> tuple[int, int]:
    """Return the bytes that vectors need in memory and on disk.

    Parameters
    ----------
    kind : str
        Name of a kind.
    count, dim : int
        Number and length of the vectors.

    Returns
    -------
    memory_bytes, disk_bytes : int
    """
    known = KINDS[kind]
    stored = count * known.stored_bytes(dim) + known.fixed_bytes(count, dim)
    return stored + count * known.table_bytes, stored + (count * 2 * dim if known.copy else 0)


def choose_kind(count: int, dim: int, memory_bytes: int, on_gpu: bool = False) -> Choice:
    """Choose a kind for vectors.

    Where comparing all of them is quick enough, one that does so; else one with lists. Of these the one that rounds
    least and still fits into half of the memory.

    Parameters
    ----------
    count, dim : int
        Number and length of the vectors.
    memory_bytes : int
        Memory of the machine.
    on_gpu : bool
        Whether it has to be one that is searched on a GPU.

    Examples
    --------
    >>> choose_kind(60_000, 1024, 8 << 30).kind
    'flat'
    >>> choose_kind(60_000, 1024, 8 << 30).reason[59:]
    'as flat they take 0.2 GB, less than half of the memory.'
    """
    quick = count * dim <= QUICK_NUMBERS
    kinds = [kind for kind in (_SMALL if quick else _LARGE) if KINDS[kind].gpu or not on_gpu]
    fitting = [kind for kind in kinds if 2 * estimate(kind, count, dim)[0] <= memory_bytes]
    kind = fitting[0] if fitting else kinds[-1]
    memory, disk = estimate(kind, count, dim)
    effort = "It is quick" if quick else "It is too much"
    fit = "less than half of the memory" if fitting else "which is least, and yet more than half of the memory"
    size = f"{memory / 1e9:,.1f} GB" if memory >= 1e8 else f"{memory / 1e6:,.1f} MB"
    reason = f"{effort} to compare all of {count:,} vectors with a query; as {kind} they take {size}, {fit}."
    return Choice(kind, reason, memory, disk)

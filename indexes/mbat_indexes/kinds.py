"""The table of kinds: what each is and can do."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True)
class Kind:
    """What a kind of index is and can do.

    Attributes
    ----------
    name : str
        Its name.
    summary : str
        What it is, in a line.
    factory : str or None
        What FAISS calls it, with the number of lists as ``{lists}`` and of parts of a vector as ``{parts}``;
        None for numpy.
    code_bits : float
        Bits for each number of a vector in what a search reads first.
    half : bool
        Whether vectors, and so scores, are rounded to float16.
    copy : bool
        Whether candidates are found by codes, and scored from a copy of the vectors in a second file.
    candidates : int
        How many candidates are scored for each vector that is wanted, at a length of 1024; see `candidates_for`.
    effort : {"nprobe", "efSearch"} or None
        The parameter of FAISS that `effort` sets; None where every vector is looked at.
    overhead : int
        Bytes for each vector in the files, besides codes and copy.
    gpu : bool
        Whether FAISS searches it on a GPU.
    """

    name: str
    summary: str
    factory: str | None
    code_bits: float
    half: bool = False
    copy: bool = False
    candidates: int = 1
    effort: Literal["nprobe", "efSearch"] | None = None
    overhead: int = 16
    gpu: bool = False

    def candidates_for(self, dim: int) -> int:
        """Return how many candidates are scored for each vector wanted: short codes say less than long ones."""
        return self.candidates if self.candidates == 1 else math.ceil(self.candidates * max(1, math.sqrt(1024 / dim)))

    @staticmethod
    def parts_for(dim: int) -> int:
        """Return into how many parts of equal length product quantization cuts a vector: of eight numbers or more."""
        return next(parts for parts in range(max(1, dim // 8), 0, -1) if dim % parts == 0)

    def stored_bytes(self, dim: int) -> int:
        """Return the bytes of a vector in the file that a search reads first."""
        return round(dim * self.code_bits / 8) + self.overhead

    @property
    def table_bytes(self) -> int:
        """The bytes of a vector that are in memory alone: its id once more, and its place where only lists hold it."""
        if self.factory is None:
            return 0
        return 16 if self.effort == "nprobe" and not self.copy else 8

    @property
    def is_pq(self) -> bool:
        """Whether vectors are coded by product quantization."""
        return "PQ" in (self.factory or "")

    def fixed_bytes(self, count: int, dim: int) -> int:
        """Return the bytes besides the vectors: centres of lists and of parts of vectors, and a rotation."""
        factory = self.factory or ""
        lists = 4 * dim * lists_for(count) if self.effort == "nprobe" else 0
        parts = 4 * dim * 256 if self.is_pq else 0
        return lists + parts + (4 * dim * dim if "RR" in factory else 0)


def lists_for(count: int) -> int:
    """Return into how many lists so many vectors go: four times the root, but eight in a list or more."""
    return max(1, min(round(4 * math.sqrt(count)), count // 8))


def _codes(name: str, summary: str, factory: str, bits: float, candidates: int, overhead: int = 16) -> Kind:
    summary = f"{summary}, the best candidates again as float16"
    effort: Literal["nprobe"] | None = "nprobe" if "IVF" in factory else None
    return Kind(name, summary, factory, bits, True, True, candidates, effort, overhead, gpu="PQ" in factory)


_ALL: Final = (
    Kind("exact", "every vector compared, by numpy alone and in memory", None, 32, overhead=8),
    Kind("flat", "every vector compared", "Flat", 32, overhead=8, gpu=True),
    Kind("flat-fp16", "every vector compared, as float16", "SQfp16", 16, half=True, overhead=8, gpu=True),
    _codes("sq8", "every vector compared by 8 bits a number", "SQ8", 8, candidates=2, overhead=8),
    Kind("ivf", "vectors in lists, the nearest lists compared", "IVF{lists},Flat", 32, effort="nprobe", gpu=True),
    Kind("ivf-fp16", "as ivf, but float16", "IVF{lists},SQfp16", 16, half=True, effort="nprobe", gpu=True),
    # Without the rotation (RR) a bit for each number says little: sums of sparse atoms are not spread evenly.
    _codes("ivf-rabitq", "as ivf, by 1 bit a number", "RR,IVF{lists},RaBitQ", 1, candidates=8, overhead=24),
    _codes("ivf-pq", "as ivf, by 1 bit a number, product quantization", "IVF{lists},PQ{parts}", 1, candidates=8),
    Kind("hnsw", "a graph of neighbours", "HNSW32,SQfp16", 16, half=True, effort="efSearch", overhead=280),
)

KINDS: Final[dict[str, Kind]] = {kind.name: kind for kind in _ALL}
"""The kinds by name."""

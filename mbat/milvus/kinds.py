"""The kinds of index that Milvus has, by name: how each is built, and how far it looks when it searches."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from mbat.errors import ParameterError

DEFAULT_KIND: Final = "HNSW"

MOST_FOUND: Final = 16_384
"""How many documents one search or query of Milvus returns at most."""

_LISTS: Final = 128
_PROBED: Final = 1 / 8
_LEAST_EF: Final = 512
_MOST_EF: Final = 32_768
_MOST_ITOPK: Final = 1024

Effort = Callable[[int, int, float | None], dict[str, Any]]
"""Returns the parameters of a search, by how many are to be found, of how many documents, with which effort."""


@dataclass(frozen=True)
class Kind:
    """A kind of index.

    Attributes
    ----------
    name : str
        What Milvus calls it.
    looks : callable
        See `Effort`.
    built : dict
        Parameters of its making.
    most : int
        How many a search finds at most.
    on_files : bool
        Whether milvus-lite has it.
    """

    name: str
    looks: Effort
    built: dict[str, Any] = field(default_factory=dict)
    most: int = MOST_FOUND
    on_files: bool = True


def _graph(found: int, documents: int, effort: float | None) -> dict[str, Any]:
    wanted = max(_LEAST_EF, 2 * found) if effort is None else math.ceil(effort * documents)
    return {"ef": min(max(wanted, found), _MOST_EF)}


def _lists(found: int, documents: int, effort: float | None) -> dict[str, Any]:
    return {"nprobe": math.ceil((_PROBED if effort is None else effort) * _LISTS)}


def _all(found: int, documents: int, effort: float | None) -> dict[str, Any]:
    return {}


def _automatic(found: int, documents: int, effort: float | None) -> dict[str, Any]:
    return {} if effort is None else {"level": math.ceil(effort * 10)}


def _cagra(found: int, documents: int, effort: float | None) -> dict[str, Any]:
    wanted = max(128, 2 * found) if effort is None else math.ceil(effort * documents)
    return {"itopk_size": min(math.ceil(max(wanted, found) / 32) * 32, _MOST_ITOPK)}


_ALL_KINDS: Final = (
    Kind("HNSW", _graph, {"M": 32, "efConstruction": 200}),
    Kind("IVF_FLAT", _lists, {"nlist": _LISTS}),
    Kind("IVF_SQ8", _lists, {"nlist": _LISTS}),
    Kind("FLAT", _all),
    Kind("AUTOINDEX", _automatic),
    Kind("GPU_CAGRA", _cagra, {"intermediate_graph_degree": 64, "graph_degree": 32}, most=_MOST_ITOPK, on_files=False),
)

KINDS: Final = {kind.name: kind for kind in _ALL_KINDS}
"""The kinds by name."""


def kind_of(name: str, on_file: bool) -> Kind:
    """Return a kind by its name.

    Raises
    ------
    ParameterError
        If there is none, or milvus-lite has none.
    """
    if name not in KINDS:
        raise ParameterError(f"There is no kind {name!r} of index in Milvus; there are {', '.join(KINDS)}.")
    kind = KINDS[name]
    if on_file and not kind.on_files:
        raise ParameterError(f"milvus-lite has no {name}; take another kind, or a server with a GPU.")
    return kind

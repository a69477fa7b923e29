"""Turn any JSON document into one vector of fixed length, with no schema and no training, and search by it.

`Encoder` makes vectors; `Index` keeps documents with their vectors, in a folder or in Milvus, and finds the most
similar.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mbat.errors import (
    DeviceError,
    DocumentError,
    FilterError,
    IndexBusyError,
    IndexDamagedError,
    IndexExistsError,
    IndexFolderError,
    IndexNotFoundError,
    IndexVersionError,
    MbatError,
    MilvusError,
    MissingExtraError,
    ParameterError,
    PathError,
    SourceError,
)

if TYPE_CHECKING:
    from mbat.decoding import Number
    from mbat.encoder import Encoder
    from mbat.explaining import Explanation, Part
    from mbat.fields import Field
    from mbat.index import Index
    from mbat.putting import Changes
    from mbat.searching import Hit

__all__ = [
    "Changes",
    "DeviceError",
    "DocumentError",
    "Encoder",
    "Explanation",
    "Field",
    "FilterError",
    "Hit",
    "Index",
    "IndexBusyError",
    "IndexDamagedError",
    "IndexExistsError",
    "IndexFolderError",
    "IndexNotFoundError",
    "IndexVersionError",
    "MbatError",
    "MilvusError",
    "MissingExtraError",
    "Number",
    "ParameterError",
    "Part",
    "PathError",
    "SourceError",
]

_HOMES = {
    "Encoder": "mbat.encoder",
    "Explanation": "mbat.explaining",
    "Part": "mbat.explaining",
    "Field": "mbat.fields",
    "Number": "mbat.decoding",
    "Changes": "mbat.putting",
    "Hit": "mbat.searching",
    "Index": "mbat.index",
}


def __getattr__(name: str) -> Any:
    """Import the large parts when they are first used, so that ``import mbat`` is quick."""
    if name not in _HOMES:
        raise AttributeError(f"module 'mbat' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)

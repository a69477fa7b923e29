"""Serving by Milvus: documents, vectors and their encoder in collections, searched as an index in a folder is.

`push` fills a collection, and ``mbat.Index.open("milvus:URI#NAME")`` opens it. `create_collection` makes an empty one,
to be filled by other means, such as the bulk import of a server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mbat.milvus.creating import create_collection
    from mbat.milvus.looking import Pushed
    from mbat.milvus.pushing import push, push_files

__all__ = ["Pushed", "create_collection", "push", "push_files"]

_HOMES = {
    "Pushed": "mbat.milvus.looking",
    "create_collection": "mbat.milvus.creating",
    "push": "mbat.milvus.pushing",
    "push_files": "mbat.milvus.pushing",
}


def __getattr__(name: str) -> Any:
    """Import the parts when they are first used: the command line reads the kinds alone."""
    if name not in _HOMES:
        raise AttributeError(f"module 'mbat.milvus' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)

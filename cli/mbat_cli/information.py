"""``mbat info``: what is installed, and what an index holds."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from mbat.addresses import is_collection
from mbat_cli.options import any_index_option, find_index, folder_bytes


@click.command()
@any_index_option
@click.option("--json/--plain", "as_json", default=None, help="JSON or text; text only on a terminal.")
def info(index_path: str | None, as_json: bool | None) -> None:
    """Tell what an index holds and what is installed.

    Without an index, given or in the current folder, only what is installed.
    """
    told = {"index": _index(index_path), "installed": _installed()}
    if as_json or (as_json is None and not sys.stdout.isatty()):
        click.echo(json.dumps(told))
        return
    for part in filter(None, told.values()):
        for name, value in part.items():
            click.echo(f"{name:>15}  {value}")
        click.echo()


def _index(index_path: str | None) -> dict[str, Any] | None:
    from mbat.errors import IndexNotFoundError

    try:
        place = find_index(index_path)
    except IndexNotFoundError:
        return None
    return _collection(place) if is_collection(place) else _folder(Path(place))


def _collection(place: str) -> dict[str, Any]:
    from mbat.milvus.index import MilvusIndex

    with MilvusIndex.open(place) as index:
        return {
            "collection": index.place,
            "documents": len(index),
            "kind": index.about.kind,
            "encoder": repr(index.encoder),
            "fingerprint": index.about.fingerprint,
            "id field": index.id_field,
            "format": index.about.format,
            "made by mbat": index.about.library_version,
        }


def _folder(path: Path) -> dict[str, Any]:
    from mbat.folder_index import FolderIndex

    with FolderIndex.open(path) as index:
        content = index.content
        return {
            "path": str(path),
            "documents": content.documents,
            "kind": content.kind,
            "reason": content.reason or None,
            "recall": content.recall and asdict(content.recall),
            "encoder": repr(index.encoder),
            "fingerprint": content.fingerprint,
            "id field": content.id_field,
            "segments": len(content.segments),
            "bytes": folder_bytes(path),
            "format": index.manifest.format_version,
            "made by mbat": index.manifest.library_version,
        }


def _installed() -> dict[str, str]:
    from mbat.building import library_version
    from mbat_indexes import told_of_gpus
    from mbat_indexes.faiss_library import installed_faiss

    faiss = installed_faiss()
    named = ", ".join(f"{name} {version}" for name, version in faiss.items())
    if len(faiss) > 1:
        named += "  (these overwrite each other: uninstall all, then install one)"
    return {
        "mbat": library_version(),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in ("numpy", "numba", "orjson")},
        "faiss": named or "not installed: pip install 'mbat[cpu]'",
        "gpus": told_of_gpus(),
    }

"""The manifest of an index folder: what is in it, and whether it is whole."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from mbat.errors import IndexDamagedError, IndexNotFoundError, IndexVersionError

FOLDER_FORMAT: Final = 1
"""Version of the folder's layout: a change that older versions cannot read raises it."""

MANIFEST_FILE: Final = "manifest.json"
VECTORS_FILE: Final = "vectors.faiss"

GOLDEN_DOCUMENT: Final[dict[str, Any]] = {
    "text": "The quick brown fox",
    "numbers": [1, 2.5, -300],
    "nested": {"yes": True, "no": None, "list": [{"a": "x"}, {"a": "y"}]},
}
"""Encoded when an index is made and when it is opened: an encoder that has drifted is not used."""


@dataclass(frozen=True)
class FileRecord:
    """Size and SHA-256 of a file of the folder."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What an index folder holds.

    Attributes
    ----------
    format_version : int
        `FOLDER_FORMAT` when it was made.
    library_version : str
        Version of mbat that made it.
    kind, dim, count
        Kind of the vector index, length of the vectors, number of documents.
    fingerprint : str
        The encoder's.
    golden : str
        The vector of `GOLDEN_DOCUMENT`, its float32 bytes in hexadecimal.
    files : dict
        The other files, by name.
    """

    format_version: int
    library_version: str
    kind: str
    dim: int
    count: int
    fingerprint: str
    golden: str
    files: dict[str, FileRecord]

    def write(self, folder: Path) -> None:
        """Write the manifest, with a checksum of its own."""
        fields = asdict(self)
        text = json.dumps({**fields, "checksum": _checksum(fields)}, indent=2)
        (folder / MANIFEST_FILE).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read the manifest of a folder.

        Raises
        ------
        IndexNotFoundError
            If there is no such folder, or no manifest in it.
        IndexVersionError
            If it was made by a version with another layout.
        IndexDamagedError
            If it is not what was written.
        """
        path = folder / MANIFEST_FILE
        if not path.is_file():
            what = "is no mbat index: it has no manifest.json" if folder.is_dir() else "does not exist"
            raise IndexNotFoundError(f"{folder} {what}. Make an index with: mbat index FILE -o {folder}")
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            version = fields["format_version"]
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise IndexDamagedError(f"{path} is damaged: {error}. Index the documents again.") from error
        if version != FOLDER_FORMAT:
            raise IndexVersionError(
                f"{folder} has format {version!r}; this version of mbat reads format {FOLDER_FORMAT}. "
                "Index the documents again, or use the version that made it."
            )
        if fields.pop("checksum", None) != _checksum(fields):
            raise IndexDamagedError(f"{path} is damaged: its checksum is wrong. Index the documents again.")
        files = {name: FileRecord(**record) for name, record in fields.pop("files").items()}
        return cls(**fields, files=files)

    def check_sizes(self, folder: Path) -> None:
        """Raise IndexDamagedError if a file is missing or has another size."""
        for name, record in self.files.items():
            path = folder / name
            size = path.stat().st_size if path.is_file() else None
            if size != record.bytes:
                found = "is missing" if size is None else f"has {size:,} bytes instead of {record.bytes:,}"
                raise IndexDamagedError(f"{path} {found}. Index the documents again.")

    def check_content(self, folder: Path) -> None:
        """Raise IndexDamagedError if a file has another content; reads all of them."""
        self.check_sizes(folder)
        for name, record in self.files.items():
            if file_record(folder / name).sha256 != record.sha256:
                raise IndexDamagedError(
                    f"{folder / name} is damaged: its checksum is wrong. Index the documents again."
                )


def file_record(path: Path) -> FileRecord:
    """Return size and checksum of a file."""
    with path.open("rb") as file:
        return FileRecord(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def _checksum(fields: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()

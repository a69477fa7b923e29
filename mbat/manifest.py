"""The manifest of an index folder: its format, and which database in it is the index.

It is written when an index is built, and put in place at once: so a new index takes the place of an old one.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from mbat import durable
from mbat.errors import IndexNotFoundError, IndexVersionError
from mbat.refusals import as_folder_error, check_name
from mbat.sealing import MOST_TEXT, Fields, check_seal, damaged, sealed, unsealed

FOLDER_FORMAT: Final = 2
"""Version of the folder's layout: a change that older versions cannot read raises it."""

MANIFEST_FILE: Final = "manifest.json"

GOLDEN_DOCUMENT: Final[dict[str, Any]] = {
    "text": "The quick brown fox",
    "numbers": [1, 2.5, -300],
    "nested": {"yes": True, "no": None, "list": [{"a": "x"}, {"a": "y"}]},
}
"""Encoded when an index is made and when it is opened: an encoder that has drifted is not used."""

_DATABASE: Final = r"documents-[0-9a-f]{8}\.sqlite"


@dataclass(frozen=True)
class Manifest:
    """What an index folder says of itself.

    Attributes
    ----------
    format_version : int
        `FOLDER_FORMAT` when it was made.
    library_version : str
        Version of mbat that made it.
    database : str
        Name of the file with the documents.
    """

    format_version: int
    library_version: str
    database: str

    def write(self, folder: Path) -> None:
        """Put the manifest in its place, at once."""
        durable.replace(folder / MANIFEST_FILE, sealed(asdict(self)).encode())

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
        IndexFolderError
            If it cannot be read.
        """
        check_name(folder)
        place = str(folder / MANIFEST_FILE)
        try:
            with as_folder_error(f"{folder} cannot be read"):
                fields = unsealed(_text(folder), place)
        except UnicodeDecodeError as error:
            raise damaged(place, str(error)) from error
        version = fields.get("format_version")
        if type(version) is int and version != FOLDER_FORMAT:
            raise IndexVersionError(
                f"{folder} has format {version!r}; this version of mbat reads format {FOLDER_FORMAT}. "
                "Index the documents again, or use the version that made it."
            )
        check_seal(fields, place)
        told = Fields(fields, place)
        return cls(
            told.take("format_version", int), told.take("library_version", str), told.name("database", _DATABASE)
        )


def _text(folder: Path) -> str:
    try:
        with (folder / MANIFEST_FILE).open(encoding="utf-8") as file:
            return file.read(MOST_TEXT)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        what = "is no mbat index: it has no manifest.json" if folder.is_dir() else "does not exist"
        what = "is a file, and an mbat index is a folder" if folder.is_file() else what
        advice = f"Make an index with: mbat index FILE -o {folder}"
        if any(re.fullmatch(_DATABASE, path.name) for path in folder.glob("documents-*")):
            advice = (
                "If its making was cut short, index the documents again; if the file was lost, "
                "mbat verify --repair writes it anew."
            )
        raise IndexNotFoundError(f"{folder} {what}. {advice}") from None

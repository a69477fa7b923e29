"""An encoder on disk: ``encoder.json`` with its parameters, ``encoder.npz`` with what it learned. No pickle."""

from __future__ import annotations

import json
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbat.embedding import TextFunction
from mbat.encoder import FORMAT_VERSION, Encoder
from mbat.errors import IndexDamagedError, IndexNotFoundError, IndexVersionError, ParameterError
from mbat.statistics import PATH_TABLE_SIZE, SKETCH_BINS, SKETCHED_PATHS, TABLE_SIZE, Statistics

PARAMETERS_FILE: Final = "encoder.json"
STATISTICS_FILE: Final = "encoder.npz"

_DAMAGE: Final = (
    *(ValueError, KeyError, TypeError, EOFError, OSError, RuntimeError, MemoryError),
    *(zipfile.BadZipFile, zlib.error, tokenize.TokenError),
)
"""What numpy, zipfile and json raise at files that are not as they should be."""

_TYPES: Final = {
    "documents": "i8",
    "frequencies": "i8",
    "paths": "i8",
    "sketch_paths": "i8",
    "sketch_dropped": "i8",
    "sketch_ends": "i8",
    "sketch_integers": "u8",
    "sketch_counts": "i8",
}


def save_encoder(encoder: Encoder, folder: Path) -> None:
    """Write an encoder to a folder, which is made if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    described = {
        "format_version": FORMAT_VERSION,
        "parameters": encoder.parameters,
        "fingerprint": encoder.fingerprint,
        "text": None if encoder.embedder is None else {"name": encoder.embedder.name, "width": encoder.embedder.width},
    }
    (folder / PARAMETERS_FILE).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
    np.savez_compressed(folder / STATISTICS_FILE, allow_pickle=False, **encoder.statistics.arrays())


def load_encoder(folder: Path, text: TextFunction | None = None) -> Encoder:
    """Read an encoder from a folder; see `Encoder.load`."""
    with _damage_told(folder):
        described = json.loads((folder / PARAMETERS_FILE).read_text(encoding="utf-8"))
        version, embedder = described["format_version"], described.get("text")
        if version != FORMAT_VERSION:
            raise IndexVersionError(
                f"{folder} holds an encoder of vector format {version!r}; this version of mbat makes format "
                f"{FORMAT_VERSION}. Index the documents again."
            )
        encoder = Encoder(**described["parameters"])
        statistics = _load_statistics(folder / STATISTICS_FILE)
    if text is not None or embedder is not None:
        encoder = Encoder(**described["parameters"], text=_needed(folder, embedder, text))
    encoder._set_statistics(statistics)
    if encoder.fingerprint != described.get("fingerprint"):
        raise IndexDamagedError(
            f"The encoder in {folder} is damaged: its fingerprint is another than that of its statistics."
            if embedder is None
            else f"The encoder in {folder} is damaged, or was made with a text embedder of {embedder['width']} numbers."
        )
    return encoder


@contextmanager
def _damage_told(folder: Path) -> Iterator[None]:
    """Turn what goes wrong when files are not as they should be into a sentence."""
    try:
        yield
    except FileNotFoundError as error:
        raise IndexNotFoundError(f"There is no encoder in {folder}: {error.filename} is missing.") from None
    except (*_DAMAGE, ParameterError) as error:
        raise IndexDamagedError(f"The encoder in {folder} is damaged: {error}.") from error


def _needed(folder: Path, embedder: dict[str, Any] | None, text: TextFunction | None) -> TextFunction:
    """Return the text embedder that is given, if the encoder in a folder was made with one."""
    if embedder is None:
        raise ParameterError(f"The encoder in {folder} was made without a text embedder. Leave out text.")
    if text is None:
        raise ParameterError(
            f"The encoder in {folder} was made with a text embedder, {embedder['name']}, of {embedder['width']} "
            "numbers a text, which is not saved. Give the function again, as text=, from Python."
        )
    return text


def _load_statistics(path: Path) -> Statistics:
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:  # np.load itself may leave it open
        arrays: dict[str, NDArray[Any]] = {name: file[name] for name in _TYPES}
    wrong = [name for name, kind in _TYPES.items() if arrays[name].ndim != 1 or arrays[name].dtype != np.dtype(kind)]
    ends, paths = arrays["sketch_ends"], arrays["sketch_paths"]
    sizes = np.diff(ends, prepend=0)
    if (
        wrong
        or len(arrays["documents"]) != 1
        or arrays["documents"][0] < 0
        or len(arrays["frequencies"]) != TABLE_SIZE
        or len(arrays["paths"]) != PATH_TABLE_SIZE
        or len(paths) != len(ends)
        or len(paths) != len(arrays["sketch_dropped"])
        or ((sizes < 1) | (sizes > SKETCH_BINS)).any()
        or ((paths < 0) | (paths >= SKETCHED_PATHS)).any()
        or len(arrays["sketch_integers"]) != len(arrays["sketch_counts"])
        or (ends[-1] if len(ends) else 0) != len(arrays["sketch_counts"])
    ):
        raise ValueError("its statistics are not of the shape they should be")
    return Statistics.from_arrays(arrays)

"""An encoder on disk: its parameters as JSON, what it learned as arrays. No pickle.

In a folder of its own these are ``encoder.json`` and ``encoder.npz``; an index keeps both in its database.
"""

from __future__ import annotations

import io
import json
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbat.embedding import TextFunction
from mbat.encoder import Encoder
from mbat.errors import IndexDamagedError, IndexFolderError, IndexNotFoundError, IndexVersionError, ParameterError
from mbat.identity import FORMAT_VERSION
from mbat.manifest import MANIFEST_FILE, Manifest
from mbat.refusals import as_folder_error
from mbat.sketches import SKETCH_BINS
from mbat.statistics import PATH_TABLE_SIZE, SKETCHED_PATHS, TABLE_SIZE, Statistics

PARAMETERS_FILE: Final = "encoder.json"
STATISTICS_FILE: Final = "encoder.npz"

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

_MOST_BYTES: Final = 8 * SKETCHED_PATHS * SKETCH_BINS + 1024
"""What an array with its header has at most."""

BROKEN: Final = (
    *(ValueError, KeyError, TypeError, EOFError, OSError, MemoryError, OverflowError, RecursionError),
    *(NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error, tokenize.TokenError, ParameterError),
)
"""What comes of reading parts that are not what was written."""


def encoder_parts(encoder: Encoder) -> tuple[str, bytes]:
    """Return what makes an encoder: its parameters as JSON, its statistics as the bytes of an ``.npz`` file."""
    described = {
        "format_version": FORMAT_VERSION,
        "parameters": encoder.parameters,
        "fingerprint": encoder.fingerprint,
        "text": None if encoder.embedder is None else {"name": encoder.embedder.name, "width": encoder.embedder.width},
    }
    return json.dumps(described, indent=2) + "\n", statistics_bytes(encoder.statistics)


def statistics_bytes(statistics: Statistics) -> bytes:
    """Return statistics as the bytes of an ``.npz`` file."""
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **statistics.arrays())
    return file.getvalue()


def encoder_of(parameters: str, statistics: bytes, place: str, text: TextFunction | None = None) -> Encoder:
    """Return the encoder that `encoder_parts` told of.

    Raises
    ------
    IndexVersionError
        If it makes vectors of another format.
    IndexDamagedError
        If the parts are something else.
    ParameterError
        If `text` is missing, or the encoder was made without.
    """
    encoder = unfitted_encoder_of(parameters, place, text)
    try:
        encoder._set_statistics(statistics_of(statistics))
        if encoder.fingerprint != json.loads(parameters).get("fingerprint"):
            other = ", or the text embedder another than it was made with" if encoder.embedder else ""
            raise ValueError(f"its fingerprint is another than that of its statistics{other}")
    except BROKEN as error:
        raise IndexDamagedError(f"The encoder in {place} is damaged: {error}.") from error
    return encoder


def unfitted_encoder_of(parameters: str, place: str, text: TextFunction | None = None) -> Encoder:
    """Return the encoder that `encoder_parts` told of, without what it had learned; see `encoder_of`."""
    try:
        described = json.loads(parameters)
        version = described["format_version"]
        encoder = Encoder(**described["parameters"]) if version == FORMAT_VERSION else None
        embedder: dict[str, Any] | None = described.get("text")
        if not isinstance(embedder, dict | None):
            raise TypeError(f"its text embedder is {embedder!r:.40}")
    except BROKEN as error:
        raise IndexDamagedError(f"The encoder in {place} is damaged: {error}.") from error
    if encoder is None:
        raise IndexVersionError(
            f"{place} holds an encoder of vector format {version!r}; this version of mbat makes format "
            f"{FORMAT_VERSION}. Index the documents again."
        )
    if text is None and embedder is None:
        return encoder
    return Encoder(**encoder.parameters, text=_needed(place, embedder, text))


def _needed(place: str, embedder: dict[str, Any] | None, text: TextFunction | None) -> TextFunction:
    """Return the text embedder that is given, if the encoder was made with one."""
    if embedder is None:
        raise ParameterError(f"The encoder in {place} was made without a text embedder. Leave out text.")
    if text is None:
        raise ParameterError(
            f"The encoder in {place} was made with a text embedder, {embedder.get('name')}, of "
            f"{embedder.get('width')} numbers a text, which is not saved. Give the function again, as text=, from "
            "Python."
        )
    return text


def save_encoder(encoder: Encoder, folder: Path) -> None:
    """Write an encoder to a folder, which is made if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    parameters, statistics = encoder_parts(encoder)
    (folder / PARAMETERS_FILE).write_text(parameters, encoding="utf-8")
    (folder / STATISTICS_FILE).write_bytes(statistics)


def load_encoder(folder: Path, text: TextFunction | None = None) -> Encoder:
    """Read an encoder from a folder, from an index, or from a vectorizer; see `Encoder.load`."""
    from mbat.vectorizer_files import VECTORIZER_FILE, saved_encoder_parts

    if (folder / MANIFEST_FILE).exists():
        from mbat.store import Store

        database = folder / Manifest.read(folder).database
        with as_folder_error(f"{folder} cannot be read"), Store.open(database) as store:
            return encoder_of(*store.encoder(), str(folder), text)
    if (folder / VECTORIZER_FILE).exists() and not (folder / PARAMETERS_FILE).exists():
        return encoder_of(*saved_encoder_parts(folder), str(folder), text)
    try:
        parameters = (folder / PARAMETERS_FILE).read_text(encoding="utf-8")
        statistics = (folder / STATISTICS_FILE).read_bytes()
    except FileNotFoundError as error:
        raise IndexNotFoundError(f"There is no encoder in {folder}: {error.filename} is missing.") from None
    except OSError as error:
        raise IndexFolderError(f"The encoder in {folder} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise IndexDamagedError(f"The encoder in {folder} is damaged: {error}.") from error
    return encoder_of(parameters, statistics, str(folder), text)


def statistics_of(content: bytes) -> Statistics:
    """Return the statistics that `statistics_bytes` was given, or raise one of many errors if they are others."""
    with zipfile.ZipFile(io.BytesIO(content)) as members:
        arrays = {name: _read_array(members, name, kind) for name, kind in _TYPES.items()}
    ends, paths = arrays["sketch_ends"], arrays["sketch_paths"]
    sizes = np.diff(ends, prepend=0)
    if (
        len(arrays["documents"]) != 1
        or any(arrays[name].min(initial=0) < 0 for name in ("documents", "frequencies", "paths"))
        or len(arrays["frequencies"]) != TABLE_SIZE
        or len(arrays["paths"]) != PATH_TABLE_SIZE
        or len(paths) != len(ends)
        or len(paths) != len(arrays["sketch_dropped"])
        or ((arrays["sketch_dropped"] < 0) | (arrays["sketch_dropped"] > 63)).any()
        or arrays["sketch_counts"].min(initial=1) < 1
        or ((sizes < 1) | (sizes > SKETCH_BINS)).any()
        or ((paths < 0) | (paths >= SKETCHED_PATHS)).any()
        or len(arrays["sketch_integers"]) != len(arrays["sketch_counts"])
        or (ends[-1] if len(ends) else 0) != len(arrays["sketch_counts"])
    ):
        raise ValueError("its statistics are not of the shape they should be")
    return Statistics.from_arrays(arrays)


def _read_array(members: zipfile.ZipFile, name: str, kind: str) -> NDArray[Any]:
    """Read an array of one dimension, whose size and type are looked at before there is memory for it."""
    member = members.getinfo(f"{name}.npy")
    if member.file_size > _MOST_BYTES:
        raise ValueError(f"its {name} would have {member.file_size:,} bytes")
    content = io.BytesIO(members.read(member))
    if np.lib.format.read_magic(content) != (1, 0):
        raise ValueError(f"its {name} is an array of another format")
    shape, _, dtype = np.lib.format.read_array_header_1_0(content)
    rest = content.read()
    if len(shape) != 1 or dtype != np.dtype(kind) or shape[0] * dtype.itemsize != len(rest):
        raise ValueError(f"its {name} is of type {dtype} and shape {shape} in {len(rest):,} bytes")
    return np.frombuffer(rest, dtype=dtype).copy()

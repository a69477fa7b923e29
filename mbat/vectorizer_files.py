"""A fitted vectorizer on disk: one file, so that it is whole or not there at all. No pickle.

``vectorizer.zip`` holds ``vectorizer.json``, the two files of its encoder and, of `components`, ``rotation.npy``, each
with a checksum as every zip file has them.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from mbat import durable
from mbat.encoder_files import BROKEN, PARAMETERS_FILE, STATISTICS_FILE, encoder_of, encoder_parts
from mbat.errors import IndexDamagedError, IndexNotFoundError, IndexVersionError
from mbat.parameters import checked_folder
from mbat.refusals import as_folder_error

if TYPE_CHECKING:
    from mbat.encoder import Encoder
    from mbat.sklearn import MBATVectorizer

VECTORIZER_FILE: Final = "vectorizer.zip"
FORMAT_VERSION: Final = 1

_DESCRIPTION: Final = "vectorizer.json"
_ROTATION: Final = "rotation.npy"
_OPTIONS: Final = ("dtype", "parse", "n_jobs")


def save_vectorizer(vectorizer: MBATVectorizer, folder: str | Path) -> None:
    """Write a fitted vectorizer to a folder, which is made if it is missing."""
    place = checked_folder(folder)
    content = _zipped(vectorizer)
    with as_folder_error(f"The vectorizer cannot be written to {place}"):
        place.mkdir(parents=True, exist_ok=True)
        durable.replace(place / VECTORIZER_FILE, content)


def load_vectorizer(folder: str | Path, text: Any) -> MBATVectorizer:
    """Read a vectorizer from a folder; see `MBATVectorizer.load`."""
    place = checked_folder(folder)
    parts = _unzipped(place)
    try:
        described = json.loads(parts[_DESCRIPTION])
        version = described["format_version"]
    except BROKEN as error:
        raise _damaged(place, error) from error
    if version != FORMAT_VERSION:
        raise IndexVersionError(
            f"{place} holds a vectorizer of format {version!r}; this version of mbat reads format {FORMAT_VERSION}. "
            "Fit it again."
        )
    encoder = encoder_of(*_encoder_parts(place, parts), str(place), text)
    try:
        return _made(described, encoder, parts.get(_ROTATION), text)
    except BROKEN as error:
        raise _damaged(place, error) from error


def saved_encoder_parts(folder: Path) -> tuple[str, bytes]:
    """Return what makes the encoder of a vectorizer that was saved to a folder; see `mbat.encoder_files`."""
    return _encoder_parts(folder, _unzipped(folder))


def _zipped(vectorizer: MBATVectorizer) -> bytes:
    rotation, names = vectorizer.rotation_, getattr(vectorizer, "feature_names_in_", None)
    described = {
        "format_version": FORMAT_VERSION,
        "parameters": {name: _plain(getattr(vectorizer, name)) for name in _OPTIONS},
        "components": None if rotation is None else rotation.shape[1],
        "columns": getattr(vectorizer, "n_features_in_", None),
        "column_names": None if names is None else names.tolist(),
    }
    parameters, statistics = encoder_parts(vectorizer.encoder_)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as members:
        members.writestr(_DESCRIPTION, json.dumps(described, indent=2) + "\n")
        members.writestr(PARAMETERS_FILE, parameters)
        members.writestr(STATISTICS_FILE, statistics)
        if rotation is not None:
            with members.open(_ROTATION, "w") as member:
                np.lib.format.write_array(member, rotation, allow_pickle=False)
    return content.getvalue()


def _unzipped(place: Path) -> dict[str, bytes]:
    """Return the parts of a vectorizer, whose checksums are right."""
    with as_folder_error(f"The vectorizer in {place} cannot be read"):
        try:
            content = (place / VECTORIZER_FILE).read_bytes()
        except FileNotFoundError:
            raise IndexNotFoundError(f"There is no vectorizer in {place}: {VECTORIZER_FILE} is missing.") from None
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as members:
            rotation = {_ROTATION} & set(members.namelist())
            return {name: members.read(name) for name in (_DESCRIPTION, PARAMETERS_FILE, STATISTICS_FILE, *rotation)}
    except BROKEN as error:
        raise _damaged(place, error) from error


def _encoder_parts(place: Path, parts: dict[str, bytes]) -> tuple[str, bytes]:
    try:
        return parts[PARAMETERS_FILE].decode(), parts[STATISTICS_FILE]
    except UnicodeDecodeError as error:
        raise _damaged(place, error) from error


def _damaged(place: Path, error: Exception) -> IndexDamagedError:
    return IndexDamagedError(f"The vectorizer in {place} is damaged: {error}.")


def _made(described: dict[str, Any], encoder: Encoder, rotation: bytes | None, text: Any) -> MBATVectorizer:
    from mbat.sklearn import ENCODER_PARAMETERS, MBATVectorizer

    known = {name: value for name, value in encoder.parameters.items() if name in ENCODER_PARAMETERS and value != {}}
    options = {name: described["parameters"][name] for name in _OPTIONS}
    vectorizer = MBATVectorizer(**known, text=text, components=described["components"], **options)
    vectorizer._new_encoder()
    vectorizer.encoder_ = encoder
    vectorizer.rotation_ = _read_rotation(rotation, (encoder.dim, vectorizer.components))
    if described["columns"] is not None:
        vectorizer.n_features_in_ = int(described["columns"])
    if described["column_names"] is not None:
        vectorizer.feature_names_in_ = np.array(described["column_names"], dtype=object)
    return vectorizer


def _read_rotation(content: bytes | None, shape: tuple[int, int | None]) -> NDArray[np.float32] | None:
    if content is None and shape[1] is None:
        return None
    rotation = None if content is None else np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    if rotation is None or rotation.dtype != np.float32 or rotation.shape != shape or not np.isfinite(rotation).all():
        raise ValueError(f"its rotation is not one of finite numbers of shape {shape}")
    return np.asarray(rotation)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value

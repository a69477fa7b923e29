"""A fitted vectorizer on disk: its encoder, beside it ``vectorizer.json`` and ``rotation.npy``. No pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbat.encoder import Encoder
from mbat.errors import IndexDamagedError, IndexFolderError, IndexNotFoundError, IndexVersionError
from mbat.parameters import checked_folder
from mbat.sklearn import ENCODER_PARAMETERS, MBATVectorizer

VECTORIZER_FILE: Final = "vectorizer.json"
ROTATION_FILE: Final = "rotation.npy"
FORMAT_VERSION: Final = 1

_OPTIONS: Final = ("components", "dtype", "parse", "n_jobs")


def save_vectorizer(vectorizer: MBATVectorizer, folder: str | Path) -> None:
    """Write a fitted vectorizer to a folder, which is made if it is missing."""
    place = checked_folder(folder)
    names = getattr(vectorizer, "feature_names_in_", None)
    described = {
        "format_version": FORMAT_VERSION,
        "parameters": {name: _plain(getattr(vectorizer, name)) for name in _OPTIONS},
        "columns": getattr(vectorizer, "n_features_in_", None),
        "column_names": None if names is None else names.tolist(),
        "encoder": vectorizer.encoder_.fingerprint,
    }
    vectorizer.encoder_.save(place)
    try:
        (place / VECTORIZER_FILE).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
        if vectorizer.rotation_ is not None:
            np.save(place / ROTATION_FILE, vectorizer.rotation_, allow_pickle=False)
    except OSError as error:
        raise IndexFolderError(f"The vectorizer cannot be written to {place}: {error.strerror or error}.") from error


def load_vectorizer(folder: str | Path, text: Any) -> MBATVectorizer:
    """Read a vectorizer from a folder; see `MBATVectorizer.load`."""
    place = checked_folder(folder)
    encoder = Encoder.load(place, text)
    try:
        described = json.loads((place / VECTORIZER_FILE).read_text(encoding="utf-8"))
        if described["format_version"] != FORMAT_VERSION:
            raise IndexVersionError(
                f"{place} holds a vectorizer of format {described['format_version']!r}; this version of mbat reads "
                f"format {FORMAT_VERSION}. Fit it again."
            )
        return _made(described, encoder, place, text)
    except FileNotFoundError as error:
        raise IndexNotFoundError(f"There is no vectorizer in {place}: {error.filename} is missing.") from None
    except OSError as error:
        raise IndexFolderError(f"The vectorizer in {place} cannot be read: {error.strerror or error}.") from error
    except (ValueError, KeyError, TypeError, EOFError) as error:
        raise IndexDamagedError(f"The vectorizer in {place} is damaged: {error}.") from error


def _made(described: dict[str, Any], encoder: Encoder, place: Path, text: Any) -> MBATVectorizer:
    if described["encoder"] != encoder.fingerprint:
        raise ValueError("the encoder beside it is another than it was saved with")
    parameters = {
        name: value for name, value in encoder.parameters.items() if name in ENCODER_PARAMETERS and value != {}
    }
    vectorizer = MBATVectorizer(**parameters, text=text, **{name: described["parameters"][name] for name in _OPTIONS})
    vectorizer._new_encoder()
    vectorizer.encoder_ = encoder
    vectorizer.rotation_ = None if vectorizer.components is None else _read_rotation(place, vectorizer)
    if described["columns"] is not None:
        vectorizer.n_features_in_ = int(described["columns"])
    if described["column_names"] is not None:
        vectorizer.feature_names_in_ = np.array(described["column_names"], dtype=object)
    return vectorizer


def _read_rotation(place: Path, vectorizer: MBATVectorizer) -> NDArray[np.float32]:
    rotation: NDArray[np.float32] = np.load(place / ROTATION_FILE, allow_pickle=False)
    shape = (vectorizer.encoder_.dim, vectorizer.components)
    if rotation.dtype != np.float32 or rotation.shape != shape or not np.isfinite(rotation).all():
        raise ValueError(f"its rotation is not one of finite numbers of shape {shape}")
    return rotation


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value

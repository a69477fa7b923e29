"""Vectors in, scores and ids out: exact and FAISS indexes behind one small protocol.

Nothing here knows of JSON or of encoders.

Examples
--------
>>> import tempfile
>>> import numpy as np
>>> from pathlib import Path
>>> path = Path(tempfile.mkdtemp()) / "vectors"
>>> with index_writer("flat", path, dim=2) as writer:
...     writer.add(np.array([7, 9]), np.array([[1, 0], [0, 1]], dtype=np.float32))
>>> scores, ids = load_index("flat", path).search(np.array([[0.6, 0.8]], dtype=np.float32), k=1)
>>> ids.tolist(), scores.round(6).tolist()
([[9]], [[0.800000011920929]])
"""

from mbat_indexes.choosing import Choice, choose_kind, estimate
from mbat_indexes.devices import CPU, Device, DeviceError, checked_device, find_device, told_of_gpus
from mbat_indexes.exact import exact_index
from mbat_indexes.faiss_gpu import check_on_gpu
from mbat_indexes.files import index_writer, load_index, segment_files
from mbat_indexes.kinds import KINDS, Kind
from mbat_indexes.measuring import recall
from mbat_indexes.protocol import NO_ID, IndexFileError, MissingFaissError, VectorIndex
from mbat_indexes.writing import VectorWriter

__all__ = [
    "CPU",
    "KINDS",
    "NO_ID",
    "Choice",
    "Device",
    "DeviceError",
    "IndexFileError",
    "Kind",
    "MissingFaissError",
    "VectorIndex",
    "VectorWriter",
    "check_on_gpu",
    "checked_device",
    "choose_kind",
    "estimate",
    "exact_index",
    "find_device",
    "index_writer",
    "load_index",
    "recall",
    "segment_files",
    "told_of_gpus",
]

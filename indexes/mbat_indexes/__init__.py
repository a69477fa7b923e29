"""Vectors in, scores and ids out: exact and FAISS indexes behind one small protocol.

Nothing here knows of JSON or of encoders.

Examples
--------
>>> import numpy as np
>>> index = make_index("exact", dim=2)
>>> index.add(np.array([7, 9]), np.array([[1, 0], [0, 1]], dtype=np.float32))
>>> scores, ids = index.search(np.array([[0.6, 0.8]], dtype=np.float32), k=1)
>>> ids.tolist(), scores.round(6).tolist()
([[9]], [[0.800000011920929]])
"""

from mbat_indexes.kinds import KINDS, index_writer, load_index, make_index
from mbat_indexes.protocol import IndexFileError, MissingFaissError, VectorIndex, VectorWriter

__all__ = [
    "KINDS",
    "IndexFileError",
    "MissingFaissError",
    "VectorIndex",
    "VectorWriter",
    "index_writer",
    "load_index",
    "make_index",
]

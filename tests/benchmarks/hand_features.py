"""Documents flattened into columns by hand, as one would without mbat: what its vectors are measured beside."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from math import log
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin


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


def is_number(value: Any) -> bool:
    """Return whether a leaf is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def numbers(document: Any) -> dict[str, float]:
    """Return the numbers of a document by path; those within arrays as their mean, least, most and count."""
    found = defaultdict(list)
    for path, value in leaves(document):
        if is_number(value):
            found[path].append(float(value))
    row = {path: sum(values) / len(values) for path, values in found.items()}
    for path, values in found.items():
        if "[]" in path:
            row |= {f"{path} least": min(values), f"{path} most": max(values), f"{path} count": float(len(values))}
    return row


def texts(document: Any) -> dict[str, float]:
    """Return how often each text, true, false or null is at each path; and the words of longer texts, 1 + ln often."""
    whole: Counter[str] = Counter()
    words: Counter[str] = Counter()
    for path, value in leaves(document):
        if not is_number(value):
            whole[f"{path}={value}"] += 1
        if isinstance(value, str) and " " in value:
            words.update(f"{path}~{word}" for word in re.findall(r"\w+", value.lower()))
    return {**{text: float(count) for text, count in whole.items()}, **{w: 1.0 + log(n) for w, n in words.items()}}


class Flattened(TransformerMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn has no types
    """Turn documents into columns by name: numbers and texts.

    A number has mean 0 and deviation 1 over the documents given to `fit`; one that is missing is 0, with a 1 in a
    column that says so.
    """

    def __init__(self, with_texts: bool = True) -> None:
        self.with_texts = with_texts

    def fit(self, documents: list[Any], y: Any = None) -> Flattened:
        """Learn the scales of the numbers."""
        seen = defaultdict(list)
        for document in documents:
            for path, number in numbers(document).items():
                seen[path].append(number)
        self.scales_ = {path: (np.mean(values), np.std(values) or 1.0) for path, values in seen.items()}
        self.sometimes_ = {path for path, values in seen.items() if len(values) < len(documents)}
        return self

    def transform(self, documents: list[Any]) -> list[dict[str, float]]:
        """Return a dictionary of columns a document."""
        return [self._row(document) for document in documents]

    def _row(self, document: Any) -> dict[str, float]:
        there = {path: number for path, number in numbers(document).items() if path in self.scales_}
        scaled = {path: (number - self.scales_[path][0]) / self.scales_[path][1] for path, number in there.items()}
        missing = {f"{path} is missing": 1.0 for path in self.sometimes_ - there.keys()}
        return {**scaled, **missing, **(texts(document) if self.with_texts else {})}

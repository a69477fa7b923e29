"""Picking parts out of documents by their paths."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mbat.paths import Steps

Tree = dict[str | None, "Tree"]
"""Paths by their steps: what may come next at each."""


def values_at(document: Any, steps: Steps) -> list[Any]:
    """Return the values at a path, in their order; where it goes through arrays there may be several.

    Examples
    --------
    >>> values_at({"a": [{"b": 1}, {}, {"b": None}]}, ("a", None, "b"))
    [1, None]
    """
    values = [document]
    for step in steps:
        if step is None:
            values = [element for value in values if isinstance(value, list | tuple) for element in value]
        else:
            values = [value[step] for value in values if isinstance(value, dict) and step in value]
    return values


def paths_in(document: Any) -> set[Steps]:
    """Return the paths of all values of a document, itself among them.

    Examples
    --------
    >>> sorted(paths_in({"a": {"b": 1}}))
    [(), ('a',), ('a', 'b')]
    """
    found: set[Steps] = set()
    waiting: list[tuple[Steps, Any]] = [((), document)]
    while waiting:
        steps, value = waiting.pop()
        found.add(steps)
        if isinstance(value, dict):
            waiting += [((*steps, key), child) for key, child in value.items()]
        elif isinstance(value, list | tuple):
            waiting += [((*steps, None), child) for child in value]
    return found


def tree_of(paths: Iterable[Steps]) -> Tree:
    """Return paths as a tree."""
    tree: Tree = {}
    for steps in paths:
        at = tree
        for step in steps:
            at = at.setdefault(step, {})
    return tree


def only(document: Any, tree: Tree) -> Any:
    """Return a document without what stands at no path of a tree; what stands at the end of a path is kept whole.

    Examples
    --------
    >>> only({"a": {"b": 1, "c": [2]}, "d": [3]}, tree_of([("a", "c"), ("d",)]))
    {'a': {'c': [2]}, 'd': [3]}
    """
    if not tree:
        return document
    if isinstance(document, dict):
        return {key: only(value, tree[key]) for key, value in document.items() if key in tree}
    if isinstance(document, list | tuple):
        return [only(value, tree[None]) for value in document] if None in tree else []
    return document

"""Picking parts out of documents by their paths."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from mbat.paths import Steps

MISSING: Final = object()
"""Stands for a value that is not there: null is one."""

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


def value_at(document: Any, steps: Steps) -> Any:
    """Return what stands at a path, `MISSING` if nothing does; where it goes through an array, a list.

    Examples
    --------
    >>> value_at({"a": [{"b": [1, 2]}, {}, {"b": [None]}]}, ("a", None, "b", None))
    [[1, 2], [None]]
    """
    if not steps:
        return document
    step, *rest = steps
    if step is not None:
        return value_at(document[step], tuple(rest)) if isinstance(document, dict) and step in document else MISSING
    if not isinstance(document, list | tuple):
        return MISSING
    found = [value for value in (value_at(element, tuple(rest)) for element in document) if value is not MISSING]
    return found or MISSING


def same_json(one: Any, other: Any) -> bool:
    """Tell whether two values are the same JSON: true is not 1, but 1.0 is.

    Examples
    --------
    >>> same_json({"a": [1, True]}, {"a": [1.0, True]}), same_json([1], [True])
    (True, False)
    """
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_json(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same_json, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


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

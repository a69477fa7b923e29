"""Filters over documents, such as ``price < 10 and seller.country = 'FI' and tags contains 'new'``.

Three rules:

1. A comparison speaks of a value that is there. Where the path is missing none holds, ``price != 10`` neither;
   ``not (...)`` turns the answer round for the whole document, missing paths included.
2. Types do not mix: "1" is not 1, true is not 1, null equals null alone, and no text is less than a number.
3. ``a[].b`` is any element's b: a comparison holds if it holds for one of them, and ``not (...)`` if for none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from mbat.errors import FilterError
from mbat.filter_evaluation import compiled
from mbat.filter_tree import Comparison, Condition, Exists, condition_text, conditions
from mbat.paths import Steps

MAX_NESTING: Final = 100
"""Levels of ``not``, ``and`` and ``or`` within each other that a filter may have."""


class Filter:
    """A condition on documents, made by `parse_filter`.

    Filters are equal if they are written alike, apart from spaces, superfluous parentheses and the spelling of words
    and operators: if ``str(filter)`` is the same. That text reads back as an equal filter.

    Examples
    --------
    >>> cheap = parse_filter("(price<10) AND seller IS NOT NULL")
    >>> str(cheap)
    'price < 10 and seller != null'
    >>> parse_filter(str(cheap)) == cheap
    True
    """

    __slots__ = ("_condition", "_holds", "_text")

    def __init__(self, condition: Condition) -> None:
        if any(depth > MAX_NESTING for _, depth in conditions(condition)):
            raise FilterError(f"The filter is nested deeper than {MAX_NESTING} levels.")
        self._condition = condition
        self._text = condition_text(condition)
        self._holds: Callable[[Any], bool] = compiled(condition)

    def matches(self, document: Any) -> bool:
        """Return whether the condition holds of a document.

        Parameters
        ----------
        document : JSON value
            As it is parsed from JSON; it is not checked to be such.

        Examples
        --------
        >>> new = parse_filter("tags contains 'new' and not (seller.country in ('FI', 'SE'))")
        >>> new.matches({"tags": ["new"], "seller": {"country": "DE"}}), new.matches({"tags": "old"})
        (True, False)
        """
        return self._holds(document)

    @property
    def condition(self) -> Condition:
        """What the filter is made of."""
        return self._condition

    def paths(self) -> set[Steps]:
        """Return the paths that the filter looks at.

        Examples
        --------
        >>> sorted(parse_filter("price < 10 or offers[].price < 10").paths())
        [('offers', None, 'price'), ('price',)]
        """
        found = (condition for condition, _ in conditions(self._condition))
        return {condition.path for condition in found if isinstance(condition, Comparison | Exists)}

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"parse_filter({self._text!r})"

    def __eq__(self, other: object) -> bool:
        return self._text == other._text if isinstance(other, Filter) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> tuple[Callable[[str], Filter], tuple[str]]:
        return parse_filter, (self._text,)


def parse_filter(text: str) -> Filter:
    """Read a filter.

    Raises
    ------
    FilterError
        If the text is not well formed; the message shows where, and says what may stand there.

    Examples
    --------
    >>> parse_filter("seller.country = 'FI'").matches({"seller": {"country": "FI"}})
    True
    """
    from mbat.filter_grammar import parse_condition  # lark is imported when there is something to parse

    return Filter(parse_condition(text))

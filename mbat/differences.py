"""What two documents differ in, and how much of the score each field costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mbat.explaining import Account, own_parts
from mbat.paths import parse_path
from mbat.picking import same_json


@dataclass(frozen=True)
class Difference:
    """A field that two documents differ in.

    Attributes
    ----------
    path : str
        Where it stands.
    lost : float
        What it would add to the score if they agreed in it, less what it adds: the mean of both directions.
    values : tuple of JSON values
        What stands there in the first and in the second; a list where there are several values.
    missing : 0, 1 or None
        Which of the two documents has no such field, if one has none.
    """

    path: str
    lost: float
    values: tuple[Any, Any]
    missing: int | None = None

    def plain(self) -> dict[str, Any]:
        """Return it as JSON; a value that is missing has no entry."""
        values = {name: self.values[i] for i, name in enumerate(("first", "second")) if self.missing != i}
        return {"path": self.path, "lost": round(self.lost, 6), **values}


def differences(first: Account, second: Account) -> tuple[Difference, ...]:
    """Return the fields that two documents differ in, those first that cost most of the score.

    Objects and arrays are told of by what is in them.

    Examples
    --------
    >>> from mbat import Encoder
    >>> account = Encoder().account
    >>> ann, other = {"name": "Ann", "born": 1950}, {"name": "Ann", "born": 1990, "died": 2020}
    >>> found = differences(account(ann), account(other))
    >>> sorted((one.path, one.values, one.missing) for one in found)
    [('born', (1950, 1990), None), ('died', (None, 2020), 0)]
    """
    here = {part.path: part for part in own_parts(first, second)}
    there = {part.path: part for part in own_parts(second, first)}
    found = []
    for path in [*here, *(path for path in there if path not in here)]:
        one, other = here.get(path), there.get(path)
        lost = sum(part.possible - part.contribution for part in (one, other) if part is not None) / 2
        value, other_value = one and one.value, other and other.value
        missing = 0 if one is None else 1 if other is None else None
        present = [part.value for part in (one, other) if part is not None]
        is_point = parse_path(path) in {**first.points, **second.points}
        holds_more = not is_point and _holds_more(path, *present)
        if (missing is not None or not same_json(value, other_value)) and not holds_more:
            found.append(Difference(path, lost, (value, other_value), missing))
    return tuple(sorted(found, key=lambda difference: -difference.lost))


def _holds_more(path: str, *values: Any) -> bool:
    """Tell whether what stands at a path are objects or arrays alone, not empty: their members are told of."""
    found = [one for value in values for one in (value if None in parse_path(path) else [value])]
    return all(isinstance(one, dict | list) and one for one in found)

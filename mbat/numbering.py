"""Ids for documents that have none: running numbers."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence

from mbat.records import Record


def _free(ids: list[str]) -> Container[str]:
    return ()


class Numbers:
    """The running numbers, which are the ids of documents without one.

    Parameters
    ----------
    first : int
        The first that may be given out.
    taken : callable
        Returns, of some ids, those that documents have already; these numbers are passed over. By default none has one.

    Attributes
    ----------
    next : int
        The first that was neither given out nor passed over.

    Examples
    --------
    >>> numbers = Numbers(first=7, taken={"8"}.intersection)
    >>> numbers.ids([Record(None, b"1", 1), Record("a", b"2", 2), Record(None, b"3", 3)]), numbers.next
    (['7', 'a', '9'], 10)
    """

    def __init__(self, first: int = 0, taken: Callable[[list[str]], Container[str]] = _free) -> None:
        self.next, self._taken = first, taken

    def ids(self, records: Sequence[Record]) -> list[str]:
        """Return the id of each record."""
        numbers = iter(self._numbers(sum(record.id is None for record in records)))
        return [next(numbers) if record.id is None else record.id for record in records]

    def _numbers(self, count: int) -> list[str]:
        numbers: list[str] = []
        while len(numbers) < count:
            some = [str(self.next + i) for i in range(count - len(numbers))]
            taken = self._taken(some)
            numbers += [one for one in some if one not in taken]
            self.next += len(some)
        return numbers

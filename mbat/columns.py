"""A batch of documents as columns: the one place that knows the shape of JSON.

The principle is:

1. Every JSON value becomes one *item*, a number that tells its path and its kind, in the order of
   the document. Objects and arrays come before what they hold, so the items are a tape from which
   the tree can be read with a stack.
2. What the leaves hold goes to one column a type: the code points of all strings in one buffer,
   all numbers in another.

Everything after this works on flat arrays, without a Python object a value.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbat.code_points import joined
from mbat.complaints import located
from mbat.errors import DocumentError
from mbat.paths import PathTable

KIND_BITS: Final = 4
KIND_MASK: Final = (1 << KIND_BITS) - 1


class Kind(IntEnum):
    """What an item is. All but OBJECT and ARRAY are leaves."""

    OBJECT = 0
    ARRAY = 1
    STRING = 2
    NUMBER = 3
    FALSE = 4
    TRUE = 5
    NULL = 6
    EMPTY_OBJECT = 7
    EMPTY_ARRAY = 8


_CONSTANTS: Final[dict[object, Kind]] = {False: Kind.FALSE, True: Kind.TRUE, None: Kind.NULL}
_NUMBERS: Final = ({int}, {float}, {int, float})


@dataclass(frozen=True, eq=False)
class Columns:
    """A batch of documents, taken apart.

    Attributes
    ----------
    paths : PathTable
        What the path numbers in `items` mean.
    items : int64 array
        ``path << 4 | kind`` of every JSON value of the batch, in the order of the documents.
    ends : int64 array of shape (documents,)
        Where each document ends in `items`.
    text : uint32 array
        Code points of all strings, in Unicode form NFKC and lower-cased, each followed by one separator.
    text_ends : int64 array of shape (strings,)
        Where each string ends in `text`, its separator left out.
    numbers : float64 array
        All numbers.
    strings : list of str
        The strings as they came, if the walker keeps them; else empty.
    """

    paths: PathTable
    items: NDArray[np.int64]
    ends: NDArray[np.int64]
    text: NDArray[np.uint32]
    text_ends: NDArray[np.int64]
    numbers: NDArray[np.float64]
    strings: list[str]

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def nbytes(self) -> int:
        """Bytes of the columns, the strings as they came left out."""
        return sum(column.nbytes for column in (self.items, self.ends, self.text, self.text_ends, self.numbers))


class Rows(ABC):
    """Documents that are no Python objects, and take themselves apart."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def columns(self, walker: Walker) -> Columns:
        """Return them as the columns of a walker's paths."""


class Walker:
    """Takes documents apart into columns.

    Parameters
    ----------
    paths : PathTable
        The table that the paths of the documents are added to.
    keep_strings : bool
        Whether the columns also have the strings as they came.
    """

    def __init__(self, paths: PathTable, keep_strings: bool = False) -> None:
        self.paths = paths
        self.keep_strings = keep_strings
        self._root = _Node(paths, 0)
        self._items: list[int] = []
        self._strings: list[str] = []
        self._numbers: list[float] = []

    def columns(self, documents: Sequence[Any]) -> Columns:
        """Take a batch of documents apart.

        Raises
        ------
        DocumentError
            If a value is no JSON value, or a number is not finite; the message names its path.
        """
        ends = []
        try:
            for document in documents:
                self._value(document, self._root)
                ends.append(len(self._items))
            return self._collect(ends)
        except (DocumentError, OverflowError, RecursionError) as error:
            raise located(error, documents) from None
        finally:
            self._items, self._strings, self._numbers = [], [], []

    def _collect(self, ends: list[int]) -> Columns:
        text, text_ends = joined(self._strings)
        numbers = np.array(self._numbers, dtype=np.float64)
        if not np.isfinite(numbers).all():
            raise OverflowError
        return Columns(
            self.paths,
            np.array(self._items, dtype=np.int64),
            np.array(ends, dtype=np.int64),
            text,
            text_ends,
            numbers,
            self._strings if self.keep_strings else [],
        )

    def _value(self, value: Any, node: _Node) -> None:
        """Take one value apart that stands alone: the root, or an element of a mixed array."""
        kind = type(value)
        if kind is dict:
            self._object(value, node)
        elif kind is list:
            self._array(value, node)
        elif kind is str:
            self._items.append(node.code | Kind.STRING)
            self._strings.append(value)
        elif kind is float or kind is int:
            self._items.append(node.code | Kind.NUMBER)
            self._numbers.append(value)
        else:
            self._unusual(value, node)

    def _unusual(self, value: Any, node: _Node) -> None:
        """Take a value apart that is a constant, or of a subclass of the plain types, as in `json.dumps`."""
        if value is None or value is True or value is False:
            self._items.append(node.code | _CONSTANTS[value])
        elif isinstance(value, dict):
            self._object(value, node)
        elif isinstance(value, list | tuple):
            self._array(list(value), node)
        elif isinstance(value, str):
            self._value(str.__str__(value), node)  # not str(value), which an Enum overrides
        elif isinstance(value, int):
            self._value(int(value), node)
        elif isinstance(value, float):
            self._value(float(value), node)
        else:
            raise DocumentError("not a JSON value")

    def _object(self, value: dict[str, Any], node: _Node) -> None:
        item, string, number = self._items.append, self._strings.append, self._numbers.append
        if not value:
            item(node.code | Kind.EMPTY_OBJECT)
            return
        item(node.code)
        strings, numbers, children = node.strings, node.numbers, node.children
        for key, child in value.items():
            kind = type(child)
            if kind is str:
                item(strings[key])
                string(child)
            elif kind is int or kind is float:
                item(numbers[key])
                number(child)
            elif kind is list:
                self._array(child, children[key])
            elif kind is dict:
                self._object(child, children[key])
            else:
                self._unusual(child, children[key])

    def _array(self, values: list[Any], node: _Node) -> None:
        if not values:
            self._items.append(node.code | Kind.EMPTY_ARRAY)
            return
        self._items.append(node.code | Kind.ARRAY)
        element = node.element
        kinds = set(map(type, values))
        if kinds == {str}:
            self._items += [element.code | Kind.STRING] * len(values)
            self._strings += values
        elif kinds in _NUMBERS:
            self._items += [element.code | Kind.NUMBER] * len(values)
            self._numbers += values
        else:
            for value in values:
                self._value(value, element)


class _Node:
    """A path that values were met at, with the item codes of its children at hand."""

    __slots__ = ("_element", "_path", "_paths", "children", "code", "numbers", "strings")

    def __init__(self, paths: PathTable, path: int) -> None:
        self._paths, self._path = paths, path
        self._element: _Node | None = None
        self.code = path << KIND_BITS
        self.strings = _Codes(paths, path, Kind.STRING)
        self.numbers = _Codes(paths, path, Kind.NUMBER)
        self.children = _Children(paths, path)

    @property
    def element(self) -> _Node:
        """The node of the elements of an array."""
        if self._element is None:
            self._element = _Node(self._paths, self._paths.child(self._path, None))
        return self._element


class _Codes(dict[str, int]):
    """The item codes of the leaves of one kind below a path, by key."""

    __slots__ = ("_kind", "_path", "_paths")

    def __init__(self, paths: PathTable, path: int, kind: Kind) -> None:
        super().__init__()
        self._paths, self._path, self._kind = paths, path, kind

    def __missing__(self, key: str) -> int:
        code = self[key] = self._paths.child(self._path, _checked(key)) << KIND_BITS | self._kind
        return code


class _Children(dict[str, _Node]):
    """The nodes below a path, by key."""

    __slots__ = ("_path", "_paths")

    def __init__(self, paths: PathTable, path: int) -> None:
        super().__init__()
        self._paths, self._path = paths, path

    def __missing__(self, key: str) -> _Node:
        node = self[key] = _Node(self._paths, self._paths.child(self._path, _checked(key)))
        return node


def _checked(key: object) -> str:
    if isinstance(key, str):
        return key
    raise DocumentError("a key is not a string")

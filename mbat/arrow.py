"""Arrow tables straight into columns, without a Python object a value.

The principle is:

1. From the leaves up, each value is given its item code, and the number of items that it and all below it take.
2. From the root down, each value is given its place on the tape: that of what holds it, and what comes before it there.
3. What the leaves hold is brought into the order of their places.

The columns are those of the same rows as dictionaries, which `mbat.arrow_records.documents` returns. Arrow cannot tell
whether a field that is null was null in JSON or missing; tables made of JSON have nulls for missing keys, so null
fields are missing unless told otherwise. Elements of lists and entries of maps that are null are null: they are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbat.arrow_library import pa, pc
from mbat.arrow_records import documents
from mbat.arrow_types import NULLS, Nulls, check_schema, members, plain_rows
from mbat.code_points import code_points, ends, joined, normal_form
from mbat.columns import KIND_BITS, KIND_MASK, Columns, Kind, Rows, Walker
from mbat.complaints import check_document, checked_row
from mbat.errors import DocumentError, ParameterError
from mbat.paths import PathTable

ROWS: Final = 2048
"""Rows that are taken apart together."""

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
Paths = int | Integers
"""The path of some values: one for all, or one each."""


class ArrowRows(Rows):
    """Rows of a table, as documents.

    Parameters
    ----------
    batch : pyarrow.RecordBatch
        Of a schema that has been checked.
    nulls : {"missing", "null"}
        What a field is that is null.
    """

    def __init__(self, batch: Any, nulls: Nulls = "missing") -> None:
        self._batch, self._nulls = batch, nulls

    def __len__(self) -> int:
        return int(self._batch.num_rows)

    def columns(self, walker: Walker) -> Columns:
        """Return the rows as columns.

        Raises
        ------
        DocumentError
            If a number is not finite, a text is not UTF-8, a map has a key twice or a date cannot be written.
        """
        try:
            return _columns(self._batch, self._nulls, walker)
        except DocumentError as error:
            raise self._located(error) from None

    def _located(self, error: DocumentError) -> DocumentError:
        """Return what is wrong with the first row that is no document, or what is known without it."""
        for position, row in enumerate(self.documents()):
            try:
                check_document(checked_row(row))
            except DocumentError as found:
                return DocumentError(found.reason, found.path, position)
        return error

    def documents(self, key: str | None = None) -> list[dict[str, Any] | DocumentError]:
        """Return the rows as dictionaries, with what is wrong with those that cannot be; of one key alone if given."""
        names = [name for name in self._batch.schema.names if key is None or name == key]
        batch = self._batch.select(names)
        try:
            return list(documents(plain_rows(batch), self._nulls))
        except DocumentError as error:
            if len(self) == 1:
                return [error]
            rows = (ArrowRows(batch.slice(row, 1), self._nulls) for row in range(len(self)))
            return [document for row in rows for document in row.documents()]


def table_rows(table: Any, nulls: Nulls = "missing") -> Iterator[ArrowRows]:
    """Yield the rows of a table, some at a time.

    Parameters
    ----------
    table : pyarrow Table, RecordBatch or RecordBatchReader, iterable of RecordBatch
        Or whatever else hands out an Arrow stream, such as a data frame of Polars.
    nulls : {"missing", "null"}
        What a field is that is null.

    Raises
    ------
    ParameterError
        If it is something else.
    DocumentError
        If a column has no form in JSON.
    """
    if nulls not in NULLS:
        raise ParameterError(f"nulls is 'missing' or 'null', not {nulls!r}.")
    checked: Any = None
    for part in _tables(table):
        if part.schema != checked:
            check_schema(part.schema)
            checked = part.schema
        for start in range(0, part.num_rows, ROWS):
            length = min(ROWS, part.num_rows - start)  # without columns, a slice is as long as it is asked to be
            batches = part.slice(start, length).combine_chunks().to_batches()
            yield from (ArrowRows(batch, nulls) for batch in batches)


def _tables(table: Any) -> Iterator[Any]:
    if isinstance(table, pa.Table):
        yield table
        return
    if isinstance(table, pa.RecordBatch):
        table = [table]
    elif hasattr(table, "__arrow_c_stream__"):
        try:
            table = pa.RecordBatchReader.from_stream(table)
        except pa.ArrowInvalid as error:  # a stream of something else than rows
            raise _no_table(table, f" ({error})") from None
    elif not isinstance(table, Iterable):
        raise _no_table(table)
    for batch in table:
        if not isinstance(batch, pa.RecordBatch):
            raise _no_table(batch)
        yield pa.Table.from_batches([batch])


def _no_table(value: Any, why: str = "") -> ParameterError:
    return ParameterError(
        "A table is a pyarrow Table, RecordBatch or RecordBatchReader, or an iterable of RecordBatch; there is a value "
        f"of type {type(value).__name__}{why}. For documents use encode and fit."
    )


def _columns(batch: Any, nulls: Nulls, walker: Walker) -> Columns:
    rows = plain_rows(batch)
    tree = _Planter(walker.paths, nulls).value(rows, 0)
    tape = _Tape(int(tree.sizes.sum()))
    last = np.cumsum(tree.sizes)
    tape.write(tree, last - tree.sizes)
    numbers, strings = tape.numbers(), tape.strings()
    if not np.isfinite(numbers).all():
        raise DocumentError("a number is not finite")
    text, text_ends = _text(strings)
    kept = strings.to_pylist() if walker.keep_strings else []
    return Columns(walker.paths, tape.items, last, text, text_ends, numbers, kept)


@dataclass
class _Members:
    """What some objects or arrays hold under one key, or as elements: so many each, all values of one node."""

    lengths: Integers
    node: _Node

    def __post_init__(self) -> None:
        before = np.concatenate([[0], np.cumsum(self.node.sizes)])
        last = np.cumsum(self.lengths)
        self._begins, self._offsets = before[last - self.lengths], before[:-1]
        self.sizes: Integers = before[last] - self._begins

    def starts(self, first: Integers) -> Integers:
        """Return the place of each member on the tape, given where those of each holder begin."""
        starts: Integers = np.repeat(first - self._begins, self.lengths) + self._offsets
        return starts


@dataclass
class _Node:
    """Values that stand at one place of the schema.

    Attributes
    ----------
    codes : int64 array
        The item of each.
    members : list of _Members
        What they hold, in the order of the tape.
    content : pyarrow.Array, optional
        The numbers or strings that those of them are which are not null.
    sizes : int64 array
        How many items each takes, with all it holds.
    """

    codes: Integers
    members: list[_Members] = field(default_factory=list)
    content: Any = None

    def __post_init__(self) -> None:
        self.sizes: Integers = sum((one.sizes for one in self.members), np.ones(len(self.codes), dtype=np.int64))


class _Planter:
    """Makes nodes of arrays that `mbat.arrow_types.plain` has returned."""

    def __init__(self, paths: PathTable, nulls: Nulls) -> None:
        self._paths, self._nulls = paths, nulls

    def value(self, array: Any, path: Paths) -> _Node:
        """Return the node of values, all of which are there."""
        kind = array.type
        if pa.types.is_struct(kind):
            return self._objects(array, path)
        if pa.types.is_map(kind):
            return self._maps(array, path)
        if pa.types.is_large_list(kind):
            return self._arrays(array, path)
        if pa.types.is_boolean(kind):
            return _Node(_codes(array, path, Kind.FALSE + _flags(array.fill_null(False))))
        if pa.types.is_null(kind):
            return _Node(_codes(array, path, Kind.NULL))
        what = Kind.STRING if pa.types.is_large_string(kind) else Kind.NUMBER
        return _Node(_codes(array, path, what), content=array.drop_null())

    def _objects(self, array: Any, path: Paths) -> _Node:
        valid = _flags(array.is_valid())
        held = []
        for name, values in zip((one.name for one in array.type), array.flatten(), strict=True):
            there = valid if self._nulls == "null" else _flags(values.is_valid())
            if there.any():
                below = self._below(_repeated(path, there), name)
                node = self.value(values if there.all() else values.filter(pa.array(there)), below)
                held.append(_Members(there.astype(np.int64), node))
        full = sum((one.lengths for one in held), np.zeros(len(array), dtype=np.int64)) > 0
        return _Node(_codes(array, path, np.where(full, Kind.OBJECT, Kind.EMPTY_OBJECT)), held)

    def _arrays(self, array: Any, path: Paths) -> _Node:
        lengths, elements = members(array)
        below = self._below(_repeated(path, lengths), None) if len(elements) else 0
        codes = _codes(array, path, np.where(lengths > 0, Kind.ARRAY, Kind.EMPTY_ARRAY))
        return _Node(codes, [_Members(lengths, self.value(elements, below))])

    def _maps(self, array: Any, path: Paths) -> _Node:
        lengths, entries = members(array)
        keys, values = entries.flatten()
        below = self._below_keys(np.repeat(np.broadcast_to(path, len(lengths)), lengths), lengths, keys)
        codes = _codes(array, path, np.where(lengths > 0, Kind.OBJECT, Kind.EMPTY_OBJECT))
        return _Node(codes, [_Members(lengths, self.value(values, below))])

    def _below(self, path: Paths, step: str | None) -> Paths:
        """Return the paths one step below some."""
        if isinstance(path, int):
            return self._paths.child(path, step)
        distinct, which = np.unique(path, return_inverse=True)
        children: Integers = np.array([self._paths.child(one, step) for one in distinct.tolist()])[which]
        return children

    def _below_keys(self, above: Integers, lengths: Integers, keys: Any) -> Integers:
        """Return the path of each entry of some maps, given that of its map."""
        encoded = keys.dictionary_encode()
        names, which = encoded.dictionary.to_pylist(), encoded.indices.to_numpy().astype(np.int64)
        entries = np.repeat(np.arange(len(lengths)), lengths) * len(names) + which
        if len(np.unique(entries)) < len(entries):
            raise DocumentError("a map has a key twice")
        distinct, inverse = np.unique(above * len(names) + which, return_inverse=True)
        pairs = [divmod(one, len(names)) for one in distinct.tolist()]
        below: Integers = np.array([self._paths.child(path, names[key]) for path, key in pairs], dtype=np.int64)[
            inverse
        ]
        return below


class _Tape:
    """The items of a batch, and what the leaves among them hold."""

    def __init__(self, size: int) -> None:
        self.items: Integers = np.empty(size, dtype=np.int64)
        self._numbers: list[tuple[Integers, Any]] = []
        self._strings: list[tuple[Integers, Any]] = []

    def write(self, node: _Node, starts: Integers) -> None:
        """Write values and all that they hold, each from its place on."""
        self.items[starts] = node.codes
        if node.content is not None:
            leaves = self._strings if pa.types.is_large_string(node.content.type) else self._numbers
            leaves.append((starts[node.codes & KIND_MASK != Kind.NULL], node.content))
        first = starts + 1
        for one in node.members:
            self.write(one.node, one.starts(first))
            first = first + one.sizes

    def numbers(self) -> NDArray[np.float64]:
        """Return the numbers, in the order of the tape."""
        values = np.empty(len(self.items), dtype=np.float64)
        for places, content in self._numbers:
            values[places] = content.to_numpy(zero_copy_only=False)
        return values[self._are(Kind.NUMBER)]

    def strings(self) -> Any:
        """Return the strings, in the order of the tape."""
        chunks = [pa.array([], pa.large_string()), *(content for _, content in self._strings)]
        places = np.concatenate([np.zeros(0, dtype=np.int64), *(places for places, _ in self._strings)])
        order = np.empty(len(self.items), dtype=np.int64)
        order[places] = np.arange(len(places))
        return pa.concat_arrays(chunks).take(pa.array(order[self._are(Kind.STRING)]))

    def _are(self, kind: Kind) -> Flags:
        flags: Flags = self.items & KIND_MASK == kind
        return flags


def _flags(array: Any) -> Flags:
    flags: Flags = array.to_numpy(zero_copy_only=False)
    return flags


def _codes(array: Any, path: Paths, kinds: Any) -> Integers:
    """Return the items of values of some kinds, those that are null told apart."""
    told = np.where(_flags(array.is_valid()), kinds, Kind.NULL).astype(np.int64)
    codes: Integers = told | path << KIND_BITS
    return codes


def _repeated(path: Paths, counts: Integers | Flags) -> Paths:
    if isinstance(path, int):
        return path
    repeated: Integers = np.repeat(path, counts)
    return repeated


def _text(strings: Any) -> tuple[NDArray[np.uint32], Integers]:
    """Return strings as `mbat.code_points.joined` does."""
    if not len(strings):
        return joined([])
    strings = _in_normal_form(strings)
    kind = strings.type
    lines = pc.binary_join_element_wise(strings, pa.scalar("", kind), pa.scalar("\n", kind))
    _, offsets, content = lines.buffers()
    length = int(np.frombuffer(offsets, dtype=np.int64)[len(lines)])
    text = str(memoryview(content)[: length - 1], "utf-8")
    return code_points(text), ends(pc.utf8_length(strings).to_numpy().astype(np.int64))


def _in_normal_form(strings: Any) -> Any:
    """Return strings in normal form; one of Python is made only of each that is not ASCII, once."""
    ascii_alone = pc.string_is_ascii(strings)
    lower = pc.ascii_lower(strings)
    if pc.all(ascii_alone).as_py():
        return lower
    others = pc.invert(ascii_alone)
    encoded = strings.filter(others).dictionary_encode()
    normal = pa.array(map(normal_form, encoded.dictionary.to_pylist()), pa.large_string())
    return pc.replace_with_mask(lower, others, normal.take(encoded.indices))

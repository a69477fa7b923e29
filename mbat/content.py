"""What an index holds, besides the documents: kept in their database, where it changes together with them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from mbat.sealing import Fields, FileRecord, check_seal, damaged, sealed, unsealed

SEGMENT_NAME: Final = r"vectors-[0-9a-f]{12}"

_FILE_NAME: Final = SEGMENT_NAME + r"(\.[a-z0-9]+)?"


@dataclass(frozen=True)
class Segment:
    """Files with the vectors of consecutive rows; they never change.

    Attributes
    ----------
    name : str
        That of its first file; those of the others begin with it.
    kind : str
        A kind of `mbat_indexes.KINDS`.
    after, last : int
        It has the vectors of all documents in rows above `after` and up to `last` that were there when it was written.
    vectors : int
        How many there are.
    files : dict
        Size and checksum of each file.
    """

    name: str
    kind: str
    after: int
    last: int
    vectors: int
    files: dict[str, FileRecord]


@dataclass(frozen=True)
class Recall:
    """What share of the true neighbours a search finds, measured when the vectors were written.

    Attributes
    ----------
    queries : int
        How many documents were searched for.
    at_1, at_10 : float
        The share of the first, and of the first ten, apart from the document itself.
    """

    queries: int
    at_1: float
    at_10: float


@dataclass(frozen=True)
class Content:
    """What an index holds.

    Attributes
    ----------
    version : int
        Rises with every change.
    documents : int
        How many there are.
    numbered : int
        The number that the next document without an id gets.
    kind, dim
        Kind of the first segment, as chosen, and length of the vectors.
    fingerprint : str
        The encoder's.
    golden : str
        The vector of `GOLDEN_DOCUMENT`, its float32 bytes in hexadecimal.
    reason : str
        Why the kind was chosen; empty if it was named.
    id_field : str or None
        The path of the field that holds the documents' ids.
    recall : Recall or None
        None if the kind is exact.
    segments : tuple of Segment
        By rows, without gaps.
    """

    version: int
    documents: int
    numbered: int
    kind: str
    dim: int
    fingerprint: str
    golden: str
    reason: str = ""
    id_field: str | None = None
    recall: Recall | None = None
    segments: tuple[Segment, ...] = ()

    @property
    def last(self) -> int:
        """The last row that a segment covers."""
        return self.segments[-1].last if self.segments else 0

    def written(self) -> str:
        """Return the content as text."""
        return sealed(asdict(self))

    @classmethod
    def parse(cls, text: str, place: str) -> Content:
        """Read what `written` returned.

        Raises
        ------
        IndexDamagedError
            If it is something else.
        """
        fields = unsealed(text, place)
        check_seal(fields, place)
        told = Fields(fields, place)
        recall = told.optional("recall", dict)
        content = cls(
            version=told.take("version", int),
            documents=told.take("documents", int),
            numbered=told.take("numbered", int),
            kind=told.take("kind", str),
            dim=told.take("dim", int),
            fingerprint=told.take("fingerprint", str),
            golden=told.take("golden", str),
            reason=told.take("reason", str),
            id_field=told.optional("id_field", str),
            recall=None if recall is None else _recall(Fields(recall, place)),
            segments=tuple(_segment(one, place) for one in told.take("segments", list)),
        )
        ends = [0, *(segment.last for segment in content.segments)]
        if [segment.after for segment in content.segments] != ends[:-1] or ends != sorted(ends):
            raise damaged(place, "its segments do not follow each other")
        return content


def _recall(told: Fields) -> Recall:
    return Recall(told.take("queries", int), told.take("at_1", float), told.take("at_10", float))


def _segment(fields: Any, place: str) -> Segment:
    told = Fields(fields, place)
    files = {}
    for name, record in told.take("files", dict).items():
        Fields({"name of a file": name}, place).name("name of a file", _FILE_NAME)
        of_file = Fields(record, place)
        files[name] = FileRecord(of_file.take("bytes", int), of_file.name("sha256", "[0-9a-f]{64}"))
    return Segment(
        name=told.name("name", SEGMENT_NAME),
        kind=told.take("kind", str),
        after=told.take("after", int),
        last=told.take("last", int),
        vectors=told.take("vectors", int),
        files=files,
    )

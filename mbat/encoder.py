"""The encoder: any JSON document becomes one vector of fixed length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from mbat.columns import Columns
from mbat.complaints import several
from mbat.embedding import TextEmbedder, TextFunction
from mbat.errors import IndexFolderError, ParameterError
from mbat.fields import Field, Numbers, Strings, checked_fields, weighed_fields
from mbat.fitting import fit_keeping
from mbat.inspecting import Inspection
from mbat.parameters import Parameters, checked, checked_folder
from mbat.paths import PathTable, parse_path
from mbat.patterns import is_wild, parse_pattern
from mbat.pipeline import WORKERS, ahead, batched, stacked
from mbat.preparing import Documents
from mbat.processes import PACKED, check_workers, encoded, packed
from mbat.statistics import Statistics

if TYPE_CHECKING:
    from mbat.arrow_types import Nulls

BATCH: Final = 256
"""Documents that are taken apart together."""


class Encoder(Inspection):
    """Turn JSON documents into vectors of fixed length, such that similar documents have similar vectors.

    The principle is:

    1. A leaf is a weighted sum of random sparse vectors (atoms): of its words and character 3-grams, of
       anchors near a number, an instant or a point on the globe, of a symbol for true, false, null and what is empty.
    2. A key binds a value by a random orthogonal matrix M, softened so that part of the value shows
       under any key: ``B = (softness I + M) / sqrt(softness^2 + 1)``. Elements of arrays are bound by their
       positions likewise.
    3. An object or array is the sum of its bound values; the document is normalised at the end.

    Nothing is trained and no schema is needed. `fit` is optional: it learns how frequent words and keys are and
    on what scale the numbers of each path lie, and makes the vectors sharper: fit on what is to be searched.
    A word that no fitted document has can match none of them and weighs little; a key that none has at its place
    is skipped, so that its value may match under any key.

    Parameters
    ----------
    dim : int, default 1024
        Length of the vectors, 16 to 65536.
    seed : int, default 0
        Another seed gives other random matrices and atoms.
    softness : float, default 0.5
        How much of a value is left unbound, relative to the bound part. Of a number it is a quarter as much; of a text
        0.9 times as much, times the root of the number of its words, and more for rare words than for common ones.
        0 is the strict method of Gallant (2022): values match under the same path alone, no symbol says which keys
        are there, and none is skipped.
    binding : {"signed-permutation", "haar"}, default "signed-permutation"
        Family of orthogonal matrices. ``haar`` draws from all of them, at 8 dim^2 bytes a key, and slowly.
    strings : {"text", "words", "symbol"}, default "text"
        What strings have in common: words, character 3-grams, dates and numbers in them; words alone; or nothing
        unless equal. Upper and lower case and the forms of a letter that Unicode's NFKC unites count as equal.
    numbers : {"scaled", "symbol"}, default "scaled"
        Whether near numbers, dates and points on the globe are alike, or numbers alike only if equal. Numbers are read
        as 64-bit floats: integers beyond 2^53 that differ in their last digits are equal. Write such codes as strings.
    fields : mapping from paths to Field, optional
        What holds for single fields and all below them: their weight, and how their strings and numbers are taken. A
        path is written ``seller.offers[].price``. Instead of a Field there may be a mapping of its arguments.
    text : callable, optional
        Embeds texts: takes a list of strings and returns an array of shape (strings, width). Strings of two or more
        words that are taken as text get its numbers as half of their part in the vector, beside their words. It is
        called with a batch's texts at a time, and not when fitting. It is not saved: `load` has to be given it again.

    Examples
    --------
    >>> encoder = Encoder()
    >>> a, b, c = encoder.encode([{"name": "Bob Dylan"}, {"name": "bob dylan!"}, {"name": "Alice", "age": 7}])
    >>> a.shape, a.dtype
    ((1024,), dtype('float32'))
    >>> bool(a @ b > 0.7 > 0.3 > a @ c)
    True

    References
    ----------
    Gallant, S. I. (2022). Orthogonal Matrices for MBAT Vector Symbolic Architectures, and a "Soft" VSA
    Representation for JSON. arXiv:2202.04771.
    """

    def __init__(
        self,
        dim: int = 1024,
        seed: int = 0,
        softness: float = 0.5,
        binding: str = "signed-permutation",
        *,
        strings: Strings = "text",
        numbers: Numbers = "scaled",
        fields: Mapping[str, Field | Mapping[str, Any]] | None = None,
        text: TextFunction | None = None,
    ) -> None:
        rules = checked_fields({} if fields is None else fields)
        self._parameters = checked(Parameters(dim, seed, softness, binding, strings, numbers, rules))
        self._embedder = None if text is None else TextEmbedder(text)
        self._set_statistics(Statistics())

    def fit(self, documents: Iterable[Any]) -> Encoder:
        """Learn document frequencies and the scales of numbers; what was learned before is forgotten.

        Parameters
        ----------
        documents : iterable of JSON values
            Read once, in batches.

        Returns
        -------
        Encoder
            This encoder.

        Raises
        ------
        DocumentError
            If a document is no JSON value; the encoder is left as it was.
        ParameterError
            If what is given is one document, or no iterable.
        """
        fit_keeping(self, batched(several(documents), BATCH), 0)
        return self

    def merge(self, other: Encoder) -> Encoder:
        """Return a new encoder, fitted on the documents of both: equal to one fit of all of them, in any order.

        Raises
        ------
        ParameterError
            If the parameters or text embedders differ.

        Examples
        --------
        >>> first, second = Encoder().fit(["a b", "b c"]), Encoder().fit(["c d"])
        >>> first.merge(second) == Encoder().fit(["c d", "b c", "a b"])
        True
        """
        if not isinstance(other, Encoder):
            raise ParameterError(f"An encoder is merged with another one; {other!r:.60} is none.")
        if self._parameters != other._parameters or self._embedder != other._embedder:
            raise ParameterError(f"Encoders of different parameters cannot be merged: {self!r} and {other!r}.")
        return self.fitted_as(self._statistics.merge(other._statistics))

    def fitted_as(self, statistics: Statistics) -> Encoder:
        """Return an encoder of the same parameters that has learned what `statistics` hold."""
        fitted = copy(self)
        fitted._set_statistics(statistics)
        return fitted

    def encode(self, documents: Iterable[Any], workers: int = 1) -> NDArray[np.float32]:
        """Return the vectors of a batch of documents.

        Parameters
        ----------
        documents : iterable of JSON values
            What `json.loads` returns: dictionaries, lists, strings, numbers, booleans, None.
        workers : int, default 1
            How many processes work; the rows are the same. More than one are worth their start, a second or so, from
            some hundred thousand documents on. They import the module that is run, which should be guarded by
            ``if __name__ == "__main__":``.

        Returns
        -------
        float32 array of shape (documents, dim)
            Rows of norm 1, but for a document of which all fields have weight 0: its row is 0. A row depends on its
            document alone, to the last bit (with Haar matrices or a text embedder, but for rounding).

        Raises
        ------
        DocumentError
            If a document is no JSON value; the message names which and where.
        ParameterError
            If what is given is one document, or no iterable, or `workers` is no number of processes.
        """
        check_workers(workers)
        if workers == 1:
            return self._stacked(self.encode_batches(batched(several(documents), BATCH)))
        return self._stacked(encoded(self, map(packed, batched(several(documents), PACKED)), workers))

    def _stacked(self, batches: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
        return stacked(batches, self.dim, np.float32)

    def fit_table(self, table: Any, nulls: Nulls = "missing") -> Encoder:
        """Learn from the rows of an Arrow table, as `fit` does from documents; for the arguments see `encode_table`."""
        from mbat.arrow import table_rows

        fit_keeping(self, table_rows(table, nulls), 0)
        return self

    def encode_table(self, table: Any, nulls: Nulls = "missing") -> NDArray[np.float32]:
        """Return the vectors of the rows of an Arrow table, which are those of the same rows as documents.

        Parameters
        ----------
        table : pyarrow Table, RecordBatch or RecordBatchReader, iterable of RecordBatch
            Or whatever hands out an Arrow stream, such as a data frame of Polars. It is read once, in batches.
        nulls : {"missing", "null"}
            What a field is that is null: Arrow cannot tell. Elements of lists and entries of maps are null.

        Raises
        ------
        DocumentError
            If a column has no form in JSON, or a row is no JSON value; the message names which and where.
        MissingExtraError
            If pyarrow is not installed.

        Notes
        -----
        Times with a zone are texts with its offset, as Arrow has it: after 2037 that of winter the whole year.
        """
        from mbat.arrow import table_rows

        return self._stacked(self.encode_batches(table_rows(table, nulls)))

    def encode_batches(self, batches: Iterable[Documents], threads: int = WORKERS) -> Iterator[NDArray[np.float32]]:
        """Yield the vectors of each batch of documents: `encode` for streams that do not fit in memory."""
        return ahead(self._encode_batch, self._prepared(batches), threads)

    def unmatched_fields(self) -> list[str]:
        """Return the paths of `fields` that no fitted document has: of a field to come, or misspelled.

        Of patterns it is not known.
        """
        paths = PathTable(self._parameters.seed)
        return [
            path
            for path, _ in self._parameters.fields
            if not is_wild(parse_pattern(path))
            and not self._statistics.documents_with_path(paths.path_hashes[paths.number(parse_path(path))])
        ]

    def encode_kept(self, kept: Iterable[Columns]) -> Iterator[NDArray[np.float32]]:
        """Yield the vectors of each batch that `mbat.fitting.fit_keeping` kept, before anything else is encoded.

        Raises
        ------
        ParameterError
            If so much else was encoded since that the batches can no longer be read.
        """
        return ahead(self._encode_batch, map(self._ready().prepare_again, kept), WORKERS)

    def encode_one(self, document: Any) -> NDArray[np.float32]:
        """Return the vector of one document, float32 of shape (dim,)."""
        vector: NDArray[np.float32] = self._encode_batch(self._prepared_alone(document))[0]
        return vector

    def weigh(self, weights: Mapping[str, float], ignore: Iterable[str] = ()) -> Encoder:
        """Return an encoder for queries, in which fields weigh otherwise: to be compared with vectors of this one.

        Parameters
        ----------
        weights : mapping from paths to numbers
            What the field's part of a vector is multiplied by, and all that is below it: ``{"seller": 2}`` holds for
            ``seller.name`` too. A number below 0 asks for documents that are not so. In a path ``*`` stands for any one
            key and ``**`` for any steps. Weights of fields within each other multiply, also with those of `fields`.
        ignore : iterable of paths
            Fields of weight 0: as if no query had them.

        Raises
        ------
        ParameterError
            If a path is not well formed, or a weight, or its product with that of `fields`, is out of range.

        Examples
        --------
        >>> encoder = Encoder()
        >>> likes = encoder.weigh({"seller": 2, "**.price": 0.5}, ignore=["id"])
        >>> bool((likes.encode_one({"id": 7, "a": "x"}) == encoder.encode_one({"a": "x"})).all())
        True
        """
        fields = weighed_fields(self._parameters.fields, weights, ignore)
        return self._altered(replace(self._parameters, fields=fields))

    def save(self, folder: str | Path) -> None:
        """Write the encoder to a folder, as ``encoder.json`` and ``encoder.npz``; made if it is missing.

        Raises
        ------
        IndexFolderError
            If it cannot be written.
        """
        from mbat.encoder_files import save_encoder

        place = checked_folder(folder)
        try:
            save_encoder(self, place)
        except OSError as error:
            raise IndexFolderError(f"The encoder cannot be written to {place}: {error.strerror or error}.") from error

    @classmethod
    def load(cls, folder: str | Path, text: TextFunction | None = None) -> Encoder:
        """Read an encoder from a folder.

        Parameters
        ----------
        folder : path
            As given to `save`.
        text : callable, optional
            The text embedder, if it was made with one.

        Raises
        ------
        IndexNotFoundError, IndexDamagedError, IndexVersionError
            If there is none, it is damaged, or of a format that this version cannot read.
        ParameterError
            If `text` is missing, or not what the encoder was made with, or `folder` is no path.
        """
        from mbat.encoder_files import load_encoder

        return load_encoder(checked_folder(folder), text)

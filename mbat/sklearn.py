"""JSON documents as features for scikit-learn: `MBATVectorizer`, a transformer."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbat.encoder import BATCH, Encoder
from mbat.errors import ParameterError
from mbat.extras import extra_module
from mbat.fields import Field
from mbat.fitting import fit_keeping
from mbat.frames import arrow_table, check_table, documents, is_pandas_column, is_table, known, pandas_frame, repeatable
from mbat.pipeline import batched, stacked
from mbat.preparing import Documents
from mbat.processes import COUNTED, PACKED, encoded, fitted, packed
from mbat.rotations import learned_rotation, narrowed, turning

extra_module("sklearn", "sklearn", "MBATVectorizer")

import sklearn  # noqa: E402, only now is it known to be there
from joblib import effective_n_jobs  # noqa: E402
from joblib.parallel import get_active_backend  # noqa: E402
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone  # noqa: E402
from sklearn.utils.metaestimators import available_if  # noqa: E402
from sklearn.utils.validation import check_is_fitted, validate_data  # noqa: E402

DTYPES: Final = ("float32", "float16", "int8")


def _grows(vectorizer: MBATVectorizer) -> bool:
    vectorizer._refuse_components("partial_fit")
    return True


class MBATVectorizer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Turn JSON documents, or the rows of a table, into vectors of fixed length.

    What is given to `fit` and `transform` may be:

    - documents, or JSON texts or bytes: a list, a generator, an array of objects, a column of pandas or polars;
    - a table: a data frame of pandas or polars, an Arrow table, or an array of two dimensions (fields ``x0``, ``x1``,
      ...). A row is a document, a missing cell a missing key, a cell of dictionaries or lists stays what it is.

    `fit` learns how frequent words are and on what scale the numbers of each path lie, of the documents alone: no
    target is looked at. Encoder tells of the method.

    Parameters
    ----------
    dim, seed, softness, binding, strings, numbers, fields, text
        As of `mbat.Encoder`.
    components : int, optional
        How many numbers a row has in the end: vectors are turned such that the first ones say most about the documents
        given to `fit`, and the rest are cut off. Inner products are kept as well as by any such rotation; nothing is
        subtracted, so that vectors stay sums over the fields. Where those documents differ in fewer ways, the numbers
        that are left over are 0.
    dtype : {"float32", "float16", "int8"}, default "float32"
        Type of the output. In ``int8`` a row is as long as makes its largest number 127 or -127: only its direction
        counts, and `sklearn.preprocessing.Normalizer` after it gives unit rows again.
    parse : bool, default True
        Whether a text among the documents is JSON; else it is a document itself. Bytes are always JSON, cells of tables
        never.
    n_jobs : int, optional
        How many processes work, -1 for one a processor; worth their start, a second or so, from some hundred thousand
        documents on. Arrow tables need none. Within a job of joblib's, as of a search with ``n_jobs``, it is one.

    Attributes
    ----------
    encoder_ : mbat.Encoder
        The fitted encoder: it can explain and decode the vectors, if they are not rotated.
    rotation_ : float32 array of shape (dim, components), or None
    n_features_in_, feature_names_in_
        How many columns the fitted table has, and which, where they have names; of documents there are none.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> documents = [{"pet": "cat", "age": 3}, {"pet": "tomcat", "age": 9}, {"pet": "dog", "age": 2}, {"pet": "hound"}]
    >>> model = make_pipeline(MBATVectorizer(), LogisticRegression(C=100))
    >>> model.fit(documents, ["miaow", "miaow", "woof", "woof"]).predict(['{"pet": "old cat"}', b'{"pet": "dogs"}'])
    array(['miaow', 'woof'], dtype='<U5')
    """

    def __init__(
        self,
        dim: int = 1024,
        seed: int = 0,
        softness: float = 0.5,
        binding: str = "signed-permutation",
        *,
        strings: str = "text",
        numbers: str = "scaled",
        fields: Mapping[str, Field | Mapping[str, Any]] | None = None,
        text: Any = None,
        components: int | None = None,
        dtype: str = "float32",
        parse: bool = True,
        n_jobs: int | None = None,
    ) -> None:
        self.dim, self.seed, self.softness, self.binding = dim, seed, softness, binding
        self.strings, self.numbers, self.fields, self.text = strings, numbers, fields, text
        self.components, self.dtype, self.parse, self.n_jobs = components, dtype, parse, n_jobs

    def fit(self, X: Any, y: Any = None) -> MBATVectorizer:
        """Learn from documents; what was learned before is forgotten.

        A generator is read once, and not kept in memory unless `components` are to be learned.

        Raises
        ------
        DocumentError
            If a document is no JSON value; the message names which and where.
        ParameterError
            If a parameter is out of range, or there are no documents.
        """
        encoder = self._new_encoder()
        X = _checked(X if self.components is None else repeatable(X))
        self._learn(encoder, X)
        rotation = None if self.components is None else learned_rotation(self._encoded(encoder, X), self.components)
        self._note_columns(X)
        self.encoder_, self.rotation_ = encoder, rotation
        return self

    @available_if(_grows)
    def partial_fit(self, X: Any, y: Any = None) -> MBATVectorizer:
        """Learn from more documents: equal to one `fit` of all so far, in any order.

        There is no such method with `components`, which are learned from all documents at once.
        """
        first = not hasattr(self, "encoder_")
        encoder = self._new_encoder()
        X = _checked(X) if first else self._compared(X)
        self._learn(encoder, X)
        grown = encoder if first else self.encoder_.merge(encoder)
        if first:
            self._note_columns(X)
        self.encoder_, self.rotation_ = grown, None
        return self

    def merge(self, other: MBATVectorizer) -> MBATVectorizer:
        """Return a new vectorizer, fitted on the documents of both: equal to one fit of all of them.

        Raises
        ------
        ParameterError
            If the other is none, or their parameters or the columns of their tables differ, or there are `components`.
        """
        if not isinstance(other, MBATVectorizer):
            raise ParameterError(f"A vectorizer is merged with another one; {other!r:.60} is none.")
        for one in (self, other):
            check_is_fitted(one)
            one._refuse_components("merge")
        mine, others = self._columns(), other._columns()
        if mine and others and mine != others:
            raise ParameterError(f"One was fitted on the columns {mine!r:.80}, the other on {others!r:.80}.")
        merged: MBATVectorizer = clone(self)
        for name in _COLUMNS & vars(self).keys():
            setattr(merged, name, getattr(self, name))
        merged.encoder_, merged.rotation_ = self.encoder_.merge(other.encoder_), None
        return merged

    def transform(self, X: Any) -> Any:
        """Return the vectors of documents, one a row, in their order.

        Returns
        -------
        array of shape (documents, components or dim)
            Of the type `dtype`; a data frame after ``set_output(transform="pandas")`` or ``"polars"``. Unless there are
            `components`, rows have norm 1.

        Raises
        ------
        DocumentError
            If a document is no JSON value; the message names which and where.
        """
        check_is_fitted(self)
        batches = self._encoded(self.encoder_, self._compared(X))
        turned = batches if self.rotation_ is None else map(turning(self.rotation_), batches)
        rows = stacked((narrowed(batch, self.dtype) for batch in turned), self._n_features_out, self.dtype)
        return self._indexed(rows, X) if sklearn.__version__.startswith("1.6.") else rows

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Fit, and return the vectors of the same documents; what a generator yields is kept meanwhile."""
        X = repeatable(X)
        return self.fit(X, y).transform(X)

    def save(self, folder: str | Path) -> None:
        """Write the fitted vectorizer to a folder, without pickle; `mbat.Encoder.load` reads its encoder there too.

        Raises
        ------
        IndexFolderError
            If it cannot be written.
        """
        from mbat.vectorizer_files import save_vectorizer

        check_is_fitted(self)
        save_vectorizer(self, folder)

    @classmethod
    def load(cls, folder: str | Path, text: Any = None) -> MBATVectorizer:
        """Read a vectorizer from a folder; `text` is given again if it was made with one.

        Raises
        ------
        IndexNotFoundError, IndexDamagedError, IndexVersionError
            If there is none, it is damaged, or of a format that this version cannot read.
        """
        from mbat.vectorizer_files import load_vectorizer

        return load_vectorizer(folder, text)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        allowed = tags.input_tags
        allowed.dict = allowed.string = allowed.categorical = allowed.allow_nan = allowed.two_d_array = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    @property
    def _n_features_out(self) -> int:
        return int(self.encoder_.dim if self.rotation_ is None else self.rotation_.shape[1])

    def _new_encoder(self) -> Encoder:
        """Return an encoder of the parameters, all of which are checked."""
        given: dict[str, Any] = {name: getattr(self, name) for name in ENCODER_PARAMETERS}
        encoder = Encoder(**given)
        if self.dtype not in DTYPES:
            raise ParameterError(f"dtype is one of {', '.join(map(repr, DTYPES))}; {self.dtype!r} is not.")
        if not isinstance(self.parse, bool):
            raise ParameterError(f"parse is True or False; {self.parse!r} is neither.")
        if self.components is not None and not 1 <= _integer(self.components) <= encoder.dim:
            raise ParameterError(
                f"components is an integer from 1 to dim, here {encoder.dim}, or None; {self.components!r} is not."
            )
        if self.n_jobs is not None and not _integer(self.n_jobs):
            raise ParameterError(f"n_jobs is None or an integer other than 0; {self.n_jobs!r} is not.")
        return encoder

    def _refuse_components(self, what: str) -> None:
        if self.components is not None:
            raise ParameterError(
                f"{what} cannot keep components, which are learned from all documents at once. Use fit, or put "
                "sklearn.decomposition.IncrementalPCA behind a vectorizer without components."
            )

    def _compared(self, X: Any) -> Any:
        """Return data of a known type; the columns of a table are those noted in `fit`, if any were."""
        X = _checked(X)
        if is_table(X) and hasattr(self, "n_features_in_"):
            validate_data(self, X, reset=False, skip_check_array=True)
        return X

    def _indexed(self, rows: NDArray[Any], X: Any) -> Any:
        """Return rows with the index of a column of pandas, which scikit-learn 1.6 keeps for data frames alone.

        Without it, what a ColumnTransformer puts side by side would be rows of different documents.
        """
        from sklearn.utils._set_output import _get_output_config

        wanted = is_pandas_column(X) and _get_output_config("transform", self)["dense"] == "pandas"
        return pandas_frame(rows, X) if wanted else rows

    def _note_columns(self, X: Any) -> None:
        """Note the columns of a table that was fitted on; documents have none."""
        if is_table(X):
            validate_data(self, X, skip_check_array=True)
            return
        for name in _COLUMNS & vars(self).keys():
            delattr(self, name)

    def _columns(self) -> list[str] | list[int]:
        """Return the names or numbers of the columns of the fitted table; of documents there are none."""
        names = getattr(self, "feature_names_in_", None)
        return list(range(getattr(self, "n_features_in_", 0))) if names is None else names.tolist()

    def _learn(self, encoder: Encoder, X: Any) -> None:
        workers = self._workers()
        if workers == 1 or arrow_table(X) is not None:
            fit_keeping(encoder, self._batches(X), 0)
        else:
            batches = map(packed, batched(documents(X, self.parse), COUNTED))
            encoder._set_statistics(fitted(encoder, batches, workers))
        if not encoder.statistics.documents:
            raise ParameterError("There are no documents to fit on; a minimum of 1 is required.")

    def _workers(self) -> int:
        """Return how many processes work; within a job of joblib's it is one, for the jobs share the processors."""
        backend, _ = get_active_backend()
        return 1 if backend.nesting_level else int(effective_n_jobs(self.n_jobs))

    def _encoded(self, encoder: Encoder, X: Any) -> Iterator[NDArray[np.float32]]:
        workers = self._workers()
        if workers == 1 or arrow_table(X) is not None:
            return encoder.encode_batches(self._batches(X))
        return encoded(encoder, map(packed, batched(documents(X, self.parse), PACKED)), workers)

    def _batches(self, X: Any) -> Iterator[Documents]:
        table = arrow_table(X)
        if table is None:
            return batched(documents(X, self.parse), BATCH)
        from mbat.arrow import table_rows

        return table_rows(table)


ENCODER_PARAMETERS: Final = ("dim", "seed", "softness", "binding", "strings", "numbers", "fields", "text")
"""Parameters that are those of the encoder."""

_COLUMNS: Final = {"n_features_in_", "feature_names_in_"}
"""Attributes that scikit-learn has for the columns of tables."""


def _checked(X: Any) -> Any:
    """Return data of a known type, a table one that has a form in JSON."""
    X = known(X)
    if is_table(X):
        check_table(X)
    return X


def _integer(value: Any) -> int:
    """Return an integer of any type as an int; 0 for what is no integer, or is a truth value."""
    try:
        return 0 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return 0

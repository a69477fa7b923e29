"""What an encoder tells of its vectors: why two documents are alike, and what a vector holds."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbat.coding import Coding
from mbat.columns import KIND_BITS
from mbat.complaints import several
from mbat.explaining import Account, Explanation, explanation
from mbat.parameters import checked_vector
from mbat.paths import parse_path
from mbat.picking import only, tree_of


class Inspection(Coding):
    """The part of `mbat.Encoder` that looks into vectors."""

    @abstractmethod
    def encode(self, documents: Iterable[Any], workers: int = 1) -> NDArray[np.float32]:
        """Return the vectors of a batch of documents."""

    @abstractmethod
    def encode_one(self, document: Any) -> NDArray[np.float32]:
        """Return the vector of one document."""

    def account(self, document: Any) -> Account:
        """Return what each path of a document adds to its vector; see `mbat.explaining.Account`."""
        batch = self._prepared_alone(document)
        rows = self._account_of(batch)
        norm = float(np.linalg.norm(rows.sum(axis=0)))
        said = np.flatnonzero(rows.any(axis=1))
        paths = np.unique(batch.columns.items >> KIND_BITS)[said]
        held = rows[said] / (norm or 1.0)
        return Account([batch.columns.paths.steps(path) for path in paths.tolist()], held, [document])

    def explain(self, first: Any, second: Any) -> Explanation:
        """Return why two documents are as alike as they are.

        Parameters
        ----------
        first, second : JSON values
            The first may be a query, of only some fields.

        Returns
        -------
        Explanation
            Its parts sum to the inner product of the vectors, but for rounding.

        Raises
        ------
        DocumentError
            If one is no JSON value.

        Examples
        --------
        >>> from mbat import Encoder
        >>> query, document = {"name": "Ann Lee"}, {"name": "Ann Lee", "born": 1950}
        >>> why = Encoder().explain(query, document)
        >>> [part.path for part in why.parts], round(why.score, 1), round(why.agreement, 3)
        (['name', 'all else'], 0.8, 1.0)
        """
        return self.explained(self.account(first), second, self.account(second))

    def explained(self, query: Account, document: Any, account: Account) -> Explanation:
        """Return why a document is found by a query, whose account may be of several documents or other weights."""
        asked = self.encode_one(only(document, tree_of(query.paths)))
        return explanation(query, account, float(query.rows.sum(axis=0) @ asked))

    def unbind(self, vector: NDArray[np.floating[Any]], path: str) -> NDArray[np.float64]:
        """Undo the binding of a path: what the vector holds there, and noise from everywhere else.

        Parameters
        ----------
        vector : array of shape (dim,)
            The vector of a document.
        path : str
            Such as ``seller.name``. A ``[]`` undoes the binding of the first element. Nothing is undone for a key
            that was skipped because no fitted document has it.

        Returns
        -------
        float64 array of shape (dim,)

        Raises
        ------
        ParameterError
            If the vector is of another shape or holds what is no finite number.
        PathError
            If the path is not well formed.

        Examples
        --------
        >>> encoder = Encoder(softness=0)
        >>> held = encoder.unbind(encoder.encode_one({"seller": {"name": "Ann"}}), "seller.name")
        >>> round(float(held @ encoder.encode_one("Ann")), 5)
        1.0
        """
        held = checked_vector(vector, self.dim)
        for name in self._ready().binding_names(parse_path(path)):
            held = self._binding.apply_transpose(name, held)
        return held

    def decode(
        self, vector: NDArray[np.floating[Any]], path: str, candidates: Iterable[Any]
    ) -> list[tuple[Any, float]]:
        """Rank candidate values by how well they fit what a vector holds at a path.

        Parameters
        ----------
        vector : array of shape (dim,)
            The vector of a document.
        path : str
            Such as ``seller.name``.
        candidates : iterable of JSON values
            The values that may stand there.

        Returns
        -------
        list of (value, cosine)
            Best first.
        """
        values = list(several(candidates))
        held = self.unbind(vector, path)
        cosines = self.encode(values) @ held / max(float(np.linalg.norm(held)), 1e-30)
        order = np.argsort(-cosines, kind="stable")
        return [(values[i], float(cosines[i])) for i in order]

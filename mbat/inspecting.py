"""What an encoder tells of its vectors: why two documents are alike, and what a vector holds."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbat.coding import Coding
from mbat.columns import KIND_BITS
from mbat.complaints import several
from mbat.decoding import Fit, Number, cosines, decoded_number
from mbat.errors import ParameterError
from mbat.explaining import Account, Explanation, explanation
from mbat.leaves import LEFT_OUT, SCALED
from mbat.parameters import checked_vector
from mbat.paths import Steps, parse_path
from mbat.picking import only, paths_in, tree_of
from mbat.statistics import SKETCHED_PATHS


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
        steps = batch.columns.paths.steps
        points = {steps(one): steps(other) for one, other in batch.points.pairs(batch.columns).items()}
        return Account([steps(path) for path in paths.tolist()], rows[said] / (norm or 1.0), [document], points)

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
        (['name', 'all else'], 0.6, 1.0)
        """
        account = self.account(first)
        return explanation(account, self.account(second), self.agreement([first], second))

    def agreement(self, wanted: Sequence[Any], document: Any) -> float | None:
        """Return the cosine of the sum of documents and of another, cut down to the fields that one of them has.

        None if there are none, or all that they say has weight 0.
        """
        asked = self.encode(wanted).sum(axis=0)
        norm = float(np.linalg.norm(asked))
        if norm == 0.0:
            return None
        tree = tree_of(steps for one in wanted for steps in paths_in(one))
        return float(asked @ self.encode_one(only(document, tree))) / norm

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
        >>> from mbat import Encoder
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

        Each is compared with the vector as what it would add to it there. With strict binding that is the cosine of the
        value's vector with what `unbind` returns.

        Parameters
        ----------
        vector : array of shape (dim,)
            The vector of a document.
        path : str
            Such as ``seller.name``; ``tags[]`` stands for any of the first 8 elements.
        candidates : iterable of JSON values
            The values that may stand there.

        Returns
        -------
        list of (value, cosine)
            Best first. Two unrelated vectors have a cosine of 1/sqrt(dim) or so: a best value of less than 4 times
            that may be there by chance.

        Raises
        ------
        ParameterError
            If the vector is none of this encoder, the field has weight 0, or what is given is one candidate.
        DocumentError
            If a candidate is no JSON value.
        PathError
            If the path is not well formed.

        Examples
        --------
        >>> from mbat import Encoder
        >>> encoder = Encoder()
        >>> vector = encoder.encode_one({"name": "Ann", "town": "Oslo", "born": 1950})
        >>> encoder.decode(vector, "town", ["Rome", "Oslo", "Paris"])[0][0]
        'Oslo'
        """
        values = list(several(candidates))
        held, steps = checked_vector(vector, self.dim), self._counted(path)
        fits = self._fit(held, steps)(values)
        return [(values[i], float(fits[i])) for i in np.argsort(-fits, kind="stable")]

    def decode_number(self, vector: NDArray[np.floating[Any]], path: str) -> Number:
        """Return the number that a vector holds at a path, with an error bar.

        It is searched for over the range of the numbers that were fitted, and a standard deviation beyond. Whether the
        vector holds any number there is another question: see `mbat.decoding.Number.cosine`. Latitudes and longitudes
        are no numbers of their own.

        Parameters
        ----------
        vector : array of shape (dim,)
            The vector of a document.
        path : str
            Such as ``seller.age``, or ``sizes[]`` for the one of the first 8 elements that shows best.

        Raises
        ------
        ParameterError
            If the vector is none of this encoder, or no numbers at the path were fitted, or they are symbols.
        PathError
            If the path is not well formed.

        Examples
        --------
        >>> from mbat import Encoder
        >>> people = [{"name": "Ann", "born": 1950}, {"name": "Bob", "born": 1990}, {"name": "Cy", "born": 1867}]
        >>> encoder = Encoder().fit(people)
        >>> number = encoder.decode_number(encoder.encode_one(people[1]), "born")
        >>> number.low < 1990 < number.high, abs(number.value - 1990) < 2
        (True, True)
        """
        held, steps = checked_vector(vector, self.dim), self._counted(path)
        known = self._ready().knowledge(steps)
        sketch = self._statistics.sketches.get(known.path_hash % SKETCHED_PATHS)
        if sketch is None:
            raise ParameterError(f"No numbers at {path} were fitted, so there is no scale to read one from.")
        if known.rule.numbers != SCALED:
            raise ParameterError(
                f"Numbers at {path} are symbols, alike only if equal. Rank candidates for one with decode."
            )
        return decoded_number(self._fit(held, steps), known.scale, sketch, self.dim)

    def _counted(self, path: str) -> Steps:
        """Return the steps of a path at which values count."""
        steps = parse_path(path)
        if self._ready().knowledge(steps).place == LEFT_OUT:
            raise ParameterError(f"The field {path} has weight 0: a vector holds nothing of it.")
        return steps

    def _fit(self, vector: NDArray[np.float64], steps: Steps) -> Fit:
        decoder = self._decoding()
        return partial(cosines, partial(decoder._encode_values, steps=steps), vector, steps)

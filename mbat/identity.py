"""What an encoder is, apart from what it does: a value, made of parameters, a text embedder and statistics."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from mbat.embedding import TextEmbedder
from mbat.parameters import Parameters
from mbat.statistics import Statistics

FORMAT_VERSION: Final = 4
"""Version of the vectors: a change that alters any vector raises it."""


class Identity:
    """The part of `mbat.Encoder` that makes two of them equal, and tells what they are."""

    _parameters: Parameters
    _embedder: TextEmbedder | None

    def _set_statistics(self, statistics: Statistics) -> None:
        self._statistics = statistics
        self._fingerprint: str | None = None

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return self._parameters.dim

    @property
    def parameters(self) -> dict[str, Any]:
        """The arguments that make an equal encoder, but for `text` and what `fit` learned; JSON throughout."""
        return self._parameters.plain()

    @property
    def embedder(self) -> TextEmbedder | None:
        """The text embedder, None if there is none."""
        return self._embedder

    @property
    def statistics(self) -> Statistics:
        """What `fit` learned; empty before."""
        return self._statistics

    @property
    def fingerprint(self) -> str:
        """A hash of parameters, statistics and version: if it is equal, all vectors are.

        Of a text embedder it knows the width alone; see `encode` for the last bits of vectors.
        """
        if self._fingerprint is None:
            digest = hashlib.sha256(f"mbat vectors {FORMAT_VERSION} {self._parameters}".encode())
            for path, rule in self._parameters.fields:
                digest.update(f"field {path} {rule}".encode("utf-8", "surrogatepass"))
            if self._embedder is not None:
                digest.update(f"text {self._embedder.width}".encode())
            for name, array in self._statistics.arrays().items():
                digest.update(name.encode() + array.tobytes())
            self._fingerprint = digest.hexdigest()
        return self._fingerprint

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Identity):
            return NotImplemented
        return (
            self._parameters == other._parameters
            and self._embedder == other._embedder
            and self._statistics == other._statistics
        )

    def __hash__(self) -> int:
        return hash(self._parameters)

    def __repr__(self) -> str:
        given = {name: value for name, value in self.parameters.items() if name != "fields" or value}
        arguments = ", ".join(f"{name}={value!r}" for name, value in given.items())
        arguments += f", text={self._embedder.name}" if self._embedder else ""
        fitted = f", fitted on {self._statistics.documents:,} documents" if self._statistics.documents else ""
        return f"Encoder({arguments}{fitted})"

    def __getstate__(self) -> dict[str, Any]:
        return {"parameters": self._parameters, "embedder": self._embedder, "statistics": self._statistics}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._parameters, self._embedder = state["parameters"], state["embedder"]
        self._set_statistics(state["statistics"])

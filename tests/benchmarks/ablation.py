"""The encoder without one of its parts, to see what each buys.

Each name below is a factory for ``evaluate.py``; ``tests/benchmarks/quality.py`` runs them all.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from mbat import Encoder
from mbat.fields import FieldRules
from mbat.leaves import QUANTITY_GAIN, SCALE_GAIN, TIME_GAIN, TextSoftness
from mbat.parameters import PRESENCE
from mbat.preparing import Preparer
from mbat.statistics import Statistics


class _Ablated(Encoder):
    """An encoder whose weights are changed after they are made."""

    presence = PRESENCE
    skips = True

    def _set_statistics(self, statistics: Statistics) -> None:
        super()._set_statistics(statistics)
        self._how = self._how._replace(gains=self._how.gains.copy(), idf=self._how.idf.copy())
        self._ablate(statistics)

    def _ablate(self, statistics: Statistics) -> None:
        """Change ``self._how``."""

    def _new_preparer(self, walker: Any) -> Preparer:
        p = self._parameters
        return Preparer(
            p.dim,
            p.seed,
            self.presence,
            self.skips,
            FieldRules(p.fields, p.strings, p.numbers),
            self._statistics,
            walker,
        )


class Unfitted(Encoder):
    """Nothing is learned from the collection."""

    def fit(self, documents: Iterable[Any]) -> Encoder:
        """Return the encoder as it is."""
        return self


class OneSoftness(_Ablated):
    """Texts are bound as softly as codes, whatever their length and the rarity of their words."""

    def _ablate(self, statistics: Statistics) -> None:
        softness = self._parameters.softness
        self._how = self._how._replace(
            softness=TextSoftness(softness, 1.0, 1.0, 0.0, self._how.softness.rarest, self._how.softness.element)
        )


class LoudUnseen(_Ablated):
    """Words that no fitted document has weigh as the formula for the others says: a little more than the rarest."""

    def _ablate(self, statistics: Statistics) -> None:
        if statistics.documents:
            self._how.idf[statistics.frequencies == 0] = 1.0 + np.log(1.0 + statistics.documents)


class NoIdf(_Ablated):
    """Common words weigh as much as rare ones and are bound as softly."""

    def _ablate(self, statistics: Statistics) -> None:
        self._how.idf[:] = 1.0
        self._how = self._how._replace(softness=self._how.softness._replace(tilt=0.0))


class UnknownKeysBind(_Ablated):
    """Keys that no fitted document has bind like others."""

    skips = False


class NoPresence(_Ablated):
    """No symbol says which keys are there."""

    presence = 0.0


class OneScale(_Ablated):
    """Numbers are coded at the second scale alone."""

    def _ablate(self, statistics: Statistics) -> None:
        scales = self._how.gains[SCALE_GAIN:]
        whole = float(np.linalg.norm(scales))
        scales[:] = [0.0, whole, 0.0, 0.0]


class NoDates(_Ablated):
    """Dates are texts."""

    def _ablate(self, statistics: Statistics) -> None:
        self._how.gains[TIME_GAIN] = 0.0


class NoQuantities(_Ablated):
    """Numbers in texts are words."""

    def _ablate(self, statistics: Statistics) -> None:
        self._how.gains[QUANTITY_GAIN] = 0.0

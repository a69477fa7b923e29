"""Fitting and encoding on Ray, where data outgrows one machine: the same statistics and vectors, to the last bit.

`fit` and `encode` take datasets of Ray Data, `encode_files` takes files. Documents are parsed in Ray's workers by the
rules of one machine, so that null is not missing and no integer is too large.
"""

from __future__ import annotations

from mbat.ray.datasets import encode, fit
from mbat.ray.files import Encoded, encode_files

__all__ = ["Encoded", "encode", "encode_files", "fit"]

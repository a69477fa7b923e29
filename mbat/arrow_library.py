"""The one place that imports pyarrow; importing this module without it raises MissingExtraError."""

from __future__ import annotations

from typing import Any, Final

from mbat.extras import extra_module

pa: Final[Any] = extra_module("pyarrow", "parquet", "Reading or writing Arrow and Parquet")
pc: Final[Any] = extra_module("pyarrow.compute", "parquet", "Reading or writing Arrow and Parquet")
pq: Final[Any] = extra_module("pyarrow.parquet", "parquet", "Reading or writing Arrow and Parquet")

"""Golden vectors: what every version, machine and process must give, to the last bit.

``python -m tests.make_golden`` writes ``tests/golden/vectors.json`` anew. That is right only together with a new
``FORMAT_VERSION`` in `mbat.encoder`: the vectors of all indexes change with it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbat.encoder import FORMAT_VERSION, Encoder

GOLDEN: Final = Path(__file__).parent / "golden" / "vectors.json"

DIM: Final = 64

DOCUMENTS: Final[dict[str, Any]] = {
    "record": {"name": "Bob Dylan", "born": 1941, "alive": True, "spouse": None},
    "nested": {"a": {"b": {"c": {"d": ["x", {"e": "deep value"}]}}}, "b": {"a": {"c": "other"}}},
    "strings in an array": {"tags": ["folk", "rock", "folk rock", "Blues-Rock 1960s"]},
    "numbers in an array": {"position": [59.33, 18.07], "grid": [[1, 2, 3], [4, 5, 6]]},
    "long array": {"series": [i * i / 8 for i in range(140)], "words": [f"w{i % 7}" for i in range(131)]},
    "mixed array": [1, "one", None, [True, False], {"k": "v"}, [], {}],
    "unicode": {"naïve": "Crème BRÛLÉE", "Ελλ": "ΟΔΥΣΣΕΥΣ", "İ": "İstanbul", "😀": "ok 👍", "кот": "Чёрный кот"},
    "Chinese and Japanese": {"城市": "東京タワーは東京都港区にあります。", "国": "中国 北京"},
    "Korean and Thai": {"이름": "서울특별시 강남구", "ชื่อ": "กรุงเทพมหานคร"},
    "numbers": {"zero": 0, "negative": -2.5, "large": 1.7e308, "small": 5e-324, "integer": 2**70, "third": 1 / 3},
    "constants": {"t": True, "f": False, "n": None, "s": "", "o": {}, "a": []},
    "punctuation": {"a.b": "--- ... !!!", "[]": " \t\n", "": "e-mail: x@y.org; tel +46 (0)8-123"},
    "repeated words": {"text": "the cat and the dog and the bird and the end"},
    "dates": {"iso": "2020-01-31T12:30:00.5+02:00", "month": "13-Nov-12", "words": "Fri, 31 Jan 2020 12:00:00 GMT"},
    "points": {"here": {"lat": 48.857, "lng": 2.352}, "geometry": {"type": "Point", "coordinates": [151.21, -33.87]}},
    "measures": {"size": "7.6 x 4.8 inches", "model": "EQ50", "price": "$1,299.00", "version": "1.2.3"},
    "composed and decomposed": ["caf\u00e9", "cafe\u0301", "\ufb01ne", "\uff21\uff22"],
    "root string": "a string alone",
    "root number": 42,
    "root null": None,
    "root empty object": {},
    "root empty array": [],
}


def golden_encoder(fitted: bool) -> Encoder:
    """Return the encoder that the golden vectors are of."""
    encoder = Encoder(dim=DIM)
    return encoder.fit(DOCUMENTS.values()) if fitted else encoder


def main() -> None:
    """Write the file."""
    made: dict[str, Any] = {"format_version": FORMAT_VERSION}
    for name, fitted in (("unfitted", False), ("fitted", True)):
        rows = golden_encoder(fitted).encode(DOCUMENTS.values())
        made[name] = {document: _written(row) for document, row in zip(DOCUMENTS, rows, strict=True)}
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(json.dumps(made, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")


def _written(row: NDArray[np.float32]) -> str:
    """Write a vector as decimal numbers, each the shortest that reads back as the same float32."""
    return " ".join(np.format_float_positional(value, unique=True, trim="0") for value in row)


def read(name: str) -> dict[str, NDArray[np.float32]]:
    """Read the golden vectors of the fitted or the unfitted encoder."""
    made = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return {document: np.array(row.split(), dtype=np.float32) for document, row in made[name].items()}


if __name__ == "__main__":
    main()

"""Golden folders: an index of each format, opened by the tests for ever, or refused in a sentence if it is too old.

``python -m tests.make_golden_folder`` writes that of the present formats, unless it is there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from mbat import Encoder, Index
from mbat.encoder import FORMAT_VERSION
from mbat.manifest import FOLDER_FORMAT
from tests.make_golden import DOCUMENTS

GOLDEN: Final = Path(__file__).parent / "golden"
PRESENT: Final = f"folder-{FOLDER_FORMAT}-vectors-{FORMAT_VERSION}"

BATCH: Final = {name: document for name, document in DOCUMENTS.items() if name != "numbers"}
"""Without the one that has an integer beyond 64 bits."""


def answers(index: Index) -> dict[str, Any]:
    """Return what is to come back for ever: all documents, and the best for each with their scores."""
    documents = dict(index.items())
    hits = index.search_batch(documents.values(), 3)
    found = {one: [[hit.id, round(hit.score, 3)] for hit in best] for one, best in zip(documents, hits, strict=True)}
    return {"documents": documents, "found": found}


def main() -> None:
    """Write the folder of the present formats."""
    folder = GOLDEN / PRESENT
    first = dict(list(BATCH.items())[:16])
    encoder = Encoder(dim=64).fit(BATCH.values())
    with Index.create(folder, first.values(), first.keys(), encoder, kind="flat") as index:
        rest = {one: document for one, document in BATCH.items() if one not in first}
        index.add(rest.values(), rest.keys())
        index.upsert([{"name": "Bob Dylan", "born": 1941}], ["record"])
        index.delete(["nested"])
        made = answers(index)
    (folder / "writer.lock").unlink()
    (GOLDEN / f"{PRESENT}.json").write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Make an index of the countries, search it, and read a field back out of a vector."""

from __future__ import annotations

import tempfile
from pathlib import Path

import orjson

import mbat

COUNTRIES = Path(__file__).with_name("countries.jsonl")


def main() -> None:
    documents = [orjson.loads(line) for line in COUNTRIES.read_bytes().splitlines()]
    names = [document["name"] for document in documents]
    with (
        tempfile.TemporaryDirectory() as folder,
        mbat.Index.create(f"{folder}/countries.mbat", documents, ids=names) as index,
    ):
        print("Like Finland: ", ", ".join(hit.id for hit in index.search(index.get("Finland"), k=4)[1:]))
        query = {"landlocked": True, "languages": ["Spanish"]}
        print(f"Like {query}: ", ", ".join(hit.id for hit in index.search(query, k=2)))

    encoder = mbat.Encoder(softness=0, strings="symbol", numbers="symbol")
    vector = encoder.encode_one({"name": "Finland", "capital": {"name": "Helsinki"}, "landlocked": False})
    value, cosine = encoder.decode(vector, "capital.name", names + ["Helsinki", "Oslo", "Stockholm"])[0]
    print(f"Read back from the vector at capital.name: {value} (cosine {cosine:.2f})")


if __name__ == "__main__":
    main()

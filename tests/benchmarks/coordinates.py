"""Find places by coordinates alone: ``python tests/benchmarks/coordinates.py ../shared/data/cities/documents.jsonl``.

20,000 records ``{"location": {"lat": .., "lon": ..}}`` are encoded; 500 of them, moved by a kilometre in a random
direction, look for themselves. Printed are how many are first and in the first ten, and of how many the record is the
nearest, or one of the ten nearest, on the globe: no encoding can do better than that.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbat import Encoder

RECORDS: Final = 20_000
QUERIES: Final = 500
MOVED_KM: Final = 1.0
KM_A_DEGREE: Final = 111.195


def documents(degrees: NDArray[np.float64]) -> list[dict[str, Any]]:
    """Return a record for each latitude and longitude, the rows of an array."""
    return [{"location": {"lat": lat, "lon": lon}} for lat, lon in degrees.tolist()]


def moved(degrees: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return points a kilometre off, each in a random direction."""
    angle = rng.uniform(0, 2 * np.pi, len(degrees))
    step = MOVED_KM / KM_A_DEGREE * np.stack([np.sin(angle), np.cos(angle)], axis=1)
    step[:, 1] /= np.cos(np.radians(degrees[:, 0]))
    result: NDArray[np.float64] = degrees + step
    return result


def units(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return points of the unit sphere."""
    lat, lon = np.radians(degrees).T
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)


def ranks(scores: NDArray[Any], truth: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many records score above the true one, for each query."""
    own = scores[np.arange(len(truth)), truth]
    above: NDArray[np.int64] = (scores > own[:, None]).sum(axis=1)
    return above


def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cities", type=Path, help="JSON lines with lat and lng")
    parser.add_argument("--dim", type=int, default=1024)
    arguments = parser.parse_args()
    with arguments.cities.open(encoding="utf-8") as lines:
        places = {(float(place["lat"]), float(place["lng"])) for place in map(json.loads, lines)}
    rng = np.random.default_rng(0)
    degrees = rng.permutation(np.array(sorted(places)))[:RECORDS]
    truth = rng.choice(len(degrees), QUERIES, replace=False)
    queries = moved(degrees[truth], rng)
    encoder = Encoder(dim=arguments.dim).fit(documents(degrees))
    found = ranks(encoder.encode(documents(queries)) @ encoder.encode(documents(degrees)).T, truth)
    best = ranks(units(queries) @ units(degrees).T, truth)
    for name, rank in (("encoder", found), ("on the globe", best)):
        print(f"{name:12} first: {(rank == 0).mean():6.1%}   in the first ten: {(rank < 10).mean():6.1%}")


if __name__ == "__main__":
    main()

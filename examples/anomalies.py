"""Find the odd lines of a log: those far from their nearest neighbours in a log that was in order."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from sklearn.neighbors import NearestNeighbors

from mbat.sklearn import MBATVectorizer


def line(dice: random.Random) -> dict[str, Any]:
    path = dice.choice(["/", "/search", "/cart", "/pay"])
    return {
        "request": {"method": "POST" if path == "/pay" else "GET", "path": path, "ms": round(dice.gauss(80, 15))},
        "client": {"agent": dice.choice(["Firefox", "Chrome", "Safari"]), "address": f"10.0.0.{dice.randrange(50)}"},
        "status": 200,
    }


ODD = [
    {"request": {"method": "DELETE", "path": "/pay", "ms": 80}, "client": {"agent": "curl"}, "status": 200},
    {"request": {"method": "GET", "path": "/search", "ms": 9000}, "client": {"agent": "Chrome"}, "status": 504},
    {"panic": "index out of range", "stack": ["cart.go:71", "server.go:12"]},
]


def main() -> None:
    dice = random.Random(0)
    vectorizer = MBATVectorizer(fields={"client.address": {"weight": 0.2}})
    in_order = vectorizer.fit_transform(line(dice) for _ in range(2000))
    neighbours = NearestNeighbors(n_neighbors=5, metric="cosine").fit(in_order)
    usual = neighbours.kneighbors()[0].mean(axis=1)

    today = [line(dice) for _ in range(500)] + ODD
    distances = neighbours.kneighbors(vectorizer.transform(today))[0].mean(axis=1)
    threshold = np.quantile(usual, 0.999)
    for number in np.flatnonzero(distances > 1.5 * threshold):
        print(f"{distances[number]:.2f} (usually below {threshold:.2f}): {today[number]}")


if __name__ == "__main__":
    main()

"""Label many documents by hand-labelling a few: the labels spread to similar documents."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson
from sklearn.semi_supervised import LabelSpreading

from mbat.sklearn import MBATVectorizer

COUNTRIES = Path(__file__).with_name("countries.jsonl")
UNLABELLED = -1
BY_HAND = {
    "Africa": ["Ghana", "Kenya", "Egypt"],
    "Asia": ["India", "Japan", "Iraq"],
    "Europe": ["Italy", "Poland", "Norway"],
    "North America": ["Canada", "Jamaica", "Guatemala"],
    "Oceania": ["Fiji", "Samoa", "Australia"],
    "South America": ["Chile", "Peru", "Guyana"],
}


def main() -> None:
    countries = [orjson.loads(line) for line in COUNTRIES.read_bytes().splitlines()]
    continents = list(BY_HAND)
    by_hand = {name: continents.index(continent) for continent, names in BY_HAND.items() for name in names}
    labels = [by_hand.get(country["name"], UNLABELLED) for country in countries]

    hidden = {"continent": {"weight": 0}, "region": {"weight": 0}}
    vectors = MBATVectorizer(fields=hidden, components=64).fit_transform(countries)
    spread = LabelSpreading(kernel="knn", n_neighbors=7, alpha=0.5).fit(vectors, labels)

    truth = np.array([continents.index(country["continent"]) for country in countries])
    others = np.array(labels) == UNLABELLED
    right = (spread.transduction_ == truth)[others].mean()
    print(f"{len(by_hand)} labels by hand, {others.sum()} spread from them: {right:.0%} are right.")


if __name__ == "__main__":
    main()

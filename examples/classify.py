"""Guess the continent of a country from nested JSON, with no schema and no columns: pip install 'mbat[sklearn]'."""

from __future__ import annotations

from pathlib import Path

import orjson
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline

from mbat.sklearn import MBATVectorizer

COUNTRIES = Path(__file__).with_name("countries.jsonl")


def main() -> None:
    texts = COUNTRIES.read_text(encoding="utf-8").splitlines()  # JSON texts will do as they are
    countries = [orjson.loads(text) for text in texts]
    continents = [country["continent"] for country in countries]

    hidden = {"continent": {"weight": 0}, "region": {"weight": 0}}  # the answer, and what gives it away
    model = make_pipeline(MBATVectorizer(fields=hidden), LogisticRegression(C=100, max_iter=1000))
    scores = cross_val_score(model, texts, continents, cv=5)
    print(f"Right for {scores.mean():.0%} of the countries that the model has not seen; guess wrong:")
    for country, guess in zip(countries, cross_val_predict(model, texts, continents, cv=5), strict=True):
        if guess != country["continent"]:
            print(f"  {country['name']}, {country['continent']}: {guess}")


if __name__ == "__main__":
    main()

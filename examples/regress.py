"""Predict a number from the rows of a table, some cells missing: pip install 'mbat[sklearn]' pandas."""

from __future__ import annotations

from sklearn.datasets import load_diabetes
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline

from mbat.sklearn import MBATVectorizer


def main() -> None:
    patients, progression = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    patients["sex"] = patients["sex"].map({1.0: "f", 2.0: "m"})  # categories and numbers side by side
    patients.loc[::10, "bmi"] = None  # a missing cell is a missing key: nothing to impute

    model = make_pipeline(MBATVectorizer(dim=512), RidgeCV(alphas=[0.01, 0.1, 1, 10]))
    folds = KFold(5, shuffle=True, random_state=0)
    scores = cross_val_score(model, patients, progression, cv=folds, scoring="r2")
    print(f"R2 of the progression of diabetes in a year, five folds: {scores.mean():.2f}")


if __name__ == "__main__":
    main()

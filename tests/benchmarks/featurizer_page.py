"""What `featurizer.py` measured, as the tables and picture of docs/featurizer.md."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import numpy as np

from tests.benchmarks.featurizer_sets import NESTED, NUMBERS, SETS, TABLES

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "featurizer.md"
PICTURE: Final = ROOT / "docs" / "featurizer.svg"
MODELS: Final = ("linear", "boosting")

Figures = dict[str, Any]
"""By set and featurizer, parted by a space: the scores of each model, one a fold, and the seconds."""


def write(figures: Figures, featurizers: list[str], smaller: list[str], others: list[str]) -> None:
    """Write the tables of the page, each between its marks, and the picture."""
    parts = {
        "summary": summary(figures, featurizers),
        "linear": table(figures, featurizers, "linear"),
        "boosting": table(figures, featurizers, "boosting"),
        "seconds": table(figures, featurizers, "seconds", 2),
        "losses": changes(figures, smaller),
        "options": changes(figures, others),
    }
    page = PAGE.read_text(encoding="utf-8")
    for mark, content in parts.items():
        between = rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)"
        page, count = re.subn(between, rf"\g<1>{content}\n\2", page, flags=re.DOTALL)
        if count != 1:
            raise SystemExit(f"The page has no marks <!-- {mark} --> and <!-- /{mark} --> to write between.")
    PAGE.write_text(page, encoding="utf-8")
    draw(figures, featurizers)


def mean(figures: Figures, name: str, who: str, what: str) -> float | None:
    """Return the mean of the scores, or the seconds; None where nothing was measured."""
    scores = figures.get(f"{name} {who}", {}).get(what)
    return None if scores is None else float(np.mean(scores))


def better(figures: Figures, name: str, who: str) -> list[float]:
    """Return the scores of the better model, one a fold."""
    given = figures[f"{name} {who}"]
    scores: list[float] = max((given[model] for model in MODELS), key=np.mean)
    return scores


def label(name: str) -> str:
    """Return a set with its measure."""
    return f"{name}, {'R2' if name in NUMBERS else 'accuracy'}"


def table(figures: Figures, featurizers: list[str], what: str, digits: int = 3) -> str:
    """Return the scores of one model, or the seconds, as a Markdown table, the best of each row in bold."""
    lines = ["| set | " + " | ".join(featurizers) + " |", "|---|" + "---:|" * len(featurizers)]
    for name in SETS:
        row = [mean(figures, name, who, what) for who in featurizers]
        shown = ["" if value is None else f"{value:.{digits}f}" for value in row]
        best = (min if what == "seconds" else max)(filter(None, shown), key=float)
        cells = [f"**{cell}**" if cell == best else cell for cell in shown]
        lines.append(f"| {name if what == 'seconds' else label(name)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def changes(figures: Figures, variants: list[str]) -> str:
    """Return by how many thousandths variants of mbat are better or worse than its defaults, with the linear model."""
    lines = ["| set | defaults | " + " | ".join(variants) + " |", "|---|---:|" + "---:|" * len(variants)]
    found: dict[str, list[float]] = {who: [] for who in variants}
    for name in SETS:
        whole, cells = float(np.mean(figures[f"{name} mbat"]["linear"])), []
        for who in variants:
            score = mean(figures, name, who, "linear")
            found[who] += [] if score is None else [1000 * (score - whole)]
            cells.append("" if score is None else f"{1000 * (score - whole):+.0f}")
        lines.append(f"| {label(name)} | {whole:.3f} | " + " | ".join(cells) + " |")
    lines.append("| mean | | " + " | ".join(f"{np.mean(found[who]):+.0f}" for who in variants) + " |")
    return "\n".join(lines)


def summary(figures: Figures, featurizers: list[str]) -> str:
    """Return how mbat stands to the best of the others, each with its better model, in points."""
    lines = ["| set | mbat | best other | points | |", "|---|---:|---|---:|---|"]
    for name in SETS:
        scores = {who: better(figures, name, who) for who in featurizers if f"{name} {who}" in figures}
        ours = scores.pop("mbat")
        other = max(scores, key=lambda who: float(np.mean(scores[who])))
        points = 100 * (np.array(ours) - scores[other])
        error = standard_error(points)
        shown, verdict = f"{points.mean():+.1f}", ""
        if error is not None:
            shown += f" ± {error:.1f}"
            verdict = "tie" if abs(points.mean()) <= 2 * error else "ahead" if points.mean() > 0 else "behind"
        lines.append(f"| {name} | {np.mean(ours):.3f} | {np.mean(scores[other]):.3f} {other} | {shown} | {verdict} |")
    return "\n".join(lines)


def standard_error(differences: Any) -> float | None:
    """Return the standard error of the mean over folds that share training documents; None of one fold.

    Nadeau and Bengio (2003): the variance is not divided by the number of folds alone, but a half is added, which is
    test documents over training documents in three folds.
    """
    if len(differences) == 1:
        return None
    return float(np.sqrt((1 / len(differences) + 0.5) * np.var(differences, ddof=1)))


def draw(figures: Figures, featurizers: list[str]) -> None:
    """Draw each set as a row: how many points each featurizer is off mbat, each with its better model."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams.update({"svg.hashsalt": "mbat", "font.size": 8, "svg.fonttype": "none"})
    from matplotlib import pyplot as plt

    drawing, axis = plt.subplots(figsize=(8, 5))
    names = [*TABLES, *NESTED][::-1]
    whole = {name: float(np.mean(better(figures, name, "mbat"))) for name in names}
    for place, (who, mark) in enumerate(zip(featurizers, "os^Dv", strict=True)):
        known = [row for row, name in enumerate(names) if f"{name} {who}" in figures]
        points = [100 * (np.mean(better(figures, names[row], who)) - whole[names[row]]) for row in known]
        shifted = [row + (0 if who == "mbat" else 0.55 - 0.22 * place) for row in known]  # equals stand side by side
        fill, edge = ("black", "black") if who == "mbat" else ("none", "0.35")
        axis.plot(points, shifted, mark, mfc=fill, mec=edge, label=who, ms=4, zorder=3 - (place > 0))
    axis.set_yticks(range(len(names)), [f"{label(name)} {whole[name]:.3f}" for name in names])
    axis.set_xlabel("points of accuracy or R2 more than mbat, whose own stand at the left")
    axis.grid(axis="x", color="0.9")
    axis.set_axisbelow(True)
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    drawing.tight_layout()
    drawing.savefig(PICTURE, metadata={"Date": None, "Creator": None})
    plt.close(drawing)

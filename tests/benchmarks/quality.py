"""Measure the encoder's neighbours on labelled sets and write ``docs/quality.md``: its tables and its picture.

    python tests/benchmarks/quality.py ../shared --results FOLDER

FOLDER holds the figures, one JSON file a variant of the encoder; those that are missing are measured, by
``eval/evaluate.py`` of the folder given, which takes some minutes each. Needs matplotlib, for the picture alone.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "quality.md"
PICTURE: Final = ROOT / "docs" / "quality.svg"
TOLERANCE: Final = 0.002
"""A figure that is lower than another by no more than this counts as equal to it."""

_ABLATION: Final = "tests.benchmarks.ablation:"
VARIANTS: Final = {
    "Default": ["--seeds", "3"],
    "one seed": [],
    "no fit": ["--encoder", f"{_ABLATION}Unfitted"],
    "strict binding": ["--params", '{"softness": 0}'],
    "texts bound as softly as codes": ["--encoder", f"{_ABLATION}OneSoftness"],
    "unknown keys bind": ["--encoder", f"{_ABLATION}UnknownKeysBind"],
    "unseen words weigh most": ["--encoder", f"{_ABLATION}LoudUnseen"],
    "no document frequencies of words, in weights and softness": ["--encoder", f"{_ABLATION}NoIdf"],
    "no 3-grams, dates and numbers in texts": ["--params", '{"strings": "words"}'],
    "no symbol for which keys are there": ["--encoder", f"{_ABLATION}NoPresence"],
    "numbers at one scale": ["--encoder", f"{_ABLATION}OneScale"],
    "no dates": ["--encoder", f"{_ABLATION}NoDates"],
    "no numbers in texts": ["--encoder", f"{_ABLATION}NoQuantities"],
    "D = 256": ["--params", '{"dim": 256}'],
}
"""The arguments of ``evaluate.py`` for each variant; ablations are compared with one seed of the default."""

REFERENCES: Final = {
    "bm25_3gram": "BM25, 3-grams",
    "tfidf_word": "TF-IDF, words",
    "minilm_l6": "MiniLM-L6",
    "tfidf_path": "TF-IDF, path tokens",
    "flat_10nn": "flat 10-NN",
}


class Figure(NamedTuple):
    """One figure of one set, beside what it is compared with."""

    set: str
    measure: str
    ours: float
    references: dict[str, float]

    @property
    def margin(self) -> float:
        """How far ours is above the best reference."""
        return self.ours - max(self.references.values())


MEASURES: Final = {
    "matching recall@1": ("matching", "recall@1"),
    "matching recall@10": ("matching", "recall@10"),
    "labels, 5-NN accuracy": ("knn", "knn5_loo_acc"),
    "tables, 10-NN accuracy": ("table", "knn10_acc"),
    "tables, 10-NN R2": ("table", "knn10_r2"),
}


def figures(results: dict[str, Any], baselines: dict[str, Any], measure: str) -> list[Figure]:
    """Return the figures of one measure, by set."""
    task, field = MEASURES[measure]
    found = []
    for name in sorted(results):
        ours = results[name].get(task, {}).get(field)
        if ours is None:
            continue
        base = baselines[name][task]
        if task == "matching":
            references = {REFERENCES[who]: figure[field] for who, figure in base.items() if field in figure}
        else:
            references = {REFERENCES["tfidf_path" if task == "knn" else "flat_10nn"]: base[field]}
        found.append(Figure(name, measure, ours, references))
    return found


def summary(found: list[Figure]) -> str:
    """Say on how many sets ours is at or above the best reference, to within the tolerance, and the mean margin."""
    wins = sum(round(figure.margin, 6) >= -TOLERANCE for figure in found)
    mean = sum(figure.margin for figure in found) / len(found)
    where = f"on {wins} of {len(found)} sets"
    return f"at or above the best reference, to within {TOLERANCE}, {where}, mean margin {mean:+.3f}"


def table(found: list[Figure]) -> str:
    """Return the figures of one measure as a Markdown table, the best of each row in bold."""
    columns = list(dict.fromkeys(who for figure in found for who in figure.references))
    lines = ["| set | mbat | " + " | ".join(columns) + " |", "|---|---:|" + "---:|" * len(columns)]
    for figure in found:
        values = [figure.ours, *(figure.references.get(who) for who in columns)]
        best = max(value for value in values if value is not None)
        cells = ["" if v is None else f"**{v:.3f}**" if v >= best else f"{v:.3f}" for v in values]
        lines.append(f"| {figure.set} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def ablations(variants: dict[str, dict[str, Any]], baselines: dict[str, Any]) -> str:
    """Return the mean of each measure of each variant, as a difference to the first in thousandths."""
    lines = ["| without a part | " + " | ".join(MEASURES) + " |", "|---|" + "---:|" * len(MEASURES)]
    means: dict[str, list[float]] = {}
    for name, results in variants.items():
        found = [figures(results, baselines, measure) for measure in MEASURES]
        means[name] = [sum(figure.ours for figure in each) / len(each) for each in found]
        first = next(iter(means.values()))
        cells = [
            f"{mean:.3f}" if name == next(iter(means)) else f"{1000 * (mean - base):+.0f}"
            for mean, base in zip(means[name], first, strict=True)
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def replaced(page: str, mark: str, content: str) -> str:
    """Replace what stands between two marks of a page."""
    pattern = re.compile(rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)", re.DOTALL)
    if not pattern.search(page):
        raise SystemExit(f"The page has no marks <!-- {mark} --> and <!-- /{mark} --> to write between.")
    return pattern.sub(lambda match: f"{match[1]}{content}\n{match[2]}", page)


def draw(groups: dict[str, list[Figure]], path: Path) -> None:
    """Draw each set as a row: ours as a filled dot, each reference as a hollow mark."""
    try:
        import matplotlib as mpl
    except ImportError:
        raise SystemExit("The picture needs matplotlib: pip install matplotlib") from None
    mpl.use("Agg")
    mpl.rcParams.update({"svg.hashsalt": "mbat", "font.size": 8, "svg.fonttype": "none"})
    from matplotlib import pyplot as plt

    marks = dict(zip(REFERENCES.values(), ("s", "^", "D", "v", "s"), strict=True))
    rows = [len(found) for found in groups.values()]
    drawing, axes = plt.subplots(len(groups), 1, figsize=(8, 0.2 * sum(rows) + 1.2), height_ratios=rows, sharex=True)
    for axis, (measure, found) in zip(axes, groups.items(), strict=True):
        ordered = sorted(found, key=lambda figure: figure.margin)
        for who, mark in marks.items():
            at = [(figure.references[who], row) for row, figure in enumerate(ordered) if who in figure.references]
            if at:
                axis.plot(*zip(*at, strict=True), mark, mfc="none", mec="0.35", label=who, ms=5)
        axis.plot([figure.ours for figure in ordered], range(len(ordered)), "o", color="black", label="mbat", ms=5)
        axis.set_yticks(range(len(ordered)), [figure.set for figure in ordered])
        axis.set_title(measure, loc="left", fontsize=9)
        axis.grid(axis="x", color="0.9")
        axis.set_axisbelow(True)
        axis.set_xlim(0, 1.02)
        axis.set_ylim(-0.7, len(ordered) - 0.3)
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    drawing.tight_layout()
    drawing.savefig(path, metadata={"Date": None, "Creator": None})


def measured(shared: Path, folder: Path) -> dict[str, dict[str, Any]]:
    """Return the figures of every variant, measured where the folder has no file of them."""
    folder.mkdir(parents=True, exist_ok=True)
    variants = {}
    for name, arguments in VARIANTS.items():
        path = folder / f"{re.sub(r'[^a-zA-Z0-9]+', '-', name)}.json"
        if not path.exists():
            command = [sys.executable, str(shared / "eval" / "evaluate.py"), str(shared / "data"), *arguments]
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            subprocess.run([*command, "--json", str(path)], check=True, env=environment)
        variants[name] = json.loads(path.read_text(encoding="utf-8"))
    return variants


def main() -> None:
    """Write the page and the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path, help="a folder with data/ and eval/evaluate.py")
    parser.add_argument("--results", type=Path, required=True, help="where the figures of the variants are kept")
    arguments = parser.parse_args()
    baselines = json.loads((arguments.shared / "data" / "baselines.json").read_text(encoding="utf-8"))
    variants = measured(arguments.shared, arguments.results)
    groups = {measure: figures(variants["Default"], baselines, measure) for measure in MEASURES}
    tables = "\n\n".join(f"### {m[0].upper()}{m[1:]}\n\n{table(f)}\n\nmbat: {summary(f)}." for m, f in groups.items())
    page = replaced(PAGE.read_text(encoding="utf-8"), "quality: tables", f"\n{tables}\n")
    parts = {name: results for name, results in variants.items() if name != "Default"}
    page = replaced(page, "quality: ablation", f"\n{ablations(parts, baselines)}\n")
    PAGE.write_text(page, encoding="utf-8")
    draw({m: found for m, found in groups.items() if m != "matching recall@10"}, PICTURE)


if __name__ == "__main__":
    main()

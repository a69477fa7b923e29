"""What the README and the examples show is what happens."""

from __future__ import annotations

import doctest
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from mbat.filters import parse_filter

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def section(marker: str, page: str = README) -> str:
    """Return the code block after a marker."""
    match = re.search(rf"<!-- {marker} -->\n```\w+\n(.*?)\n```", page, re.DOTALL)
    assert match is not None
    return match[1]


def test_the_python_of_the_readme_runs_as_shown() -> None:
    failures, tried = doctest.testfile(str(ROOT / "README.md"), module_relative=False, encoding="utf-8")
    assert tried >= 8
    assert failures == 0


def rows_of_the_page_on_filters() -> list[tuple[str, list[str], list[str]]]:
    """Return each filter of the tables with the documents that it holds of, and those that it does not."""
    page = (ROOT / "docs/filters.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?) \| (`.*?) \| (`.*?) \|$", page, re.MULTILINE)
    columns = [[re.findall("`(.+?)`", cell) for cell in row] for row in rows]
    return [(text, yes, no) for texts, yes, no in columns for text in texts if " " in text]


@pytest.mark.parametrize(("text", "yes", "no"), rows_of_the_page_on_filters())
def test_a_filter_holds_of_what_its_page_says(text: str, yes: list[str], no: list[str]) -> None:
    wanted = parse_filter(text)
    assert [document for document in [*yes, *no] if wanted.matches(json.loads(document))] == yes


def test_the_page_on_filters_has_tables_and_python_that_runs_as_shown() -> None:
    assert len(rows_of_the_page_on_filters()) >= 40
    failures, tried = doctest.testfile(str(ROOT / "docs/filters.md"), module_relative=False, encoding="utf-8")
    assert tried >= 5
    assert failures == 0


@pytest.mark.parametrize("page", ["pictures.md", "decoding.md", "featurizer.md"])
def test_the_pictures_of_a_page_are_there_and_of_moderate_size(page: str) -> None:
    pictures = re.findall(r"!\[.+?\]\((.+?)\)", (ROOT / "docs" / page).read_text(encoding="utf-8"))
    assert pictures
    assert all(0 < (ROOT / "docs" / picture).stat().st_size < 200_000 for picture in pictures)


@pytest.mark.parametrize(
    ("page", "least"),
    [("explaining", 10), ("duplicates", 3), ("decoding", 6), ("featurizer", 10), ("gpu", 4), ("milvus", 7)],
)
def test_the_python_of_a_page_runs_as_shown(page: str, least: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    failures, tried = doctest.testfile(str(ROOT / f"docs/{page}.md"), module_relative=False, encoding="utf-8")
    assert tried >= least
    assert failures == 0


SESSIONS = [
    ("README.md", 4),
    ("docs/explaining.md", 4),
    ("docs/duplicates.md", 6),
    ("docs/decoding.md", 3),
    ("docs/milvus.md", 3),
]


@pytest.mark.parametrize(("page", "count"), SESSIONS)
def test_a_session_prints_what_is_shown(page: str, count: int, tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    text = (ROOT / page).read_text(encoding="utf-8")
    shown_session = "\n".join(re.findall(r"^```console\n(.*?)\n```", text, re.DOTALL | re.MULTILINE))
    turns = re.findall(r"^\$ mbat (.*)\n((?:(?!\$ ).*\n)*)", shown_session + "\n", re.MULTILINE)
    assert len(turns) == count
    for arguments, shown in turns:
        run = subprocess.run(
            [sys.executable, "-c", "from mbat_cli.main import main; main()", *shlex.split(arguments)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=True,
        )
        assert run.stdout == shown


def test_the_plan_for_a_billion_documents_has_the_figures_of_its_script() -> None:
    page = (ROOT / "docs/billion.md").read_text(encoding="utf-8")
    plans = re.search("<!-- plan -->\n(.*)<!-- plan: --dim 256 -->\n.*?\n\n(.*)<!-- /plan -->", page, re.DOTALL)
    assert plans is not None
    for options, shown in zip([[], ["--dim", "256"]], plans.groups(), strict=True):
        command = [sys.executable, str(ROOT / "examples/plan.py"), *options]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == shown.strip()


def test_code_comes_before_line_25_of_the_readme() -> None:
    assert "```sh" in README.splitlines()[:25]


EXAMPLES = {
    "anomalies.py": ["DELETE", "9000", "panic"],
    "classify.py": ["Right for 9"],
    "few_labels.py": ["18 labels by hand, 175 spread from them"],
    "plan.py": ["| build the index | 4.10 TB | 2.18 TB |"],
    "quickstart.py": ["Paraguay", "Helsinki"],
    "regress.py": ["five folds: 0.4"],
    "torch_dataset.py": ["Epoch 5"],
}


def test_no_example_is_left_out() -> None:
    assert sorted(path.name for path in (ROOT / "examples").glob("*.py")) == list(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_example_runs_and_fits_on_a_screen(name: str) -> None:
    path = ROOT / "examples" / name
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
    if "import torch" in text:
        pytest.importorskip("torch")
    run = subprocess.run([sys.executable, path], capture_output=True, text=True, encoding="utf-8", check=False)
    assert run.returncode == 0, run.stderr
    assert all(shown in run.stdout for shown in EXAMPLES[name]), run.stdout

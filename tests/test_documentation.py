"""What the README and the examples show is what happens."""

from __future__ import annotations

import doctest
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def section(marker: str) -> str:
    """Return the code block after a marker."""
    match = re.search(rf"<!-- {marker} -->\n```\w+\n(.*?)\n```", README, re.DOTALL)
    assert match is not None
    return match[1]


def test_the_python_of_the_readme_runs_as_shown() -> None:
    failures, tried = doctest.testfile(str(ROOT / "README.md"), module_relative=False, encoding="utf-8")
    assert tried >= 8
    assert failures == 0


def test_the_session_of_the_readme_prints_what_it_shows(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    turns = re.findall(r"^\$ mbat (.*)\n((?:(?!\$ ).*\n)*)", section("session") + "\n", re.MULTILINE)
    assert len(turns) == 3
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


def test_code_comes_before_line_25_of_the_readme() -> None:
    assert "```sh" in README.splitlines()[:25]


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_each_example_runs(path: Path) -> None:
    run = subprocess.run([sys.executable, path], capture_output=True, text=True, encoding="utf-8", check=False)
    assert run.returncode == 0, run.stderr
    assert "Paraguay" in run.stdout
    assert "Helsinki" in run.stdout

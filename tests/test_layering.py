"""Who may import whom."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {"mbat": ROOT / "mbat", "mbat_indexes": ROOT / "indexes/mbat_indexes", "mbat_cli": ROOT / "cli/mbat_cli"}
FILES = {path: name for name, folder in PACKAGES.items() for path in sorted(folder.rglob("*.py"))}


def imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize(("package", "never"), [("mbat_indexes", {"mbat", "mbat_cli"}), ("mbat", {"mbat_cli"})])
def test_dependencies_go_one_way(package: str, never: set[str]) -> None:
    assert not {path.name for path, name in FILES.items() if name == package and imports(path) & never}


HOMES = {
    "faiss": {"faiss_library.py"},
    "sqlite3": {"database.py", "store.py", "writable_store.py"},
    "pickle": set(),
    "sklearn": {"sklearn.py"},
    "pandas": set(),
    "polars": set(),
}


@pytest.mark.parametrize(("module", "homes"), HOMES.items())
def test_one_place_knows_each_store(module: str, homes: set[str]) -> None:
    assert {path.name for path in FILES if module in imports(path)} == homes


def test_the_encoder_loads_nothing_heavy_before_it_is_used() -> None:
    program = "import sys, mbat.encoder; print({'faiss', 'numba', 'scipy', 'sqlite3'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_modules_stay_small() -> None:
    long = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert max(long.values()) <= 420, long

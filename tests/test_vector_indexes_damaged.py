"""Files that are not what they should be: an error, never a crash."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import faiss
import numpy as np
import pytest

from mbat_indexes import KINDS, IndexFileError, load_index, segment_files
from tests.vector_oracle import assert_equal, made, spread_ids, units

kinds = pytest.mark.parametrize("kind", KINDS)

CUT = """
import sys
from pathlib import Path
from mbat_indexes import IndexFileError, load_index, segment_files

kind, path = sys.argv[1], Path(sys.argv[2])
for file in segment_files(kind, path):
    whole = file.read_bytes()
    sizes = [0, 1, 3, 4, 8, 20, 36, 37, 40, 60, 90, 200, len(whole) // 2, len(whole) - 8, len(whole) - 1]
    for damaged in [*(whole[:size] for size in sizes), whole + b"x", whole + whole]:
        file.unlink()
        file.write_bytes(damaged)
        try:
            load_index(kind, path)
        except IndexFileError:
            print("refused")
    file.write_bytes(whole)
print(len(load_index(kind, path)))
"""

FLIPPED = """
import sys, random
from pathlib import Path
import numpy as np
from mbat_indexes import IndexFileError, load_index, segment_files

kind, path = sys.argv[1], Path(sys.argv[2])
draw = random.Random(0)
queries = np.eye(24, dtype=np.float32)
for file in segment_files(kind, path):
    whole = file.read_bytes()
    places = [*range(min(160, len(whole))), *draw.sample(range(len(whole)), 150), *range(len(whole) - 40, len(whole))]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << draw.randrange(8)
        file.unlink()
        file.write_bytes(damaged)
        try:
            load_index(kind, path).search(queries, 30)
        except IndexFileError as error:
            assert str(error).strip(), place
    file.write_bytes(whole)
print(len(load_index(kind, path)))
"""


def run(program: str, kind: str, path: Path) -> list[str]:
    done = subprocess.run([sys.executable, "-c", program, kind, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@kinds
def test_a_file_cut_short_or_too_long_is_refused(kind: str, tmp_path: Path) -> None:
    made(kind, tmp_path / "file", spread_ids(300), units(300))
    files = len(segment_files(kind, tmp_path / "file"))
    refused = 15 if kind == "exact" else 17 * files  # a zip file may have something after it
    assert run(CUT, kind, tmp_path / "file") == ["refused"] * refused + ["300"]


@kinds
def test_a_flipped_bit_never_ends_the_process(kind: str, tmp_path: Path) -> None:
    made(kind, tmp_path / "file", spread_ids(300), units(300))
    assert run(FLIPPED, kind, tmp_path / "file") == ["300"]


@pytest.mark.parametrize("kind", ["ivf", "ivf-fp16", "ivf-rabitq", "ivf-pq"])
def test_a_file_that_says_itself_where_its_vectors_lie_is_refused(kind: str, tmp_path: Path) -> None:
    made(kind, tmp_path / "file", spread_ids(300), units(300))
    index = faiss.read_index(str(tmp_path / "file"))
    inner = faiss.extract_index_ivf(faiss.downcast_index(index.index))
    inner.make_direct_map()
    faiss.copy_array_to_vector(np.zeros(300, dtype=np.int64), inner.direct_map.array)
    (tmp_path / "file").unlink()
    faiss.write_index(index, str(tmp_path / "file"))
    with pytest.raises(IndexFileError, match="says where its vectors lie"):
        load_index(kind, tmp_path / "file")


@pytest.mark.parametrize("bit", [0, 3, 5])
@pytest.mark.parametrize("at", [4, 6, 8, 10, 11, 24])
def test_a_flipped_bit_in_what_a_zip_file_says_of_its_members_is_refused_or_harmless(
    at: int, bit: int, tmp_path: Path
) -> None:
    before = made("exact", tmp_path / "file", spread_ids(9), units(9)).search(units(1), 9)
    content = bytearray((tmp_path / "file").read_bytes())
    content[content.find(b"PK\1\2") + at] ^= 1 << bit
    (tmp_path / "file").write_bytes(content)
    try:
        found = load_index("exact", tmp_path / "file").search(units(1), 9)
    except IndexFileError as error:
        assert "is not an exact index, or damaged: " in str(error)  # noqa: PT017, both outcomes are right
    else:
        assert_equal(found, before)


@kinds
def test_a_missing_file_is_an_error(kind: str, tmp_path: Path) -> None:
    made(kind, tmp_path / "file", spread_ids(300), units(300))
    for file in segment_files(kind, tmp_path / "file"):
        content = file.read_bytes()
        file.unlink()
        with pytest.raises(IndexFileError, match="file"):
            load_index(kind, tmp_path / "file")
        file.write_bytes(content)


@kinds
def test_the_files_of_a_segment_are_all_there_are(kind: str, tmp_path: Path) -> None:
    made(kind, tmp_path / "file", spread_ids(300), units(300))
    assert sorted(tmp_path.iterdir()) == sorted(segment_files(kind, tmp_path / "file"))


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    for kind in KINDS:
        made(kind, tmp_path / kind, spread_ids(300), units(300))
    for kind in KINDS:
        for other in set(KINDS) - {kind}:
            for file, copy in zip(
                segment_files(other, tmp_path / other), segment_files(other, tmp_path / "copy"), strict=True
            ):
                shutil.copy(file, copy)
            with pytest.raises(IndexFileError):
                load_index(kind, tmp_path / "copy")

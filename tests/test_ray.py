"""On a real cluster of Ray, on this machine: what one process gives, to the last bit, for any number of partitions."""

from __future__ import annotations

import doctest
import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from mbat import Encoder, IndexExistsError, MbatError, ParameterError, SourceError
from mbat.sources import Reader
from mbat_cli.main import cli, run

ROOT = Path(__file__).parent.parent

ray = pytest.importorskip("ray")
mbat_ray = pytest.importorskip("mbat.ray")

pytestmark = pytest.mark.filterwarnings("ignore:::ray")

DOCUMENTS: list[Any] = [
    {"name": f"Åsa No {i % 50}", "n": i, "big": 2**60 + i, "at": [None, i / 3][i % 2], "deep": {"x": [f"{i}", "y\n"]}}
    for i in range(900)
]
for document in DOCUMENTS[::7]:
    del document["at"]


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def mbat(*arguments: str) -> int:
    return run(lambda **options: cli.main(list(arguments), prog_name="mbat", **options))


def lines(documents: list[Any]) -> bytes:
    return b"\n".join(map(orjson.dumps, documents))


def files_of_all_kinds() -> list[str]:
    Path("a.jsonl").write_bytes(lines(DOCUMENTS[:400]))
    Path("b.jsonl.gz").write_bytes(gzip.compress(lines(DOCUMENTS[400:500])))
    Path("none.jsonl").write_bytes(b"\n")
    Path("c.json").write_text(json.dumps(DOCUMENTS[500:600], indent=1))
    pq.write_table(pa.Table.from_pylist(DOCUMENTS[600:]), "d.parquet", row_group_size=120)
    return ["a.jsonl", "b.jsonl.gz", "none.jsonl", "c.json", "d.parquet"]


def read(folder: str) -> Any:
    return pa.concat_tables([pq.read_table(path) for path in sorted(Path(folder).glob("*.parquet"))])


def vectors(table: Any) -> NDArray[np.float32]:
    rows: NDArray[np.float32] = table["vector"].combine_chunks().flatten().to_numpy().reshape(table.num_rows, -1)
    return rows


@pytest.mark.parametrize(("piece", "workers", "parts"), [(1 << 20, 1, 7), (4096, 2, 16)])
def test_files_give_what_one_process_gives_whatever_the_pieces_and_workers(
    piece: int, workers: int, parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mbat.ray.files._LEAST", piece)
    monkeypatch.setattr("mbat.ray.files._MOST", piece)
    files = files_of_all_kinds()
    records = list(Reader(files))
    one = Encoder().fit(record.document for record in records)
    told: list[tuple[str, int, int | None]] = []
    done = mbat_ray.encode_files(files, "out", workers=workers, progress=lambda *state: told.append(state))
    assert done == (900, 0, one)
    assert done.encoder.fingerprint == Encoder.load("out/encoder").fingerprint == one.fingerprint
    table = read("out")
    assert table.schema.field("vector").type == pa.list_(pa.float32(), 1024)
    assert table.column_names == ["id", "vector", "document"]
    assert table["id"].to_pylist() == [str(i) for i in range(900)]
    assert table["document"].to_pylist() == [record.text.decode() for record in records]
    assert vectors(table).tobytes() == one.encode([record.document for record in records]).tobytes()
    assert len(list(Path("out").glob("*.parquet"))) == parts
    assert told[-1] == ("encode", 900, 900)
    assert sorted(path.name for path in Path().iterdir()) == sorted([*files, "out"])


def test_an_encoder_that_is_given_is_used_as_it_is_and_ids_are_those_of_the_field() -> None:
    Path("a.jsonl").write_bytes(lines(DOCUMENTS))
    encoder = Encoder(dim=64).fit(DOCUMENTS[:9])
    Path("out").mkdir()
    done = mbat_ray.encode_files(["a.jsonl"], "out", encoder, id_field="n")
    assert done == (900, 0, encoder)
    assert read("out")["id"].to_pylist() == [str(i) for i in range(900)]
    assert vectors(read("out")).tobytes() == encoder.encode(DOCUMENTS).tobytes()


def test_no_documents_are_an_empty_table() -> None:
    Path("none.jsonl").touch()
    assert mbat_ray.encode_files(["none.jsonl"], "out", Encoder(dim=16))[:2] == (0, 0)
    assert read("out").num_rows == 0
    assert read("out").column_names == ["id", "vector", "document"]


TOO_DEEP = b"[" * 600 + b"]" * 600


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b'{"n": 7, "a', r"^a\.jsonl, line 301: not JSON, unexpected end of data at character 12\.$"),
        (b'{"m": 7}', r"^a\.jsonl, line 301: there is nothing at the id field n; an id is a string or an integer\.$"),
        (b'{"n": 1, "deep": ' + TOO_DEEP + b"}", r"^a\.jsonl, line 301, at \$\.deep.*: the document is nested deeper"),
    ],
    ids=["no JSON", "no id", "too deep"],
)
def test_a_broken_line_is_told_with_file_and_line_and_leaves_nothing_behind(
    line: bytes, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mbat.ray.files._MOST", 4096)
    monkeypatch.setattr("mbat.ray.files._LEAST", 4096)
    Path("a.jsonl").write_bytes(b"\n".join([lines(DOCUMENTS[:300]), line, lines(DOCUMENTS[300:]), b"}"]))
    with pytest.raises(SourceError, match=sentence):
        mbat_ray.encode_files(["a.jsonl"], "out", Encoder(dim=16), id_field="n")
    assert [path.name for path in Path().iterdir()] == ["a.jsonl"]


def test_broken_lines_that_may_be_left_out_are_counted_and_not_numbered(capfd: pytest.CaptureFixture[str]) -> None:
    Path("a.jsonl").write_bytes(b"\n".join([lines(DOCUMENTS[:3]), b"{", lines(DOCUMENTS[3:9]), b"}", b"[]"]))
    assert mbat("encode", "a.jsonl", "-o", "out", "--engine", "ray", "--on-error", "skip", "--workers", "2") == 0
    assert capfd.readouterr().err.splitlines()[-1] == "Encoded 10 documents: out, 2 left out"
    assert read("out")["id"].to_pylist() == [str(i) for i in range(10)]
    assert Encoder.load("out/encoder") == Encoder().fit([*DOCUMENTS[:9], []])


def test_what_ends_a_worker_is_one_sentence() -> None:
    def broken(texts: list[str]) -> NDArray[np.float32]:
        if len(texts) > 1:  # it is tried when the encoder is made
            raise LookupError("no such model")
        return np.ones((len(texts), 2), dtype=np.float32)

    Path("a.jsonl").write_bytes(lines([{"a": "some words"}, {"a": "more words"}]))
    with pytest.raises(MbatError, match=r"^Ray has ended the work, LookupError: no such model$"):
        mbat_ray.encode_files(["a.jsonl"], "out", Encoder(dim=16, text=broken), id_field="a")
    assert [path.name for path in Path().iterdir()] == ["a.jsonl"]


def test_what_cannot_be_done_is_refused_before_any_work() -> None:
    Path("a.jsonl").write_bytes(b"1")
    Path("full").mkdir()
    Path("full/file").touch()
    Path("link").symlink_to("none")
    os.mkfifo("pipe.jsonl")
    for kind, sentence, files, output, options in [
        (ParameterError, "files is the names of at least one file", [], "out", {}),
        (ParameterError, "workers is how many workers Ray starts", ["a.jsonl"], "out", {"workers": 0}),
        (ParameterError, "encoder is an mbat.Encoder; 'e' is not", ["a.jsonl"], "out", {"encoder": "e"}),
        (ParameterError, "on_error is 'stop' or 'skip'", ["a.jsonl"], "out", {"on_error": "go"}),
        (SourceError, "Standard input cannot be read by the workers of Ray", ["-"], "out", {}),
        (SourceError, "There is no file b.jsonl", ["b.jsonl"], "out", {}),
        (IndexExistsError, "There is something at .*/full. Name another folder", ["a.jsonl"], "full", {}),
        (IndexExistsError, r"There is something at .*/a\.jsonl", ["a.jsonl"], "a.jsonl", {}),
        (IndexExistsError, "There is something at .*/link", ["a.jsonl"], "link", {}),
        (MbatError, "cannot be written to .*/no/out: .*/no is no folder that may be", ["a.jsonl"], "no/out", {}),
        (SourceError, "pipe.jsonl cannot be read in pieces", ["a.jsonl", "pipe.jsonl"], "out", {}),
        (ParameterError, r"files is the names of files, as \['a.jsonl'\], and not one", "a.jsonl", "out", {}),
    ]:
        with pytest.raises(kind, match=sentence):
            mbat_ray.encode_files(files, output, **options)
    assert sorted(path.name for path in Path().iterdir()) == ["a.jsonl", "full", "link", "pipe.jsonl"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--workers", "2", "-o", "v.npy"], "--address and --workers are for --engine ray."),
        (["--address", "auto", "-o", "v.npy"], "--address and --workers are for --engine ray."),
        (["--engine", "ray", "-o", "v.npy"], "With --engine ray the output is a folder of Parquet files; v.npy is the"),
        (["--engine", "ray", "-o", "v", "--config", "c", "--encoder", "e"], "Give --config, for a new encoder, or"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(
    arguments: list[str], sentence: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert mbat("encode", "a.jsonl", *arguments) == 2
    assert sentence in capfd.readouterr().err


def test_a_missing_extra_is_told_before_any_work() -> None:
    program = "import sys; sys.modules['ray'] = None; from mbat_cli.main import main; main()"
    command = [sys.executable, "-c", program, "encode", "a.jsonl", "--engine", "ray", "-o", "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    told = "Error: Working on Ray needs ray, which is not installed. Run: pip install 'mbat[ray]'\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", told)


def dataset(texts: list[Any], blocks: int) -> Any:
    return ray.data.from_arrow([pa.table({"text": texts[start::blocks]}) for start in range(blocks)])


@pytest.mark.parametrize("blocks", [1, 5])
def test_an_encoder_fitted_on_a_dataset_is_that_of_one_process_whatever_its_blocks(blocks: int) -> None:
    encoder = Encoder(dim=64, softness=1.0).fit(["something else"])
    texts = dataset([json.dumps(one) for one in DOCUMENTS], blocks)
    fitted = mbat_ray.fit(texts, encoder)
    assert not texts.context.execution_options.preserve_order
    assert fitted == Encoder(dim=64, softness=1.0).fit(DOCUMENTS)
    assert encoder == Encoder(dim=64, softness=1.0).fit(["something else"])


def test_a_dataset_of_texts_is_encoded_with_ids_and_documents() -> None:
    encoder = Encoder(dim=64).fit(DOCUMENTS)
    texts = [*map(json.dumps, DOCUMENTS)]
    encoded = mbat_ray.encode(dataset(texts, 2), encoder, id_field="n", workers=1)
    table = pa.concat_tables(ray.get(encoded.to_arrow_refs())).sort_by("document")
    order = sorted(range(900), key=lambda i: texts[i])
    assert table.column_names == ["id", "vector", "document"]
    assert table["id"].to_pylist() == [str(i) for i in order]
    assert table["document"].to_pylist() == [texts[i] for i in order]
    assert vectors(table).tobytes() == encoder.encode([DOCUMENTS[i] for i in order]).tobytes()


@pytest.mark.parametrize("nulls", ["missing", "null"])
def test_rows_are_documents_and_nulls_are_what_they_are_said_to_be(nulls: Any) -> None:
    documents = [{"a": i, "b": [None, "x"][i % 2]} for i in range(40)]
    table = pa.Table.from_pylist(documents)
    rows = ray.data.from_arrow([table.slice(0, 30), table.slice(30)])
    one = Encoder(dim=64).fit_table(table, nulls)
    assert mbat_ray.fit(rows, Encoder(dim=64), None, nulls=nulls) == one
    kept = documents if nulls == "null" else [{k: v for k, v in d.items() if v is not None} for d in documents]
    [encoded] = ray.get(mbat_ray.encode(rows.repartition(1), one, None, nulls=nulls, workers=1).to_arrow_refs())
    assert list(map(json.loads, encoded["document"].to_pylist())) == kept
    assert vectors(encoded).tobytes() == one.encode(kept).tobytes()


@pytest.mark.parametrize(
    ("texts", "column", "kind", "sentence"),
    [
        (['{"a": 1}', '{"a":'], "text", SourceError, r'^The dataset, the document that begins \{"a":: not JSON, unexp'),
        (["1", TOO_DEEP.decode()], "text", SourceError, r"^The dataset, the document that begins \[\[.*, at \$.*deep"),
        (["1", None], "text", SourceError, r"^The dataset, the document, at \$: the text is missing; leave such rows"),
        (["1"], "json", ParameterError, r"^The dataset has no column 'json'; it has text\. Name that of the JSON text"),
        ([b"1"], None, SourceError, r"^At \$\.text: a column of type binary has no form in JSON"),
        ([1], "text", ParameterError, r"^The column 'text' is of type int64 and holds no texts\.$"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_dataset_is_one_sentence(
    texts: list[Any], column: str | None, kind: type[MbatError], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence) as caught:
        mbat_ray.fit(dataset(texts, 1), column=column)
    assert type(caught.value) is kind


def test_lines_of_files_are_told_with_their_file_and_left_out_if_they_may_be(caplog: pytest.LogCaptureFixture) -> None:
    Path("a.jsonl").write_bytes(lines(DOCUMENTS) + b"\n{")
    texts = ray.data.read_text(str(Path("a.jsonl").resolve()), include_paths=True)
    with pytest.raises(SourceError, match=r"^/.*/a\.jsonl, the document that begins \{: not JSON"):
        mbat_ray.fit(texts)
    assert mbat_ray.fit(texts, on_error="skip") == Encoder().fit(DOCUMENTS)
    assert "1 of 901 documents are broken and were left out." in caplog.messages
    assert mbat_ray.encode(texts, Encoder(dim=16), on_error="skip").count() == 900


def test_an_error_while_a_dataset_is_encoded_is_one_of_ours() -> None:
    with pytest.raises(SourceError, match=r"the document that begins \{: not JSON"):
        mbat_ray.encode(dataset(["{"], 1), Encoder(dim=16)).take_all()


def test_arguments_of_datasets_are_checked_at_once() -> None:
    texts = dataset(["1"], 1)
    with pytest.raises(ParameterError, match="nulls is 'missing' or 'null', not 'none'"):
        mbat_ray.fit(texts, nulls="none")
    with pytest.raises(ParameterError, match="workers is how many workers Ray starts"):
        mbat_ray.encode(texts, Encoder(), workers=True)
    for work in (mbat_ray.fit, mbat_ray.encode):
        with pytest.raises(ParameterError, match=r"encoder is an mbat\.Encoder; 'json' is not\."):
            work(texts, "json")


MBAT = f'"{sys.executable}" -c "from mbat_cli.main import main; main()"'


def test_a_cluster_that_is_there_finds_files_by_their_relative_names() -> None:
    Path("a.jsonl").write_bytes(lines(DOCUMENTS[:9]) + b"\n{")
    address = ray.get_runtime_context().gcs_address
    command = f"{MBAT} encode a.jsonl --engine ray --address {address} --id-field n -o"
    stopped, left_out = (
        subprocess.Popen(["bash", "-c", f"{command} {rest}"], stderr=subprocess.PIPE, text=True)
        for rest in ("none", "out --on-error skip")
    )
    told = "Error: a.jsonl, line 10: not JSON, unexpected end of data at character 2.\n"
    assert (stopped.communicate()[1], stopped.returncode) == (told, 1)
    assert (left_out.communicate()[1], left_out.returncode) == ("Encoded 9 documents: out, 1 left out\n", 0)
    assert sorted(path.name for path in Path().iterdir()) == ["a.jsonl", "out"]
    assert read("out").num_rows == 9


def test_a_cluster_that_is_not_there_is_told_of() -> None:
    Path("a.jsonl").write_bytes(b"1")
    command = f"{MBAT} encode a.jsonl --engine ray --address 127.0.0.1:1 -o out"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: No Ray cluster can be used at 127.0.0.1:1: ")
    assert done.stderr.count("\n") == 1


def test_an_output_that_is_there_is_refused_before_a_cluster_is_asked_for() -> None:
    Path("a.jsonl").write_bytes(b"1")
    command = f"{MBAT} encode a.jsonl --engine ray --address 127.0.0.1:1 -o a.jsonl"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("Error: There is something at ")


def test_the_page_on_ray_shows_what_happens() -> None:
    page = ROOT / "docs/ray.md"
    countries = ROOT / "examples/countries.jsonl"
    failures, tried = doctest.testfile(
        str(page), module_relative=False, encoding="utf-8", globs={"countries": str(countries)}
    )
    assert tried >= 8
    assert failures == 0
    Path("countries.jsonl").symlink_to(countries)
    match = re.search(r"^```console\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert match is not None
    turns = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", match[1], re.MULTILINE)
    assert len(turns) == 2
    command = f'mbat() {{ {MBAT} "$@"; }}; '
    for line, shown in turns:
        done = subprocess.run(["bash", "-c", command + line], capture_output=True, text=True, check=True)
        assert done.stdout + done.stderr == shown

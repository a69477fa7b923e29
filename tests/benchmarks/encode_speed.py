"""What encoding costs, beside parsing and beside peers, on files of JSON lines.

    python tests/benchmarks/encode_speed.py FILE.jsonl... [--json OUT.json] [--runs 5] [--documents 12000] [--scaling]

All rows of a file are measured in turn, in one process, without other threads and with the garbage collector off, in
batches of 500 documents; figures are medians of the CPU time, in microseconds a document. The peers need scikit-learn.
"Scan" is the experiment that bounds what a parser of our own could gain: a compiled loop that finds every key and
value in the text, checks nothing and keeps no more than a hash. With --scaling, also time against the number of
documents and the length of the vectors, several processes, fresh processes and memory, some minutes.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
import orjson

from mbat import Encoder
from mbat.columns import Walker
from mbat.paths import PathTable
from mbat.pipeline import batched

BATCH: Final = 500
Rows = dict[str, float]


def flat_values(value: Any) -> Iterator[str]:
    """Yield the strings and numbers of a document as texts."""
    if isinstance(value, dict):
        for child in value.values():
            yield from flat_values(child)
    elif isinstance(value, list):
        for child in value:
            yield from flat_values(child)
    else:
        yield str(value)


def flatten(value: Any, path: str, leaves: list[tuple[str, Any]]) -> None:
    if type(value) is dict:
        for key, child in value.items():
            flatten(child, f"{path}.{key}", leaves)
    elif type(value) is list:
        for child in value:
            flatten(child, f"{path}[]", leaves)
    else:
        leaves.append((path, value))


def words_and_grams(document: Any) -> list[str]:
    tokens = []
    for text in flat_values(document):
        for word in text.lower().split():
            tokens.append(word)
            padded = f" {word} "
            tokens += [padded[i : i + 3] for i in range(len(padded) - 2)]
    return tokens


def encode(encoder: Encoder, documents: list[Any]) -> None:
    for _ in encoder.encode_batches([documents], threads=0):
        pass


def scanner() -> Callable[[np.ndarray], int]:
    """Return a compiled loop over JSON text, the least that a parser of one's own would do."""
    from numba import njit

    @njit(nogil=True)  # type: ignore[untyped-decorator]
    def scan(text: np.ndarray) -> int:
        total, i, n = 0, 0, len(text)
        while i < n:
            c = text[i]
            if c == 34:
                i += 1
                state = np.uint64(0)
                while text[i] != 34:
                    if text[i] == 92:
                        i += 1
                    state = (state ^ np.uint64(text[i])) * np.uint64(0x9E3779B97F4A7C15)
                    i += 1
                total += int(state >> np.uint64(60))
            elif c == 45 or 48 <= c <= 57:
                value = 0.0
                while text[i] == 45 or 46 <= text[i] <= 57:
                    value = 10.0 * value + text[i]
                    i += 1
                total += int(value) & 1
                continue
            i += 1
        return total

    scan(np.frombuffer(b'{"a":1}', dtype=np.uint8))
    return scan  # type: ignore[no-any-return]


def peers() -> dict[str, Callable[[list[bytes]], Any]]:
    """Return what scikit-learn does with the same lines, nothing if it is not there."""
    try:
        from sklearn.feature_extraction import FeatureHasher
        from sklearn.feature_extraction.text import HashingVectorizer
    except ImportError:
        return {}
    hasher = FeatureHasher(1024, input_type="string")
    vectorizer = HashingVectorizer(analyzer="char", ngram_range=(3, 3), n_features=1024)
    return {
        "loads + FeatureHasher, words and 3-grams": lambda lines: hasher.transform(
            [words_and_grams(orjson.loads(line)) for line in lines]
        ).toarray(),
        "HashingVectorizer, 3-grams of the line": lambda lines: vectorizer.transform(
            [line.decode() for line in lines]
        ).toarray(),
    }


def compared(path: Path, limit: int, runs: int) -> Rows:
    """Return CPU microseconds a document of each way to treat the lines of a file."""
    lines = [line for line in path.read_bytes().split(b"\n") if line][:limit]
    documents = [orjson.loads(line) for line in lines]
    encoder, scan, walker = Encoder().fit(documents), scanner(), Walker(PathTable(0))
    encode(encoder, documents[:2000])

    def parsed(some: list[bytes]) -> list[Any]:
        return [orjson.loads(line) for line in some]

    def flat(some: list[bytes]) -> None:
        for document in parsed(some):
            flatten(document, "$", [])

    ways: dict[str, Callable[[list[bytes]], Any]] = {
        "orjson.loads": lambda some: [orjson.loads(line) for line in some] and None,
        "loads + flatten": flat,
        "loads + columns": lambda some: walker.columns(parsed(some)),
        "loads + encode": lambda some: encode(encoder, parsed(some)),
        "scan": lambda some: scan(np.frombuffer(b"\n".join(some), dtype=np.uint8)),
        **peers(),
    }
    times: dict[str, list[float]] = {name: [] for name in (*ways, "encode", "fit")}
    gc.collect()
    gc.disable()
    for _ in range(runs):
        for name, way in ways.items():
            times[name].append(sum(cpu(lambda way=way, some=some: way(some)) for some in batched(lines, BATCH)))
        times["encode"].append(cpu(lambda: encode_all(encoder, documents)))
        times["fit"].append(cpu(lambda: Encoder().fit(documents)))
    gc.enable()
    return {name: 1e6 * median(some) / len(lines) for name, some in times.items()}


def encode_all(encoder: Encoder, documents: list[Any]) -> None:
    for some in batched(documents, BATCH):
        encode(encoder, some)


def cpu(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def split(path: Path, limit: int) -> Rows:
    """Return where the time of an encoding goes, CPU microseconds a document."""
    lines = [line for line in path.read_bytes().split(b"\n") if line][:limit]
    encoder = Encoder().fit(map(orjson.loads, lines))
    encode(encoder, [orjson.loads(line) for line in lines[:2000]])
    preparer, spent = encoder._ready(), dict.fromkeys(("parse", "walk", "paths and points", "symbols", "bundle"), 0.0)
    for some in batched(lines, BATCH):
        marks = [time.process_time()]
        documents = [orjson.loads(line) for line in some]
        marks.append(time.process_time())
        columns = preparer.walker.columns(documents)
        marks.append(time.process_time())
        batch = preparer.prepare_again(columns)
        marks.append(time.process_time())
        for _ in encoder._symbols(batch):
            pass
        marks.append(time.process_time())
        encoder._encode_batch(batch)
        marks.append(time.process_time())
        steps = np.diff(marks)
        steps[4] -= steps[3]
        for name, step in zip(spent, steps, strict=True):
            spent[name] += step
    return {name: 1e6 * seconds / len(lines) for name, seconds in spent.items()}


def scaling(path: Path) -> dict[str, Any]:
    """Return times against numbers of documents, lengths and processes, of fresh processes, and memory."""
    lines = [line for line in path.read_bytes().split(b"\n") if line]
    encoder = Encoder().fit(map(orjson.loads, lines[:20000]))
    found: dict[str, Any] = {"documents a second by number": {}, "documents a second by length": {}}
    for count in (1_000, 10_000, 100_000, 1_000_000):
        documents = (orjson.loads(lines[i % len(lines)]) for i in range(count))
        start = time.perf_counter()
        for _ in encoder.encode_batches(batched(documents, BATCH)):
            pass
        found["documents a second by number"][count] = count / (time.perf_counter() - start)
    some = [orjson.loads(line) for line in lines[:10000]]
    for dim in (256, 512, 1024, 2048, 4096):
        made = Encoder(dim).fit(some)
        encode(made, some[:500])
        found["documents a second by length"][dim] = len(some) / cpu(lambda made=made: encode_all(made, some))
    found["processes"] = processes(encoder, lines)
    found["a warm query, ms"] = 1e3 * median(cpu(lambda: encoder.encode_one(some[7])) for _ in range(200))
    found["a fresh process over import numpy, numba"] = fresh()
    found["peak memory with a million distinct keys, MB"] = distinct_keys()
    return found


def processes(encoder: Encoder, lines: list[bytes]) -> dict[int, float]:
    """Return documents a second by number of worker processes, their start left out."""
    from mbat.processes import encoded, packed_texts

    rates = {}
    for workers in (1, 2):
        batches = [packed_texts(lines[start : start + 1024]) for start in range(0, len(lines), 1024)]
        rows = encoded(encoder, batches * max(1, 200_000 // len(lines)), workers)
        for _ in range(8):
            next(rows)  # by then all processes have loaded their kernels
        start, count = time.perf_counter(), 0
        for some in rows:
            count += len(some)
        rates[workers] = count / (time.perf_counter() - start)
    return rates


def fresh() -> float:
    """Return how long a process takes that encodes one document, over one that imports numpy and numba."""
    ours, theirs = "import mbat; mbat.Encoder().encode_one({'name': 'Bob', 'age': 7})", "import numpy, numba"

    def seconds(program: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", program], check=True)
        return time.perf_counter() - start

    return median(seconds(ours) / seconds(theirs) for _ in range(7))


def distinct_keys() -> float:
    """Return the peak memory of a process that encodes documents with a million keys, none twice, in MB."""
    if len(sys.argv) > 1 and sys.argv[1] == "--distinct-keys":
        documents = ({str(uuid.uuid4()): i, str(uuid.uuid4()): "value"} for i in range(500_000))
        for _ in Encoder().fit({"a": i} for i in range(10)).encode_batches(batched(documents, BATCH)):
            pass
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return 0.0
    run = subprocess.run([sys.executable, __file__, "--distinct-keys"], capture_output=True, text=True, check=True)
    return float(run.stdout)


def table(rows: Rows, unit: float) -> str:
    return "\n".join(f"| {name} | {value:.1f} | {value / unit:.1f} |" for name, value in rows.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--documents", type=int, default=12_000)
    parser.add_argument("--scaling", action="store_true")
    args = parser.parse_args()
    found: dict[str, Any] = {}
    for path in args.files:
        name = path.parent.name if path.stem == "documents" else path.stem
        rows, parts = compared(path, args.documents, args.runs), split(path, args.documents)
        found[name] = {"microseconds": rows, "split": parts}
        print(f"\n{name}\n\n| | us a document | times orjson.loads |\n|---|---:|---:|")
        print(table(rows, rows["orjson.loads"]))
        print("split: " + ", ".join(f"{part} {value:.1f}" for part, value in parts.items()), flush=True)
    if args.scaling:
        found["scaling"] = scaling(args.files[0])
        print(json.dumps(found["scaling"], indent=2))
    if args.json:
        args.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    if sys.argv[1:] == ["--distinct-keys"]:
        distinct_keys()
    else:
        main()

from __future__ import annotations

import json
import math
import os
import pickle
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mbat import DocumentError, Encoder, ParameterError, PathError
from mbat.binding import FAMILIES, Haar
from mbat.encoder import FORMAT_VERSION
from mbat.fitting import fit_keeping
from mbat.pipeline import batched
from tests import make_golden
from tests.json_strategies import batches, compiled, interpreted, paths
from tests.json_strategies import documents as any_document
from tests.make_golden import DOCUMENTS

ROOT = Path(__file__).parent.parent
RECORDS: list[Any] = list(DOCUMENTS.values())


@pytest.fixture(scope="module")
def fitted() -> Encoder:
    return Encoder(dim=64).fit(RECORDS)


UNFITTED = Encoder(dim=48)
FITTED = Encoder(dim=48).fit(RECORDS)
either = st.sampled_from((UNFITTED, FITTED))


@settings(deadline=None)
@given(either, batches)
def test_vectors_are_float32_rows_of_norm_one(encoder: Encoder, documents: list[Any]) -> None:
    rows = encoder.encode(documents)
    assert (rows.shape, rows.dtype) == ((len(documents), 48), np.float32)
    np.testing.assert_allclose(np.linalg.norm(rows.astype(np.float64), axis=1), 1.0, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(either, st.lists(any_document, max_size=7), st.integers(1, 8))
def test_a_row_depends_on_its_document_alone_whatever_the_batch_size(
    encoder: Encoder, documents: list[Any], size: int
) -> None:
    whole = encoder.encode(documents)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mbat.encoder.BATCH", size)
        assert encoder.encode(documents).tobytes() == whole.tobytes()
    assert encoder.encode(documents[::-1])[::-1].tobytes() == whole.tobytes()
    for document, row in zip(documents, whole, strict=True):
        assert encoder.encode_one(document).tobytes() == row.tobytes()


@settings(max_examples=40, deadline=None)
@given(batches.filter(bool), batches)
def test_a_row_does_not_depend_on_what_was_encoded_before(documents: list[Any], before: list[Any]) -> None:
    fresh = Encoder(dim=48)
    fresh.encode(before)
    assert fresh.encode(documents).tobytes() == UNFITTED.encode(documents).tobytes()


@settings(max_examples=60, deadline=None)
@given(either, st.dictionaries(st.text(max_size=3), any_document, min_size=2, max_size=6), st.randoms())
def test_the_order_of_keys_does_not_matter(encoder: Encoder, document: dict[str, Any], random: Any) -> None:
    keys = list(document)
    random.shuffle(keys)
    shuffled = {key: document[key] for key in keys}
    np.testing.assert_allclose(encoder.encode_one(shuffled), encoder.encode_one(document), atol=1e-6)


def test_the_order_of_elements_does_matter() -> None:
    a, b = Encoder().encode([["x", "y"], ["y", "x"]])
    assert 0.2 < float(a @ b) < 0.98


def test_no_documents_give_no_rows() -> None:
    for nothing in ([], (), iter([])):
        rows = Encoder(dim=20).encode(nothing)
        assert (rows.shape, rows.dtype) == ((0, 20), np.float32)
    assert [rows.shape for rows in Encoder(dim=20).encode_batches([[], ["x"], []])] == [(0, 20), (1, 20), (0, 20)]


def test_any_iterable_of_documents_is_read_once() -> None:
    encoder = Encoder(dim=32)
    expected = encoder.encode(RECORDS)
    assert encoder.encode(document for document in RECORDS).tobytes() == expected.tobytes()
    assert Encoder(dim=32).fit(iter(RECORDS)) == Encoder(dim=32).fit(RECORDS)


def test_batches_of_a_stream_have_the_rows_of_the_whole() -> None:
    encoder = Encoder(dim=32)
    rows = list(encoder.encode_batches(batched(RECORDS, 5)))
    assert [len(part) for part in rows] == [5] * (len(RECORDS) // 5) + [len(RECORDS) % 5]
    assert np.concatenate(rows).tobytes() == encoder.encode(RECORDS).tobytes()


IN_A_PROCESS = """
import json, sys
from mbat import Encoder
documents = json.load(sys.stdin)
plain, fitted = Encoder(dim=64), Encoder(dim=64).fit(documents)
vectors = [encoder.encode(documents).tobytes().hex() for encoder in (plain, fitted)]
print(json.dumps([*vectors, fitted.fingerprint]))
"""


def run_python(program: str, text: str, hash_seed: str) -> str:
    path = os.pathsep.join([str(ROOT), str(ROOT / "indexes"), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": path}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, input=text, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_processes_with_different_hash_seeds_give_the_same_bytes(fitted: Encoder) -> None:
    text = json.dumps(RECORDS)
    one, other = (json.loads(run_python(IN_A_PROCESS, text, seed)) for seed in ("1", "2"))
    assert one == other
    assert one == [
        Encoder(dim=64).encode(RECORDS).tobytes().hex(),
        fitted.encode(RECORDS).tobytes().hex(),
        fitted.fingerprint,
    ]


IN_THREADS = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from mbat import Encoder, kernels
kernels.INTERPRETED_WORK = -1
documents = json.load(sys.stdin)
encoder, barrier = Encoder(dim=64), Barrier(6)
def work(i):
    barrier.wait()
    return encoder.encode(documents).tobytes().hex()
with ThreadPoolExecutor(6) as pool:
    print(json.dumps(sorted(set(pool.map(work, range(6))))))
"""


def test_threads_that_start_the_first_compiled_encoding_at_once_agree() -> None:
    vectors = json.loads(run_python(IN_THREADS, json.dumps(RECORDS), "0"))
    assert vectors == [Encoder(dim=64).encode(RECORDS).tobytes().hex()]


def test_threads_that_meet_new_keys_at_once_agree() -> None:
    parts = [[{f"key {i % 40}": i, f"of {n}": [i, "x"]} for i in range(60)] for n in range(16)]
    expected = [Encoder(dim=32).encode(part).tobytes() for part in parts]
    encoder = Encoder(dim=32)
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda part: encoder.encode(part).tobytes(), parts))
    assert rows == expected


PARAMETERS: tuple[dict[str, Any], ...] = (
    {"dim": 128},
    {"seed": 1},
    {"softness": 0.25},
    {"binding": "haar"},
    {"strings": "words"},
    {"numbers": "symbol"},
)


@pytest.mark.parametrize("changed", PARAMETERS, ids=lambda changed: next(iter(changed)))
def test_each_parameter_changes_vectors_equality_and_fingerprint(changed: dict[str, Any]) -> None:
    base, other = Encoder(dim=64), Encoder(**{"dim": 64, **changed})
    assert other.parameters == {**base.parameters, **changed}
    assert base != other
    assert base.fingerprint != other.fingerprint
    documents = [{"a": "some words", "b": 3}]
    assert base.encode(documents).tobytes() != other.encode(documents).tobytes()


def test_encoders_of_equal_parameters_and_statistics_are_equal_with_equal_hashes_and_vectors(fitted: Encoder) -> None:
    assert Encoder(dim=64) == Encoder(dim=64, softness=0.5)
    assert hash(Encoder(dim=64)) == hash(Encoder(dim=64, softness=0.5)) == hash(fitted)
    assert Encoder(dim=64) != fitted
    again = Encoder(dim=64).fit(RECORDS[::-1])
    assert again == fitted
    assert again.fingerprint == fitted.fingerprint != Encoder(dim=64).fingerprint
    assert again.encode(RECORDS).tobytes() == fitted.encode(RECORDS).tobytes()
    assert Encoder() != "an encoder"


def test_softness_is_a_float_however_it_is_given() -> None:
    assert Encoder(softness=1) == Encoder(softness=1.0)
    assert repr(Encoder(softness=1)) == repr(Encoder(softness=1.0))
    assert Encoder(softness=1).fingerprint == Encoder(softness=1.0).fingerprint


def test_the_repr_tells_parameters_and_how_many_documents_were_fitted() -> None:
    start = "Encoder(dim=64, seed=3, softness=0.5, binding='signed-permutation', strings='text', numbers='scaled'"
    encoder = Encoder(64, 3)
    assert repr(encoder) == f"{start})"
    assert eval(repr(encoder)) == encoder
    assert repr(encoder.fit([{"a": 1}] * 1234)) == f"{start}, fitted on 1,234 documents)"


@pytest.mark.parametrize("binding", FAMILIES)
def test_a_pickled_encoder_is_equal_and_gives_the_same_bytes(binding: str) -> None:
    encoder = Encoder(dim=32, seed=2, softness=0.1, binding=binding, strings="words").fit(RECORDS)
    rows = encoder.encode(RECORDS[:3])
    again = pickle.loads(pickle.dumps(encoder))
    assert again == encoder
    assert again.fingerprint == encoder.fingerprint
    assert again.encode(RECORDS[:3]).tobytes() == rows.tobytes()


def test_a_saved_encoder_is_read_back_equal(fitted: Encoder, tmp_path: Path) -> None:
    fitted.save(tmp_path / "encoder")
    again = Encoder.load(tmp_path / "encoder")
    assert again == fitted
    assert again.encode(RECORDS).tobytes() == fitted.encode(RECORDS).tobytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dim": 15}, "dim is the length of the vectors, an integer from 16 to 65536; 15 is not."),
        ({"dim": 65537}, "dim is the length of the vectors, an integer from 16 to 65536; 65537 is not."),
        ({"dim": 64.0}, "dim is the length of the vectors, an integer from 16 to 65536; 64.0 is not."),
        ({"dim": True}, "dim is the length of the vectors, an integer from 16 to 65536; True is not."),
        ({"seed": -1}, "seed is an integer from 0 to 2**62 - 1; -1 is not."),
        ({"seed": 2**62}, "seed is an integer from 0 to 2**62 - 1; 4611686018427387904 is not."),
        ({"seed": "1"}, "seed is an integer from 0 to 2**62 - 1; '1' is not."),
        ({"softness": -0.1}, "softness is a number from 0 (strict) to 100 (keys hardly count); -0.1 is not."),
        ({"softness": 100.5}, "softness is a number from 0 (strict) to 100 (keys hardly count); 100.5 is not."),
        ({"softness": math.nan}, "softness is a number from 0 (strict) to 100 (keys hardly count); nan is not."),
        ({"softness": "soft"}, "softness is a number from 0 (strict) to 100 (keys hardly count); 'soft' is not."),
        ({"softness": None}, "softness is a number from 0 (strict) to 100 (keys hardly count); None is not."),
        ({"binding": "gauss"}, f"binding is one of {', '.join(map(repr, FAMILIES))}; 'gauss' is not."),
        ({"strings": "letters"}, "strings is one of 'text', 'words', 'symbol'; 'letters' is not."),
        ({"numbers": None}, "numbers is one of 'scaled', 'symbol'; None is not."),
    ],
)
def test_a_parameter_outside_its_range_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=f"^{re.escape(message)}$"):
        Encoder(**arguments)


@pytest.mark.parametrize("arguments", [{"dim": 16}, {"dim": 65536}, {"seed": 2**62 - 1}, {"softness": 100}])
def test_parameters_at_the_ends_of_their_ranges_work(arguments: dict[str, Any]) -> None:
    row = Encoder(**arguments).encode_one({"a": ["x", 1]})
    assert float(np.linalg.norm(row)) == pytest.approx(1.0, abs=1e-5)


RECORD = {"name": "Ann Lee", "city": "Rome", "age": 30, "pet": {"kind": "cat", "name": "Tom"}, "tags": ["red", "blue"]}


def best(encoder: Encoder, path: str, candidates: list[Any]) -> Any:
    return encoder.decode(encoder.encode_one(RECORD), path, candidates)[0][0]


@pytest.mark.parametrize("binding", FAMILIES)
@pytest.mark.parametrize("softness", [0.0, 0.5])
def test_a_field_is_read_back_out_of_a_vector(binding: str, softness: float) -> None:
    encoder = Encoder(dim=512, softness=softness, binding=binding)
    assert best(encoder, "city", ["Paris", "Rome", "Oslo"]) == "Rome"
    assert best(encoder, "age", [3, 30, 300]) == 30
    assert best(encoder, "pet.kind", ["dog", "cat", "fish"]) == "cat"
    assert best(encoder, "tags[]", ["green", "red", "white"]) == "red"


def test_strict_binding_tells_fields_of_the_same_name_apart() -> None:
    encoder = Encoder(dim=1024, softness=0.0)
    assert best(encoder, "name", ["Tom", "Ann Lee"]) == "Ann Lee"
    assert best(encoder, "pet.name", ["Tom", "Ann Lee"]) == "Tom"


def test_decoding_ranks_all_candidates_by_cosine() -> None:
    encoder = Encoder(dim=256, softness=0.0)
    vector = encoder.encode_one({"a": "x"})
    ranked = encoder.decode(vector, "a", ["y", "x", "z"])
    assert ranked[0] == ("x", pytest.approx(1.0, abs=1e-6))
    assert sorted(value for value, _ in ranked) == ["x", "y", "z"]
    assert [cosine for _, cosine in ranked] == sorted((cosine for _, cosine in ranked), reverse=True)
    held = encoder.unbind(vector, "a")
    for value, cosine in ranked:
        assert cosine == pytest.approx(float(encoder.encode_one(value) @ held), abs=1e-6)
    assert encoder.decode(vector, "a", []) == []
    assert encoder.decode(np.zeros(256), "a", ["x"]) == [("x", 0.0)]


def test_unbinding_keeps_the_norm_and_the_root_leaves_the_vector_as_it_is() -> None:
    encoder = Encoder(dim=64)
    vector: NDArray[np.float32] = encoder.encode_one(RECORD)
    assert encoder.unbind(vector, "$").tolist() == vector.tolist()
    assert float(np.linalg.norm(encoder.unbind(vector, "a.b[].c"))) == pytest.approx(1.0, abs=1e-6)
    with pytest.raises(PathError, match="not well formed"):
        encoder.unbind(vector, "a..b")


def test_a_batch_of_more_values_than_fit_at_once_has_the_rows_of_its_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    documents = [[1, "two"], {"a": ["x"] * 5}, 7, {}, [[1, 2], [3]], {"b": {"c": [None, True]}}]
    encoder = Encoder(dim=32, binding="haar")
    expected = encoder.encode(documents)
    monkeypatch.setattr("mbat.reference.MOST_VALUES", 7)
    np.testing.assert_allclose(encoder.encode(documents), expected, atol=1e-6)
    assert encoder.encode([]).shape == (0, 32)
    assert [rows.shape for rows in encoder.encode_batches([[], [1]])] == [(0, 32), (1, 32)]
    for position in (0, 3):
        too_large: list[Any] = [1, 2, 3]
        too_large.insert(position, ["x"] * 7)
        with pytest.raises(ParameterError, match=r"A document of 8 values is too large .* of at most 7"):
            encoder.encode(too_large)


def test_threads_that_crowd_the_cache_of_haar_matrices_get_the_right_ones() -> None:
    names = [i % 5 for i in range(10_000)]
    expected = [Haar(16).matrix(name).tobytes() for name in range(5)]
    crowded = Haar(16, cache_bytes=2 * 8 * 16 * 16)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda name: crowded.matrix(name).tobytes(), names))
    finally:
        sys.setswitchinterval(interval)
    assert found == [expected[name] for name in names]


@pytest.mark.parametrize("run", [compiled, interpreted])
def test_a_path_that_was_unbound_before_any_document_had_it_is_encoded_as_ever(run: Any) -> None:
    encoder, document = Encoder(dim=64), {"seller": {"town": "Oslo"}}
    with run():
        vector = encoder.encode_one({"seller": {"name": "Ann"}})
        encoder.decode(vector, "seller.town", ["Oslo"])
        assert encoder.encode_one(document).tobytes() == Encoder(dim=64).encode_one(document).tobytes()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(paths, any_document), max_size=5))
def test_what_was_unbound_before_changes_no_vector(turns: list[tuple[str, Any]]) -> None:
    encoder = Encoder(dim=48)
    with interpreted():
        for path, document in turns:
            row = encoder.encode_one(document)
            assert row.tobytes() == UNFITTED.encode_one(document).tobytes()
            encoder.unbind(row, path)


@pytest.mark.parametrize("size", [1, 2, 256])
def test_a_bad_document_is_named_by_its_number_and_path(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mbat.encoder.BATCH", size)
    message = "At document 2, $.b[1]: nan is not a JSON number; leave the field out or write null."
    documents = [{"a": 1}, "x", {"b": ["y", math.nan]}, {"c": {1}}]
    for refuse in (Encoder(dim=16).encode, Encoder(dim=16).fit):
        with pytest.raises(DocumentError, match=f"^{re.escape(message)}$") as caught:
            refuse(documents)
        assert (caught.value.path, caught.value.position) == ("$.b[1]", 2)


def test_a_bad_document_alone_is_named_by_its_path() -> None:
    message = "At $.b[0]: {1} of type set is not a JSON value."
    with pytest.raises(DocumentError, match=f"^{re.escape(message)}$") as caught:
        Encoder(dim=16).encode_one({"b": [{1}]})
    assert caught.value.position is None


def test_a_fit_that_fails_leaves_the_encoder_as_it_was(fitted: Encoder) -> None:
    before = fitted.fingerprint
    with pytest.raises(DocumentError):
        fitted.fit([{"a": 1}, b""])
    again = Encoder(dim=64).fit(RECORDS)
    assert fitted == again
    assert fitted.fingerprint == before == again.fingerprint


def test_a_new_fit_forgets_the_one_before() -> None:
    encoder = Encoder(dim=32).fit(["something else", 7])
    rows = encoder.encode(RECORDS)
    assert encoder.fit(RECORDS) is encoder
    assert encoder == Encoder(dim=32).fit(RECORDS)
    assert encoder.encode(RECORDS).tobytes() != rows.tobytes()
    assert encoder.encode(RECORDS).tobytes() == Encoder(dim=32).fit(RECORDS).encode(RECORDS).tobytes()
    assert encoder.fit([]) == Encoder(dim=32)


def test_many_paths_start_a_new_table_without_a_change_of_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    documents = [{f"key {i}": {f"{i % 3}": i}} for i in range(50)]
    expected = Encoder(dim=32).encode(documents)
    monkeypatch.setattr("mbat.preparing.MOST_PATHS", 10)
    monkeypatch.setattr("mbat.encoder.BATCH", 4)
    encoder = Encoder(dim=32)
    assert encoder.encode(documents).tobytes() == expected.tobytes()
    assert len(encoder._ready().walker.paths) < 30


def test_what_was_kept_is_refused_once_a_new_table_of_paths_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = Encoder(dim=32)
    kept = fit_keeping(encoder, [[{"a": 1}, {"b": "x"}]], 1 << 20)
    assert np.concatenate(list(encoder.encode_kept(kept))).tobytes() == encoder.encode([{"a": 1}, {"b": "x"}]).tobytes()
    monkeypatch.setattr("mbat.preparing.MOST_PATHS", 2)
    encoder.encode([{"c": 1}])
    with pytest.raises(ParameterError, match=r"kept before many others were encoded\. Encode them anew"):
        list(encoder.encode_kept(kept))


@pytest.mark.parametrize("name", ["unfitted", "fitted"])
@pytest.mark.parametrize("run", [compiled, interpreted])
def test_vectors_are_the_golden_ones_to_the_last_bit(name: str, run: Any) -> None:
    expected = make_golden.read(name)
    assert list(expected) == list(DOCUMENTS)
    with run():
        rows = make_golden.golden_encoder(name == "fitted").encode(DOCUMENTS.values())
    different = [
        document for document, row in zip(DOCUMENTS, rows, strict=True) if row.tobytes() != expected[document].tobytes()
    ]
    assert different == []


def test_the_golden_vectors_are_of_this_format_and_all_distinct() -> None:
    assert json.loads(make_golden.GOLDEN.read_text(encoding="utf-8"))["format_version"] == FORMAT_VERSION
    rows = [row.tobytes() for name in ("unfitted", "fitted") for row in make_golden.read(name).values()]
    assert len(set(rows)) > len(DOCUMENTS)
    unfitted = make_golden.read("unfitted")
    assert len({row.tobytes() for row in unfitted.values()}) == len(DOCUMENTS)


@pytest.mark.parametrize(
    ("one", "other"),
    [("caf\u00e9", "cafe\u0301"), ("\ufb01ne", "fine"), ("\uff21\uff22\uff11", "AB1"), ("\u1100\u1161", "\uac00")],
)
def test_texts_of_the_same_unicode_compatibility_form_are_the_same(one: str, other: str) -> None:
    a, b = Encoder(dim=64).encode([{"k": one, "l": ["x"]}, {"k": other, "l": ["x"]}])
    assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("documents", [{"name": "Bob"}, "abc", b"{}", 5, None])
def test_what_is_no_list_of_documents_is_refused(documents: Any) -> None:
    for refuse in (Encoder(dim=16).encode, Encoder(dim=16).fit):
        with pytest.raises(ParameterError, match="Several documents are expected, a list of them; a "):
            refuse(documents)


@pytest.mark.parametrize(
    ("vector", "reason"),
    [
        (np.zeros(5), r"of 64 numbers, and not one of shape \(5,\)"),
        (np.zeros((1, 64)), r"and not one of shape \(1, 64\)"),
        (np.full(64, np.nan), "and not one with numbers that are not finite"),
        ("x", "A vector is an array of 64 numbers: could not convert"),
    ],
)
def test_what_is_no_vector_of_the_encoder_is_not_read_back(vector: Any, reason: str) -> None:
    with pytest.raises(ParameterError, match=reason):
        Encoder(dim=64).decode(vector, "a", ["x"])

"""The transformer does what scikit-learn expects of one, and what the encoder does."""

from __future__ import annotations

import io
import json
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from mbat import (
    DocumentError,
    Encoder,
    Field,
    IndexDamagedError,
    IndexFolderError,
    IndexNotFoundError,
    IndexVersionError,
    ParameterError,
    durable,
)
from mbat.encoder_files import encoder_parts
from mbat.sklearn import DTYPES, ENCODER_PARAMETERS, MBATVectorizer
from tests.json_strategies import batches

PETS: list[Any] = [{"pet": pet, "age": age, "toys": [{"name": "ball"}]} for pet in ("cat", "dog") for age in range(12)]
SOUNDS = ["miaow"] * 12 + ["woof"] * 12
TABLE = pd.DataFrame({"pet": [document["pet"] for document in PETS], "age": [document["age"] for document in PETS]})
ROWS = TABLE.to_dict("records")


@parametrize_with_checks(
    [MBATVectorizer(dim=64), MBATVectorizer(dim=64, components=1), MBATVectorizer(dim=64, dtype="int8")]
)
def test_scikit_learn_finds_nothing_wrong(estimator: MBATVectorizer, check: Any) -> None:
    check(estimator)


@settings(max_examples=30, deadline=None)
@given(batches.filter(bool))
def test_vectors_are_those_of_the_encoder(documents: list[Any]) -> None:
    vectorizer = MBATVectorizer(dim=48, softness=0.25, parse=False)
    encoder = Encoder(dim=48, softness=0.25).fit(documents)
    assert vectorizer.fit(documents).transform(documents).tobytes() == encoder.encode(documents).tobytes()
    assert vectorizer.encoder_ == encoder


def test_its_parameters_are_those_of_the_encoder_with_the_same_defaults() -> None:
    defaults = MBATVectorizer().get_params()
    assert {name: defaults[name] for name in ENCODER_PARAMETERS} == {
        **Encoder().parameters,
        "fields": None,
        "text": None,
    }
    fields = {"age": Field(weight=0), "pet": {"strings": "symbol"}}
    given_all = {"seed": 3, "binding": "haar", "strings": "words", "numbers": "symbol", "fields": fields}
    vectorizer = MBATVectorizer(dim=32, **given_all).fit(PETS)
    assert vectorizer.encoder_ == Encoder(dim=32, **given_all).fit(PETS)


def test_a_text_embedder_is_handed_on() -> None:
    def embed(texts: list[str]) -> list[list[int]]:
        return [[len(text), 1] for text in texts]

    documents = ["one two", "three four"]
    vectors = MBATVectorizer(dim=32, text=embed, parse=False).fit_transform(documents)
    np.testing.assert_allclose(vectors, Encoder(dim=32, text=embed).fit(documents).encode(documents), atol=1e-6)


def forms(documents: list[Any]) -> dict[str, Any]:
    texts = [json.dumps(document) for document in documents]
    return {
        "generator": (document for document in documents),
        "JSON": texts,
        "bytes": [text.encode() for text in texts],
        "array": np.array(documents, dtype=object),
        "pandas texts": pd.Series(texts),
        "polars texts": pl.Series(texts),
        "pandas dictionaries": pd.Series(documents),
        "polars structs": pl.Series(documents),
        "pandas": pd.DataFrame(documents),
        "polars": pl.DataFrame(documents),
        "Arrow": pa.Table.from_pylist(documents),
        "Arrow batches": pa.Table.from_pylist(documents).to_reader(),
    }


@pytest.mark.parametrize("form", forms(PETS))
def test_the_same_documents_have_the_same_vectors_whatever_holds_them(form: str) -> None:
    expected = MBATVectorizer(dim=64).fit_transform(PETS)
    assert MBATVectorizer(dim=64).fit_transform(forms(PETS)[form]).tobytes() == expected.tobytes()
    fitted = MBATVectorizer(dim=64).fit(forms(PETS)[form])
    assert fitted.transform(forms(PETS)[form]).tobytes() == expected.tobytes()


@pytest.mark.parametrize("library", ["pandas", "polars", "Arrow"])
def test_a_table_of_another_library_has_the_columns_it_was_fitted_on(library: str) -> None:
    tables = {"pandas": TABLE, "polars": pl.DataFrame(ROWS), "Arrow": pa.Table.from_pylist(ROWS)}
    fitted = MBATVectorizer(dim=32).fit(tables[library])
    for table in tables.values():
        assert fitted.transform(table).tobytes() == fitted.transform(ROWS).tobytes()


def test_columns_are_noted_of_tables_alone() -> None:
    vectorizer = MBATVectorizer(dim=32).fit(TABLE)
    assert (vectorizer.n_features_in_, list(vectorizer.feature_names_in_)) == (2, ["pet", "age"])
    assert vectorizer.transform(ROWS).tobytes() == vectorizer.transform(TABLE).tobytes()
    with pytest.raises(ValueError, match="feature names"):
        vectorizer.transform(TABLE.rename(columns={"pet": "animal"}))
    assert not {"n_features_in_", "feature_names_in_"} & vars(vectorizer.fit(PETS)).keys()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([{"a": 1}, {"a": [float("inf")]}], r"^At document 1, \$.a\[0\]: inf is not a JSON number"),
        (pd.DataFrame({"a": [1, np.inf]}), r"^At document 1, \$.a: inf is not a JSON number"),
        (pa.table({"a": [1, float("inf")]}), r"^At document 1, \$.a: inf is not a JSON number"),
        (pd.DataFrame({"a": [pd.Timedelta("1s")]}), r"^At document 0, \$.a: Timedelta.+ is not a JSON value"),
        (['{"a": 1}'] * 300 + ['{"a" 1}'], r"^At document 300, \$: '{\"a\" 1}' is not JSON"),
    ],
)
def test_what_is_no_document_is_named_by_row_and_path_and_nothing_is_forgotten(data: Any, said: str) -> None:
    vectorizer = MBATVectorizer(dim=32).fit(TABLE)
    before = dict(vars(vectorizer))
    with pytest.raises(DocumentError, match=said):
        vectorizer.fit(data)
    with pytest.raises(DocumentError, match=said):
        MBATVectorizer(dim=32).fit(PETS).transform(data)
    assert vars(vectorizer) == before
    untouched = MBATVectorizer(dim=32)
    with pytest.raises(DocumentError, match=said):
        untouched.partial_fit(data)
    assert vars(untouched) == vars(MBATVectorizer(dim=32))


def test_columns_that_scikit_learn_refuses_are_refused_and_nothing_is_forgotten() -> None:
    vectorizer = MBATVectorizer(dim=32).fit(TABLE)
    before = dict(vars(vectorizer))
    with pytest.raises(TypeError, match="string names"):
        vectorizer.fit(pd.DataFrame([[1, 2]], columns=["a", 2]))
    assert vars(vectorizer) == before


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"dim": 8}, "dim is the length"),
        ({"fields": {"a": 3}}, "The field 'a'"),
        ({"dtype": "float64"}, "dtype is one of 'float32', 'float16', 'int8'; 'float64' is not"),
        ({"components": 33}, "components is an integer from 1 to dim, here 32, or None; 33 is not"),
        ({"components": True}, "components is an integer"),
        ({"components": 25}, "25 directions cannot be learned from 24 documents"),
        ({"parse": "yes"}, "parse is True or False; 'yes' is neither"),
        ({"n_jobs": 0}, "n_jobs is None or an integer other than 0"),
    ],
)
def test_parameters_out_of_range_are_refused_in_fit(parameters: dict[str, Any], said: str) -> None:
    vectorizer = MBATVectorizer(**{"dim": 32, **parameters})
    with pytest.raises(ParameterError, match=said):
        vectorizer.fit(PETS)
    assert not hasattr(vectorizer, "encoder_")


def test_no_documents_and_no_fit_are_refused_and_none_to_transform_are_none() -> None:
    with pytest.raises(ParameterError, match="There are no documents to fit on"):
        MBATVectorizer().fit([])
    with pytest.raises(NotFittedError):
        MBATVectorizer().transform(PETS)
    empty = MBATVectorizer(dim=32, components=3, dtype="float16").fit(PETS).transform([])
    assert (empty.shape, empty.dtype) == ((0, 3), np.float16)


@settings(max_examples=30, deadline=None)
@given(st.lists(batches.filter(bool), min_size=1, max_size=3))
def test_partial_fits_and_merges_are_one_fit(parts: list[list[Any]]) -> None:
    whole = MBATVectorizer(dim=48, parse=False).fit([document for part in parts for document in part])
    grown, merged = MBATVectorizer(dim=48, parse=False), None
    for part in parts:
        grown.partial_fit(part)
        one = MBATVectorizer(dim=48, parse=False).fit(part)
        merged = one if merged is None else one.merge(merged)
    assert merged is not None
    assert grown.encoder_ == merged.encoder_ == whole.encoder_


def test_partial_fits_compare_the_columns_of_tables() -> None:
    vectorizer = MBATVectorizer(dim=32).partial_fit(TABLE)
    with pytest.raises(ValueError, match="feature names should match"):
        vectorizer.partial_fit(TABLE[["pet"]])
    assert vectorizer.encoder_ == Encoder(dim=32).fit(ROWS)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "Two columns are called 'a'"),
        (np.zeros((2, 0)), "a minimum of 1 is required"),
        (np.zeros(3), "Reshape your data"),
        (pl.DataFrame({"a": [1]}).lazy(), "a LazyFrame is not"),
        ({"a": 1}, "a dict is not"),
    ],
)
def test_what_is_no_table_and_no_documents_is_refused(data: Any, said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        MBATVectorizer(dim=32).fit(data)
    with pytest.raises(ParameterError, match=said):
        MBATVectorizer(dim=32).fit(PETS).transform(data)


def test_a_merge_leaves_both_as_they_were_and_keeps_the_columns() -> None:
    first, second = MBATVectorizer(dim=32).fit(TABLE[:10]), MBATVectorizer(dim=32).fit(TABLE[10:])
    merged = first.merge(second)
    assert merged.encoder_ == MBATVectorizer(dim=32).fit(TABLE).encoder_
    assert list(merged.feature_names_in_) == ["pet", "age"]
    assert first.encoder_ == Encoder(dim=32).fit(ROWS[:10])


def test_what_was_fitted_on_other_columns_is_not_merged() -> None:
    first = MBATVectorizer(dim=32).fit(TABLE)
    with pytest.raises(ParameterError, match=r"fitted on the columns \['pet', 'age'\], the other on \['pet'\]"):
        first.merge(MBATVectorizer(dim=32).fit(TABLE[["pet"]]))
    with pytest.raises(ParameterError, match=r"fitted on the columns \['pet', 'age'\], the other on \[0, 1\]"):
        first.merge(MBATVectorizer(dim=32).fit(np.eye(2)))
    assert first.merge(MBATVectorizer(dim=32).fit(PETS)).encoder_ == MBATVectorizer(dim=32).fit(ROWS + PETS).encoder_


def test_components_are_neither_grown_nor_merged_nor_anything_else_than_a_vectorizer() -> None:
    turned = MBATVectorizer(dim=32, components=2).fit(PETS)
    with pytest.raises(AttributeError, match="has no attribute 'partial_fit'") as refused:
        turned.partial_fit(PETS)
    assert "partial_fit cannot keep components" in str(refused.value.__cause__)
    with pytest.raises(ParameterError, match="merge cannot keep components"):
        MBATVectorizer(dim=32).fit(PETS).merge(turned)
    with pytest.raises(ParameterError, match="is merged with another one; 3 is none"):
        turned.merge(3)
    with pytest.raises(ParameterError, match="different parameters cannot be merged"):
        MBATVectorizer(dim=32).fit(PETS).merge(MBATVectorizer(dim=48).fit(PETS))


@pytest.mark.parametrize("form", ["JSON", "generator", "pandas", "Arrow batches"])
def test_components_are_the_best_rotation_of_the_vectors_that_fit_saw(form: str) -> None:
    vectors = MBATVectorizer(dim=64).fit_transform(PETS).astype(np.float64)
    turned = MBATVectorizer(dim=64, components=5).fit(forms(PETS)[form])
    assert turned.rotation_.dtype == np.float32
    np.testing.assert_allclose(turned.rotation_.T @ turned.rotation_, np.eye(5), atol=1e-5)
    assert (turned.rotation_[np.abs(turned.rotation_).argmax(axis=0), range(5)] > 0).all()
    left, sizes, _ = np.linalg.svd(vectors, full_matrices=False)
    best = left[:, :5] * sizes[:5]
    found = turned.transform(PETS).astype(np.float64)
    np.testing.assert_allclose(found @ found.T, best @ best.T, atol=1e-4)
    assert (np.diff(np.linalg.norm(found, axis=0)) <= 1e-6).all()


def test_where_documents_differ_in_few_ways_the_numbers_left_over_are_zero_for_any_document() -> None:
    few = [{"pet": "cat"}, {"pet": "dog"}] * 10
    turned = MBATVectorizer(dim=32, components=4).fit(few)
    assert turned.rotation_.any(axis=0).tolist() == [True, True, False, False]
    strange = turned.transform([{"colour": "red", "size": 3}])
    assert not strange[:, 2:].any()
    assert turned.rotation_.tobytes() == MBATVectorizer(dim=32, components=4).fit(few[::-1]).rotation_.tobytes()


def test_a_turned_row_depends_on_its_document_alone() -> None:
    turned = MBATVectorizer(dim=64, components=7).fit(PETS)
    rows = turned.transform(PETS)
    assert all(
        turned.transform([document]).tobytes() == row.tobytes() for document, row in zip(PETS, rows, strict=True)
    )
    vectors = MBATVectorizer(dim=64).fit_transform(PETS).astype(np.float64)
    np.testing.assert_allclose(rows, vectors @ turned.rotation_, atol=1e-7)


def test_types_of_the_output_keep_the_vectors_to_their_precision() -> None:
    full = MBATVectorizer(dim=256).fit_transform(PETS)
    halves = MBATVectorizer(dim=256, dtype="float16").fit_transform(PETS)
    assert halves.tobytes() == full.astype(np.float16).tobytes()
    bytes_ = MBATVectorizer(dim=256, dtype="int8").fit_transform(PETS)
    assert bytes_.dtype == np.int8
    assert (np.abs(bytes_.astype(int)).max(axis=1) == 127).all()
    steps = np.abs(full).max(axis=1, keepdims=True) / 127
    assert (np.abs(bytes_ * steps - full) <= 0.501 * steps).all()


def test_a_document_of_which_nothing_counts_is_zero_in_every_type() -> None:
    for dtype in DTYPES:
        vectorizer = MBATVectorizer(dim=32, dtype=dtype, fields={"a": {"weight": 0}}).fit(PETS)
        assert not vectorizer.transform([{"a": "x"}]).any()


def test_the_output_is_a_data_frame_where_asked_for_with_the_rows_of_the_input() -> None:
    shuffled = TABLE[::-1]
    names = [f"mbatvectorizer{number}" for number in range(16)]
    found = MBATVectorizer(dim=16).set_output(transform="pandas").fit_transform(shuffled)
    assert list(found.columns) == names
    assert list(found.index) == list(shuffled.index)
    texts = pd.Series([json.dumps(document) for document in PETS], index=shuffled.index)
    vectorizer = MBATVectorizer(dim=16).set_output(transform="pandas").fit(texts)
    assert list(vectorizer.transform(texts).index) == list(shuffled.index)
    assert list(vectorizer.get_feature_names_out()) == names
    assert MBATVectorizer(dim=16).set_output(transform="polars").fit_transform(PETS).columns == names


def test_it_is_cloned_pickled_and_dumped(tmp_path: Path) -> None:
    vectorizer = MBATVectorizer(dim=32, components=3, fields={"age": Field(weight=2)}).fit(PETS)
    assert clone(vectorizer).get_params() == vectorizer.get_params()
    assert not hasattr(clone(vectorizer), "encoder_")
    joblib.dump(vectorizer, tmp_path / "vectorizer.joblib")
    for copy in (pickle.loads(pickle.dumps(vectorizer)), joblib.load(tmp_path / "vectorizer.joblib")):
        assert copy.transform(PETS).tobytes() == vectorizer.transform(PETS).tobytes()


def test_a_pipeline_searches_over_its_parameters_and_fits_on_the_training_folds_alone() -> None:
    documents = PETS[::2] + PETS[1::2]
    sounds = SOUNDS[::2] + SOUNDS[1::2]
    search = GridSearchCV(
        make_pipeline(MBATVectorizer(dim=64), LogisticRegression(C=100)),
        {"mbatvectorizer__softness": [0.0, 0.5], "mbatvectorizer__components": [None, 4]},
        cv=3,
    ).fit(documents, sounds)
    assert search.best_score_ == 1.0
    assert search.predict(['{"pet": "dog"}']) == ["woof"]

    class Watched(MBATVectorizer):
        seen: list[int] = []  # noqa: RUF012

        def fit(self, X: Any, y: Any = None) -> MBATVectorizer:  # noqa: N803, named so by scikit-learn
            self.seen.append(len(X))
            return super().fit(X, y)

    cross_val_score(make_pipeline(Watched(dim=32), LogisticRegression()), documents, sounds, cv=3)
    assert Watched.seen == [16, 16, 16]


def test_within_a_job_of_joblib_it_starts_no_processes_of_its_own() -> None:
    vectorizer = MBATVectorizer(dim=32, n_jobs=2, text=lambda texts: np.ones((len(texts), 1)))
    with pytest.raises(ParameterError, match="cannot be sent to other processes"):
        vectorizer.fit(PETS)
    jobs = (joblib.delayed(clone(vectorizer).fit_transform)(PETS) for _ in range(2))
    first, second = joblib.Parallel(n_jobs=2, backend="threading")(jobs)
    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("library", [pd, pl])
def test_a_column_of_json_stands_beside_other_columns(library: Any) -> None:
    frame = library.DataFrame({"payload": [json.dumps(document) for document in PETS], "size": list(range(24))})
    columns = ColumnTransformer([("json", MBATVectorizer(dim=16), "payload"), ("size", StandardScaler(), ["size"])])
    found = columns.fit_transform(frame)
    assert found.shape == (24, 17)
    assert (found[:, :16] == MBATVectorizer(dim=16).fit_transform(PETS)).all()


def test_rows_of_a_shuffled_data_frame_stay_together_in_a_column_transformer() -> None:
    frame = pd.DataFrame({"payload": [json.dumps(document) for document in PETS], "size": range(24)})[::-1]
    columns = make_column_transformer((MBATVectorizer(dim=16), "payload"), remainder="passthrough")
    found = columns.set_output(transform="pandas").fit_transform(frame)
    assert list(found.index) == list(frame.index)
    assert list(found["remainder__size"]) == list(frame["size"])
    assert not found.isna().any(axis=None)


def test_two_of_them_are_united() -> None:
    union = FeatureUnion([("a", MBATVectorizer(dim=16)), ("b", MBATVectorizer(dim=32, seed=1))])
    assert union.fit_transform(PETS).shape == (24, 48)
    assert union.get_feature_names_out()[-1] == "b__mbatvectorizer31"


class Counted(dict[str, Any]):
    """A document that knows how many of its like there are."""

    alive = 0

    def __init__(self, number: int) -> None:
        super().__init__(number=number)
        Counted.alive += 1

    def __del__(self) -> None:
        Counted.alive -= 1


def test_a_stream_is_fitted_on_and_transformed_without_being_kept() -> None:
    most = []

    def stream() -> Iterator[Any]:
        for number in range(20_000):
            most.append(Counted.alive)
            yield Counted(number)

    vectorizer = MBATVectorizer(dim=16).fit(stream())
    assert len(vectorizer.transform(stream())) == 20_000
    assert max(most) <= 5_000


def test_several_processes_give_the_same(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import json\n"
        "from mbat.sklearn import MBATVectorizer\n"
        "if __name__ == '__main__':\n"
        "    texts = [json.dumps({'a': number, 'b': f'word{number % 7}'}) for number in range(1500)]\n"
        "    one = MBATVectorizer(dim=32, components=20).fit(texts)\n"
        "    two = MBATVectorizer(dim=32, components=20, n_jobs=2).fit(text for text in texts)\n"
        "    print(one.encoder_ == two.encoder_, (one.rotation_ == two.rotation_).all())\n"
        "    print((one.transform(texts) == two.transform(texts)).all())\n",
        encoding="utf-8",
    )
    run = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False)
    assert run.stdout.split() == ["True"] * 3, run.stderr


@pytest.mark.parametrize(
    "parameters",
    [{}, {"components": 3, "dtype": "float16", "n_jobs": 1, "parse": False}, {"fields": {"a.b[]": Field(weight=2)}}],
)
@pytest.mark.parametrize("data", [PETS, TABLE], ids=["documents", "table"])
def test_what_is_loaded_is_what_was_saved(parameters: dict[str, Any], data: Any, tmp_path: Path) -> None:
    vectorizer = MBATVectorizer(dim=32, **parameters).fit(data)
    vectorizer.save(tmp_path / "new" / "folder")
    loaded = MBATVectorizer.load(tmp_path / "new" / "folder")
    assert loaded.transform(data).tobytes() == vectorizer.transform(data).tobytes()
    assert {**loaded.get_params(), "fields": None} == {**vectorizer.get_params(), "fields": None}
    assert loaded.fit(data).encoder_ == vectorizer.encoder_
    names = {"n_features_in_", "feature_names_in_"}
    assert names & vars(loaded).keys() == names & vars(vectorizer).keys()
    assert Encoder.load(tmp_path / "new" / "folder") == vectorizer.encoder_


Parts = dict[str, bytes]


def parts_of(folder: Path) -> Parts:
    with zipfile.ZipFile(folder / "vectorizer.zip") as members:
        return {name: members.read(name) for name in members.namelist()}


def written(folder: Path, parts: Parts) -> None:
    with zipfile.ZipFile(folder / "vectorizer.zip", "w") as members:
        for name, content in parts.items():
            members.writestr(name, content)


def described(**fields: Any) -> Any:
    return lambda parts: {**parts, "vectorizer.json": json.dumps({**json.loads(parts["vectorizer.json"]), **fields})}


def rotated(rotation: NDArray[Any]) -> Any:
    content = io.BytesIO()
    np.save(content, rotation)
    return lambda parts: {**parts, "rotation.npy": content.getvalue()}


def without(name: str) -> Any:
    return lambda parts: {key: content for key, content in parts.items() if key != name}


DAMAGES: dict[str, tuple[Any, type[Exception], str]] = {
    "no description": (without("vectorizer.json"), IndexDamagedError, "no item named 'vectorizer.json'"),
    "no JSON": (lambda parts: {**parts, "vectorizer.json": b"{"}, IndexDamagedError, "is damaged"),
    "an array": (lambda parts: {**parts, "vectorizer.json": b"[]"}, IndexDamagedError, "is damaged"),
    "newer": (described(format_version=9), IndexVersionError, "a vectorizer of format 9"),
    "options": (described(parameters={}), IndexDamagedError, "is damaged"),
    "an option": (described(parameters={"dtype": "?", "parse": 1, "n_jobs": 0}), IndexDamagedError, "dtype is one of"),
    "columns": (described(columns="many"), IndexDamagedError, "is damaged"),
    "components": (described(components=None), IndexDamagedError, r"shape \(32, None\)"),
    "no rotation": (without("rotation.npy"), IndexDamagedError, r"shape \(32, 3\)"),
    "cut": (lambda parts: {**parts, "rotation.npy": b"\x93NUMPY"}, IndexDamagedError, "is damaged"),
    "narrow": (rotated(np.eye(32, 2, dtype="f4")), IndexDamagedError, r"shape \(32, 3\)"),
    "double": (rotated(np.eye(32, 3)), IndexDamagedError, "finite numbers"),
    "infinite": (rotated(np.full((32, 3), np.inf, dtype="f4")), IndexDamagedError, "finite numbers"),
    "pickled": (rotated(np.array([{}])), IndexDamagedError, "is damaged"),
    "no encoder": (without("encoder.npz"), IndexDamagedError, "no item named 'encoder.npz'"),
    "another encoder": (
        lambda parts: {**parts, "encoder.npz": encoder_parts(Encoder(dim=32))[1]},
        IndexDamagedError,
        "its fingerprint is another",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_vectorizer_is_told_as_that(damage: str, tmp_path: Path) -> None:
    MBATVectorizer(dim=32, components=3).fit(PETS).save(tmp_path)
    harm, error, said = DAMAGES[damage]
    written(tmp_path, harm(parts_of(tmp_path)))
    with pytest.raises(error, match=said):
        MBATVectorizer.load(tmp_path)


def test_whichever_bit_of_a_part_has_flipped_it_is_noticed(tmp_path: Path) -> None:
    MBATVectorizer(dim=16, components=3).fit(PETS).save(tmp_path)
    file = tmp_path / "vectorizer.zip"
    whole = file.read_bytes()
    for part in parts_of(tmp_path).values():
        at = whole.index(part) + len(part) // 2
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(IndexDamagedError, match="Bad CRC-32"):
            MBATVectorizer.load(tmp_path)
    file.write_bytes(whole[:-100])  # ends as the zip file within it does
    with pytest.raises(IndexDamagedError, match=r"is damaged: .There is no item named"):
        MBATVectorizer.load(tmp_path)


@pytest.mark.parametrize("components", [None, 5])
def test_a_vectorizer_takes_the_place_of_another_at_once(
    components: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = MBATVectorizer(dim=32, components=3).fit(PETS)
    after = MBATVectorizer(dim=48, components=components).fit(PETS[:12])
    before.save(tmp_path)
    steps, answers = [], []

    def watch(step: str) -> None:
        steps.append(step)
        answers.append(MBATVectorizer.load(tmp_path).transform(PETS).tobytes())

    monkeypatch.setattr(durable, "watch", watch)
    after.save(tmp_path)
    renamed = steps.index("after rename to vectorizer.zip")
    assert set(answers[:renamed]) == {before.transform(PETS).tobytes()}
    assert set(answers[renamed:]) == {after.transform(PETS).tobytes()}
    assert [path.name for path in tmp_path.iterdir()] == ["vectorizer.zip"]


def test_what_is_saved_is_what_was_fitted_and_not_what_was_set_since(tmp_path: Path) -> None:
    for first, then in ((3, None), (None, 3)):
        vectorizer = MBATVectorizer(dim=32, components=first).fit(PETS).set_params(components=then, dim=64)
        vectorizer.save(tmp_path)
        loaded = MBATVectorizer.load(tmp_path)
        assert loaded.transform(PETS).tobytes() == vectorizer.transform(PETS).tobytes()
        assert (loaded.dim, loaded.components) == (32, first)


def test_an_encoder_that_was_saved_to_the_same_folder_is_read_as_it_is(tmp_path: Path) -> None:
    vectorizer, encoder = MBATVectorizer(dim=32).fit(PETS), Encoder(dim=48).fit(ROWS)
    vectorizer.save(tmp_path)
    encoder.save(tmp_path)
    assert Encoder.load(tmp_path) == encoder
    assert MBATVectorizer.load(tmp_path).encoder_ == vectorizer.encoder_


def test_where_there_is_no_vectorizer_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(IndexNotFoundError, match=r"There is no vectorizer in .+: vectorizer.zip is missing"):
        MBATVectorizer.load(tmp_path)
    (tmp_path / "vectorizer.zip").mkdir()
    with pytest.raises(IndexFolderError, match="cannot be read: Is a directory"):
        MBATVectorizer.load(tmp_path)


def test_it_cannot_be_saved_unfitted_nor_to_a_file(tmp_path: Path) -> None:
    with pytest.raises(NotFittedError):
        MBATVectorizer().save(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(IndexFolderError, match="cannot be written"):
        MBATVectorizer(dim=16).fit(PETS).save(tmp_path / "file")


def test_without_scikit_learn_the_line_that_installs_it_is_named() -> None:
    program = (
        "import sys; sys.modules['sklearn'] = None\n"
        "from mbat import MissingExtraError\n"
        "try:\n    import mbat.sklearn\nexcept MissingExtraError as error:\n    print(error)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == ("MBATVectorizer needs sklearn, which is not installed. Run: pip install 'mbat[sklearn]'\n")

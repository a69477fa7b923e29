"""The tables of the quality page, from figures made by hand."""

from __future__ import annotations

import pytest

from tests.benchmarks.quality import PAGE, Figure, ablations, figures, replaced, summary, table

BASELINES = {
    "shops": {"matching": {"bm25_3gram": {"recall@1": 0.5, "recall@10": 0.9}, "minilm_l6": {"recall@1": 0.6}}},
    "wine": {"knn": {"knn5_loo_acc": 0.7}, "table": {"knn10_acc": 0.8}},
    "cars": {"table": {"knn10_r2": 0.4}},
}
RESULTS = {
    "shops": {"matching": {"recall@1": 0.7, "recall@10": 0.89}},
    "wine": {"knn": {"knn5_loo_acc": 0.7}, "table": {"knn10_acc": 0.9}},
    "cars": {"table": {"knn10_r2": 0.3}},
}


def test_a_figure_stands_beside_every_reference_that_was_measured() -> None:
    references = {"BM25, 3-grams": 0.5, "MiniLM-L6": 0.6}
    assert figures(RESULTS, BASELINES, "matching recall@1") == [Figure("shops", "matching recall@1", 0.7, references)]
    assert figures(RESULTS, BASELINES, "tables, 10-NN R2")[0].margin == pytest.approx(-0.1)


def test_a_table_has_the_best_of_each_row_in_bold() -> None:
    found = [Figure("b", "m", 0.5, {"x": 0.5, "y": 0.25}), Figure("c", "m", 0.125, {"y": 1.0})]
    assert table(found).splitlines() == [
        "| set | mbat | x | y |",
        "|---|---:|---:|---:|",
        "| b | **0.500** | **0.500** | 0.250 |",
        "| c | 0.125 |  | **1.000** |",
    ]


def test_equal_within_the_tolerance_counts_as_at_or_above() -> None:
    found = [Figure("a", "m", 0.5, {"x": 0.502}), Figure("b", "m", 0.5, {"x": 0.5021}), Figure("c", "m", 0.5, {"x": 0})]
    assert summary(found) == "at or above the best reference, to within 0.002, on 2 of 3 sets, mean margin +0.165"


def test_ablations_are_differences_to_the_first_in_thousandths() -> None:
    worse = {**RESULTS, "shops": {"matching": {"recall@1": 0.6, "recall@10": 0.9}}}
    lines = ablations({"whole": RESULTS, "less": worse}, BASELINES).splitlines()
    assert lines[2:] == ["| whole | 0.700 | 0.890 | 0.700 | 0.900 | 0.300 |", "| less | -100 | +10 | +0 | +0 | +0 |"]


def test_what_stands_between_the_marks_is_replaced_and_a_page_without_them_refused() -> None:
    page = "a\n<!-- m -->\nold\n<!-- /m -->\nb\n"
    assert replaced(page, "m", "new \\1") == "a\n<!-- m -->\nnew \\1\n<!-- /m -->\nb\n"
    with pytest.raises(SystemExit, match="has no marks"):
        replaced("a page", "m", "new")


def test_the_page_holds_tables_of_every_measure_and_of_the_ablations() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page.count("mbat: at or above the best reference, to within 0.002, on") == 5
    assert "| one seed |" in page

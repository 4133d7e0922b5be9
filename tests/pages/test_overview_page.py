"""The overview page on the demo company, on a filter that leaves nothing, and on an empty store."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.pages.product import open_product, words

PAGE = "inform/overview.py"


def test_the_headline_and_figures_of_may_are_the_reference_case(
    demo_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_product(monkeypatch, demo_store, PAGE)
    assert re.search(
        r"# May 2026 cost \$9,200, [\d.]+% less than in April 2026; summarize is \d+% of the cost", words(app)
    )
    figures = {metric.label: metric.value for metric in app.metric}
    assert figures["Total"] == "$9,200"
    assert figures["Complete month"] == "$9,200"
    assert figures["Cost per average DAU"] == "$14.84"
    assert figures["Gross margin"] == "66%"
    assert "All of it comes from bills." in words(app)
    assert len(app.dataframe) == 3


def test_march_has_nothing_to_be_compared_with(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, demo_store, PAGE, period="March 2026")
    assert "# March 2026 cost $47,231; summarize is 61% of the cost of model calls on 8% of the calls" in words(app)
    assert {metric.label: metric.value for metric in app.metric}["Cost per average DAU"] == "$94.46"
    assert "The data do not reach back to the start of February 2026, so nothing is compared." in words(app)
    assert len(app.dataframe) == 1


def test_changes_on_the_page_sum_to_the_difference(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, demo_store, PAGE)
    for table in app.dataframe[:2]:
        before, now, difference = (float(table.value[name].sum()) for name in ("previous_cost", "cost", "difference"))
        assert now == pytest.approx(9200)
        assert difference == pytest.approx(now - before)
        assert difference < -10_000


def test_an_empty_store_says_what_to_load(empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Nothing has been loaded yet" in words(open_product(monkeypatch, empty_store, PAGE))

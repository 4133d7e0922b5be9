"""The allocation page: all-in costs, where they come from, and what no feature owes."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from analytics.allocation_rules import KIND
from tests.analytics.facts import charge
from tests.analytics.stored import store_of
from tests.pages import small_store
from tests.pages.product import open_product, words
from warehouse.state import State

PAGE = "inform/allocation.py"
VECTORS = {"priority": 1, "driver": "calls", "select": {"category": "^Vector"}}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "store"
    small_store.build(path, months=("2026-05",))
    State(path).save(KIND, "vectors", VECTORS, author="Ann")
    return path


def test_the_demo_company_without_rules_says_what_no_feature_owes(
    demo_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_product(monkeypatch, demo_store, PAGE, period="March 2026")
    headline = "# All in, summarize costs $19,764 in March 2026, 42% of $47,231; $7,334 (16%) is owed by no feature"
    assert headline in words(app)
    frame = app.dataframe[0].value
    assert frame["feature"].tolist()[-1] == "Unallocated"
    assert float(frame["total"].sum()) == pytest.approx(47231)


def test_shared_costs_are_in_sight_and_sum_to_the_bill(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, store, PAGE)
    frame = app.dataframe[0].value
    assert frame["feature"].tolist()[-1] == "Unallocated"
    assert float(frame["total"].sum()) == pytest.approx(31 * (200.10 + 44.50 + 26.45))
    assert float(frame["allocated"].sum()) == pytest.approx(31 * 26.45)
    assert float(frame["total"].iloc[-1]) == pytest.approx(31 * 44.50)
    assert "$1,380 (16%) is owed by no feature" in words(app)


def test_a_feature_opens_to_its_rules_and_lines(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, store, PAGE, all_in="search")
    detail = app.dataframe[1].value
    assert detail["how"].tolist() == ["bill, split by traced cost", "shared, by rule"]
    by_rule = detail.iloc[1]
    assert (by_rule["rule"], by_rule["driver"], by_rule["service"]) == ("vectors", "traced calls", "Pinecone")
    assert float(by_rule["cost"]) == pytest.approx(31 * 26.45 * 8 / 23)
    assert float(by_rule["share_of_shared"]) == pytest.approx(100 * 8 / 23)


def test_what_is_unallocated_says_why(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, store, PAGE, all_in="Unallocated")
    detail = app.dataframe[1].value
    assert detail[["service", "note"]].values.tolist() == [["Amazon Web Services", "no rule selects it"]]


def test_without_rules_the_page_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_store.build(tmp_path / "store", months=("2026-05",))
    app = open_product(monkeypatch, tmp_path / "store", PAGE)
    assert "There are no allocation rules yet" in words(app)


def test_rules_that_contradict_each_other_are_said_in_words(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    State(store).save(KIND, "again", VECTORS, author="Ann")
    app = open_product(monkeypatch, store, PAGE)
    assert "have the same priority (1) on every day: give one of them another priority" in words(app)


def test_an_empty_store_says_what_to_connect(empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Nothing has been loaded yet" in words(open_product(monkeypatch, empty_store, PAGE))


def test_the_footer_says_which_rates_converted_the_amounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    day = date(2026, 5, 1)
    rates = [{"date": day, "from_currency": "EUR", "to_currency": "USD", "rate": Decimal("1.25"), "source": "ECB"}]
    lines = [charge("2026-05-01", "80", BillingCurrency="EUR", x_CostCategory="GPU inference")]
    store = store_of(tmp_path / "store", charges=lines, fx_rates=rates)
    app = open_product(monkeypatch, store, PAGE)
    assert "# None of the $100.00 spent in May 2026 is owed by a feature" in words(app)
    assert "EUR to USD at the rate of the day (1.25; source: ECB)." in words(app)

"""The prices page: the demo company at other prices, own agreements, and an empty store."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pages.product import open_product, words
from tests.warehouse.price_rows import price_file
from tests.warehouse.rows import call_rows
from warehouse.configuration import Configuration
from warehouse.loading import Loading
from warehouse.store import Store

PAGE = "operate/prices.py"


def test_the_demo_company_at_the_prices_of_the_time(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, demo_store, PAGE, book="at the time")
    assert "# The traced calls cost $6,033, and the same at the books' prices of their day" in words(app)
    assert "Without any known cost in this period: acme-rerank-preview" in words(app)
    listed = app.dataframe[-1].value
    # What self-hosted models cost by the call is one price, 0, for every model.
    assert set(listed["model"]) == {"gpt-4o-2024-05-13", "gpt-4o-mini", "(every model)"}


def test_a_named_book_says_what_it_cannot_compare(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, demo_store, PAGE, book="article-2026-05")
    assert "at the prices of article-2026-05" in words(app)
    # The snapshot has neither gpt-4o-2024-05-13 nor cached tokens of gpt-4o-mini.
    assert not app.metric[-1].value.startswith("0")


def test_own_agreements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """1,000 calls of 1,000 input and 100 output tokens: 3.50 USD as the gateway reported, 1.40 by the contract."""
    calls = [(str(number), "2026-03-02 10:00:00", "search", "0.0035") for number in range(1000)]
    with Loading(Store(tmp_path), Configuration()) as loading:
        loading.add(call_rows(calls))
        loading.add(price_file({"input": "1.00", "output": "4.00"}))
        loading.commit()
    app = open_product(monkeypatch, tmp_path, PAGE, book="contract", scope="Own agreements")
    assert "# The traced calls cost $3.50; at the prices of contract $1.40 (−60%)" in words(app)
    assert [metric.value for metric in app.metric] == ["$3.50", "$1.40", "−$2.10", "0 calls"]
    listed = app.dataframe[-1].value
    assert listed[["token_class", "amount", "state", "book"]].to_numpy().tolist() == [
        ["input", 1.0, "in force", "contract"],
        ["output", 4.0, "in force", "contract"],
    ]


def test_no_agreement_says_how_to_add_one(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "percall load prices.csv" in words(open_product(monkeypatch, demo_store, PAGE, scope="Own agreements"))


def test_an_empty_store_says_what_to_load(empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Nothing has been loaded yet" in words(open_product(monkeypatch, empty_store, PAGE))

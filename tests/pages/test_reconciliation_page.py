"""The reconciliation page on the demo company, on traces without a bill, and on an empty store."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pages.product import open_product, words
from tests.warehouse.rows import call_rows, charge_lines
from warehouse.configuration import Configuration
from warehouse.loading import Loading
from warehouse.store import Store

PAGE = "inform/reconciliation.py"


def test_may_of_the_demo_company(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, demo_store, PAGE, by="Month")
    text = words(app)
    assert (
        "# $6,100 was billed for model usage of May 2026, $66.85 more than traced (1.1%), all of it calls never traced"
        in text
    )
    assert [metric.value for metric in app.metric] == ["$6,033", "$6,100", "+$66.85", "100%"]
    table = app.dataframe[0].value
    assert "missing_calls" in table
    assert "price_date" not in table  # no such gap in May
    assert float(table["gap"].sum()) == pytest.approx(66.85, abs=0.005)
    assert "Billing lines that name no model or direction: 0" in text


def test_traces_without_a_bill_say_what_to_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Loading(Store(tmp_path), Configuration()) as loading:
        loading.add(call_rows([("a", "2026-03-02 10:00:00", "search", "1.00")]))
        loading.commit()
    app = open_product(monkeypatch, tmp_path, PAGE)
    assert "No bill covers the model usage of March 2026" in words(app)
    assert "cost report of OpenAI or Anthropic" in words(app)
    assert not app.metric


def test_lines_that_no_parser_could_read_are_in_sight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Loading(Store(tmp_path), Configuration()) as loading:
        loading.add(charge_lines([("2026-03-02 10:00", "Amazon Bedrock", "r", "7.50")]))
        loading.add(call_rows([("a", "2026-03-02 10:00:00", "search", "1.00")]))
        loading.commit()
    text = words(open_product(monkeypatch, tmp_path, PAGE))
    assert "Billing lines that name no model or direction: 1" in text


def test_an_empty_store_says_what_to_load(empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Nothing has been loaded yet" in words(open_product(monkeypatch, empty_store, PAGE))

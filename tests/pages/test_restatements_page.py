"""The restatements page: after prices changed stored calls, when nothing changed, and on an empty store."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pages.product import open_product, words
from tests.warehouse.price_rows import price_file
from tests.warehouse.rows import call_rows
from warehouse.configuration import Configuration
from warehouse.intake import Extraction
from warehouse.loading import Loading
from warehouse.store import Store

PAGE = "operate/restatements.py"


def load(path: Path, extraction: Extraction) -> None:
    with Loading(Store(path), Configuration()) as loading:
        loading.add(extraction)
        loading.commit()


def test_what_a_price_file_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(tmp_path, call_rows([(str(number), "2026-03-02 10:00:00", "search", None) for number in range(1000)]))
    load(tmp_path, price_file({"input": "1.00", "output": "4.00"}))
    app = open_product(monkeypatch, tmp_path, PAGE)
    assert "1 past day changed since" in words(app)
    assert "by −$2.10, all of it re-priced" in words(app)
    by_source, by_day = (table.value for table in app.dataframe)
    assert by_source[["source", "feature", "reason", "change"]].to_numpy().tolist() == [
        ["litellm", "search", "re-priced", -2.1]
    ]
    assert by_day[["cost_before", "cost_after", "change"]].to_numpy().tolist() == [[3.5, 1.4, -2.1]]


def test_nothing_changed(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = words(open_product(monkeypatch, demo_store, PAGE))
    assert "# No past day was told differently since" in text
    assert "Late billing lines, corrected bills and changed prices will stand here" in text


def test_an_empty_store_says_what_to_load(empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Nothing has been loaded yet" in words(open_product(monkeypatch, empty_store, PAGE))

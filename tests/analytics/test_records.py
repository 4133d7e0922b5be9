"""The store's own records, as they were loaded: real loads of small files, read back."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from analytics.filters import Filters
from analytics.records import loads, prices, rejects, restatements
from tests.analytics.facts import warehouse_of
from tests.warehouse.rows import call_rows, charge_lines
from warehouse.configuration import Configuration
from warehouse.intake import Extraction, Reject
from warehouse.loading import Loading
from warehouse.reader import Warehouse, open_current
from warehouse.store import Store

D = Decimal
MARCH = Filters(date(2026, 3, 1), date(2026, 3, 31))
LINES = [("2026-03-01 10:00", "EC2", "i-1", "1.10"), ("2026-03-02 10:00", "EC2", "i-1", "2.20")]
LATER = [("2026-03-01 10:00", "EC2", "i-1", "1.10"), ("2026-03-02 10:00", "EC2", "i-1", "2.50")]


def load(path: Path, *extractions: Extraction) -> None:
    with Loading(Store(path), Configuration()) as loading:
        for extraction in extractions:
            loading.add(extraction)
        loading.commit()


@pytest.fixture
def loaded(tmp_path: Path) -> Warehouse:
    """Two versions of a bill, and calls of which one row was rejected."""
    calls = call_rows([("c1", "2026-03-01 10:00:00", "search", "0.5")])
    calls = Extraction(
        calls.kind,
        calls.table,
        calls.source,
        calls.file,
        calls.checksum,
        calls.query,
        (Reject(7, "started_at", "no time"),),
    )
    load(tmp_path, charge_lines(LINES), calls)
    load(tmp_path, charge_lines(LATER))
    return open_current(tmp_path, Configuration())


def test_an_empty_store_has_no_records_but_their_columns() -> None:
    for function in (loads, rejects, restatements, prices):
        assert function(warehouse_of(), MARCH).empty
    assert "superseded_by" in loads(warehouse_of(), MARCH)


def test_loads_the_newest_first_with_their_sums(loaded: Warehouse) -> None:
    frame = loads(loaded, MARCH)
    assert frame.load_id.tolist() == sorted(frame.load_id, reverse=True)
    bills = frame[frame.table_name == "charges"]
    assert bills.status.tolist() == ["stored", "superseded"]
    assert bills.billed_stored.tolist() == [D("3.60"), D("3.30")]
    assert bills.superseded_by.tolist() == [None, bills.load_id.iloc[0]]
    calls = frame[frame.table_name == "calls"].iloc[0]
    assert (calls["rows_in"], calls["rows_kept"], calls["rows_rejected"]) == (2, 1, 1)


def test_loads_and_rejects_have_no_period(loaded: Warehouse) -> None:
    elsewhere = Filters(date(2020, 1, 1), date(2020, 1, 2))
    assert len(loads(loaded, elsewhere)) == len(loads(loaded, MARCH)) == 3
    assert len(rejects(loaded, elsewhere)) == 1


def test_rejects_say_where_and_why(loaded: Warehouse) -> None:
    row = rejects(loaded, MARCH).iloc[0]
    assert (row["file"], row["row_number"], row["column_name"], row["reason"]) == (
        "calls.jsonl",
        7,
        "started_at",
        "no time",
    )
    assert (row["kind"], row["source"]) == ("litellm", "litellm")


def test_restatements_of_the_period_say_what_changed(loaded: Warehouse) -> None:
    frame = restatements(loaded, MARCH)
    assert frame[["date", "service", "change"]].values.tolist() == [[date(2026, 3, 2), "EC2", D("0.30")]]
    assert restatements(loaded, Filters(date(2026, 3, 1), date(2026, 3, 1))).empty
    assert restatements(loaded, MARCH.only("service", "S3")).empty


def test_prices_are_listed_once_each_with_their_book(loaded: Warehouse) -> None:
    frame = prices(loaded, MARCH)
    keys = ["book", "provider", "model", "token_class", "processing", "context_from", "valid_from"]
    assert len(frame) > 100
    assert not frame.duplicated(keys).any()
    assert {"article-2026-05"} <= set(frame.book)
    assert all(isinstance(amount, Decimal) for amount in frame.amount)

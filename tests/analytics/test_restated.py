"""Restatements summed by source and by day; both sums agree; end to end: a loaded price file re-prices stored calls."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from analytics.filters import Filters
from analytics.restated import (
    RestatedSummary,
    headline,
    newest_restatement,
    restated_by_day,
    restated_by_source,
    restated_summary,
)
from tests.analytics.facts import warehouse_of
from tests.warehouse.price_rows import price_file
from tests.warehouse.rows import call_rows
from warehouse.configuration import Configuration
from warehouse.errors import InputError
from warehouse.intake import Extraction
from warehouse.loading import Loading
from warehouse.reader import Warehouse, open_current
from warehouse.store import Store

D = Decimal
MAY = Filters(date(2026, 5, 1), date(2026, 5, 31))
SINCE = date(2026, 6, 1)


def restated(at: str, day: str, before: str, after: str, **columns: Any) -> dict[str, Any]:
    return {
        "restated_at": datetime.fromisoformat(at), "load_id": 1, "table_name": "charges", "source": "focus", "date": date.fromisoformat(day),
        "service": "OpenAI API", "currency": "USD", "cost_before": D(before), "cost_after": D(after), "reason": "late lines", **columns,
    }  # fmt: skip


def store(*rows: dict[str, Any]) -> Warehouse:
    return warehouse_of(restatements=rows)


FACTS = (
    restated("2026-05-30 10:00", "2026-05-03", "1", "2"),
    restated("2026-06-02 10:00", "2026-05-03", "2", "5"),
    restated("2026-06-03 10:00", "2026-05-03", "5", "4", reason="new version"),
    restated(
        "2026-06-03 10:00",
        "2026-05-04",
        "7",
        "7.5",
        source="litellm",
        feature="search",
        reason="re-priced",
        table_name="calls",
    ),
)


def test_by_source_feature_and_reason_since_a_day() -> None:
    frame = restated_by_source(store(*FACTS), MAY, SINCE)
    assert list(
        zip(frame["source"], frame["feature"], frame["reason"], frame["change"], frame["days"], strict=True)
    ) == [
        ("focus", None, "late lines", D(3), 1),
        ("focus", None, "new version", D(-1), 1),
        ("litellm", "search", "re-priced", D("0.5"), 1),
    ]


def test_by_day_from_what_was_first_told_to_what_is_told_now() -> None:
    frame = restated_by_day(store(*FACTS), MAY, SINCE)
    assert frame[["date", "cost_before", "cost_after", "change", "reasons"]].to_numpy().tolist() == [
        [date(2026, 5, 4), D(7), D("7.5"), D("0.5"), "re-priced"],
        [date(2026, 5, 3), D(2), D(4), D(2), "late lines, new version"],
    ]


def test_the_sums_agree_and_the_sentence_says_them() -> None:
    facts = store(*FACTS)
    whole = restated_summary(facts, MAY, SINCE)
    assert whole.days == 2
    assert (
        whole.change
        == sum(restated_by_source(facts, MAY, SINCE)["change"])
        == sum(restated_by_day(facts, MAY, SINCE)["change"])
    )
    assert headline(facts, MAY, SINCE) == "2 past days changed since 1 June 2026, by +$2.50 in all; late lines: +$3.00"
    assert headline(facts, MAY, date(2026, 7, 1)) == "No past day was told differently since 1 July 2026"
    assert restated_summary(facts, MAY, date(2026, 7, 1)) == RestatedSummary(0, D(0), None, None, D(0))
    assert newest_restatement(facts, MAY) == date(2026, 6, 3)
    assert newest_restatement(store(), MAY) is None


def test_filters_on_source_and_feature_apply_and_currencies_are_not_added() -> None:
    facts = store(*FACTS, restated("2026-06-03 10:00", "2026-05-05", "1", "3", currency="EUR"))
    assert len(restated_by_source(facts, MAY.only("feature", "search"), SINCE)) == 1
    assert restated_summary(facts, MAY.only("source", "litellm"), SINCE).change == D("0.5")
    assert len(restated_by_day(facts, MAY, SINCE)) == 3
    with pytest.raises(InputError, match="EUR and USD"):
        restated_summary(facts, MAY, SINCE)


def load(path: Path, *extractions: Extraction) -> None:
    with Loading(Store(path), Configuration()) as loading:
        for extraction in extractions:
            loading.add(extraction)
        loading.commit()


def test_a_price_file_reprices_stored_calls_and_says_so(tmp_path: Path) -> None:
    """1,000 input and 100 output tokens a call: 0.0035 USD at list (2.50 and 10.00 a million), 0.0014 by the contract (1.00 and 4.00)."""
    calls = [
        ("a", "2026-03-02 10:00:00", "search", None),
        ("b", "2026-03-02 11:00:00", None, None),
        ("c", "2026-03-03 10:00:00", "search", "9.00"),
    ]
    load(tmp_path, call_rows(calls), call_rows([("d", "2026-02-03 10:00:00", "search", None)], file="february.jsonl"))
    load(tmp_path, price_file({"input": "1.00", "output": "4.00"}))
    warehouse = open_current(tmp_path, Configuration())
    stored = warehouse.table("calls").order_by("call_id")
    rows = warehouse.arrow(stored.select("call_id", "cost", "cost_basis", "priced_cost", "price_id")).to_pylist()
    assert [(row["call_id"], row["cost"], row["cost_basis"]) for row in rows] == [
        ("a", D("0.0014"), "priced"),
        ("b", D("0.0014"), "priced"),
        ("c", D("9"), "reported"),
        ("d", D("0.0035"), "priced"),
    ]
    assert rows[2]["priced_cost"] == D("0.0014")
    assert rows[0]["price_id"] == "contract/openai/gpt-4o/standard/0@2026-03-01"
    today = datetime.now(UTC).date()
    frame = restated_by_source(warehouse, MAY, today - timedelta(days=1))
    assert list(zip(frame["source"], frame["feature"], frame["reason"], frame["change"], strict=True)) == [
        ("litellm", "search", "re-priced", D("-0.0021")),
        ("litellm", None, "re-priced", D("-0.0021")),
    ]
    days = restated_by_day(warehouse, MAY, today - timedelta(days=1))
    assert days[["date", "cost_before", "cost_after"]].to_numpy().tolist() == [
        [date(2026, 3, 2), D("0.007"), D("0.0028")]
    ]


def test_loading_the_same_prices_again_changes_nothing(tmp_path: Path) -> None:
    load(tmp_path, call_rows([("a", "2026-03-02 10:00:00", "search", None)]))
    load(tmp_path, price_file({"input": "1.00", "output": "4.00"}))
    load(tmp_path, price_file({"input": "1.00", "output": "4.00"}, "again.csv"))
    warehouse = open_current(tmp_path, Configuration())
    assert warehouse.arrow(warehouse.table("restatements")).num_rows == 1


def test_a_price_for_a_model_without_one_makes_an_unknown_cost_known(tmp_path: Path) -> None:
    load(tmp_path, call_rows([("a", "2026-03-02 10:00:00", "search", None)], model="acme-own"))
    offer = price_file({"input": "1.00", "output": "4.00"})
    load(
        tmp_path,
        Extraction(
            offer.kind, offer.table, offer.source, offer.file, offer.checksum, offer.query.replace("gpt-4o", "acme-own")
        ),
    )
    warehouse = open_current(tmp_path, Configuration())
    row = warehouse.row(warehouse.table("calls").select("cost", "cost_basis"))
    assert row == {"cost": D("0.0014"), "cost_basis": "priced"}
    assert restated_summary(warehouse, MAY, date(2026, 1, 1)).main_reason == "re-priced"

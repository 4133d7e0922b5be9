"""Coverage and freshness: what the figures rest on."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from analytics.coverage import coverage
from analytics.filters import Filters
from analytics.freshness import complete_through, freshness
from tests.analytics.facts import call, charge, moment, warehouse_of
from warehouse.configuration import Configuration
from warehouse.errors import InputError
from warehouse.reader import Warehouse

D = Decimal
MAY = Filters(date(2026, 5, 1), date(2026, 5, 31))


def measure(warehouse: Warehouse, name: str, of: str, filters: Filters = MAY) -> dict[str, Any]:
    frame = coverage(warehouse, filters)
    return dict(frame[(frame.measure == name) & (frame.of == of)].iloc[0])


def load(source: str, loaded_at: str, table: str = "calls", status: str = "stored", number: int = 1) -> dict[str, Any]:
    day, clock = loaded_at.split()
    return {"load_id": number, "source": source, "loaded_at": moment(day, clock), "table_name": table, "status": status}


def test_nothing_to_cover_is_no_share() -> None:
    row = measure(warehouse_of(), "price known", "calls")
    assert (row["covered"], row["total"], row["share"]) == (0, 0, None)


def test_calls_with_usage_price_and_feature() -> None:
    facts = warehouse_of(
        [
            call("2026-05-01", "3"),
            call("2026-05-01", "1", feature=None),
            call("2026-05-01", None),
            call("2026-05-01", None, uncached_input_tokens=None, output_tokens=None),
            call("2026-04-01", None),
        ]
    )
    usage, price, feature = (measure(facts, name, "calls") for name in ("usage reported", "price known", "feature"))
    assert (usage["covered"], usage["total"], usage["unknown"], usage["share"]) == (3, 4, 1, 0.75)
    assert (price["covered"], price["share"], price["cost_share"]) == (2, 0.5, None)
    assert (feature["covered"], feature["covered_cost"], feature["total_cost"], feature["cost_share"]) == (
        3,
        D(3),
        D(4),
        0.75,
    )


def test_billing_lines_with_tags_by_number_and_by_cost() -> None:
    facts = warehouse_of(charges=[charge("2026-05-01", "1", Tags='{"team": "ai"}'), charge("2026-05-02", "3")])
    row = measure(facts, "team", "billing lines")
    assert (row["covered"], row["total"], row["share"], row["cost_share"], row["currency"]) == (1, 2, 0.5, 0.25, "USD")
    assert measure(facts, "user_tier", "billing lines")["covered"] == 0


def test_filters_narrow_what_is_covered() -> None:
    facts = warehouse_of([call("2026-05-01", "1"), call("2026-05-01", None, feature="ask")])
    assert measure(facts, "price known", "calls", MAY.only("feature", "search"))["share"] == 1.0


def test_lines_in_several_currencies_are_refused() -> None:
    lines = [charge("2026-05-01", "1"), charge("2026-05-01", "1", BillingCurrency="EUR")]
    with pytest.raises(InputError, match="EUR and USD"):
        coverage(warehouse_of(charges=lines), MAY)


def test_a_day_is_complete_when_it_was_read_late_enough() -> None:
    """Traces have no lag: yesterday is complete. A bill needs two days more."""
    facts = warehouse_of(
        loads=[load("calls", "2026-05-10 00:30"), load("focus", "2026-05-10 00:30", "charges", number=2)]
    )
    assert complete_through(facts) == {"calls": date(2026, 5, 9), "focus": date(2026, 5, 7)}


def test_the_day_of_reading_is_one_of_the_reporting_time_zone() -> None:
    late = [load("calls", "2026-05-10 17:30")]
    saigon = warehouse_of(loads=late, configuration=Configuration(reporting_time_zone="Asia/Ho_Chi_Minh"))
    assert complete_through(saigon) == {"calls": date(2026, 5, 10)}


def test_a_refused_load_completes_nothing() -> None:
    loads = [load("calls", "2026-05-03 10:00"), load("calls", "2026-05-10 10:00", status="refused", number=2)]
    assert complete_through(warehouse_of(loads=loads)) == {"calls": date(2026, 5, 2)}


def test_status_of_a_sources_newest_day() -> None:
    facts = warehouse_of(
        [call("2026-05-09", "1"), call("2026-05-10", "1")],
        [
            charge("2026-05-01", "1", InvoiceId="inv-1", x_Source="final"),
            charge("2026-05-01", "1", InvoiceId="inv-1"),
            charge("2026-05-05", "1"),
        ],
        loads=[
            load("calls", "2026-05-10 12:00"),
            load("focus", "2026-05-10 12:00", "charges", number=2),
            load("final", "2026-06-10 12:00", "charges", number=3),
        ],
    )
    frame = freshness(facts, MAY)
    assert frame.source.tolist() == ["calls", "final", "focus"]
    assert frame.status.tolist() == ["partial", "final", "provisional"]
    assert frame.last_day.tolist() == [date(2026, 5, 10), date(2026, 5, 1), date(2026, 5, 5)]
    assert frame.complete_through.tolist() == [date(2026, 5, 9), date(2026, 5, 1), date(2026, 5, 5)]
    assert frame.final_through.tolist() == [None, date(2026, 5, 1), date(2026, 5, 4)]
    assert frame.usual_lag_days.tolist() == [0, 0, 2]
    assert frame.rows.tolist() == [2, 1, 2]


def test_a_source_without_a_recorded_load_is_partial() -> None:
    assert freshness(warehouse_of([call("2026-05-01", "1")]), MAY).status.tolist() == ["partial"]

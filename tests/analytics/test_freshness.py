"""Which sources are late: counted from a day, by each source's usual lag."""

from __future__ import annotations

from datetime import date, timedelta

from analytics.freshness import late_sources
from tests.analytics.facts import call, charge, warehouse_of
from warehouse.reader import Warehouse


def test_a_source_is_late_two_days_after_its_usual_lag() -> None:
    # No lag: on the 11th the 10th is the newest day that can be complete; two days of grace end with the 13th.
    warehouse = warehouse_of([call("2026-05-09", "1"), call("2026-05-10", "1")])
    assert late_sources(warehouse, date(2026, 5, 13)) == ()
    ((_, newest),) = late_sources(warehouse, date(2026, 5, 14))
    assert newest == date(2026, 5, 10)


def test_a_source_with_a_lag_has_that_much_longer() -> None:
    line = charge("2026-05-10", "1", x_Source="aws-cur")
    warehouse = warehouse_of(charges=[line])
    lag = warehouse.configuration.usual_lag_days["aws-cur"]
    still = date(2026, 5, 13) + timedelta(days=lag)
    assert late_sources(warehouse, still) == ()
    assert late_sources(warehouse, still + timedelta(days=1)) == (("aws-cur", date(2026, 5, 10)),)


def test_only_the_source_that_stopped_is_named() -> None:
    warehouse = warehouse_of([call("2026-05-20", "1")], [charge("2026-05-10", "1", x_Source="aws-cur")])
    assert [name for name, _ in late_sources(warehouse, date(2026, 5, 21))] == ["aws-cur"]


def test_the_demo_company_is_never_late_and_an_empty_store_neither(demo_warehouse: Warehouse) -> None:
    assert late_sources(demo_warehouse, date(2040, 1, 1)) == ()
    assert late_sources(warehouse_of(), date(2040, 1, 1)) == ()

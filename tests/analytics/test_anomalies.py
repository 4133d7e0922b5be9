"""The rule "more than 20 % above the average of the previous seven days" against published days and cases by hand."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.anomalies import anomalies, twenty_percent_rule
from analytics.filters import Filters
from tests.analytics.facts import call, charge, moment, warehouse_of
from warehouse.errors import InputError
from warehouse.reader import Warehouse

D = Decimal
TAXI = Path(__file__).parent.parent / "data" / "anomaly" / "nyc_taxi_daily.csv"
MAY = Filters(date(2026, 5, 1), date(2026, 5, 31))


def days_of(costs: list[str | None], start: str = "2026-05-01", **columns: Any) -> list[dict[str, Any]]:
    first = date.fromisoformat(start)
    return [
        call((first + timedelta(days=number)).isoformat(), cost, **columns)
        for number, cost in enumerate(costs)
        if cost is not None
    ]


def total(warehouse: Warehouse, filters: Filters = MAY) -> list[date]:
    frame = anomalies(warehouse, filters)
    return frame[frame.series == "total"].date.tolist()


def test_the_published_days_of_the_new_york_taxis() -> None:
    with TAXI.open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    flagged = [rows[flag.position]["date"] for flag in twenty_percent_rule([int(row["value"]) for row in rows])]
    assert flagged == [
        "2014-07-11", "2014-09-05", "2014-09-06", "2014-11-01", "2014-12-05", "2014-12-06", "2014-12-31", "2015-01-01", "2015-01-10",
        "2015-01-30", "2015-01-31",
    ]  # fmt: skip
    in_windows = {row["date"] for row in rows if row["in_window"] == "1"}
    assert len(in_windows & set(flagged)) == 3


def test_exactly_twenty_percent_above_is_not_more() -> None:
    assert twenty_percent_rule([10] * 7 + [12]) == []
    (flag,) = twenty_percent_rule([D(10)] * 7 + [D("12.000000000001")])
    assert (flag.position, flag.expected, flag.excess) == (7, D(10), D("2.000000000001"))


def test_a_value_needs_seven_known_values_before_it() -> None:
    assert twenty_percent_rule([10] * 6 + [100]) == []
    assert twenty_percent_rule([10] * 3 + [None] + [10] * 6 + [100]) == []
    assert [flag.position for flag in twenty_percent_rule([None] + [10] * 7 + [100])] == [8]
    assert twenty_percent_rule([10] * 7 + [None]) == []


def test_credits_on_average_flag_nothing() -> None:
    assert twenty_percent_rule([-10] * 7 + [-5]) == []


@given(st.lists(st.integers(0, 10**6), max_size=40))
def test_the_rule_is_its_words(values: list[int]) -> None:
    flags = {flag.position for flag in twenty_percent_rule(values)}
    for position, value in enumerate(values):
        before = values[max(0, position - 7) : position]
        # In whole numbers: v > 1.2 x (sum / 7).
        assert (position in flags) == (len(before) == 7 and 70 * value > 12 * sum(before))


def test_an_empty_store_has_no_flags() -> None:
    assert anomalies(warehouse_of(), MAY).empty


def test_the_average_may_lie_before_the_period() -> None:
    facts = warehouse_of(days_of(["10"] * 7 + ["13"], start="2026-04-24"))
    (row,) = anomalies(facts, MAY.only("feature", "search")).query("series == 'total'").to_dict("records")
    assert (row["date"], row["expected"], row["actual"], row["excess"]) == (date(2026, 5, 1), D(10), D(13), D(3))
    assert (row["kind"], row["direction"], row["currency"]) == ("20 % rule", "up", "USD")


def test_every_series_is_judged_for_itself() -> None:
    """The dear feature hides the cheap one in the total."""
    calls = days_of(["100"] * 8, feature="ask") + days_of(["1"] * 7 + ["2"], feature="search", model="gpt-4o-mini")
    assert set(anomalies(warehouse_of(calls), MAY).series) == {
        "feature:search",
        "model:gpt-4o-mini",
        "service:gpt-4o-mini",
    }


def test_days_without_a_cost_of_the_series_count_as_zero_when_others_cost() -> None:
    calls = days_of(["100"] * 9, feature="ask") + days_of(["7"] + [None] * 6 + ["1", "2"], feature="search")
    frame = anomalies(warehouse_of(calls), MAY)
    found = frame[frame.series == "feature:search"]
    assert list(zip(found.date, found.expected, strict=True)) == [(date(2026, 5, 9), (D(1) / 7).quantize(D("1e-12")))]


def test_a_day_that_nobody_recorded_is_no_day_without_cost() -> None:
    assert total(warehouse_of(days_of(["10"] * 6 + [None] + ["13"]))) == []
    assert total(warehouse_of(days_of(["10"] * 7 + ["13"]))) == [date(2026, 5, 8)]


def test_a_day_that_is_not_complete_is_not_flagged_nor_part_of_an_average() -> None:
    def loaded(when: str) -> list[dict[str, Any]]:
        return [{"load_id": 1, "source": "calls", "loaded_at": moment(when), "status": "stored", "table_name": "calls"}]

    calls = days_of(["10"] * 7 + ["13"])
    assert total(warehouse_of(calls, loads=loaded("2026-05-08"))) == []
    assert total(warehouse_of(calls, loads=loaded("2026-05-09"))) == [date(2026, 5, 8)]
    bill = [charge(f"2026-05-{day:02d}", "13" if day == 8 else "10") for day in range(1, 9)]
    of_bill = [{**loaded("2026-05-10")[0], "source": "focus"}]
    assert total(warehouse_of(charges=bill, loads=of_bill)) == []
    of_bill = [{**loaded("2026-05-11")[0], "source": "focus"}]
    assert total(warehouse_of(charges=bill, loads=of_bill)) == [date(2026, 5, 8)]


def test_several_currencies_are_refused() -> None:
    lines = [charge("2026-05-01", "1"), charge("2026-05-01", "1", BillingCurrency="EUR")]
    with pytest.raises(InputError, match="EUR and USD"):
        anomalies(warehouse_of(charges=lines), MAY)


def test_the_demo_companys_runaway_agent_is_flagged(demo_warehouse: Warehouse) -> None:
    frame = anomalies(demo_warehouse, MAY)
    agent = frame[(frame.series == "feature:summarize") & (frame.date == date(2026, 5, 19))]
    assert set(agent.kind) == {"spike", "20 % rule"}
    assert date(2026, 5, 19) in frame[frame.series == "total"].date.tolist()

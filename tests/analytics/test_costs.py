"""Costs per period and dimension: by hand, and summing to the total whatever they are broken down by."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.costs import BY, costs
from analytics.filters import Filters
from tests.analytics.facts import call, charge, day, warehouse_of
from tests.analytics.test_ledger import CALLS, CHARGES
from warehouse.errors import InputError
from warehouse.reader import Warehouse

D = Decimal
MAY = Filters(date(2026, 5, 1), date(2026, 5, 31))
QUARTER = Filters(date(2026, 3, 1), date(2026, 5, 31))


def rows(frame: pd.DataFrame, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(values) for values in frame[list(names)].itertuples(index=False)]


def total(frame: pd.DataFrame, currency: str = "USD") -> Decimal:
    return sum((c for c, code in rows(frame, "cost", "currency") if c is not None and code == currency), D(0))


def test_an_empty_store_costs_nothing_known() -> None:
    frame = costs(warehouse_of(), MAY, ("category",))
    assert list(frame.columns[:4]) == ["period", "category", "cost", "currency"]
    assert frame.empty


def test_days_weeks_and_months_start_on_their_first_day() -> None:
    # 2 May 2026 is a Saturday: its week starts on 27 April.
    warehouse = warehouse_of([call("2026-05-02", "1"), call("2026-05-04", "2"), call("2026-05-31", "4")])
    assert rows(costs(warehouse, MAY), "period", "cost") == [
        (day("2026-05-02"), D(1)),
        (day("2026-05-04"), D(2)),
        (day("2026-05-31"), D(4)),
    ]
    weeks = costs(warehouse, Filters(MAY.start, MAY.end, grain="week"))
    assert rows(weeks, "period", "cost") == [
        (day("2026-04-27"), D(1)),
        (day("2026-05-04"), D(2)),
        (day("2026-05-25"), D(4)),
    ]
    months = costs(warehouse, Filters(MAY.start, MAY.end, grain="month"))
    assert rows(months, "period", "cost", "calls") == [(day("2026-05-01"), D(7), 3)]


def test_the_dearest_comes_first_and_what_is_missing_last() -> None:
    calls = [call("2026-05-02", "1", feature=name) for name in ("b", "a", None)] + [
        call("2026-05-02", "5", feature="z")
    ]
    frame = costs(warehouse_of(calls), MAY, ["feature"])
    assert frame["feature"].tolist() == ["z", "a", "b", None]


def test_an_unknown_cost_is_counted_and_is_not_zero() -> None:
    calls = [call("2026-05-02", None), call("2026-05-02", None), call("2026-05-03", "1"), call("2026-05-03", None)]
    frame = costs(warehouse_of(calls), MAY)
    assert rows(frame, "cost", "unknown_costs", "unpriced_calls") == [(None, 2, 2), (D(1), 1, 1)]


def test_calls_without_price_that_a_bill_covers_are_no_unknown_cost() -> None:
    warehouse = warehouse_of([call("2026-05-02", None), call("2026-05-02", "1")], [charge("2026-05-02", "9")])
    assert rows(costs(warehouse, MAY), "cost", "unknown_costs", "unpriced_calls") == [(D(9), 0, 1)]


def test_a_line_without_the_basis_is_counted() -> None:
    warehouse = warehouse_of(charges=[charge("2026-05-02", "9", ListCost=None), charge("2026-05-02", "1")])
    listed = costs(warehouse, Filters(MAY.start, MAY.end, basis="list"))
    assert rows(listed, "cost", "unknown_costs") == [(D(1), 1)]


def test_the_estimated_part_is_named() -> None:
    warehouse = warehouse_of([call("2026-05-02", "1", provider="anthropic")], [charge("2026-05-02", "3")])
    assert costs(warehouse, MAY)["estimated_share"].tolist() == [0.25]
    assert rows(costs(warehouse, MAY, ("ledger",)), "ledger", "cost") == [("bill", D(3)), ("traces", D(1))]


def test_currencies_have_rows_of_their_own() -> None:
    warehouse = warehouse_of(charges=[charge("2026-05-02", "9"), charge("2026-05-02", "7", BillingCurrency="EUR")])
    assert rows(costs(warehouse, MAY), "cost", "currency") == [(D(9), "USD"), (D(7), "EUR")]


def test_the_tier_may_be_called_tier() -> None:
    frame = costs(warehouse_of([call("2026-05-02", "1", user_tier="pro")]), MAY, ("tier",))
    assert rows(frame, "period", "tier", "cost") == [(day("2026-05-02"), "pro", D(1))]


def test_an_unknown_dimension_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"colour.*category, feature"):
        costs(warehouse_of(), MAY, ("colour",))


@settings(max_examples=20, deadline=None)
@given(
    st.lists(CALLS, max_size=6),
    st.lists(CHARGES, max_size=6),
    st.lists(st.sampled_from(sorted(BY)), max_size=3, unique=True),
    st.sampled_from(["day", "week", "month"]),
)
def test_any_breakdown_sums_to_the_total(
    calls: list[dict[str, Any]], charges: list[dict[str, Any]], by: list[str], grain: str
) -> None:
    warehouse = warehouse_of(calls, charges)
    whole = costs(warehouse, Filters(date(2026, 5, 1), date(2026, 6, 30), grain="month"))
    parts = costs(warehouse, Filters(date(2026, 5, 1), date(2026, 6, 30), grain=grain), by)
    for currency in ("USD", "EUR"):
        assert total(parts, currency) == total(whole, currency)
    assert parts["unknown_costs"].sum() == whole["unknown_costs"].sum()


@pytest.mark.parametrize("by", sorted(BY))
def test_the_demo_companys_costs_sum_whatever_they_are_broken_down_by(demo_warehouse: Warehouse, by: str) -> None:
    months = Filters(QUARTER.start, QUARTER.end, grain="month")
    frame = costs(demo_warehouse, months, (by,))
    sums = {period: D(0) for period in frame["period"]}
    for period, cost in rows(frame, "period", "cost"):
        sums[period] += cost or 0
    assert sums[day("2026-03-01")] == D(47231)
    assert sums[day("2026-05-01")] == D(9200)
    assert total(costs(demo_warehouse, QUARTER, (by,))) == sum(sums.values())


def test_the_demo_companys_categories_are_its_invoices(demo_warehouse: Warehouse) -> None:
    frame = costs(demo_warehouse, Filters(QUARTER.start, QUARTER.end, grain="month"), ("category",))
    march = {name: cost for period, name, cost in rows(frame, "period", "category", "cost") if period.month == 3}
    assert march == {
        "LLM API": D(31200),
        "GPU inference": D(10400),
        "Vector database": D(3500),
        "Embedding": D(1200),
        "Storage and transfer": D(931),
    }

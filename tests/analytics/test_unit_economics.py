"""Unit costs against figures computed by hand, and against the demo company's published ones."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.filters import Filters
from analytics.unit_economics import COLUMNS, unit_economics, whole_period
from tests.analytics.facts import call, charge, day, warehouse_of
from warehouse.errors import InputError
from warehouse.reader import Warehouse

D = Decimal
MAY = Filters(date(2026, 5, 1), date(2026, 5, 31), grain="month")


def visit(when: str, user: str | None, tier: str = "free", count: int = 1) -> dict[str, Any]:
    return {"date": day(when), "user_id": user, "user_tier": tier, "active_users": count, "source": "calls"}


def sale(when: str, amount: str | None, **columns: Any) -> dict[str, Any]:
    money = None if amount is None else D(amount)
    return {"date": day(when), "amount": money, "currency": "USD", "source": "revenue", "feature": "search", **columns}


def only(warehouse: Warehouse, filters: Filters = MAY, **options: Any) -> dict[str, Any]:
    frame = unit_economics(warehouse, filters, **options)
    assert len(frame) == 1
    return dict(frame.iloc[0])


def test_an_empty_store_and_a_period_without_data_have_no_rows() -> None:
    assert unit_economics(warehouse_of(), MAY).empty
    assert "cost_per_average_dau" in unit_economics(warehouse_of(), MAY)
    assert unit_economics(warehouse_of([call("2026-03-01", "1")]), MAY).empty


def test_the_two_costs_per_daily_active_user_are_told_apart() -> None:
    """Two days with 1 and 3 users average 2: 12 dollars are 6 per average user, and 3 per user and day."""
    users = [visit("2026-05-01", "a"), *(visit("2026-05-02", user) for user in "abc")]
    row = only(warehouse_of([call("2026-05-01", "4"), call("2026-05-02", "8")], activity=users))
    assert (row["days"], row["dau_days"], row["dau"]) == (2, 2, 2.0)
    assert row["cost_per_average_dau"] == D(6)
    assert row["cost_per_dau"] == D(3)
    assert (row["mau"], row["cost_per_mau"]) == (3, D(4))
    assert (row["calls"], row["cost_per_call"]) == (2, D(6))
    assert row["dau_source"] == "activity"


def test_a_user_in_two_rows_of_a_day_is_one_active_user() -> None:
    users = [visit("2026-05-01", "a", "free"), visit("2026-05-01", "a", "pro")]
    assert only(warehouse_of([call("2026-05-01", "4")], activity=users))["dau"] == 1.0


def test_counts_without_names_give_daily_users_but_no_monthly_ones() -> None:
    users = [visit("2026-05-01", None, "free", 40), visit("2026-05-01", None, "pro", 10)]
    row = only(warehouse_of([call("2026-05-01", "100")], activity=users))
    assert (row["dau"], row["cost_per_average_dau"]) == (50.0, D(2))
    assert row["mau"] is None
    assert row["cost_per_mau"] is None


def test_without_recorded_activity_the_callers_stand_in_and_are_marked() -> None:
    row = only(warehouse_of([call("2026-05-01", "3", user_id="a"), call("2026-05-01", "3", user_id="b")]))
    assert (row["dau"], row["dau_source"], row["cost_per_average_dau"]) == (2.0, "callers", D(3))


def test_without_any_users_nothing_is_made_up() -> None:
    row = only(warehouse_of([call("2026-05-01", "3")]))
    for name in ("dau", "dau_source", "mau", "cost_per_dau", "cost_per_average_dau", "cost_per_mau"):
        assert row[name] is None, name
    assert row["conversions"] is None
    assert row["cost_per_conversion"] is None
    assert row["revenue"] is None
    assert row["gross_margin"] is None


def test_a_filter_on_a_feature_narrows_the_cost_and_not_the_people() -> None:
    facts = warehouse_of(
        [call("2026-05-01", "6", feature="search"), call("2026-05-01", "2", feature="ask")],
        activity=[visit("2026-05-01", "a"), visit("2026-05-01", "b")],
    )
    parts = [only(facts, MAY.only("feature", name))["cost_per_dau"] for name in ("search", "ask")]
    assert parts == [D(3), D(1)]
    assert sum(parts) == only(facts)["cost_per_dau"]


def test_a_filter_on_the_tier_narrows_both() -> None:
    facts = warehouse_of(
        [call("2026-05-01", "6", user_tier="free"), call("2026-05-01", "2", user_tier="pro")],
        activity=[visit("2026-05-01", "a", "free"), visit("2026-05-01", "b", "free"), visit("2026-05-01", "c", "pro")],
    )
    assert only(facts, MAY.only("user_tier", "free"))["cost_per_dau"] == D(3)
    assert only(facts, MAY.only("user_tier", "pro"))["cost_per_dau"] == D(2)


def test_a_call_whose_cost_is_not_known_is_counted_and_not_free() -> None:
    row = only(warehouse_of([call("2026-05-01", None)]))
    assert row["cost"] is None
    assert row["cost_per_call"] is None
    assert (row["calls"], row["unpriced_calls"], row["unknown_costs"]) == (1, 1, 1)


def test_a_credit_lowers_the_bill_but_not_the_unit_cost() -> None:
    """Golden case: 500 of use against a credit of 500 is nothing billed; an active user still costs 500."""
    facts = warehouse_of(
        charges=[charge("2026-05-01", "500"), charge("2026-05-02", "-500", ChargeCategory="Credit")],
        activity=[visit("2026-05-01", "a")],
    )
    row = only(facts)
    assert (row["cost"], row["credits"], row["cost_before_credits"]) == (D(0), D(-500), D(500))
    assert row["cost_per_average_dau"] == D(500)
    assert only(facts, net_of_credits=True)["cost_per_average_dau"] == D(0)


def test_revenue_counts_once_when_the_calls_tell_it_too() -> None:
    calls = [call("2026-05-01", "1", revenue=D("9")), call("2026-04-30", "1", revenue=D("7"))]
    facts = warehouse_of(calls, revenue=[sale("2026-05-03", "4")])
    assert only(facts)["revenue"] == D(4)
    assert only(facts)["gross_margin"] == pytest.approx(0.75)
    april = Filters(date(2026, 4, 1), date(2026, 4, 30), grain="month")
    assert only(facts, april)["revenue"] == D(7)
    both = unit_economics(facts, Filters(date(2026, 4, 1), date(2026, 5, 31), grain="month"))
    assert both.revenue.tolist() == [D(7), D(4)]


def test_conversions_come_from_the_table_that_tells_them() -> None:
    calls = [call("2026-05-01", "1", converted=True), call("2026-05-01", "1", converted=False)]
    assert only(warehouse_of(calls))["conversions"] == 1
    assert only(warehouse_of(calls))["cost_per_conversion"] == D(2)
    facts = warehouse_of(calls, revenue=[sale("2026-05-01", "4", conversions=5)])
    assert (only(facts)["conversions"], only(facts)["cost_per_conversion"]) == (5, D("0.4"))
    facts = warehouse_of(calls, revenue=[sale("2026-05-01", "4")])
    assert (only(facts)["conversions"], only(facts)["revenue"]) == (1, D(4))


def test_no_revenue_is_no_margin_rather_than_minus_infinity() -> None:
    row = only(warehouse_of([call("2026-05-01", "1")], revenue=[sale("2026-05-01", "0")]))
    assert (row["revenue"], row["gross_margin"]) == (D(0), None)


def test_days_to_come_do_not_make_the_days_so_far_cheaper() -> None:
    facts = warehouse_of(
        [call("2026-05-01", "4"), call("2026-05-10", "6")],
        activity=[visit("2026-05-01", "a"), visit("2026-05-10", "b")],
    )
    row = only(facts)
    assert row["days"] == 10
    assert row["cost_per_dau"] == D(1)


def test_several_currencies_are_refused_in_words() -> None:
    facts = warehouse_of(charges=[charge("2026-05-01", "5"), charge("2026-05-01", "5", BillingCurrency="EUR")])
    with pytest.raises(InputError, match="EUR and USD"):
        unit_economics(facts, MAY)
    assert only(facts, MAY.only("currency", "EUR"))["cost"] == D(5)


def test_revenue_in_another_currency_than_the_cost_is_refused() -> None:
    with pytest.raises(InputError, match="EUR and USD"):
        unit_economics(warehouse_of([call("2026-05-01", "1")], revenue=[sale("2026-05-01", "4", currency="EUR")]), MAY)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.dates(date(2026, 3, 20), date(2026, 5, 10)),
            st.none() | st.decimals("0.0000000001", "9", places=10),
            st.none() | st.decimals("0", "9", places=4),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_periods_of_any_grain_sum_to_the_same(facts: list[tuple[date, Decimal | None, Decimal | None]]) -> None:
    calls = [
        call(when.isoformat(), None if cost is None else str(cost), revenue=revenue, user_id="a")
        for when, cost, revenue in facts
    ]
    facts_of = warehouse_of(calls)
    for name, expected in (
        ("cost", [cost for _when, cost, _revenue in facts if cost is not None]),
        ("revenue", [revenue for _when, _cost, revenue in facts if revenue is not None]),
    ):
        for grain in ("day", "week", "month"):
            frame = unit_economics(facts_of, Filters(date(2026, 3, 1), date(2026, 5, 31), grain=grain))
            assert sum((value for value in frame[name] if value is not None), D(0)) == sum(expected, D(0))
            assert frame.calls.sum() == len(facts)


def test_the_demo_company_costs_what_its_story_says(demo_warehouse: Warehouse) -> None:
    frame = unit_economics(demo_warehouse, Filters(date(2026, 3, 1), date(2026, 5, 31), grain="month"))
    march, _april, may = frame.to_dict("records")
    assert (march["cost"], may["cost"]) == (D(47231), D(9200))
    assert (march["dau"], may["dau"]) == (500.0, 620.0)
    assert (march["cost_per_average_dau"], may["cost_per_average_dau"].quantize(D("0.01"))) == (D("94.462"), D("14.84"))
    assert march["cost_per_dau"] == pytest.approx(D("94.462") / 31)
    assert march["gross_margin"] < 0 < may["gross_margin"]


def test_a_whole_period_is_one_row_over_all_its_days(demo_warehouse: Warehouse) -> None:
    whole = whole_period(demo_warehouse, Filters(date(2026, 3, 1), date(2026, 3, 31)))
    month = unit_economics(demo_warehouse, Filters(date(2026, 3, 1), date(2026, 3, 31), grain="month")).iloc[0]
    assert {name: whole[name] for name in COLUMNS} == dict(month)
    half = whole_period(demo_warehouse, Filters(date(2026, 3, 16), date(2026, 4, 15)))
    assert (half["period"], half["days"], half["dau_days"]) == (date(2026, 3, 16), 31, 31)
    assert whole_period(warehouse_of(), MAY) == {}

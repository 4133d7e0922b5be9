"""No two views can disagree: whatever the facts, zone, basis and grain, every view's costs sum to the same total, to the last digit."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.changes import changes
from analytics.costs import costs
from analytics.features import outside_features
from analytics.filters import Filters
from analytics.overview import overview
from analytics.views import VIEWS
from tests.analytics.facts import call, charge, warehouse_of
from warehouse.configuration import Configuration
from warehouse.reader import Warehouse

START = date(2026, 3, 27)
DIMENSIONS = (
    "category", "feature", "project", "team", "env", "user_tier", "model", "provider", "service", "account", "source", "ledger",
)  # fmt: skip

days = st.integers(0, 9).map(lambda offset: (START + timedelta(days=offset)).isoformat())
names = st.sampled_from([None, "search", "chat"])
money = st.decimals("0", "90", places=7, allow_nan=False).map(str)
calls = st.builds(
    lambda day, cost, feature, team, tier, model, provider, clock: call(
        day, cost, feature=feature, team=team, user_tier=tier, model=model, provider=provider, clock=clock
    ),
    days, st.none() | money, names, names, st.sampled_from([None, "free", "pro"]), st.sampled_from(["gpt-4o", "gpt-4o-mini"]),
    st.sampled_from(["openai", "anthropic"]), st.sampled_from(["00:10", "12:00", "23:50"]),
)  # fmt: skip
charges = st.builds(
    lambda day, cost, model, service, length, tags: charge(day, cost, x_Model=model, days=length, Tags=tags, **service),
    days, st.decimals("-20", "90", places=9, allow_nan=False).map(str), st.sampled_from([None, "gpt-4o"]),
    st.sampled_from([
        {},
        {"x_CostCategory": "GPU inference", "ServiceName": "EC2", "ServiceProviderName": "AWS"},
        {"x_CostCategory": "Unclassified", "ServiceName": "Odd", "ServiceProviderName": "Acme"},
    ]),
    st.sampled_from([1, 1, 3]), st.sampled_from([None, '{"feature": "chat", "team": "data"}']),
)  # fmt: skip


def total(values: Iterable[Any]) -> Decimal:
    """Sum of what is known."""
    return sum((value for value in values if isinstance(value, Decimal | int)), Decimal(0))


def sums(warehouse: Warehouse, filters: Filters) -> dict[str, Decimal]:
    """The period's total as each view tells it."""
    told = {f"costs by {name}": total(costs(warehouse, filters, (name,))["cost"]) for name in DIMENSIONS}
    told["costs"] = total(costs(warehouse, filters)["cost"])
    for name, column in (("margins", "cost"), ("allocation", "total"), ("unit-economics", "cost")):
        told[name] = total(VIEWS[name].answer(warehouse, filters)[column])
    features = VIEWS["features"].answer(warehouse, filters)
    told["features and what lies outside"] = total(features["total_cost"]) + total(
        outside_features(warehouse, filters)["cost"]
    )
    tags = VIEWS["tags"].answer(warehouse, filters)
    told |= {f"tag {name}": total(rows["cost"]) for name, rows in tags.groupby("tag")}
    coverage = VIEWS["tag-coverage"].answer(warehouse, filters)
    told |= {f"coverage of {name}": total(rows["cost"]) for name, rows in coverage.groupby("tag")}
    return told


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(calls, min_size=1, max_size=12),
    st.lists(charges, max_size=8),
    st.sampled_from(["UTC", "Asia/Ho_Chi_Minh", "America/New_York"]),
    st.sampled_from(["day", "week", "month"]),
)
def test_every_view_sums_to_the_same_total(
    some_calls: list[dict[str, Any]], some_charges: list[dict[str, Any]], zone: str, grain: str
) -> None:
    warehouse = warehouse_of(some_calls, some_charges, Configuration(reporting_time_zone=zone))
    filters = Filters(START - timedelta(days=1), START + timedelta(days=12), grain=grain)
    expected = total([VIEWS["totals"].answer(warehouse, filters)["ledger_cost"].iloc[0]])
    assert {name: value for name, value in sums(warehouse, filters).items() if value != expected} == {}


@pytest.mark.parametrize("basis", ["billed", "effective", "list"])
@pytest.mark.parametrize(
    ("first", "last"), [(date(2026, 3, 1), date(2026, 3, 31)), (date(2026, 4, 10), date(2026, 5, 9))]
)
def test_on_the_demo_pages_exports_and_changes_tell_one_total(
    demo_warehouse: Warehouse, basis: str, first: date, last: date
) -> None:
    filters = Filters(first, last, basis=basis)
    expected = VIEWS["totals"].answer(demo_warehouse, filters)["ledger_cost"].iloc[0]
    told = sums(demo_warehouse, filters)
    found = overview(demo_warehouse, filters)
    assert found.total is not None
    told["overview"] = found.total
    told["charges"] = total(VIEWS["charges"].answer(demo_warehouse, filters)[basis])
    assert {name: value for name, value in told.items() if value != expected} == {}
    if first.month == 4:
        before = VIEWS["totals"].answer(demo_warehouse, filters.previous())["ledger_cost"].iloc[0]
        for by in ("category", "feature"):
            assert total(changes(demo_warehouse, filters, by)["difference"]) == expected - before

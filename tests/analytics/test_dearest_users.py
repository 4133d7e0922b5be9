"""A feature's users, the dearest first: from daily sums or from single calls, whichever know enough, and always the same figures."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from analytics.feature_detail import MOST_NAMED, feature_detail
from analytics.filters import Filters
from tests.analytics.facts import call, day, warehouse_of
from warehouse.reader import Warehouse

MARCH = Filters(day("2026-03-01"), day("2026-03-31"))
SEARCH = [
    call("2026-03-01", "0.5", user_id="ann"),
    call("2026-03-09", "0.25", user_id="ann", user_tier="pro"),
    call("2026-03-02", "1", user_id="bob", provider="anthropic"),
    call("2026-03-02", "7", user_id="bob", feature="chat"),
    call("2026-04-01", "9", user_id="ann"),
]


def users(warehouse: Warehouse, filters: Filters = MARCH) -> list[tuple[Any, ...]]:
    frame = feature_detail(warehouse, filters, "search", "user")
    return list(frame[["user", "cost", "calls", "unpriced_calls"]].itertuples(index=False, name=None))


def test_daily_sums_answer_where_they_know_every_cost_and_user() -> None:
    warehouse = warehouse_of(SEARCH)
    expected = [("bob", Decimal(1), 1, 0), ("ann", Decimal("0.75"), 2, 0)]
    assert users(warehouse) == expected
    warehouse.connection.execute("DELETE FROM calls")
    assert users(warehouse) == expected
    assert users(warehouse, MARCH.only("user_tier", "pro")) == [("ann", Decimal("0.25"), 1, 0)]
    assert users(warehouse, MARCH.only("provider", "anthropic")) == []


@pytest.mark.parametrize(
    ("user", "cost", "expected"),
    [
        ("eve", None, ("eve", None, 1, 1)),
        (None, "0.125", (None, Decimal("0.125"), 1, 0)),
    ],
    ids=["a cost is not known", "a user is not known"],
)
def test_single_calls_answer_where_daily_sums_do_not_know(
    user: str | None, cost: str | None, expected: tuple[Any, ...]
) -> None:
    warehouse = warehouse_of([*SEARCH, call("2026-03-05", cost, user_id=user)])
    found = users(warehouse)
    assert found[-1] == expected
    assert found[:2] == [("bob", Decimal(1), 1, 0), ("ann", Decimal("0.75"), 2, 0)]


def test_filters_that_daily_sums_of_users_cannot_follow_read_the_calls() -> None:
    assert users(warehouse_of(SEARCH), MARCH.only("provider", "anthropic")) == [("bob", Decimal(1), 1, 0)]


@pytest.mark.parametrize("cost", ["0.001", None], ids=["known", "unknown"])
def test_beyond_the_named_ones_the_others_are_one_row(cost: str | None) -> None:
    """1,000 users of a dollar each, and three others who cost less or nobody knows what."""
    dear = [call("2026-03-03", "1", user_id=f"d{number:04}") for number in range(MOST_NAMED)]
    others = [call("2026-03-03", cost, user_id=f"o{number}") for number in range(3)]
    found = users(warehouse_of([*dear, *others]))
    assert len(found) == MOST_NAMED + 1
    assert found[0] == ("d0000", Decimal(1), 1, 0)
    assert found[-1] == ("3 others", None if cost is None else Decimal("0.003"), 3, 3 if cost is None else 0)

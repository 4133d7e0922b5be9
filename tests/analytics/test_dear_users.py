"""Users who could be flagged, gathered once of a snapshot, are under any filters those that single calls name."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.anomalies_series import panel
from analytics.filters import Filters
from tests.analytics.facts import call, warehouse_of

FIRST = date(2026, 5, 1)
Call = tuple[int, str, str, str | None]
"""Day after the first, user, feature, cost."""

COSTS = st.sampled_from(["0.5", "2.5", "3", "4.99", "5", "7", "-3", None])
CALLS = st.lists(
    st.tuples(st.integers(0, 9), st.sampled_from("abc"), st.sampled_from(["chat", "search"]), COSTS),
    min_size=1,
    max_size=25,
)


def users(calls: list[Call], filters: Filters) -> set[str]:
    """Users with a day of 5 or more among the calls that pass, up to the filters' last day."""
    wanted = {value for _, values in filters.where for value in values}
    sums: dict[tuple[int, str], Decimal] = defaultdict(Decimal)
    for day, user, feature, cost in calls:
        if cost is not None and (not wanted or feature in wanted) and FIRST + timedelta(days=day) <= filters.end:
            sums[day, user] += Decimal(cost)
    return {user for (_, user), cost in sums.items() if cost >= 5}


@settings(max_examples=15, deadline=None)
@given(calls=CALLS, data=st.data())
def test_users_of_a_panel_are_those_of_the_calls(calls: list[Call], data: st.DataObject) -> None:
    rows = [
        call((FIRST + timedelta(days=day)).isoformat(), cost, user_id=user, feature=feature)
        for day, user, feature, cost in calls
    ]
    warehouse = warehouse_of(rows)
    # Two questions of one snapshot: what the first has gathered serves the second.
    for _ in range(2):
        where = data.draw(st.sampled_from([(), (("feature", ("chat",)),), (("feature", ("search",)),)]))
        filters = Filters(FIRST, FIRST + timedelta(days=data.draw(st.integers(0, 9))), where)
        found = panel(warehouse, filters)
        named = set() if found is None else {name for name in found.names if name.startswith("user:")}
        assert named == {f"user:{user}" for user in users(calls, filters)}


@pytest.mark.parametrize("earlier", [(), (("feature", ("chat",)),)], ids=["all", "chat"])
def test_a_user_who_is_dear_in_one_feature_alone_is_found(earlier: tuple[tuple[str, tuple[str, ...]], ...]) -> None:
    day = FIRST.isoformat()
    rows = [call(day, "6", user_id="a", feature="chat"), call(day, "-2", user_id="a", feature="search")]
    warehouse = warehouse_of(rows)
    panel(warehouse, Filters(FIRST, FIRST, earlier))
    found = panel(warehouse, Filters(FIRST, FIRST, (("feature", ("chat",)),)))
    assert found is not None
    assert "user:a" in found.names

"""Active users from the small table of a stored snapshot, against sets of users in Python and against the rows that the table sums."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.active_users import ActiveUsers, active_users
from analytics.filters import UNTAGGED, Filters, first_day
from connectors.intake import load_paths
from warehouse.configuration import Configuration
from warehouse.reader import Warehouse, open_current
from warehouse.store import Store

FIRST = date(2026, 3, 1)
Call = tuple[int, int, str | None]
"""Day after the first, user, tier."""


def stored(calls: list[Call], folder: Path) -> Warehouse:
    """A store that these calls were loaded into, open."""
    lines = ["call_id,started_at,provider,model,user_id,user_tier,uncached_input_tokens,output_tokens"]
    lines += [
        f"c{number},{datetime.combine(FIRST, datetime.min.time()) + timedelta(days=day, hours=12)},openai,gpt-4o,u{user},{tier or ''},10,1"
        for number, (day, user, tier) in enumerate(calls)
    ]
    (folder / "calls.csv").write_text("\n".join(lines))
    load_paths(Store(folder / "store"), Configuration(), [folder / "calls.csv"], "calls")
    return open_current(folder / "store", Configuration())


def counted(calls: list[Call], filters: Filters, grain: str) -> dict[date, ActiveUsers]:
    """The same by sets."""
    tiers = {value for _, values in filters.where for value in values}
    people: dict[date, dict[date, set[int]]] = defaultdict(lambda: defaultdict(set))
    for number, user, tier in calls:
        day = FIRST + timedelta(days=number)
        if filters.start <= day <= filters.end and (not tiers or (tier or UNTAGGED) in tiers):
            people[filters.start if grain == "whole" else first_day(day, grain)][day].add(user)
    return {
        period: ActiveUsers(sum(map(len, days.values())), len(days), len(set().union(*days.values())), "callers")
        for period, days in people.items()
    }


CALLS = st.lists(
    st.tuples(st.integers(0, 70), st.integers(0, 6), st.sampled_from(["free", "pro", None])), min_size=1, max_size=60
)
WHERE = st.sampled_from([(), ("free",), ("pro",), (UNTAGGED,), ("free", "pro"), ("nobody",)])


@settings(max_examples=8, deadline=None)
@given(calls=CALLS, data=st.data())
def test_counts_are_those_of_sets(calls: list[Call], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        warehouse = stored(calls, Path(folder))
        assert warehouse.has_table("callers")
        for _ in range(4):
            begin, end = sorted(data.draw(st.tuples(st.integers(0, 70), st.integers(0, 70))))
            where = data.draw(WHERE)
            filters = Filters(
                FIRST + timedelta(days=begin), FIRST + timedelta(days=end), (("user_tier", where),) if where else ()
            )
            for grain in ("day", "week", "month", "whole"):
                assert active_users(warehouse, filters, grain) == counted(calls, filters, grain)
        warehouse.connection.close()


def test_a_month_is_counted_without_its_user_days(tmp_path: Path) -> None:
    calls: list[Call] = [(0, 1, "free"), (4, 1, "pro"), (4, 2, "pro"), (30, 1, "free"), (31, 1, "free")]
    warehouse = stored(calls, tmp_path)
    march = Filters(FIRST, date(2026, 3, 31))
    before = {grain: active_users(warehouse, march, grain) for grain in ("day", "month", "whole")}
    assert before["month"] == {FIRST: ActiveUsers(4, 3, 2, "callers")}
    warehouse.connection.execute("CREATE OR REPLACE VIEW user_days AS SELECT error('user_days was read') AS x")
    for grain, answer in before.items():
        assert active_users(warehouse, march, grain) == answer


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/Los_Angeles"])
def test_where_a_day_lies_in_two_files_its_users_are_counted_once(zone: str, tmp_path: Path) -> None:
    """Calls around the end of a UTC month that are one day of the zone."""
    lines = "call_id,started_at,provider,model,user_id,uncached_input_tokens,output_tokens\n"
    hours = {"Asia/Kolkata": (20, 1), "America/Los_Angeles": (20, 3)}[zone]
    first, second = f"2026-03-31 {hours[0]}:00:00", f"2026-04-01 0{hours[1]}:00:00"
    lines += f"a,{first},openai,gpt-4o,u1,1,1\nb,{second},openai,gpt-4o,u1,1,1\nc,{second},openai,gpt-4o,u2,1,1\n"
    (tmp_path / "calls.csv").write_text(lines)
    configuration = Configuration(reporting_time_zone=zone)
    load_paths(Store(tmp_path / "store"), configuration, [tmp_path / "calls.csv"], "calls")
    warehouse = open_current(tmp_path / "store", configuration)
    assert not warehouse.has_table("callers")
    day = date(2026, 4, 1) if zone == "Asia/Kolkata" else date(2026, 3, 31)
    found = active_users(warehouse, Filters(date(2026, 3, 1), date(2026, 4, 30)), "day")
    assert found == {day: ActiveUsers(2, 1, 2, "callers")}

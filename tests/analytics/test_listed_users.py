"""A feature's dearest users of whole months, from the lists of a stored snapshot, against the single calls added up one by one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analytics.dearest_users import FEWEST_NAMED, listed_users
from analytics.feature_detail import MOST_NAMED, feature_detail
from analytics.filters import UNTAGGED, Filters
from connectors.intake import load_paths
from warehouse import feature_users
from warehouse.configuration import Configuration
from warehouse.reader import Warehouse, open_current
from warehouse.store import Store
from warehouse.tag_rules import read_tag_rules

FIRST, USERS = datetime(2026, 3, 1), 9_000
ZONES = ("UTC", "Asia/Kolkata")
Call = tuple[str | None, str | None, datetime, Decimal | None]
"""Feature, user, time, cost."""


def spent(seed: int = 7) -> list[Call]:
    """Calls of three months: of "search" by nine thousand users, of whom a few are very dear and many stay away for a month; some
    users and costs are not known."""
    random = np.random.default_rng(seed)
    found: list[Call] = []
    for month, user in ((month, user) for month in range(3) for user in range(USERS)):
        if user > 2000 and random.random() < 0.1:
            continue
        cost = Decimal(int(10_000_000 / (1 + user) * random.uniform(0.8, 1.2)) + user % 3).scaleb(-6)
        moment = datetime(2026, 3 + month, 2) + timedelta(seconds=int(random.integers(0, 28 * 86_400)))
        found.append(("search", f"user-{user:05d}", moment, cost))
    for number in range(600):
        moment = FIRST + timedelta(hours=3.7 * number)
        found.append((("chat", None)[number % 2], f"user-{number % 40:05d}", moment, Decimal(number + 1).scaleb(-3)))
        found.append(("search", None if number % 2 else "user-00003", moment, Decimal("0.5") if number % 3 else None))
    return found


CALLS = spent()


def stored(calls: list[Call], folder: Path, zone: str) -> Warehouse:
    """A store that these calls were loaded into, open."""
    features, users, moments, costs = zip(*calls, strict=True)
    rows = {
        "call_id": [f"c{number}" for number in range(len(calls))],
        "started_at": pa.array(moments, pa.timestamp("us")),
        "feature": features,
        "user_id": users,
        "reported_cost": pa.array(costs, pa.decimal128(18, 6)),
    }
    rows |= {name: [value] * len(calls) for name, value in (("provider", "nobody"), ("model", "mystery"))}
    rows |= {name: [1] * len(calls) for name in ("uncached_input_tokens", "output_tokens")}
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table(rows), folder / "calls.parquet")
    configuration = Configuration(reporting_time_zone=zone)
    load_paths(Store(folder / "store"), configuration, [folder / "calls.parquet"])
    return open_current(folder / "store", configuration)


@pytest.fixture(scope="module", params=ZONES)
def warehouse(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    opened = stored(CALLS, tmp_path_factory.mktemp("listed"), request.param)
    yield opened
    opened.connection.close()


def added_up(warehouse: Warehouse, filters: Filters, feature: str | None) -> list[tuple[Any, ...]]:
    """User, cost, calls and calls without a cost of everybody, the dearest first."""
    sums: dict[str | None, list[Any]] = defaultdict(lambda: [None, 0, 0])
    for name, user, moment, cost in CALLS:
        day = moment.replace(tzinfo=UTC).astimezone(warehouse.configuration.zone).date()
        if name == feature and filters.start <= day <= filters.end:
            of = sums[user]
            of[0] = of[0] if cost is None else cost + (of[0] or 0)
            of[1] += 1
            of[2] += cost is None
    rows = [(user, *of) for user, of in sums.items()]
    return sorted(rows, key=lambda row: (1 if row[1] is None else -row[1], -row[2], row[0] or ""))


PERIODS = {
    "a month": (date(2026, 4, 1), date(2026, 4, 30)),
    "two months": (date(2026, 4, 1), date(2026, 5, 31)),
    "all there is": (date(2025, 12, 24), date(2026, 6, 10)),
}


@pytest.mark.parametrize("feature", ["search", "chat", None], ids=str)
@pytest.mark.parametrize("period", PERIODS)
def test_the_dearest_are_those_of_all_added_up(warehouse: Warehouse, period: str, feature: str | None) -> None:
    filters = Filters(*PERIODS[period])
    everybody = added_up(warehouse, filters, feature)
    chosen = filters.only("feature", feature or UNTAGGED)
    found = listed_users(warehouse, chosen, MOST_NAMED)
    assert found is not None
    rows = [(row["user"], row["cost"], row["calls"], row["unpriced_calls"]) for row in found]
    named = [row for row, told in zip(rows, found, strict=True) if not told["is_others"]]
    assert named == everybody[: len(named)]
    assert len(named) >= min(len(everybody), FEWEST_NAMED)
    for place in (1, 2, 3):
        assert sum(row[place] or 0 for row in rows) == sum(row[place] or 0 for row in everybody)
    if len(named) < len(everybody):
        assert rows[-1][0] in ("all others", f"{len(everybody) - len(named):,} others")
        assert len(found) == len(named) + 1
    frame = feature_detail(warehouse, filters, feature, "user")
    assert frame["user"].tolist() == [row[0] for row in rows]
    assert frame["cost"].tolist() == [row[1] for row in rows]


def test_lists_leave_out_most_users_and_say_what_they_cost(warehouse: Warehouse) -> None:
    lists = warehouse.table(feature_users.NAME)
    ((listed, left_out),) = (
        warehouse.connection.cursor()
        .execute(
            f"""SELECT sum(users) FILTER (is_listed), sum(users) FILTER (NOT is_listed) FROM {feature_users.NAME}
                WHERE feature = 'search' AND month = DATE '2026-04-01' AND file = '2026-04'"""
        )
        .fetchall()
    )
    assert listed < 6_000 < listed + left_out
    calls = warehouse.table("calls")
    assert warehouse.row(
        lists.agg(calls=lists.calls.sum(), cost=lists.cost.sum(), unpriced=lists.unpriced_calls.sum())
    ) == (
        warehouse.row(
            calls.agg(calls=calls.count(), cost=calls.cost.sum(), unpriced=calls.count() - calls.cost.count())
        )
    )


def test_lists_answer_alone(warehouse: Warehouse) -> None:
    """Neither single calls nor days of users are looked at; a month that is cut, or a filter that lists do not know, is left to those."""
    views = ("calls", "user_days")
    cursor = warehouse.connection.cursor()
    saved = {
        name: cursor.execute("SELECT sql FROM duckdb_views() WHERE view_name = ?", [name]).fetchall()[0][0]
        for name in views
    }
    search = Filters(date(2026, 4, 1), date(2026, 4, 30)).only("feature", "search")
    expected = listed_users(warehouse, search, 50)
    assert expected is not None
    try:
        for name in views:
            cursor.execute(f"CREATE OR REPLACE VIEW {name} AS SELECT error('{name} was read') AS x")
        assert listed_users(warehouse, search, 50) == expected
    finally:
        for sql in saved.values():
            cursor.execute(sql.replace("CREATE VIEW", "CREATE OR REPLACE VIEW"))
    assert listed_users(warehouse, replace(search, start=date(2026, 4, 2)), 50) is None
    assert listed_users(warehouse, search.only("provider", "nobody"), 50) is None


def test_who_is_dear_in_one_month_alone_is_found_by_adding_up(tmp_path: Path) -> None:
    """The dearest of May had called before for less than whoever is listed: what that was, lists do not say."""
    new = [("search", "user-08999", FIRST + timedelta(days=75), Decimal(500))]
    opened = stored([*CALLS, *new], tmp_path, "UTC")
    assert listed_users(opened, Filters(*PERIODS["a month"]).only("feature", "search"), MOST_NAMED) is not None
    assert listed_users(opened, Filters(*PERIODS["two months"]).only("feature", "search"), MOST_NAMED) is None
    before = dict(row[:2] for row in added_up(opened, Filters(*PERIODS["two months"]), "search"))
    frame = feature_detail(opened, Filters(*PERIODS["two months"]), "search", "user")
    assert (frame["user"][0], frame["cost"][0]) == ("user-08999", 500 + before["user-08999"])


def test_who_is_not_certain_is_not_named(tmp_path: Path) -> None:
    """All cost nearly the same in each of two months: over both nobody can be told from whom the lists leave out, and all users are added up."""
    moments = (datetime(2026, 3, 9), datetime(2026, 4, 9))
    calls: list[Call] = [
        (
            "search",
            f"u{user:05d}",
            moment + timedelta(seconds=user),
            Decimal(1000 + (user * 7919 + place * 4001) % 9001).scaleb(-3),
        )
        for place, moment in enumerate(moments)
        for user in range(9001)
    ]
    opened = stored(calls, tmp_path, "UTC")
    both = Filters(date(2026, 3, 1), date(2026, 4, 30))
    assert listed_users(opened, both.only("feature", "search"), MOST_NAMED) is None
    costs = sorted((sum(cost for _, name, _, cost in calls[user::9001] if cost) for user in range(9001)), reverse=True)
    assert feature_detail(opened, both, "search", "user")["cost"].tolist()[:MOST_NAMED] == costs[:MOST_NAMED]


def test_rules_that_give_features_leave_the_lists_unread(warehouse: Warehouse) -> None:
    rules = read_tag_rules(
        [{"name": "one", "dimension": "feature", "value": "all", "match": {"provider": "nobody"}}], "here"
    )
    assert not warehouse.with_tag_rules(rules).has_table(feature_users.NAME)

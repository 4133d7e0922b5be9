"""Anomalies as events: told once, explained to the last digit, and what people made of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from analytics.anomalies_episodes import Episode, episodes
from analytics.anomalies_explanation import calls_behind, explain, explain_episode
from analytics.anomalies_states import (
    ExpectedEvent,
    acknowledge,
    annotate,
    announce,
    expected_events,
    flags,
    history,
    mark_expected,
    open_flags,
    recent,
    reopen,
    snooze,
    withdraw,
)
from analytics.filters import Filters
from tests.analytics.facts import call, warehouse_of
from warehouse.errors import InputError
from warehouse.reader import Warehouse
from warehouse.state import State

D = Decimal
ALL = Filters(date(2026, 3, 1), date(2026, 5, 31))
MAY = Filters(date(2026, 5, 1), date(2026, 5, 31))
FIRST = date(2026, 3, 2)
TODAY = date(2026, 6, 1)


def calls_of(days: int, feature: str, cost: float, odd: dict[int, float], **columns: Any) -> list[dict[str, Any]]:
    """Ten calls a day, a little dearer and cheaper by turns; on odd days so many times as many."""
    found = []
    for number in range(days):
        one = D(f"{cost * (1 + 0.01 * (number * 7 % 5 - 2)):.4f}")
        day = (FIRST + timedelta(days=number)).isoformat()
        found += [call(day, str(one), feature=feature, **columns)] * round(10 * odd.get(number, 1))
    return found


@pytest.fixture(scope="module")
def runaway() -> Warehouse:
    """Two features; on day 60 one of them is called four times as often."""
    calls = calls_of(70, "ask", 20, {}, team="product") + calls_of(70, "summarize", 10, {60: 4}, team="ai")
    return warehouse_of(calls)


def period(days: int = 70) -> Filters:
    return Filters(FIRST, FIRST + timedelta(days=days - 1))


def test_one_event_is_told_once_with_its_cause(runaway: Warehouse) -> None:
    (event,) = episodes(runaway, period())
    day = FIRST + timedelta(days=60)
    assert (event.series, event.days, event.kind, event.direction) == ("total", (day,), "spike", "up")
    assert set(event.also) >= {"feature:summarize", "team:ai"}
    assert event.told_by.series == "feature:summarize"
    assert event.key == f"total up {day}"
    assert not event.is_ongoing


def test_an_explanation_sums_to_the_excess_and_says_why(runaway: Warehouse) -> None:
    (event,) = episodes(runaway, period())
    why = explain_episode(runaway, event)
    assert sum(reason.amount for reason in why.reasons) == why.excess == event.told_by.excess
    assert (why.actual, why.currency) == (event.told_by.actual, "USD")
    assert why.reasons[0].driver == "calls"
    assert "because there were" in why.sentence
    assert "times as many calls" in why.sentence
    whole = explain(runaway, "total", event.first_day)
    assert [driver.value for driver in whole.dimensions[0].drivers] in (["summarize"], ["ai"])
    assert sum(reason.amount for reason in whole.reasons) == whole.excess
    behind = calls_behind(runaway, "feature:summarize", event.days)
    assert len(behind) == 40
    with pytest.raises(InputError, match="no series 'feature:nothing'"):
        explain(runaway, "feature:nothing", event.first_day)


def test_why_one_user_cost_more_is_told_of_that_users_calls_to_the_last_digit() -> None:
    odd = 60
    calls = calls_of(70, "ask", 20, {}, user_id="many") + calls_of(70, "ask", 1, {odd: 5}, user_id="one")
    # An answer of a gateway's cache reaches no model.
    day = FIRST + timedelta(days=odd)
    calls += [call(day.isoformat(), "0", feature="ask", user_id="one", cache_hit=True)] * 7
    warehouse = warehouse_of(calls)
    why = explain(warehouse, "user:one", day, expected=D(10))
    assert why.actual == D(50) * (1 + D("0.01") * (odd * 7 % 5 - 2))
    assert why.excess == why.actual - 10
    assert sum((reason.amount for reason in why.reasons), D(0)) == why.excess
    assert why.reasons[0].driver == "calls"


def test_two_events_of_one_day_that_no_parent_explains_stay_two() -> None:
    """One feature rises while another falls: the total says nothing, both are told."""
    calls = calls_of(70, "ask", 20, {60: 0.3}, model="gpt-4o") + calls_of(
        70, "summarize", 10, {60: 2.4}, model="gpt-4o-mini"
    )
    found = episodes(warehouse_of(calls), period())
    assert {(event.told_by.series, event.direction) for event in found} == {
        ("feature:summarize", "up"),
        ("feature:ask", "down"),
    }


def test_what_still_goes_on_is_told_before_what_is_over_and_cost_more() -> None:
    calls = calls_of(70, "ask", 20, {50: 4}, model="gpt-4o") + calls_of(
        70, "summarize", 10, {69: 3}, model="gpt-4o-mini"
    )
    now, over = episodes(warehouse_of(calls), period())
    assert (now.is_ongoing, over.is_ongoing) == (True, False)
    assert now.last_day == FIRST + timedelta(days=69)
    assert over.excess > now.excess > 0


def test_an_event_does_not_depend_on_where_the_period_begins(runaway: Warehouse) -> None:
    day = FIRST + timedelta(days=60)
    for start in (day - timedelta(days=30), day):
        assert episodes(runaway, Filters(start, day))[0].days == (day,)
    assert episodes(runaway, Filters(day + timedelta(days=1), day + timedelta(days=5))) == ()


def test_the_demo_companys_events(demo_warehouse: Warehouse) -> None:
    found = episodes(demo_warehouse, ALL)
    told = {(event.told_by.series, event.first_day) for event in found if event.direction == "up"}
    assert ("feature:summarize", date(2026, 5, 19)) in told
    assert ("feature:embed_documents", date(2026, 3, 11)) in told
    assert len(found) <= 15
    for event in found[:4]:
        why = explain_episode(demo_warehouse, event, ALL)
        assert sum(reason.amount for reason in why.reasons) == why.excess == event.told_by.excess
    # The rule's costs are after credits, and its explanation too.
    rule = next(event for event in episodes(demo_warehouse, MAY, "rule") if date(2026, 5, 19) in event.days)
    why = explain_episode(demo_warehouse, rule, MAY)
    assert (why.actual, why.excess) == (rule.told_by.actual, rule.told_by.excess)


@pytest.fixture
def event(runaway: Warehouse) -> Episode:
    (found,) = episodes(runaway, period())
    return found


def status(event: Episode, state: State, today: date = TODAY) -> str:
    (flag,) = flags([event], state, today)
    return flag.status


def test_what_people_made_of_it(event: Episode, tmp_path: Path) -> None:
    state = State(tmp_path)
    assert status(event, state) == "open"
    acknowledge(state, event, author="Ann", note="agent loop, fixed")
    (flag,) = flags([event], state, TODAY)
    assert (flag.status, flag.by, flag.note) == ("acknowledged", "Ann", "agent loop, fixed")
    annotate(state, flag, author="Bob", note="refund asked for")
    assert status(event, state) == "acknowledged"
    snooze(state, event, TODAY + timedelta(days=7), author="Bob")
    assert status(event, state) == "snoozed"
    assert status(event, state, TODAY + timedelta(days=7)) == "open"
    with pytest.raises(InputError, match="say what was expected"):
        mark_expected(state, event, author="Bob", note=" ")
    mark_expected(state, event, author="Bob", note="load test")
    assert status(event, state) == "expected"
    reopen(state, event, author="Ann")
    assert status(event, state) == "open"
    assert [document.author for document in history(state, event)] == ["Ann", "Bob", "Bob", "Bob", "Ann"]


def test_it_opens_again_when_it_more_than_doubles(event: Episode, tmp_path: Path) -> None:
    state = State(tmp_path)
    acknowledge(state, event, author="Ann")
    assert status(replace(event, excess=2 * event.excess), state) == "acknowledged"
    (flag,) = flags([replace(event, excess=2 * event.excess + 1)], state, TODAY)
    assert (flag.status, flag.doubled) == ("open", True)
    # Late data move the first day by one: the same event. A month later it is another one.
    assert status(replace(event, days=(event.first_day - timedelta(days=1), *event.days)), state) == "acknowledged"
    assert status(replace(event, days=(event.first_day + timedelta(days=30),)), state) == "open"


def test_what_was_announced_is_expected(event: Episode, tmp_path: Path) -> None:
    state = State(tmp_path)
    launch = ExpectedEvent(
        "launch", "feature:summarize", event.first_day, event.first_day + timedelta(days=3), note="in Japan"
    )
    announce(state, launch, author="Ann")
    (flag,) = flags([event], state, TODAY)
    assert (flag.status, flag.event, flag.by) == ("expected", "launch", "Ann")
    withdraw(state, "launch", author="Ann")
    assert status(event, state) == "open"
    for wrong, start in (("feature:ask", event.first_day), ("any", event.first_day + timedelta(days=1))):
        announce(state, ExpectedEvent("launch", wrong, start, start + timedelta(days=3)), author="Ann")
        assert status(event, state) == "open"
    assert [one.series for one in expected_events(state)] == ["any"]
    with pytest.raises(InputError, match="before it starts"):
        announce(state, ExpectedEvent("x", "any", TODAY, TODAY - timedelta(days=1)), author="Ann")


def test_the_last_four_weeks_are_28_days_that_end_with_the_newest(runaway: Warehouse) -> None:
    assert recent(runaway) == Filters(FIRST + timedelta(days=42), FIRST + timedelta(days=69))
    assert recent(warehouse_of([call("2026-05-01", "1")])) == Filters(date(2026, 5, 1), date(2026, 5, 1))
    assert recent(warehouse_of()) is None


def test_open_flags_are_those_of_the_last_four_weeks_above_the_minimum(demo_warehouse: Warehouse) -> None:
    found = open_flags(demo_warehouse)
    assert found[0].episode.told_by.series == "feature:summarize"
    excess = found[0].episode.excess
    assert [flag for flag in open_flags(demo_warehouse, minimum=excess) if flag.episode.direction == "up"]
    assert not [flag for flag in open_flags(demo_warehouse, minimum=excess + 1) if flag.episode.direction == "up"]
    assert open_flags(warehouse_of()) == ()

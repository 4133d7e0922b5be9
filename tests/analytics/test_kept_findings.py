"""Findings that are kept on disk are what would be found now: of the demo company's review and anomalies, and after what bears on them changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd
import pytest

from analytics.allocation_rules import KIND as ALLOCATION_RULE
from analytics.anomalies import ordinary
from analytics.anomalies_episodes import episodes
from analytics.anomalies_explanation import explain_episode
from analytics.filters import Filters
from analytics.kept_findings import kept_finding
from analytics.weekly_review import STEPS, section
from analytics.weekly_review_week import Week, default_week
from analytics.why_changed import change
from tests.warehouse.rows import call_rows
from warehouse.configuration import Configuration
from warehouse.errors import InputError
from warehouse.loading import Loading
from warehouse.prepared import FOLDER
from warehouse.reader import Warehouse, open_current
from warehouse.state import State
from warehouse.store import Store
from warehouse.tag_rules import TagRule

MARCH = Filters(date(2026, 3, 1), date(2026, 3, 31))


def _never() -> NoReturn:
    raise AssertionError("it was found out again")


def _computing(store: Path) -> Warehouse:
    opened = open_current(store, Configuration())
    opened.keeps_prepared = False
    return opened


def _week(warehouse: Warehouse) -> Week:
    week = default_week(warehouse)
    assert week is not None
    return week


def test_every_section_of_the_demo_companys_review_is_kept_as_it_is_told(demo_store: Path) -> None:
    fresh, first, again = _computing(demo_store), *(open_current(demo_store, Configuration()) for _ in range(2))
    week = _week(fresh)
    for step in STEPS:
        told = section(fresh, step.key, week, week.end)
        assert section(first, step.key, week, week.end) == told
        found = section(again, step.key, week, week.end)
        assert repr(found) == repr(told), step.key
        if step.kept:
            assert kept_finding(again, f"review-{step.key}", _never, week) == told


def test_the_demo_companys_anomalies_and_their_reasons_are_kept_as_they_are_found(demo_store: Path) -> None:
    fresh, first, again = _computing(demo_store), *(open_current(demo_store, Configuration()) for _ in range(2))
    events = episodes(fresh, MARCH)
    assert events
    for warehouse in (first, again):
        assert repr(episodes(warehouse, MARCH)) == repr(events)
        assert kept_finding(warehouse, "episodes", _never, MARCH, "default") == events
        # Another detector has its own answers.
        assert episodes(warehouse, MARCH, "rule") == episodes(fresh, MARCH, "rule") != events
    bridge = change(fresh, MARCH)
    assert sum((amount for _driver, amount in bridge.parts), Decimal(0)) == bridge.difference != 0
    for warehouse in (first, again):
        assert repr(change(warehouse, MARCH)) == repr(bridge)
    assert kept_finding(again, "change", _never, MARCH, None) == bridge
    why = explain_episode(fresh, events[0], MARCH)
    assert why.excess == sum((reason.amount for reason in why.reasons), Decimal(0))
    band = ordinary(fresh, MARCH, events[0].told_by.series)
    assert len(band) == 31
    for warehouse in (first, again):
        assert repr(explain_episode(warehouse, events[0], MARCH)) == repr(why)
        pd.testing.assert_frame_equal(ordinary(warehouse, MARCH, events[0].told_by.series), band)
        assert list(map(repr, band["actual"])) == list(
            map(repr, ordinary(warehouse, MARCH, events[0].told_by.series)["actual"])
        )


def _load(path: Path, cost: str) -> Warehouse:
    with Loading(Store(path), Configuration(), on_overlap="replace") as loading:
        loading.add(call_rows([("c1", "2026-05-10 12:00:00", "search", cost)], file="may.jsonl"))
        loading.commit()
    return open_current(path, Configuration())


@dataclass
class Finding:
    """A finding that counts how often it was found out."""

    times: int = 0

    def __call__(self) -> tuple[Decimal, int]:
        self.times += 1
        return Decimal("0.10"), self.times


def _changes(path: Path) -> dict[str, Callable[[], Warehouse]]:
    """What bears on findings, one after the other."""
    configuration = Configuration()

    def rule() -> Warehouse:
        State(path).save(ALLOCATION_RULE, "shares", {"rule": 1}, author="ann")
        return open_current(path, configuration)

    return {
        "a load": partial(_load, path, "2"),
        "a setting": lambda: open_current(path, replace(configuration, reporting_currency="EUR")),
        "a virtual tag": lambda: open_current(path, configuration).with_tag_rules([TagRule("rule", "team", "web", (("model", "search"),))]),
        "an allocation rule": rule,
    }  # fmt: skip


def test_a_finding_is_found_out_once_until_something_bears_on_it(tmp_path: Path) -> None:
    find, path = Finding(), tmp_path / "store"
    warehouse = _load(path, "1")
    assert kept_finding(warehouse, "some", find, MARCH) == (Decimal("0.10"), 1)
    assert repr(kept_finding(open_current(path, Configuration()), "some", find, MARCH)) == "(Decimal('0.10'), 1)"
    assert kept_finding(warehouse, "some", find, MARCH.previous()) == (Decimal("0.10"), 2)
    for number, (what, changing) in enumerate(_changes(path).items(), start=3):
        changed = changing()
        assert kept_finding(changed, "some", find, MARCH)[1] == number, what
        assert kept_finding(changed, "some", find, MARCH)[1] == number, what


def test_what_people_say_of_a_finding_does_not_bear_on_it(tmp_path: Path) -> None:
    find, path = Finding(), tmp_path / "store"
    kept_finding(_load(path, "1"), "some", find, MARCH)
    State(path).save("review note", "one", {"text": "seen"}, author="ann")
    assert kept_finding(open_current(path, Configuration()), "some", find, MARCH)[1] == 1


def test_an_error_and_what_is_no_plain_value_are_not_kept(tmp_path: Path) -> None:
    warehouse = _load(tmp_path / "store", "1")

    def refuse() -> NoReturn:
        raise InputError("several currencies")

    with pytest.raises(InputError):
        kept_finding(warehouse, "refused", refuse)
    found: list[Any] = [kept_finding(warehouse, "plain", object) for _ in range(2)]
    assert found[0] is not found[1]
    assert not [path for path in (tmp_path / "store" / FOLDER).glob("*") if path.name.startswith(("refused", "plain"))]


def test_answers_to_a_persons_own_choice_take_no_place(tmp_path: Path) -> None:
    warehouse = _load(tmp_path / "store", "1")
    may = Filters(date(2026, 5, 1), date(2026, 5, 31))
    for filters in (may.only("feature", "search"), may):
        episodes(warehouse, filters)
        ordinary(warehouse, filters, "total")
        kept = {path.name.rsplit("-", 1)[0] for path in (tmp_path / "store" / FOLDER).glob("*-*")}
        assert ({"episodes", "ordinary"} <= kept) == (not filters.where), kept

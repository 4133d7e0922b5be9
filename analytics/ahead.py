"""What is dear to find out in a snapshot and most likely asked for: to be found out, and kept on disk, before somebody waits for it.

The findings lie in `warehouse.prepared`, so that every process that reads the store has them, after a restart too, and a new snapshot only
asks for the months that changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import partial

from analytics.anomalies_episodes import episodes
from analytics.anomalies_explanation import explain_episode
from analytics.anomalies_series import dear_users
from analytics.filters import Filters
from analytics.repriced import repriced
from analytics.tag_coverage import untagged
from analytics.waste_scope import scope_of
from analytics.waste_sums import call_sums
from analytics.weekly_review import STEPS, section
from analytics.weekly_review_week import Week, days_of, default_week
from analytics.why_changed import change
from warehouse.reader import Warehouse

MOST_MONTHS = 13
"""So many of the newest months, a year and the one that runs, are looked into ahead; older ones when somebody asks."""

MONTHS_OF_ANOMALIES = 2
"""The month that runs and the newest full one, with which pages begin."""
MOST_EXPLAINED = 5
"""So many anomalies are told in full on their page."""

Question = tuple[str, Callable[[], object]]
"""A question in words, and what asks it."""


def questions_ahead(warehouse: Warehouse) -> list[Question]:
    """The likeliest first: users who could be flagged, the week under review, the newest anomalies, and of the newest months waste, untagged calls
    and calls that are priced alike. One that was answered before takes milliseconds. None for a store without calls, or on an engine, which keeps
    nothing here.
    """
    span = warehouse.span()
    if span is None or not warehouse.keeps_prepared or warehouse.snapshot is None or not warehouse.snapshot.of("calls"):
        return []
    questions: list[Question] = [("dear users", partial(dear_users, warehouse))]
    week = default_week(warehouse)
    if week is not None:
        questions += [(f"{what} of {week.name}", ask) for what, ask in _of_week(warehouse, week)]
    for number, month in enumerate(_months_back(*span)):
        if number < MONTHS_OF_ANOMALIES:
            questions.append((f"anomalies of {month.start:%Y-%m}", partial(_explained, warehouse, month)))
        if number < MOST_MONTHS:
            questions += [(f"{what} of {month.start:%Y-%m}", ask) for what, ask in _of_month(warehouse, month)]
    return questions


def _months_back(first: date, last: date) -> Iterator[Filters]:
    """The calendar months of these days, the newest first."""
    month = last.replace(day=1)
    while month >= first.replace(day=1):
        after = (month + timedelta(days=31)).replace(day=1)
        yield Filters(month, after - timedelta(days=1))
        month = (month - timedelta(days=1)).replace(day=1)


def _of_month(warehouse: Warehouse, month: Filters) -> list[Question]:
    return [
        ("waste", lambda: call_sums(warehouse, scope_of(warehouse, month))),
        ("untagged calls", partial(untagged, warehouse, month)),
        ("calls that are priced alike", partial(repriced, warehouse, month)),
    ]


def _of_week(warehouse: Warehouse, week: Week) -> list[Question]:
    """What the review tells of the snapshot alone, and the anomalies, whose reasons are kept."""
    days = days_of(warehouse, week)
    bridge = [("the bridge", partial(change, warehouse, days.now, days.earlier))] if days.compares else []
    return bridge + [
        (step.title.lower(), partial(section, warehouse, step.key, week, week.end))
        for step in STEPS
        if step.looks_at_calls
    ]


def _explained(warehouse: Warehouse, month: Filters) -> None:
    """The anomalies of a month, and why the first ones happened."""
    dearer = [episode for episode in episodes(warehouse, month) if episode.direction == "up"]
    for episode in dearer[:MOST_EXPLAINED]:
        explain_episode(warehouse, episode, month)

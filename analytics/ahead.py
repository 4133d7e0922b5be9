"""What is dear to find out in a snapshot and most likely asked for: to be found out, and kept on disk, before somebody waits for it.

The findings lie in `warehouse.prepared`, so that every process that reads the store has them, after a restart too, and a new snapshot only
asks for the months that changed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from analytics.anomalies_series import dear_users
from analytics.filters import Filters
from analytics.waste_scope import scope_of
from analytics.waste_sums import call_sums
from analytics.weekly_review_week import days_of, default_week
from warehouse.reader import Warehouse

MOST_MONTHS = 13
"""So many of the newest months, a year and the one that runs, are looked into ahead; older ones when somebody asks."""


def questions_ahead(warehouse: Warehouse) -> list[tuple[str, Callable[[], object]]]:
    """Each question in words, and what asks it, the likeliest first: users who could be flagged, the waste of the week under review and of
    the newest months. One that was answered before takes milliseconds. None for a store without calls, or on an engine, which keeps nothing here."""
    span = warehouse.span()
    if span is None or not warehouse.keeps_prepared or warehouse.snapshot is None or not warehouse.snapshot.of("calls"):
        return []
    questions: list[tuple[str, Callable[[], object]]] = [("dear users", lambda: dear_users(warehouse))]
    week = default_week(warehouse)
    periods = [] if week is None else [days_of(warehouse, week).now]
    month = span[1].replace(day=1)
    while month >= span[0].replace(day=1) and len(periods) <= MOST_MONTHS:
        after = (month + timedelta(days=31)).replace(day=1)
        periods.append(Filters(month, after - timedelta(days=1)))
        month = (month - timedelta(days=1)).replace(day=1)
    return [
        *questions,
        *((f"waste {filters.start} – {filters.end}", _waste(warehouse, filters)) for filters in periods),
    ]


def _waste(warehouse: Warehouse, filters: Filters) -> Callable[[], object]:
    return lambda: call_sums(warehouse, scope_of(warehouse, filters))

"""Days that cost too much: the rule "more than 20 % above the average of the previous seven days"."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal

import ibis.expr.types as ir
import pandas as pd

from analytics.currency import require_one_currency
from analytics.filters import UNTAGGED, Filters, apply
from analytics.frames import Row, frame_of, rows_of
from analytics.freshness import complete_through
from analytics.ledger import ledger
from analytics.ratios import UNIT_PLACES
from warehouse.reader import Warehouse

WINDOW = 7
KIND = "20 % rule"
DIMENSIONS = ("category", "feature", "model", "service")
"""Beside the total, every value of these has a series of its own."""

COLUMNS = ("series", "date", "kind", "direction", "expected", "actual", "excess", "currency")


@dataclass(frozen=True)
class Flag:
    """One value that the rule flags: its position, the average before it, itself, and the difference."""

    position: int
    expected: Decimal
    actual: Decimal
    excess: Decimal


def twenty_percent_rule(values: Sequence[Decimal | int | None]) -> list[Flag]:
    """The values that are more than 20 % above the average of the seven before them, in their order.

    A value counts only when all seven before it are known (None: not known). Compared exactly, without rounding: value > 1.2 x sum / 7 is 35 x
    value > 6 x sum. An average below zero (credits) has no "20 % above" and flags nothing.
    """
    flags = []
    for position in range(WINDOW, len(values)):
        value, before = values[position], values[position - WINDOW : position]
        known = [Decimal(amount) for amount in before if amount is not None]
        if value is None or len(known) < WINDOW:
            continue
        actual, total = Decimal(value), sum(known, Decimal(0))
        if total >= 0 and 35 * actual > 6 * total:
            expected = (total / WINDOW).quantize(UNIT_PLACES)
            flags.append(Flag(position, expected, actual, actual - expected))
    return flags


def anomalies(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """Days of the period that the 20 % rule flags, the newest first, then the largest excess.

    Grain: one row per series and day. `series` is "total", "category:GPU inference", "feature:search", "feature:(untagged)", "model:gpt-4o" or
    "service:..."; values are the ledger's daily cost in `currency` on the filters' basis. expected: average of the previous seven days, which
    may lie before the period. direction is always "up".

    A series starts with its first day in the store; later days without cost count as 0 when the store has any cost that day. Days that a
    source has not completed yet (see `analytics.freshness`) are neither flagged nor part of an average.

    Raises InputError when the costs are in several currencies.
    """
    span = warehouse.span()
    if span is None:
        return frame_of([], COLUMNS)
    every = ledger(warehouse)
    amounts = _daily(warehouse, apply(every, replace(filters, start=min(span[0], filters.start))), filters.basis)
    currency = require_one_currency(row["currency"] for row in amounts)
    days = every.filter(every[filters.basis].notnull()).select("date").distinct()
    known_days = {row["date"] for row in rows_of(warehouse, days)}
    found: list[Row] = [
        {"series": name, "kind": KIND, "direction": "up", "currency": currency} | flag
        for name, series in _series(amounts, complete_through(warehouse)).items()
        for flag in _flags(series, known_days, filters)
    ]
    found.sort(key=lambda row: (-row["date"].toordinal(), -row["excess"], row["series"]))
    return frame_of(found, COLUMNS)


@dataclass
class _Series:
    """Daily sums, and the days on which a source of the series has figures that it has not completed."""

    daily: dict[date, Decimal] = field(default_factory=dict)
    partial: set[date] = field(default_factory=set)


def _daily(warehouse: Warehouse, rows: ir.Table, basis: str) -> list[Row]:
    """Known amounts by day, source, currency and the dimensions of the series."""
    rows = rows.filter(rows[basis].notnull())
    return rows_of(warehouse, rows.group_by(["date", "source", "currency", *DIMENSIONS]).agg(cost=rows[basis].sum()))


def _series(amounts: Iterable[Row], complete: dict[str, date]) -> dict[str, _Series]:
    found: dict[str, _Series] = {}
    for row in amounts:
        day: date = row["date"]
        for name in _names(row):
            series = found.setdefault(name, _Series())
            series.daily[day] = series.daily.get(day, Decimal(0)) + row["cost"]
            if day > complete.get(row["source"], day):
                series.partial.add(day)
    return found


def _names(row: Row) -> Iterator[str]:
    """The series that an amount belongs to."""
    yield "total"
    for dimension in DIMENSIONS:
        if row[dimension] is not None:
            yield f"{dimension}:{row[dimension]}"
        elif dimension == "feature":
            yield f"{dimension}:{UNTAGGED}"


def _flags(series: _Series, known_days: set[date], filters: Filters) -> Iterator[Row]:
    """The flagged days of a series inside the period."""
    first = min(series.daily)
    days = [first + timedelta(days=number) for number in range((filters.end - first).days + 1)]
    values = [
        None if day in series.partial or day not in known_days else series.daily.get(day, Decimal(0)) for day in days
    ]
    for flag in twenty_percent_rule(values):
        day = days[flag.position]
        if day >= filters.start:
            yield {"date": day, "expected": flag.expected, "actual": flag.actual, "excess": flag.excess}

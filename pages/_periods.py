"""Which days a period means, counted from the last day that has data, so that a demo or a stopped feed is never
empty."""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from datetime import date, timedelta

LATEST_FULL_MONTH = "Latest full month"
CUSTOM = "Custom range"

Range = tuple[date, date]
"""First and last day, both inclusive, in the reporting time zone."""


def month_of(day: date) -> Range:
    """The calendar month that a day lies in."""
    return day.replace(day=1), day.replace(day=calendar.monthrange(day.year, day.month)[1])


def _month_before(day: date) -> Range:
    return month_of(day.replace(day=1) - timedelta(days=1))


def month_name(day: date) -> str:
    """`May 2026`, whatever the machine's language."""
    return f"{calendar.month_name[day.month]} {day.year}"


def latest_full_month(span: Range) -> Range:
    """The newest calendar month that the data cover to its end; when none is covered, the month of the last day."""
    first, last = span
    this = month_of(last)
    if this[1] <= last:
        return this
    before = _month_before(last)
    return before if before[1] >= first else this


def presets(span: Range) -> Mapping[str, Range]:
    """Every period that can be chosen by name, for data from the first to the last day of `span`, in the order of the
    list.

    Ranges that would start before the data start with them; a name whose range holds no day with data is left out.
    """
    first, last = span
    named: dict[str, Range] = {
        LATEST_FULL_MONTH: latest_full_month(span),
        "This month": (last.replace(day=1), last),
        "Last month": _month_before(last),
    }
    for days in (7, 28, 90):
        named[f"Last {days} days"] = (max(first, last - timedelta(days=days - 1)), last)
    named["All data"] = (first, last)
    month = month_of(last)
    while month[1] >= first:
        named[month_name(month[0])] = month
        month = _month_before(month[0])
    return {name: period for name, period in named.items() if period[1] >= first and period[0] <= last}


def describe(period: Range) -> str:
    """`1 – 31 May 2026`, `28 April – 4 May 2026`, `2 May 2026`."""
    start, end = period
    if start == end:
        return f"{start.day} {month_name(start)}"
    if (start.year, start.month) == (end.year, end.month):
        return f"{start.day} – {end.day} {month_name(end)}"
    if start.year == end.year:
        return f"{start.day} {calendar.month_name[start.month]} – {end.day} {month_name(end)}"
    return f"{start.day} {month_name(start)} – {end.day} {month_name(end)}"

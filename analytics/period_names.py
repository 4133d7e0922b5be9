"""Periods in words, for sentences: `May 2026`, `1 – 14 May 2026`, `28 April – 4 May 2026`."""

from __future__ import annotations

import calendar
from datetime import date, timedelta

from analytics.filters import Filters, first_day


def month_name(day: date) -> str:
    """The month of a day, whatever the machine's language."""
    return f"{calendar.month_name[day.month]} {day.year}"


def days_in_month(day: date) -> int:
    """Number of days of the month that a day lies in."""
    return calendar.monthrange(day.year, day.month)[1]


def is_calendar_month(filters: Filters) -> bool:
    """Whether the period is exactly one calendar month."""
    start, end = filters.start, filters.end
    return (start.year, start.month, start.day) == (end.year, end.month, 1) and end.day == days_in_month(end)


def name(filters: Filters) -> str:
    """The filters' period in words; a whole calendar month by its name."""
    start, end = filters.start, filters.end
    if is_calendar_month(filters):
        return month_name(start)
    if start == end:
        return f"{start.day} {month_name(start)}"
    if (start.year, start.month) == (end.year, end.month):
        return f"{start.day} – {end.day} {month_name(end)}"
    if start.year == end.year:
        return f"{start.day} {calendar.month_name[start.month]} – {end.day} {month_name(end)}"
    return f"{start.day} {month_name(start)} – {end.day} {month_name(end)}"


def during(filters: Filters) -> str:
    """The filters' period with its preposition: `in May 2026`, `on 2 May 2026`, `over 1 – 14 May 2026`."""
    word = "in" if is_calendar_month(filters) else "on" if filters.days == 1 else "over"
    return f"{word} {name(filters)}"


def short_edges(filters: Filters) -> str:
    """What to add to a chart's note where the period cuts its first or last week or month: `; the first week lacks days`. Else nothing."""
    day_after = filters.end + timedelta(days=1)
    cut = [
        word
        for word, short in (
            ("first", first_day(filters.start, filters.grain) != filters.start),
            ("last", first_day(day_after, filters.grain) != day_after),
        )
        if short
    ]
    return f"; the {' and the '.join(cut)} {filters.grain} {'lack' if len(cut) > 1 else 'lacks'} days" if cut else ""

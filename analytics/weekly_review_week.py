"""The week that a review is about: Monday to Sunday in the reporting time zone, by its ISO name (2026-W22)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

from analytics.filters import Filters
from analytics.freshness import freshness
from analytics.period_names import name as period_name
from warehouse.errors import InputError
from warehouse.reader import Warehouse

DAYS = 7
RECENT = timedelta(days=28)
"""A source that brought nothing for longer is none any more: it makes no week partial."""
_NAME = re.compile(r"(\d{4})-?W(\d{2})", re.IGNORECASE)
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, order=True)
class Week:
    """One week, by its Monday."""

    start: date

    @property
    def end(self) -> date:
        """Its Sunday."""
        return self.start + timedelta(days=DAYS - 1)

    @property
    def name(self) -> str:
        """`2026-W22`, as ISO 8601 counts weeks."""
        year, number, _day = self.start.isocalendar()
        return f"{year}-W{number:02d}"

    @property
    def words(self) -> str:
        """`25 – 31 May 2026`."""
        return period_name(Filters(self.start, self.end))

    def before(self, weeks: int = 1) -> Week:
        """The week so many weeks earlier."""
        return Week(self.start - timedelta(days=DAYS * weeks))


def week_of(day: date) -> Week:
    """The week that a day lies in."""
    return Week(day - timedelta(days=day.weekday()))


def read_week(text: str) -> Week:
    """A week by its name (2026-W22) or by one of its days (2026-05-31). Raises InputError for anything else."""
    match = _NAME.fullmatch(text.strip())
    try:
        if match:
            return Week(date.fromisocalendar(int(match[1]), int(match[2]), 1))
        return week_of(date.fromisoformat(text.strip()))
    except ValueError:
        raise InputError(f"there is no week {text!r}: write it like 2026-W22, or name one of its days") from None


def weeks_with_data(warehouse: Warehouse) -> tuple[Week, ...]:
    """Every week in which a day has data, the newest first; weeks of which days are missing at either end included."""
    span = warehouse.span()
    if span is None:
        return ()
    week, found = week_of(span[1]), []
    while week.end >= span[0]:
        found.append(week)
        week = week.before()
    return tuple(found)


def default_week(warehouse: Warehouse) -> Week | None:
    """The newest week that the data cover to its Sunday; the newest with any data where none is covered; None for an empty store."""
    weeks, span = weeks_with_data(warehouse), warehouse.span()
    if span is None:
        return None
    return next((week for week in weeks if span[0] <= week.start and week.end <= span[1]), weeks[0])


@dataclass(frozen=True)
class WeekDays:
    """The days of a week that have data, and the same days of the week before; `compares`: the data cover those too.

    `missing` says in sentences what the week lacks: nothing for a week that is complete.
    """

    week: Week
    now: Filters
    earlier: Filters
    compares: bool
    missing: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether all seven days have data."""
        return self.now.days == DAYS

    @property
    def against(self) -> str:
        """What it is compared with, in words."""
        return "the week before" if self.is_whole else "the same days of the week before"


def days_of(warehouse: Warehouse, week: Week) -> WeekDays:
    """The days that a review of this week rests on. Raises InputError when none of them has data."""
    span = warehouse.span()
    if span is None:
        raise InputError(
            "the store holds neither bills nor calls: load some with `percall load`, or see `percall demo`"
        )
    start, end = max(week.start, span[0]), min(week.end, span[1])
    if end < start:
        raise InputError(f"{week.name} ({week.words}) has no data: they go from {span[0]} to {span[1]}")
    seven = timedelta(days=DAYS)
    earlier = Filters(start - seven, end - seven)
    return WeekDays(week, Filters(start, end), earlier, span[0] <= earlier.start, _missing(warehouse, week, span))


def _missing(warehouse: Warehouse, week: Week, span: tuple[date, date]) -> tuple[str, ...]:
    said = []
    if span[0] > week.start:
        said.append(f"The data begin on {_day(span[0])}: the days before it are missing from this week.")
    if span[1] < week.end:
        said.append(f"The data end on {_day(span[1])}: the days after it are missing from this week.")
    sources: dict[str, date] = {}
    for row in freshness(warehouse, Filters(week.start, week.end)).to_dict("records"):
        if row["last_day"] < week.start - RECENT or row["first_day"] > week.end:
            continue
        through = row["complete_through"] or row["first_day"] - timedelta(days=1)
        sources[row["source"]] = min(through, sources.get(row["source"], through))
    for source, through in sorted(sources.items()):
        if through < min(week.end, span[1]):
            reach = f"is complete to {_day(through)}" if through >= week.start else "has no complete day in this week"
            said.append(f"{source} {reach}: figures of the days after it may still change.")
    return tuple(said)


def _day(day: date) -> str:
    return f"{_WEEKDAYS[day.weekday()]} {day.day} {day:%B}"

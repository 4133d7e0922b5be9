"""What a person chose to look at: the period, the filters, the cost basis and the grain.

One frozen value, so that it can be a cache key and a part of an address. Everything that pages, exports and alerts ask passes through here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir

from warehouse.errors import InputError
from warehouse.schema import DIMENSIONS

BASES = ("billed", "effective", "list")
GRAINS = ("day", "week", "month")
FILTERABLE = (*DIMENSIONS, "provider", "model", "category", "service", "account", "currency", "source")
UNTAGGED = "(untagged)"
"""Filter value for rows that lack the dimension."""


@dataclass(frozen=True)
class Filters:
    """A period (both ends inclusive, days of the reporting time zone), filters by dimension, basis and grain.

    Raises InputError for an unknown dimension, basis or grain, or a period that ends before it starts.
    """

    start: date
    end: date
    where: tuple[tuple[str, tuple[str, ...]], ...] = ()
    basis: str = "effective"
    grain: str = "day"

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise InputError(f"the period ends ({self.end}) before it starts ({self.start})")
        if self.basis not in BASES:
            raise InputError(f"unknown basis {self.basis!r}: choose {', '.join(BASES)}")
        if self.grain not in GRAINS:
            raise InputError(f"unknown grain {self.grain!r}: choose {', '.join(GRAINS)}")
        for name, _values in self.where:
            if name not in FILTERABLE:
                raise InputError(f"cannot filter by {name!r}: choose {', '.join(FILTERABLE)}")

    @property
    def days(self) -> int:
        """Number of days in the period."""
        return (self.end - self.start).days + 1

    def previous(self) -> Filters:
        """The period before: the calendar month before a whole calendar month, else as many days just before."""
        next_day = self.end + timedelta(days=1)
        last = self.start - timedelta(days=1)
        if self.start.day == 1 and next_day.day == 1 and (next_day - self.start).days <= 31:
            return replace(self, start=last.replace(day=1), end=last)
        return replace(self, start=self.start - timedelta(days=self.days), end=last)

    def without(self, *names: str) -> Filters:
        """The same without filters on these dimensions."""
        return replace(self, where=tuple(item for item in self.where if item[0] not in names))

    def only(self, name: str, value: str) -> Filters:
        """The same, narrowed to one value of a dimension."""
        return replace(self, where=(*self.without(name).where, (name, (value,))))


def apply(table: ir.Table, filters: Filters, columns: dict[str, str] | None = None) -> ir.Table:
    """Rows of a table with a `date` column inside the period and passing the filters.

    `columns` maps a dimension to the table's column where the names differ. A filter on a dimension that the table does not have leaves no row:
    a table without features cannot answer for one feature.
    """
    return matching(
        table.filter(table.date.between(ibis.date(filters.start.isoformat()), ibis.date(filters.end.isoformat()))),
        filters,
        columns,
    )


def matching(table: ir.Table, filters: Filters, columns: dict[str, str] | None = None) -> ir.Table:
    """Rows of a table that pass the filters, whatever their time: for tables without a `date` column. See `apply`."""
    names = columns or {}
    for dimension, values in filters.where:
        column = names.get(dimension, dimension)
        # A currency is chosen by what the bill is in, whatever it has been converted to.
        if column == "currency" and "native_currency" in table.columns:
            column = "native_currency"
        if column not in table.columns:
            table = table.filter(ibis.literal(False))
            continue
        known = [value for value in values if value != UNTAGGED]
        condition = table[column].isin(known) if known else ibis.literal(False)
        if UNTAGGED in values:
            condition = condition | table[column].isnull()
        table = table.filter(condition)
    return table


def period_start(day: ir.DateValue, grain: str) -> ir.DateValue:
    """First day of the day's period: the day itself, the Monday of its week, or the first of its month."""
    if grain == "day":
        return day
    # A truncated date would come back as a timestamp, under the name of a date.
    return day.cast("timestamp").truncate({"week": "W", "month": "M"}[grain]).date()


def first_day(day: date, grain: str) -> date:
    """`period_start` for a date: first day of the day's period."""
    if grain == "month":
        return day.replace(day=1)
    return day - timedelta(days=day.weekday()) if grain == "week" else day

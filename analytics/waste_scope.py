"""Which days a search for waste looks at, and how dollars of these days become dollars a month."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from analytics.filters import Filters
from analytics.simulators.window import Window
from warehouse.reader import Warehouse

MONTH = Decimal("30.4375")
"""Mean days of a calendar month: 365.25 / 12."""

CENT = Decimal("0.01")


@dataclass(frozen=True)
class Scope:
    """The filters, and the window of their days with data, which says how many days the dollars of the period are from."""

    filters: Filters
    window: Window

    @property
    def start(self) -> datetime:
        """Start of the filters' first day, UTC."""
        return self._midnight(self.filters.start)

    @property
    def end(self) -> datetime:
        """End of the filters' last day (exclusive), UTC."""
        return self._midnight(self.filters.end + timedelta(days=1))

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), ZoneInfo(self.window.zone)).astimezone(UTC).replace(tzinfo=None)

    def per_month(self, amount: Decimal | None) -> Decimal | None:
        """An amount of the period per calendar month, to the cent: divided by whole months, else by days x 30.4375. None stays None."""
        if amount is None:
            return None
        months = self.window.whole_months
        monthly = amount / months if months else amount * MONTH / self.window.days
        return monthly.quantize(CENT)


def scope_of(warehouse: Warehouse, filters: Filters) -> Scope:
    """The period; days before the first and after the last of all data do not count as days of a month, which they would thin out."""
    known = warehouse.span()
    start, end = filters.start, filters.end
    if known is not None and max(start, known[0]) <= min(end, known[1]):
        start, end = max(start, known[0]), min(end, known[1])
    return Scope(filters, Window(start, end, warehouse.configuration.reporting_time_zone))

"""The days that a what-if replays, and how its money becomes money of a month."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from warehouse.errors import InputError

DAYS_OF_A_MONTH = 30.4375
"""Mean length of a calendar month: 365.25 / 12 days."""

EPOCH = datetime(1970, 1, 1)


@dataclass(frozen=True)
class Window:
    """First to last day, both inclusive, as days of the reporting time zone `zone`. Raises InputError when it ends before it starts."""

    first: date
    last: date
    zone: str = "UTC"

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise InputError(f"the replayed days end ({self.last}) before they start ({self.first})")

    @property
    def days(self) -> int:
        """Number of days."""
        return (self.last - self.first).days + 1

    @property
    def whole_months(self) -> int:
        """How many calendar months the window is, when it starts on a first and ends on a last day of a month; else 0."""
        last_of_month = calendar.monthrange(self.last.year, self.last.month)[1]
        if self.first.day != 1 or self.last.day != last_of_month:
            return 0
        return (self.last.year - self.first.year) * 12 + self.last.month - self.first.month + 1

    @property
    def scale_to_month(self) -> float:
        """What money of the window is multiplied with to be money of a month.

        1 for a whole calendar month, so that a month's figures are the month's own; 1/n for n of them; else 30.4375 / days.
        """
        return 1 / self.whole_months if self.whole_months else DAYS_OF_A_MONTH / self.days

    @cached_property
    def midnights(self) -> NDArray[np.int64]:
        """Start of each day and of the day after the last, microseconds since 1970 in UTC: days of 23 and 25 hours are what they are."""
        zone = ZoneInfo(self.zone)
        starts = [
            datetime.combine(self.first + timedelta(days=day), time(), zone).astimezone(UTC).replace(tzinfo=None)
            for day in range(self.days + 1)
        ]
        return np.array([(start - EPOCH) // timedelta(microseconds=1) for start in starts], dtype=np.int64)

    def day_index(self, started_at: NDArray[np.int64]) -> NDArray[np.int32]:
        """On which day of the window (0: the first) each time lies; times outside go to the nearest day."""
        index = np.searchsorted(self.midnights, started_at, side="right") - 1
        return np.clip(index, 0, self.days - 1).astype(np.int32)

    def date_of(self, index: int) -> date:
        """The date of a day index."""
        return self.first + timedelta(days=int(index))

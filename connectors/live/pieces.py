"""Names of the files that a live source fetches bit by bit, so that each replaces its own earlier version and adds to the others.

A batch of such files has `on_overlap="pieces"` (see `warehouse.parts`): the day or month that is read again stands for itself, whatever else the
same source or another one has told of that billing period.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from connectors.live.source import SourceSettings

DAY = timedelta(days=1)


def piece_path(folder: Path, settings: SourceSettings, piece: str, suffix: str) -> Path:
    """Where to write a piece: `<source>@<piece>.<suffix>`; different sources never get the same name."""
    return folder / f"{quote(settings.name, safe=' ')}@{piece}.{suffix}"


def months(first: datetime, last: datetime) -> Iterator[tuple[str, datetime, datetime]]:
    """The calendar months from that of `first` to that of `last`, as (2026-03, its first instant, the next month's)."""
    start = datetime(first.year, first.month, 1)
    while start <= last:
        end = (start + 32 * DAY).replace(day=1)
        yield f"{start:%Y-%m}", start, end
        start = end


def midnight(moment: datetime) -> datetime:
    """The first instant of a moment's day."""
    return datetime(moment.year, moment.month, moment.day)


def days(first: date, last: date) -> Iterator[date]:
    """The days from the first to the last, both included."""
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)

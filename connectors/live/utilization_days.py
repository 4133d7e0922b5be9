"""GPU utilization by hour as every source of it is kept: read in spans of days, one file per day, the latest version of a day replacing the older.

A monitoring system forgets. A day of which fewer rows are there than were read before stays as it was read, and a note says so.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from connectors.live import trailing
from connectors.live.pieces import days, midnight, piece_path
from connectors.live.source import Batch, Position, Progress, SourceSettings, Window

HOUR = timedelta(hours=1)

_KEPT = 90
"""So many days are remembered with their number of rows."""

Row = dict[str, Any]
Read = Callable[[datetime, datetime], tuple[Sequence[Row], list[str]]]
"""The rows of a span, each with its `hour` (UTC), and notes about it."""


def period(settings: SourceSettings, position: Position, window: Window) -> tuple[datetime, datetime]:
    """First hour to read, and the end of the last hour that is over."""
    until = trailing.utc(window.now).replace(minute=0, second=0, microsecond=0)
    return min(midnight(trailing.begin(position, window, settings.options)), until), until


def spans(first: datetime, until: datetime, days_at_once: int) -> list[tuple[datetime, datetime]]:
    """The period in spans of at most so many days."""
    found = []
    while first < until:
        end = min(until, first + timedelta(days=days_at_once))
        found.append((first, end))
        first = end
    return found


def batches(
    settings: SourceSettings,
    position: Position,
    window: Window,
    folder: Path,
    progress: Progress,
    *,
    days_at_once: int,
    columns: Sequence[str],
    read: Read,
) -> Iterator[Batch]:
    """One batch per span, whose rows `read` gives; each day is a file with these columns."""
    first, until = period(settings, position, window)
    known: dict[str, int] = dict(position.get("days", {}))
    for start, end in spans(first, until, days_at_once):
        progress(f"reading {start:%Y-%m-%d} to {end:%Y-%m-%d %H:%M}", trailing.share(start, first, until))
        rows, notes = read(start, end)
        paths = []
        for day in days(start.date(), (end - HOUR).date()):
            own = [row for row in rows if row["hour"].date() == day]
            if len(own) < known.get(str(day), 0):
                notes.append(
                    f"of {day} only {len(own)} of {known[str(day)]} rows are still there; it stays as it was read"
                )
            elif own:
                paths.append(_write(piece_path(folder, settings, str(day), "csv"), columns, own))
                known[str(day)] = len(own)
        state = {"read_until": end.isoformat(), "days": dict(sorted(known.items())[-_KEPT:])}
        yield Batch(
            paths, state, "utilization", on_overlap="pieces", what=f"{start:%Y-%m-%d}", notes=notes, together=True
        )


def _write(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, columns)
        writer.writeheader()
        writer.writerows({**row, "hour": f"{row['hour']:%Y-%m-%dT%H:%M:%SZ}"} for row in rows)
    return path

"""`percall anomalies`: what cost more or less than it should, as a list; or the same tests on plain series of a file."""

from __future__ import annotations

import sys
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from operations.filter_options import WHERE_HELP, chosen_filters
from operations.terminal import say

if TYPE_CHECKING:
    import pandas as pd

    from analytics.filters import Filters
    from warehouse.reader import Warehouse

PLAIN_COLUMNS = ("series", "date", "kind", "direction", "excess")
"""What is printed of plain series."""

EPISODE_COLUMNS = (
    "series", "date", "last_day", "kind", "direction", "expected", "actual", "excess", "currency", "days", "is_ongoing", "confidence", "status",
    "by", "note", "cause", "also", "sentence",
)  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("anomalies")(anomalies)


def anomalies(
    context: typer.Context,
    series: Annotated[
        Path | None,
        typer.Option(help="Score the plain series of a CSV file (series, date, cost) instead of the store."),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="First day, YYYY-MM-DD (default: the first with data).")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Last day, inclusive.")] = None,
    where: Annotated[list[str] | None, typer.Option(help=WHERE_HELP)] = None,
    basis: Annotated[str, typer.Option(help="billed, effective or list.")] = "effective",
    detector: Annotated[str, typer.Option(help="default, rule (20 % above the last seven days) or both.")] = "default",
    sensitivity: Annotated[
        float, typer.Option(help="Usual spreads from which a day is flagged: 5 tells more, 10 less.")
    ] = 7.0,
    minimum: Annotated[float, typer.Option(help="Least excess, as an absolute amount.")] = 0.0,
    direction: Annotated[str, typer.Option(help="up, down or both.")] = "both",
    open_only: Annotated[
        bool, typer.Option("--open", help="Only what nobody acknowledged, snoozed or expected.")
    ] = False,
    by_day: Annotated[bool, typer.Option("--days", help="One row per flagged series and day, not per event.")] = False,
    form: Annotated[str, typer.Option("--format", help="csv, json or parquet.")] = "csv",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File (default: stdout).")] = None,
) -> None:
    """List what cost more or less than it should: one row per event, with its cause in words. Finding any is no failure: the exit code is 0."""
    from analytics.exports import write
    from warehouse.errors import InputError
    from warehouse.reader import open_current

    if direction not in ("up", "down", "both"):
        raise InputError(f"--direction {direction!r}: choose up, down or both")
    if series is not None:
        frame = _of_file(series, detector, sensitivity)
    else:
        settings = context.obj
        warehouse = open_current(settings.store, settings.configuration)
        filters = chosen_filters(warehouse, start, end, where or [], basis, "day")
        frame = (_days if by_day else _events)(warehouse, filters, detector, sensitivity)
    if direction != "both":
        frame = frame[frame["direction"] == direction]
    if minimum:
        frame = frame[[abs(excess) >= minimum for excess in frame["excess"]]]
    if open_only and "status" in frame:
        frame = frame[frame["status"] == "open"]
    data = write(frame.reset_index(drop=True), form)
    if output:
        output.write_bytes(data)
    else:
        sys.stdout.buffer.write(data)


def _of_file(path: Path, detector: str, sensitivity: float) -> pd.DataFrame:
    from analytics.anomalies_plain import plain_flags, read_plain_series

    found = read_plain_series(path)
    for sentence in found.rejected:
        say(f"percall: {sentence}")
    return plain_flags(found.costs, detector, sensitivity)[list(PLAIN_COLUMNS)]


def _days(warehouse: Warehouse, filters: Filters, detector: str, sensitivity: float) -> pd.DataFrame:
    from analytics.anomalies import flagged_days

    return flagged_days(warehouse, filters, detector, sensitivity)


def _events(warehouse: Warehouse, filters: Filters, detector: str, sensitivity: float) -> pd.DataFrame:
    from analytics.anomalies_episodes import episodes
    from analytics.anomalies_explanation import explain_episode
    from analytics.anomalies_states import flags
    from analytics.frames import frame_of

    found = episodes(warehouse, filters, detector, sensitivity)
    rows = []
    for flag in flags(found, warehouse.state, _today(warehouse)):
        event = flag.episode
        told = event.told_by
        rows.append({
            "series": event.series, "date": event.first_day, "last_day": event.last_day, "kind": event.kind, "direction": event.direction,
            "expected": event.expected, "actual": event.actual, "excess": event.excess, "currency": event.currency,
            "days": len(event.days), "is_ongoing": event.is_ongoing, "confidence": event.confidence, "status": flag.status, "by": flag.by,
            "note": flag.note or None, "cause": told.series if told is not event else None, "also": "; ".join(event.also) or None,
            "sentence": explain_episode(warehouse, event, filters).sentence,
        })  # fmt: skip
    return frame_of(rows, EPISODE_COLUMNS)


def _today(warehouse: Warehouse) -> date:
    return datetime.now(warehouse.configuration.zone).date()

"""How complete each source's data are: which days are still partial, which months are final.

A source needs its usual lag (configuration: `usual_lag_days`) after a day has ended until that day is complete. What counts is when the
source was last read: a day is complete when a load read it that much later. So the answer belongs to the snapshot and not to the clock, and a
feed that stopped leaves its last days partial.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import ibis
import pandas as pd

from analytics.filters import Filters
from analytics.frames import Row, frame_of, rows_of
from warehouse.configuration import Configuration
from warehouse.reader import Warehouse

UNKNOWN_LAG = 0
"""Days that a source needs whose lag nobody configured."""

COLUMNS = (
    "source", "table", "first_day", "last_day", "last_load", "rows", "usual_lag_days", "complete_through", "final_through", "status",
)  # fmt: skip


def freshness(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:  # noqa: ARG001 - of the store, not of a period
    """Where each source stands, in the order of their names. Independent of the period.

    Grain: one row per source and table (charges or calls). first_day, last_day: of its facts, in the reporting time zone.
    last_load: UTC. rows: calls or billing lines. complete_through: last day that is complete (None: none). final_through: last day up to
    which every billing line has an invoice (None: none; traces never are final). status of the newest day: "partial" (younger than the usual
    lag), "final" (invoiced) or "provisional" (complete, but may still change).
    """
    complete = complete_through(warehouse)
    rows = []
    for row in _facts(warehouse):
        through = complete.get(row["source"])
        row["complete_through"] = min(through, row["last_day"]) if through else None
        row["usual_lag_days"] = lag_days(warehouse.configuration, row["source"])
        open_from = row.pop("first_open_day")
        final = row["last_day"] if open_from is None else open_from - timedelta(days=1)
        row["final_through"] = final if row["table"] == "charges" and final >= row["first_day"] else None
        if through is None or through < row["last_day"]:
            row["status"] = "partial"
        else:
            row["status"] = "final" if row["final_through"] == row["last_day"] else "provisional"
        rows.append(row)
    return frame_of(rows, COLUMNS)


@dataclass(frozen=True)
class Standing:
    """Where the store stands: its sources with billing lines or calls, their newest day, and which of them are partial."""

    sources: tuple[str, ...]
    newest_day: date | None
    partial: tuple[str, ...]


def standing(warehouse: Warehouse, filters: Filters) -> Standing:
    """The freshness of all sources in short. Independent of the period."""
    frame = freshness(warehouse, filters)
    return Standing(
        sources=tuple(sorted({str(name) for name in frame["source"]})),
        newest_day=max(frame["last_day"], default=None),
        partial=tuple(sorted({str(name) for name in frame["source"][frame["status"] == "partial"]})),
    )


GRACE_DAYS = 2
"""Days beyond its usual lag after which a source that brought nothing new is late."""


def late_sources(warehouse: Warehouse, today: date) -> tuple[tuple[str, date], ...]:
    """Sources whose newest day lies further back than their usual lag and two more days explain, each with that day, the latest first.

    `today` is a day of the reporting time zone. Yesterday is the newest day that a source without a lag can have in full. Empty for the demo
    company, whose months never move.
    """
    if warehouse.is_demo:
        return ()
    newest: dict[str, date] = {}
    for row in _facts(warehouse):
        newest[row["source"]] = max(row["last_day"], newest.get(row["source"], row["last_day"]))
    late = [
        (source, day)
        for source, day in newest.items()
        if (today - day).days > 1 + lag_days(warehouse.configuration, source) + GRACE_DAYS
    ]
    return tuple(sorted(late, key=lambda one: (one[1], one[0]), reverse=True))


def complete_through(warehouse: Warehouse) -> dict[str, date]:
    """The last complete day of each source that was ever loaded, in the reporting time zone.

    A source whose facts lie in the store without a recorded load is missing.
    """
    return dict(warehouse.once("complete through", lambda: _asked_complete_through(warehouse)))


def _asked_complete_through(warehouse: Warehouse) -> dict[str, date]:
    table = warehouse.table("loads")
    stored = table.filter(table.status == "stored", table.source.notnull())
    latest = stored.group_by("source").agg(last_load=stored.loaded_at.max())
    return {
        row["source"]: _complete(row["last_load"], warehouse.configuration, row["source"])
        for row in rows_of(warehouse, latest)
    }


def lag_days(configuration: Configuration, source: str) -> int:
    """Days after its end until a day of this source is complete."""
    return configuration.usual_lag_days.get(source, UNKNOWN_LAG)


def _complete(last_load: datetime, configuration: Configuration, source: str) -> date:
    read_on = last_load.replace(tzinfo=UTC).astimezone(configuration.zone).date()
    return read_on - timedelta(days=1 + lag_days(configuration, source))


def _facts(warehouse: Warehouse) -> list[Row]:
    """What is known of each source and table, asked once of a snapshot: every page says what is late."""
    return [dict(row) for row in warehouse.once("facts of sources", lambda: _asked_facts(warehouse))]


def _asked_facts(warehouse: Warehouse) -> list[Row]:
    calls, charges = warehouse.table("calls_daily"), warehouse.table("charges_daily")
    of_calls = calls.group_by("source").agg(
        first_day=calls.date.min(), last_day=calls.date.max(), rows=calls.calls.sum().cast("int64"),
        first_open_day=ibis.null("date"),
    ).mutate(table=ibis.literal("calls"))  # fmt: skip
    of_charges = charges.group_by(source=charges.x_Source).agg(
        first_day=charges.date.min(), last_day=ibis.greatest(charges.date, charges.covered_to).max(),
        rows=charges.lines.sum().cast("int64"), first_open_day=charges.date.min(where=~charges.is_final),
    ).mutate(table=ibis.literal("charges"))  # fmt: skip
    facts = {
        (row["source"] or "", row["table"]): row for part in (of_calls, of_charges) for row in rows_of(warehouse, part)
    }
    loads = warehouse.table("loads")
    stored = loads.filter(loads.status == "stored")
    latest = stored.group_by(["source", "table_name"]).agg(last_load=stored.loaded_at.max())
    read_at = {(row["source"], row["table_name"]): row["last_load"] for row in rows_of(warehouse, latest)}
    return [row | {"last_load": read_at.get(key)} for key, row in sorted(facts.items())]

"""Data: which sources there are, how fresh and complete they are, what was loaded and rejected; and adding files."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from analytics import formatting
from analytics.coverage import coverage
from analytics.filters import Filters
from analytics.freshness import Standing, freshness, standing
from analytics.records import loads, rejects, restatements
from pages import _draw as draw
from pages import _periods
from pages._data import answer, configuration, has_data
from pages._filters import current
from pages.operate._live_sources import guarded_live_sources
from pages.operate._upload import guarded_upload

STATES = {"final": "● final", "provisional": "◐ provisional", "partial": "○ partial"}


def sentence(where: Standing) -> str:
    """The page's answer: how many sources, up to which day, and which of them are not complete."""
    if where.newest_day is None:
        return "The store holds neither calls nor bills yet"
    sources = "1 source" if len(where.sources) == 1 else f"{len(where.sources)} sources"
    text = f"{sources}, data to {_periods.describe((where.newest_day, where.newest_day))}"
    if not where.partial:
        return f"{text}: every day is complete"
    return f"{text}; the newest days of {', '.join(where.partial)} are still partial"


def sources(filters: Filters) -> None:
    """Freshness of every source."""
    frame = answer(freshness, filters)
    draw.section(
        "Sources",
        f"Days in {configuration().reporting_time_zone}, loads in UTC. Partial: younger than the source's usual lag.",
    )
    shown = frame.assign(state=[STATES.get(status, status) for status in frame["status"]])
    columns = {
        "source": draw.Column("Source", pinned=True),
        "table": draw.Column("Facts"),
        "state": draw.Column(
            "State", help="Final: invoiced. Provisional: complete, may still change. Partial: days are still missing."
        ),
        "first_day": draw.Column("First day", "date"),
        "last_day": draw.Column("Last day", "date"),
        "complete_through": draw.Column("Complete to", "date"),
        "final_through": draw.Column("Final to", "date", help="Last day up to which every billing line has an invoice"),
        "usual_lag_days": draw.Column("Usual lag, days", "count"),
        "last_load": draw.Column("Last load", "time"),
        "rows": draw.Column("Rows", "count"),
    }
    draw.table(shown, columns, key="freshness", export=frame, export_name="freshness", missing="–")


def covered(filters: Filters) -> None:
    """Coverage of calls and billing lines in the period."""
    frame = answer(coverage, filters)
    draw.section(
        "Coverage",
        f"Calls and billing lines of {_periods.describe((filters.start, filters.end))} with each fact, USD unless said",
    )
    names = {"user_tier": "user tier", "env": "environment"}
    shown = frame.assign(name=[names.get(measure, measure) for measure in frame["measure"]])
    columns = {
        "of": draw.Column("Of"),
        "name": draw.Column("Fact"),
        "share": draw.Column("By number", "bar"),
        "cost_share": draw.Column(
            "By cost", "share", help="Of calls: their traced cost. Not known where the cost itself is what is missing."
        ),
        "covered": draw.Column("With", "count"),
        "unknown": draw.Column("Without", "count"),
        "total": draw.Column("All", "count"),
    }
    draw.table(
        shown, columns, key="coverage", export=frame, export_name=f"coverage-{filters.start}-{filters.end}", missing="–"
    )


def recorded(filters: Filters) -> None:
    """Loads, rejects and restatements."""
    frame = answer(loads, filters)
    draw.section("Loads", "Newest first; sums as read and as stored must agree. Not limited to the period.")
    columns = {
        "loaded_at": draw.Column("At (UTC)", "time"),
        "file": draw.Column("File"),
        "kind": draw.Column("Kind"),
        "partition": draw.Column("Period or part"),
        "status": draw.Column("Status"),
        "rows_in": draw.Column("Rows read", "count"),
        "rows_kept": draw.Column("Stored", "count"),
        "rows_rejected": draw.Column("Rejected", "count"),
        "rows_duplicate": draw.Column("Known already", "count"),
        "billed_in": draw.Column("Billed, read", "money"),
        "billed_stored": draw.Column("Billed, stored", "money"),
        "currency": draw.Column("Currency"),
        "message": draw.Column("Message", width="large"),
    }
    draw.table(frame, columns, key="loads", export=frame, export_name="loads", missing="–", rows_in_sight=8)
    _table_or_note(
        answer(rejects, filters),
        {
            "loaded_at": draw.Column("At (UTC)", "time"),
            "file": draw.Column("File"),
            "row_number": draw.Column("Row", "count", help="1 is the first data row; none: the whole file"),
            "column_name": draw.Column("Column"),
            "reason": draw.Column("What is wrong, and what to do", width="large"),
        },
        title="Rejected rows",
        note="Rows that could not be used; the rest of their files was stored.",
        nothing="No row was ever rejected.",
        key="rejects",
    )
    _table_or_note(
        answer(restatements, filters),
        {
            "date": draw.Column("Day", "date"),
            "source": draw.Column("Source"),
            "service": draw.Column("Service or model"),
            "feature": draw.Column("Feature", "tag"),
            "cost_before": draw.Column("Before", "money"),
            "cost_after": draw.Column("After", "money"),
            "change": draw.Column("Change", "money"),
            "currency": draw.Column("Currency"),
            "reason": draw.Column("Reason"),
            "restated_at": draw.Column("At (UTC)", "time"),
        },
        title="Restated days",
        note=f"Past days of {_periods.describe((filters.start, filters.end))} whose effective cost a later load changed.",
        nothing="No day of this period was restated.",
        key="restatements",
    )


def _table_or_note(
    frame: pd.DataFrame, columns: dict[str, draw.Column], *, title: str, note: str, nothing: str, key: str
) -> None:
    draw.section(f"{title}: {formatting.count(len(frame))}", note)
    if frame.empty:
        st.caption(nothing)
        return
    draw.table(frame, columns, key=key, export=frame, export_name=key, missing="–", rows_in_sight=8)


def page() -> None:
    """Draw where the data stand; in a store without any, only the way to add some."""
    if not has_data():
        draw.headline(
            "Nothing has been loaded yet",
            "Drop files below; each is shown with its kind, rows and sums before anything is stored. Or run percall demo.",
        )
        guarded_live_sources()
        guarded_upload()
        return
    filters = current()
    draw.headline(
        sentence(answer(standing, filters)),
        "Each source with its newest complete day; then what share of the facts is known, every load, and what was rejected.",
    )
    sources(filters)
    guarded_live_sources()
    guarded_upload()
    covered(filters)
    recorded(filters)


page()

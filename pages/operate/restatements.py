"""Restatements: which past days are told differently now than they were, by how much, and why."""

from __future__ import annotations

from datetime import date, timedelta

import streamlit as st

from analytics.filters import Filters
from analytics.restated import headline, newest_restatement, restated_by_day, restated_by_source
from pages import _draw as draw
from pages._data import answer, configuration, warehouse
from pages._filters import current

REASONS = (
    "late lines: a source delivered more for a day than before; new version: a provider's newer file replaced an older one; "
    "re-priced: a price was loaded or changed; rules: categories or tags are read differently."
)


def since(filters: Filters) -> date:
    """The day to compare with: a week before the newest load, unless the reader chose another."""
    snapshot = warehouse().snapshot
    newest = date.fromisoformat(snapshot.created_at[:10]) if snapshot else filters.end
    chosen = st.date_input(
        "What changed since",
        value=newest - timedelta(days=7),
        max_value=newest,
        min_value=date(2006, 1, 1),
        key="since",
        format="YYYY-MM-DD",
        bind="query-params",
        help="Figures told before this day (UTC) are compared with those of today. Default: a week before the newest load.",
        width=220,
    )
    return chosen if isinstance(chosen, date) else newest - timedelta(days=7)


def by_source(filters: Filters, day: date) -> None:
    """Changes by source, feature and reason."""
    frame = answer(restated_by_source, filters, day)
    draw.section("By source and reason", REASONS)
    draw.table(
        frame,
        {
            "source": draw.Column("Source", pinned=True),
            "feature": draw.Column("Feature", "tag"),
            "reason": draw.Column("Reason"),
            "change": draw.Column("Change", "money", "Effective cost now minus before"),
            "currency": draw.Column("Currency"),
            "days": draw.Column("Days", "count"),
            "first_day": draw.Column("First day", "date"),
            "last_day": draw.Column("Last day", "date"),
        },
        key="restated_by_source",
        export=frame,
        export_name=f"restated-by-source-since-{day}",
    )


def by_day(filters: Filters, day: date) -> None:
    """The chart of changes and the days themselves."""
    frame = answer(restated_by_day, filters, day)
    currency = str(frame["currency"].iloc[0])
    draw.cost_chart(
        frame.assign(name="Change"),
        title="Change by day",
        note=f"Effective cost now minus as first told, {currency}, by the day that it is about (days in {configuration().reporting_time_zone})",
        key="restated_chart",
        period="date",
        name="name",
        value="change",
        currency=currency,
        colours=draw.series_colours(["Change"], draw.mode()),
        height=240,
    )
    by_source(filters, day)
    draw.section("By day", "The changed parts of each day (source, feature, service), as first told and as told now")
    draw.table(
        frame,
        {
            "date": draw.Column("Day", "date", pinned=True),
            "cost_before": draw.Column("Before", "money"),
            "cost_after": draw.Column("Now", "money"),
            "change": draw.Column("Change", "money"),
            "currency": draw.Column("Currency"),
            "sources": draw.Column("Sources"),
            "reasons": draw.Column("Reasons"),
            "last_restated": draw.Column("Last told (UTC)", "time"),
        },
        key="restated_by_day",
        export=frame,
        export_name=f"restated-by-day-since-{day}",
    )


def page() -> None:
    """Draw what changed since a day."""
    filters = current().without("model", "project", "team", "env", "user_tier")
    place = st.container()
    day = since(filters)
    with place:
        draw.headline(
            answer(headline, filters, day),
            "Every past day whose cost a later load, price or rule changed; a day's first delivery is none. The sidebar's period does not apply.",
        )
    if answer(restated_by_day, filters, day).empty:
        last = answer(newest_restatement, filters)
        st.info(
            "Nothing was restated in this time."
            + (f" The last restatement was told on {last:%Y-%m-%d}: choose an earlier day to see it." if last else
               " Late billing lines, corrected bills and changed prices will stand here, with the days that they change."),
            icon=":material/event_available:",
        )  # fmt: skip
        return
    by_day(filters, day)


page()

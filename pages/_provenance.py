"""How was this obtained: an expander for any page, which explains a view and its filters once it is opened."""

from __future__ import annotations

import streamlit as st

from analytics.filters import Filters
from analytics.provenance import (
    MOST_ROWS,
    Provenance,
    calls_behind,
    ledger_split,
    lines_behind,
    loads_behind,
    prices_behind,
    provenance,
)
from analytics.ratios import is_part
from analytics.unknown_costs import unknown_cost_range
from pages import _draw as draw
from pages._data import answer


def how_obtained(
    view: str, filters: Filters, by: tuple[str, ...] = (), *, title: str = "How was this obtained?"
) -> None:
    """The expander `title` for a view of `analytics.views`. Nothing is asked before it is opened."""
    with st.expander(title, icon=":material/account_tree:", key=f"how_{view}", on_change="rerun") as expander:
        if expander.open:
            _explain(answer(provenance, view, filters, by), view, filters)


def _explain(found: Provenance, view: str, filters: Filters) -> None:
    st.markdown(draw.plain(found.sentence))
    st.caption(draw.plain(f"{found.answers.capitalize()} · {found.period} · {found.snapshot_id}"))
    for rule in found.rules:
        st.markdown(f"- {draw.plain(rule)}")
    _ledger(view, filters)
    _unknown(view, filters)
    _loads(view, filters)
    _prices(view, filters)
    draw.section("Rows behind it", f"Single calls (never their texts) and billing lines, the dearest {MOST_ROWS:,}")
    with st.container(horizontal=True):
        name = f"{view}-{filters.start}-{filters.end}"
        st.caption("Calls")
        draw.download(
            lambda: answer(calls_behind, filters), key=f"how_{view}_calls", export_name=f"calls-behind-{name}"
        )
        st.caption("Billing lines")
        draw.download(
            lambda: answer(lines_behind, filters), key=f"how_{view}_lines", export_name=f"lines-behind-{name}"
        )
    draw.section("The questions", "SQL for DuckDB, as this snapshot was asked; the same snapshot answers the same")
    text = "\n\n".join(f"-- {what}\n{statement};" for what, statement in found.statements)
    st.code(text, language="sql", height=240)


def _ledger(view: str, filters: Filters) -> None:
    frame = answer(ledger_split, filters)
    if frame.empty:
        return
    draw.section("Billed and estimated", f"{filters.basis.capitalize()} cost; rows of a currency sum to its total")
    columns = {
        "from_where": draw.Column("From"),
        "allocation": draw.Column(
            "How it came to its feature",
            help="direct: it names the feature itself; by traces: billed, split by traced cost",
        ),
        "source": draw.Column("Source"),
        "cost": draw.Column("Cost", "money"),
        "currency": draw.Column("Currency"),
        "share": draw.Column("Share", "bar"),
        "unknown_costs": draw.Column("Unknown", "count", help="Costs that are not known, and in no sum"),
    }
    if not all(part is None or is_part(part) for part in frame["share"]):
        # Beside a credit what is estimated may be more than the whole: 200% of it would say nothing.
        del columns["share"]
    draw.table(
        frame,
        columns,
        key=f"how_{view}_ledger",
        export=frame,
        export_name=f"ledger-{filters.start}-{filters.end}",
        rows_in_sight=5,
    )


def _unknown(view: str, filters: Filters) -> None:
    frame = answer(unknown_cost_range, filters)
    if frame.empty:
        return
    draw.section(
        "Calls whose cost is not known", "USD, in no total; the range that eight in ten calls like them lie in"
    )
    columns = {
        "feature": draw.Column("Feature", "tag"),
        "model": draw.Column("Model"),
        "why": draw.Column("Why"),
        "calls": draw.Column("Calls", "count"),
        "low": draw.Column("From", "money"),
        "high": draw.Column("To", "money"),
        "compared_with": draw.Column("Compared with"),
    }
    draw.table(
        frame,
        columns,
        key=f"how_{view}_unknown",
        export=frame,
        export_name=f"unknown-{filters.start}-{filters.end}",
        rows_in_sight=5,
    )


def _loads(view: str, filters: Filters) -> None:
    frame = answer(loads_behind, filters)
    if frame.empty:
        return
    draw.section("Loads", "Files whose rows lie in the period and pass the filters; times in UTC, sums as stored")
    columns = {
        "loaded_at": draw.Column("Loaded", "time"),
        "kind": draw.Column("Kind"),
        "file": draw.Column("File"),
        "partition": draw.Column("Partition"),
        "rows_kept": draw.Column("Rows", "count"),
        "rows_rejected": draw.Column("Rejected", "count"),
        "billed_stored": draw.Column("Billed", "money"),
        "effective_stored": draw.Column("Effective", "money"),
        "currency": draw.Column("Currency"),
    }
    draw.table(
        frame,
        columns,
        key=f"how_{view}_loads",
        export=frame,
        export_name=f"loads-{filters.start}-{filters.end}",
        rows_in_sight=5,
        missing="–",
    )


def _prices(view: str, filters: Filters) -> None:
    frame = answer(prices_behind, filters)
    if frame.empty:
        return
    draw.section(
        "Prices", "Of the calls whose cost is tokens x price; USD. What sources reported themselves is not here."
    )
    columns = {
        "book": draw.Column("Book"),
        "provider": draw.Column("Provider"),
        "model": draw.Column("Model"),
        "processing": draw.Column("Processing"),
        "priced_from": draw.Column("Since", help="Day from which the price holds; empty: the book gives no date"),
        "calls": draw.Column("Calls", "count"),
        "cost": draw.Column("Cost", "money"),
    }
    draw.table(
        frame,
        columns,
        key=f"how_{view}_prices",
        export=frame,
        export_name=f"prices-{filters.start}-{filters.end}",
        rows_in_sight=5,
        missing="–",
    )

"""Waste: what was paid for and not needed, found without being asked for, with its evidence and what would end it."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from analytics import formatting
from analytics.filters import Filters
from analytics.waste import WasteReport, waste_evidence, waste_report
from analytics.waste_kinds import CERTAINTIES, IDLE_GPU
from pages import _draw as draw
from pages._data import answer, configuration
from pages._filters import current, describe
from pages._later import being_found_out, later
from pages._links import link
from pages._palette import SERIES
from pages._part_bars import part_bars
from pages._provenance import how_obtained

HOW = "Measured is what the data show; likely follows a rule of thumb; to be checked is for somebody to judge. Costs of calls are as traced."
LEVER_LINKS = {"features": "See the features", "gpus": "What would smaller or sleeping GPUs save?"}


def figures(report: WasteReport) -> None:
    """What could be avoided a month, and how much of it is beyond doubt."""
    summary = report.summary
    metrics = [
        draw.Metric(
            f"Avoidable a month{'' if code == 'USD' else f', {code}'}",
            formatting.money(amount, code),
            help="Every dollar once, also where several findings claim it",
        )
        for code, amount in summary.per_month
    ]
    metrics += [
        draw.Metric(
            f"Of it measured{'' if code == 'USD' else f', {code}'}",
            formatting.money(amount, code),
            help="The data show it; the rest is likely, or somebody must judge",
        )
        for code, amount in summary.measured
    ]
    draw.metric_row([*metrics, draw.Metric("Findings", formatting.count(summary.findings))])


def chart(report: WasteReport) -> None:
    """Avoidable dollars a month by kind."""
    if report.by_kind.empty:
        return
    currency = str(report.by_kind["currency"].iloc[0])
    colours = dict(zip(CERTAINTIES, SERIES[draw.mode()], strict=False))
    part_bars(
        report.by_kind, CERTAINTIES, title="Avoidable cost by kind", key="waste_chart", name="kind", colours=colours, currency=currency,
        note=f"{currency} per calendar month, every dollar once, in the first kind that claims it; days in {configuration().reporting_time_zone}",
    )  # fmt: skip


def findings(filters: Filters, frame: pd.DataFrame) -> None:
    """The table of findings; a selected one shows its evidence."""
    draw.section(
        "Findings",
        "Per calendar month. Select one for the calls or hours that show it. Findings may claim the same dollar: “once” adds up.",
    )
    currency = next((code for code in frame["currency"] if code), "USD")
    columns = {
        "title": draw.Column("What", pinned=True),
        "subject": draw.Column("Where"),
        "waste_per_month": draw.Column(
            "A month", "money", currency=currency, help="Avoidable cost of the period, scaled to a calendar month"
        ),
        "counted_once": draw.Column(
            "Once, in the period",
            "money",
            currency=currency,
            help="Without what a kind above already claims of the same calls",
        ),
        "cost": draw.Column(
            "Cost in question", "money", currency=currency, help="What all these calls or hours cost in the period"
        ),
        "certainty": draw.Column("Certainty"),
        "team": draw.Column("Team", "tag"),
        "evidence": draw.Column("Evidence", width="large"),
        "fix": draw.Column("What ends it", width="large"),
    }
    selected = draw.table(
        frame,
        columns,
        key="waste_findings",
        export=frame,
        export_name=f"waste-{filters.start}-{filters.end}",
        select="single-row",
    )
    if selected:
        evidence(filters, frame, selected[0])


def evidence(filters: Filters, frame: pd.DataFrame, at: int) -> None:
    """The calls or hours behind one finding."""
    kind, title, subject, lever, fix, why = (
        str(frame[name].iloc[at]) for name in ("kind", "title", "subject", "lever", "fix", "evidence")
    )
    keys = (subject,) if kind == IDLE_GPU else tuple(frame[name].iloc[at] for name in ("name", "job", "model"))
    rows = answer(waste_evidence, filters, kind, keys)
    draw.section(f"{title}: {subject}", f"{why}. The dearest {len(rows):,} rows; times in UTC.")
    st.markdown(draw.plain(fix))
    link(lever, LEVER_LINKS.get(lever, "What would ending it save?"))
    shown = {
        "hour": draw.Column("Hour", "time"),
        "started_at": draw.Column("Started", "time"),
        "call_id": draw.Column("Call"),
        "feature": draw.Column("Feature", "tag"),
        "team": draw.Column("Team", "tag"),
        "model": draw.Column("Model"),
        "cost": draw.Column("Cost", "unit_money"),
        "waste": draw.Column("Avoidable", "unit_money"),
        "tokens": draw.Column("Tokens not needed", "count"),
        "gpu_utilization": draw.Column("Utilisation", "share"),
        "requests": draw.Column("Requests", "count"),
    }
    draw.table(
        rows, {name: column for name, column in shown.items() if name in rows}, key="waste_evidence", export=rows,
        export_name=f"waste-{kind}-{filters.start}-{filters.end}", missing="–",
    )  # fmt: skip


def page() -> None:
    """Search and draw what was found."""
    filters = current()
    with st.spinner("Looking through the calls …"):
        report = later(waste_report, filters)
    draw.headline("What could be avoided" if report is None else report.summary.headline, HOW, kicker=describe(filters))
    if report is None:
        being_found_out("What was paid for and not needed", (waste_report, filters))
        return
    if report.findings.empty:
        st.caption(
            "Looked for: repeated embeddings, answers thrown away, unread caches, jobs without an owner, long answers, constant context, "
            "premium models, idle GPUs."
        )
        return
    figures(report)
    chart(report)
    findings(filters, report.findings)
    how_obtained("waste", filters)


page()

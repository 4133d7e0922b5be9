"""Reconciliation: the provider's bill beside the traces, and what the gap between them is made of."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from analytics import formatting
from analytics.filters import Filters
from analytics.reconciliation import CAUSES
from analytics.reconciliation_summary import CAUSE_NAMES, ReconciliationSummary, reconciliation_report
from analytics.unparsed_lines import unparsed_lines
from pages import _draw as draw
from pages._data import answer, configuration
from pages._filters import current, describe
from pages._names import named
from pages._provenance import how_obtained
from pages._rests_on import what_it_rests_on

HELP = {
    "missing_calls": "Tokens that are billed and were never traced, at the bill's price: calls past the gateway, or a day without a trace",
    "unpriced": "Traced calls whose cost is not known, as far as the bill has more: had they been priced as billed",
    "token_class": "Tokens that the traces count in another input class (plain, cache read, cache write) than the bill",
    "batch_or_tier": "Tokens, or prices, of another processing (batch, priority, flex) or context tier than the bill's",
    "price_date": "Prices of another time than the bill's: an old price list in the gateway, or a change that came later",
    "day_boundary": "Tokens that the bill dates on the day before or after; over a longer period they meet again",
    "retries_failures": "Failed calls that carry a cost in the traces and are not on the bill",
    "credits": "Credits of the provider: they lower the bill, not the use",
    "adjustments": "Taxes, corrections and other lines that are no use",
    "unexplained": "What none of the others shows, among it discounts that no price book knows",
}


def figures(whole: ReconciliationSummary) -> None:
    """Estimate, bill, gap and how much of the bill is explained, side by side."""
    money = formatting.money
    draw.metric_row(
        [
            draw.Metric(
                "Estimated by traces",
                money(whole.estimated, whole.currency),
                help="Known cost of traced calls on days that a bill covers",
            ),
            draw.Metric("Billed", money(whole.billed, whole.currency), help="Lines for model usage, net of credits"),
            draw.Metric("Gap", money(whole.gap, whole.currency, plus=True), help="Billed minus estimated"),
            draw.Metric(
                "Explained",
                formatting.share(whole.explained_share),
                help="Share of the bill that is traced or has a named cause",
            ),
        ]
    )
    if whole.not_billed:
        st.caption(
            draw.plain(
                f"Beside this, calls of {money(whole.not_billed, whole.currency)} lie on days that no bill covers (yet)."
            )
        )


def over_time(frame: pd.DataFrame, filters: Filters) -> None:
    """The gap by cause per period."""
    if frame.empty:
        return
    currency = str(frame["currency"].iloc[0])
    zone = configuration().reporting_time_zone
    days = "UTC" if zone == "UTC" else f"UTC, or {zone} for lines shorter than a day"
    names = list(CAUSE_NAMES.values())
    colours = draw.series_colours([name for name in names if name != "Unexplained"], draw.mode())
    draw.cost_chart(
        frame,
        title="Gap by cause",
        note=f"{filters.basis.capitalize()} cost minus traced cost per {filters.grain}, {currency}; above 0: billed more than traced. "
        f"Days as the bill cuts them: {days}",
        key="reconciliation_chart",
        name="name",
        value="amount",
        grain=filters.grain,
        currency=currency,
        colours=colours,
    )


def table(frame: pd.DataFrame, filters: Filters) -> None:
    """Estimate, bill, gap and causes by provider, model and period; causes that are 0 throughout are in the CSV alone."""
    currency = str(frame["currency"].iloc[0])
    used = [cause for cause in CAUSES if frame[cause].fillna(0).ne(0).any()]
    draw.section(
        "By provider, model and period",
        f"{filters.basis.capitalize()} cost, {currency}. Estimated + causes = billed, exactly. – : no bill covers it.",
    )
    draw.table(
        frame.assign(provider=named(frame["provider"]), model=frame["model"].fillna("(no model named)")),
        {
            "period": draw.Column("Period from", "date"),
            "provider": draw.Column("Provider"),
            "model": draw.Column("Model"),
            "estimated": draw.Column("Estimated", "money", currency=currency),
            "billed": draw.Column("Billed", "money", currency=currency),
            "gap": draw.Column("Gap", "money", currency=currency, help="Billed minus estimated"),
            **{
                cause: draw.Column(CAUSE_NAMES[cause], "money", HELP[cause], currency=currency)
                for cause in used
            },
            "gap_share": draw.Column("Gap of bill", "share"),
            "calls": draw.Column("Calls", "count"),
            "unpriced_calls": draw.Column("Unpriced", "count", help="Traced calls whose cost is not known"),
            "not_billed": draw.Column("Not billed yet", "money", currency=currency, help="Known cost of calls on days that the bill does not cover"),
        },
        key="reconciliation_table",
        export=frame,
        export_name=f"reconciliation-{filters.start}-{filters.end}",
        missing="–",
    )  # fmt: skip


def unparsed(filters: Filters) -> None:
    """Billing lines that could not be read as a model and direction."""
    frame = answer(unparsed_lines, filters)
    draw.section(
        f"Billing lines that name no model or direction: {formatting.count(len(frame))}",
        "Lines for model usage whose usage type, SKU or text no parser could read: in the bill above, but in no model's tokens.",
    )
    if frame.empty:
        st.caption("Every line for model usage in this period names its model and direction.")
        return
    currency = str(frame["currency"].iloc[0])
    draw.table(
        frame,
        {
            "provider": draw.Column("Provider"),
            "service": draw.Column("Service"),
            "usage_type": draw.Column("Usage type"),
            "description": draw.Column("Description", width="large"),
            "lacks": draw.Column("Lacks"),
            "lines": draw.Column("Lines", "count"),
            "cost": draw.Column("Cost", "money", currency=currency),
            "cost_share": draw.Column("Of the provider", "share"),
        },
        key="unparsed_table",
        export=frame,
        export_name=f"unparsed-lines-{filters.start}-{filters.end}",
        missing="–",
    )


def page() -> None:
    """Ask for the reconciliation and draw it."""
    filters = current().without("feature", "project", "team", "env", "user_tier")
    report = answer(reconciliation_report, filters)
    if report.table.empty:
        draw.empty_result("bills or calls of models")
        st.caption(
            "`percall load costs.json` adds a provider's bill: a cloud bill, or a cost report of OpenAI or Anthropic."
        )
        return
    draw.headline(
        report.headline,
        "Each cause says what the traces would have to change to meet the bill, worked out by day; their sum is the gap. A bill knows no features: "
        "of the filters, period and model apply.",
        kicker=describe(filters),
    )
    what_it_rests_on(filters)
    if report.summary.billed is None:
        st.info(
            "Load the bill of this period to compare: a cloud bill (FOCUS, AWS, Google), or the cost report of OpenAI or Anthropic as JSON or CSV.",
            icon=":material/receipt_long:",
        )
    else:
        figures(report.summary)
        over_time(report.over_time, filters)
    table(report.table, filters)
    unparsed(filters)
    how_obtained("reconciliation", filters)


page()

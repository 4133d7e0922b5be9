"""The overview: what the period cost, against the one before, per active user, and what changed."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from analytics import formatting
from analytics.changes import changes
from analytics.costs import costs
from analytics.features import features
from analytics.filters import Filters
from analytics.overview import Overview, by_month, overview
from analytics.period_names import days_in_month, month_name, short_edges
from pages import _draw as draw
from pages._data import answer, configuration, span
from pages._filters import current, describe
from pages._links import link
from pages._names import named
from pages._provenance import how_obtained
from pages._rests_on import what_it_rests_on


def key_figures(found: Overview, currency: str) -> None:
    """Total, month end, cost per active user and margin."""
    against = None if found.previous_total is None else found.previous_period
    metrics = [
        draw.Metric("Total", formatting.money(found.total, currency), found.total, found.previous_total, against),
    ]
    if found.run_rate.amount is not None:
        metrics.append(
            draw.Metric(
                "Complete month" if found.run_rate.is_complete else "Month-end run rate",
                formatting.money(found.run_rate.amount, currency),
                help=found.run_rate.how,
            )
        )
    per_user, before = found.cost_per_average_dau, found.previous_cost_per_average_dau
    users = "unknown" if found.average_dau is None else formatting.count(found.average_dau)
    metrics += [
        draw.Metric(
            "Cost per average DAU", formatting.money(per_user, currency), per_user, before, against if before is not None else None,
            help=f"The period's cost before credits, for each of its {users} daily active users on average. Not per day.",
        ),
        draw.Metric(
            "Gross margin", formatting.share(found.gross_margin),
            help="(Revenue − cost) / revenue"
            + (f", with {formatting.money(found.revenue, currency)} of revenue." if found.revenue is not None else ": no revenue is loaded."),
        ),
    ]  # fmt: skip
    draw.metric_row(metrics)


def charts(filters: Filters, currency: str) -> None:
    """The last months, and the chosen period beside them; the period alone where all data are of one month."""
    months = answer(by_month, filters, currency)
    if months["period"].nunique() < 2:
        over_time(filters, currency)
        return
    left, right = st.columns([3, 5], gap="medium")
    with left:
        last = span()[1]
        until = "" if last.day == days_in_month(last) else f"; {month_name(last)} up to day {last.day}"
        draw.cost_chart(
            months,
            title="Month by month",
            note=f"{filters.basis.capitalize()} cost per month, {currency}, whatever the period{until}",
            key="overview_months",
            grain="month",
            currency=currency,
            totals=True,
        )
    with right:
        over_time(filters, currency)


def over_time(filters: Filters, currency: str) -> None:
    """The chosen period by category."""
    draw.cost_chart(
        answer(costs, filters, ("category",)),
        title="Cost by category",
        note=f"{filters.basis.capitalize()} cost per {filters.grain}, {currency}, days in {configuration().reporting_time_zone}"
        + short_edges(filters),
        key="overview_chart",
        grain=filters.grain,
        currency=currency,
    )


def what_changed(filters: Filters, found: Overview, by: str, currency: str) -> None:
    """The differences by category or feature, which sum to the whole difference."""
    frame = answer(changes, filters, by)
    draw.section(
        f"What changed, by {by}",
        f"{found.period} against {found.previous_period}, {filters.basis} cost, {currency}; rows sum to the whole difference",
    )
    shown = frame.assign(name=named(frame["name"], frame["kind"]))
    draw.table(
        shown,
        {
            "name": draw.Column(by.capitalize()),
            "difference": draw.Column("Difference", "money", currency=currency),
            "cost": draw.Column(found.period, "money", currency=currency),
            "previous_cost": draw.Column(found.previous_period, "money", currency=currency),
            "change": draw.Column("Change", "share", help="Difference / cost before; empty where nothing was before"),
        },
        key=f"overview_changes_{by}",
        export_name=f"changes-{by}-{filters.start}-{filters.end}",
        export=frame,
        missing="new",
        rows_in_sight=10,
    )


def top_features(filters: Filters, frame: pd.DataFrame, currency: str) -> None:
    """The dearest features beside their share of calls."""
    draw.section(
        "Dearest features",
        f"Cost of model calls, {filters.basis}, {currency}; shares of all model calls' cost and of all calls",
    )
    draw.table(
        frame.assign(feature=named(frame["feature"], frame["kind"])),
        {
            "feature": draw.Column("Feature"),
            "cost": draw.Column("Cost", "money", currency=currency),
            "cost_share": draw.Column("Share of cost", "bar"),
            "call_share": draw.Column("Share of calls", "bar"),
            "cost_per_call": draw.Column("Per call", "unit_money", currency=currency),
            "trend": draw.Column("Daily cost", "trend"),
        },
        key="overview_features",
        export_name=f"features-{filters.start}-{filters.end}",
        export=frame.drop(columns="trend"),
        rows_in_sight=6,
    )
    link("features", "All features, and inside each")


def page() -> None:
    """Ask for the overview and draw it."""
    filters = current()
    found = answer(overview, filters)
    if found.is_empty:
        draw.empty_result()
        return
    currency = found.currency or configuration().reporting_currency
    draw.headline(
        found.headline,
        "Every dollar counts once: the provider's bill where there is one, the traces where there is none. Bars stack the cost of each "
        f"{filters.grain} by category.",
        kicker=describe(filters),
    )
    key_figures(found, currency)
    what_it_rests_on(filters)
    charts(filters, currency)
    if found.previous_total is None:
        draw.section("What changed")
        st.caption(
            draw.plain(f"The data do not reach back to the start of {found.previous_period}, so nothing is compared.")
        )
    else:
        left, right = st.columns(2, gap="medium")
        with left:
            what_changed(filters, found, "category", currency)
        with right:
            what_changed(filters, found, "feature", currency)
    frame = answer(features, filters)
    if not frame.empty:
        top_features(filters, frame, currency)
    how_obtained("totals", filters)


page()

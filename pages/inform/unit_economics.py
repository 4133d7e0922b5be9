"""Unit economics: what an active user, a call and a conversion cost, and which features earn their keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st

from analytics import formatting
from analytics.filters import Filters
from analytics.margins import MarginSummary, margins, summary
from analytics.period_names import during, is_calendar_month, name, short_edges
from analytics.unit_economics import unit_economics, whole_period
from pages import _draw as draw
from pages._data import answer, configuration, span
from pages._filters import current, describe
from pages._links import link
from pages._names import named
from pages._provenance import how_obtained
from pages._rests_on import what_it_rests_on
from pages.inform._unit_chart import unit_chart


@dataclass(frozen=True)
class Unit:
    """One unit cost: its column, its names, and what it means."""

    column: str
    label: str
    long: str
    help: str


UNITS = (
    Unit(
        "cost_per_average_dau",
        "Per average daily user",
        "Cost per average daily active user",
        "Cost of the whole period / average number of daily active users (DAU) in it. Over a month this is the monthly cost of an active user.",
    ),
    Unit(
        "cost_per_dau",
        "Per daily user and day",
        "Cost per active user and day",
        "Cost / days / average daily active users: what a user costs on a day on which he or she uses the product.",
    ),
    Unit(
        "cost_per_mau",
        "Per monthly user",
        "Cost per monthly active user",
        "Cost / distinct users seen in the period. Counts without user ids cannot give it.",
    ),
    Unit("cost_per_call", "Per call", "Cost per call", "Cost / traced model calls, those that failed or hit a cache included."),
    Unit("cost_per_conversion", "Per conversion", "Cost per conversion", "Cost / conversions, where conversions are tracked."),
)  # fmt: skip

VERDICTS = {True: "▲ profitable", False: "▼ loss"}
UNDECIDED = "– no verdict"


def sentence(filters: Filters, now: dict[str, Any]) -> str:
    """The page's answer: what an active user costs, and whether revenue covers the cost."""
    currency = now["currency"] or configuration().reporting_currency
    if now["cost_per_average_dau"] is not None and is_calendar_month(filters):
        text = f"A daily active user cost {formatting.money(now['cost_per_average_dau'], currency)} {during(filters)}"
    elif now["cost_per_dau"] is not None:
        text = f"An active user cost {formatting.money(now['cost_per_dau'], currency)} a day {during(filters)}"
    elif now["cost_per_call"] is not None:
        text = f"A call cost {formatting.money(now['cost_per_call'], currency)} {during(filters)}; active users are not known"
    else:
        return f"What a user or a call cost {during(filters)} is not known"
    if now["gross_margin"] is None:
        return text
    if now["gross_margin"] < 0:
        return f"{text}; the product earned less than its AI cost, a gross margin of {formatting.share(now['gross_margin'])}"
    return f"{text}; AI cost left a gross margin of {formatting.share(now['gross_margin'])}"


def metrics(filters: Filters, now: dict[str, Any], before: dict[str, Any]) -> None:
    """The unit costs of the period side by side, each against the period before where the data reach back."""
    currency = now["currency"] or configuration().reporting_currency
    against = name(filters.previous()) if before else None
    draw.metric_row(
        [
            draw.Metric(
                "Per distinct user" if unit.column == "cost_per_mau" and not is_calendar_month(filters) else unit.label,
                formatting.money(now[unit.column], currency),
                now[unit.column],
                before.get(unit.column),
                against if before.get(unit.column) is not None and now[unit.column] is not None else None,
                help=unit.help,
            )
            for unit in UNITS
        ]
    )


def over_time(filters: Filters, net_of_credits: bool) -> None:
    """One unit cost over time, chosen by the reader, and the table behind all of them."""
    frame = answer(unit_economics, filters, net_of_credits)
    currency = frame["currency"].iloc[0] or configuration().reporting_currency
    # Of a day both costs per user are the same, and of weeks the whole week's cost would dip where the period cuts one.
    units = UNITS if filters.grain == "month" else UNITS[1:]
    choices = {unit.label: unit for unit in units if frame[unit.column].notna().any()}
    if choices:
        chosen = st.segmented_control(
            "Unit", list(choices), default=next(iter(choices)), required=True, key="unit", bind="query-params"
        )
        unit = choices.get(str(chosen), next(iter(choices.values())))
        draw.section(
            f"{unit.long}, by {filters.grain}",
            f"{filters.basis.capitalize()} cost {'net' if net_of_credits else 'before'} of credits, {currency}, days in "
            f"{configuration().reporting_time_zone}{short_edges(filters)}",
        )
        unit_chart(
            list(frame["period"]),
            list(frame[unit.column]),
            unit=unit.long,
            grain=filters.grain,
            currency=currency,
            key="unit_chart",
        )
    with st.expander(f"All unit costs by {filters.grain}"):
        columns = {
            "period": draw.Column("From", "date", pinned=True),
            "cost": draw.Column("Cost", "money", currency=currency),
            "dau": draw.Column("Average DAU", "number", help="Average number of distinct active users per day"),
            **{unit.column: draw.Column(unit.label, "unit_money", unit.help, currency=currency) for unit in UNITS},
            "calls": draw.Column("Calls", "count"),
            "conversions": draw.Column("Conversions", "count"),
            "revenue": draw.Column("Revenue", "money", currency=currency),
            "gross_margin": draw.Column("Gross margin", "share", help="(revenue - cost) / revenue"),
        }
        draw.table(
            frame, columns, key="unit_table", export=frame, export_name=f"unit-economics-{filters.start}-{filters.end}"
        )


def margin_table(filters: Filters, short: MarginSummary) -> None:
    """Margin of every feature and tier, with what switching it off would save."""
    currency = short.currency or configuration().reporting_currency
    frame = answer(margins, filters)
    draw.section(
        "Gross margin by feature and user tier",
        f"{filters.basis.capitalize()} cost and revenue of the whole period ({filters.days} days), {currency}. Margin = (revenue − cost) / revenue.",
    )
    if short.loss_makers:
        st.markdown(draw.plain(loss_sentence(filters, short, currency)))
    shown = frame.assign(
        verdict=[VERDICTS.get(value, UNDECIDED) for value in frame["profitable"]],
        name=named(frame["feature"], frame["kind"]),
    )
    columns = {
        "name": draw.Column("Feature", pinned=True),
        "user_tier": draw.Column("Tier", "tag"),
        "verdict": draw.Column("Verdict", help="Revenue above cost: profitable. No verdict where revenue or cost is not known."),
        "gross_margin": draw.Column(
            "Margin", "share", help="(revenue − cost) / revenue. None where nothing was earned: a loss without revenue has no margin."
        ),
        "cost": draw.Column("Cost", "money", currency=currency),
        "revenue": draw.Column("Revenue", "money", currency=currency),
        "saving_if_off": draw.Column(
            "Left over if off", "money", f"Cost − revenue over these {filters.days} days, if nothing else changed", currency=currency
        ),
        "calls": draw.Column("Calls", "count"),
        "cost_per_call": draw.Column("Cost per call", "unit_money", currency=currency),
        "revenue_per_call": draw.Column("Revenue per call", "unit_money", currency=currency),
        "note": draw.Column("Note"),
    }  # fmt: skip
    draw.table(
        shown,
        columns,
        key="margin_table",
        export=frame,
        export_name=f"margins-{filters.start}-{filters.end}",
        missing="–",
    )
    if short.unattributed:
        unattributed = formatting.money(short.unattributed, currency)
        st.caption(draw.plain(f"{unattributed} of the cost name no feature: they are in the table, without a verdict."))
        link("infrastructure", "Infrastructure")


def loss_sentence(filters: Filters, short: MarginSummary, currency: str) -> str:
    """What loses money, and what switching the worst pair off would leave."""
    text = (
        f"{short.loss_makers} of {short.pairs} pairs cost more than they earned, {formatting.money(short.saving, currency)} together "
        f"in {filters.days} days."
    )
    worst = short.worst
    if worst is None:
        return text
    return (
        f"{text} The largest loss with revenue: {worst['feature']} for {worst['user_tier'] or 'all tiers'}, which cost "
        f"{formatting.money(worst['cost'], currency)} and earned {formatting.money(worst['revenue'], currency)}: "
        f"off, it would leave {formatting.money(worst['saving_if_off'], currency)}."
    )


def page() -> None:
    """Ask for the unit costs of the period, over time and by feature, and draw them."""
    filters = current()
    net_of_credits = bool(st.session_state.get("net_of_credits", False))
    now = answer(whole_period, filters, net_of_credits)
    if not now or (now["cost"] is None and now["revenue"] is None and not now["calls"]):
        draw.empty_result("calls, charges or revenue")
        return
    reaches_back = filters.previous().start >= span()[0]
    before = answer(whole_period, filters.previous(), net_of_credits) if reaches_back else {}
    draw.headline(
        sentence(filters, now),
        "Two costs per user: the period's cost per average daily user, and the same per day. Arrows compare with the period before.",
        kicker=describe(filters),
    )
    what_it_rests_on(filters)
    metrics(filters, now, before)
    users(now)
    over_time(filters, net_of_credits)
    if now["credits"]:
        st.toggle(
            "Net of credits",
            key="net_of_credits",
            help="Unit costs leave credits out, because credits run out while users stay. Switch on to see the cash view.",
        )
    margin_table(filters, answer(summary, filters))
    how_obtained("unit-economics", filters)
    how_obtained("margins", filters, title="How were the margins obtained?")


def users(now: dict[str, Any]) -> None:
    """Say where the users come from, where that is not recorded activity of every day."""
    if now["dau_source"] is None:
        st.caption("Nobody recorded who was active: load activity (`percall load activity.csv`) to see costs per user.")
    elif now["dau_source"] == "callers":
        st.caption(
            "No activity is recorded for this period: users are those who made a model call, which is fewer than all who were active."
        )
    elif now["dau_days"] < now["days"]:
        st.caption(f"Active users are known for {now['dau_days']} of {now['days']} days; their average stands for all.")
    if now["unpriced_calls"]:
        st.caption(
            f"{formatting.count(now['unpriced_calls'])} calls have no known price; what they cost is in none of these figures."
        )


page()

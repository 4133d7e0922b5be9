"""Plans: adopted scenarios against what really happened, lever by lever, volume-adjusted, with nothing left out of the account."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pandas as pd
import streamlit as st

from analytics import formatting
from analytics.simulators.adopted_plans import KIND, Plan, end_plan, plan_history, plans, withdraw_plan
from analytics.simulators.plan_paper import account_pdf
from analytics.simulators.plan_tracking import PACE_DAYS, Tracked, pace_sentence, per_month, track
from analytics.simulators.realised import EARLY, TOLERANCE, Realised
from pages import _data, _periods
from pages import _draw as draw
from pages._answers import Shelf
from pages._links import link
from pages._people import ANALYST, may, require
from pages._plan_charts import account_chart, lever_chart
from pages._plan_keeping import state
from pages._tables import file_name
from warehouse.errors import InputError, PercallError

HOW = (
    "Realised: what the calls and resources of these days would have cost with the baseline's habits, less what they cost. Expected: planned, at the "
    "actual volume. The plan's own days and filters count, not those of the sidebar."
)
MARKS = {
    "on track": "● on track", "ahead": "▲ ahead", "behind": "▼ behind", "no evidence": "○ no evidence", "too early": "◌ too early",
    "growth": "growth", "not measured": "not measured",
}  # fmt: skip
WHOLE = "Since its start"

_prepared: Shelf[tuple[str, str, int, int, str], Tracked] = _data.shelf(3)


def page() -> None:
    """Choose a plan and days; show its account."""
    try:
        known = plans(state())
    except PercallError as error:
        draw.failure(error)
        return
    if not known:
        draw.headline(
            "No plan is adopted yet",
            "A plan is a scenario that was adopted from a day on; here is what it really saves.",
        )
        st.info(
            "Run a scenario in the planner on days that are over, and adopt it from a later day on.",
            icon=":material/flag:",
        )
        link("scenario-planner", "Scenario planner")
        return
    top = st.container()
    by_name = {plan.name: plan for plan in known}
    name = st.selectbox(
        "Plan", list(by_name), key="plan", bind="query-params", filter_mode=None, width=420,
        format_func=lambda each: each if by_name[each].standing == "running" else f"{each} ({by_name[each].standing})",
    )  # fmt: skip
    plan = by_name.get(str(name), known[0])
    _facts(plan)
    if plan.standing == "withdrawn":
        with top:
            draw.headline(f"{plan.name} is withdrawn: {plan.reason}", HOW)
        _history(plan)
        return
    try:
        tracked = _tracked(plan)
        first, last = _days(tracked)
        account = tracked.account(first, last)
    except PercallError as error:
        with top:
            draw.headline(_not_yet(plan), HOW)
        st.info(draw.plain(str(error)), icon=":material/hourglass_empty:")
        _changes(plan)
        _history(plan)
        return
    with top:
        draw.headline(
            pace_sentence(plan, account), HOW,
            kicker=f"{_periods.describe((account.first, account.last))} · {account.days} complete days · {plan.baseline.basis} cost",
        )  # fmt: skip
        if account.days > PACE_DAYS and account.status != "too early":
            recent = tracked.account(account.last - timedelta(days=PACE_DAYS - 1), account.last)
            st.markdown(draw.plain(f"In the newest {PACE_DAYS} of these days: {pace_sentence(plan, recent)}."))
    _show(plan, account)
    _changes(plan)
    _history(plan)


def _not_yet(plan: Plan) -> str:
    expected = formatting.usd(sum(each.added for each in plan.planned if each.name != "volume"))
    return f"{plan.name} is to save {expected} a month from {plan.start} on"


def _facts(plan: Plan) -> None:
    parts = [
        f"Baseline {_periods.describe((plan.baseline.start, plan.baseline.end))}",
        f"runs from {plan.start}" + (f" to {plan.end}" if plan.end else ""),
        f"adopted by {plan.adopted_by} on {plan.adopted_at:%Y-%m-%d}",
        *([f"owner {plan.owner}"] if plan.owner else []),
        *(f"{dimension}: {', '.join(values)}" for dimension, values in plan.baseline.where),
    ]
    st.caption(draw.plain(" · ".join(parts)))
    if plan.note:
        st.markdown(draw.plain(plan.note))


def _tracked(plan: Plan) -> Tracked:
    opened = _data.warehouse()
    key = (str(_data.store_path()), opened.snapshot_id, opened.revision, state().revision(KIND), plan.name)
    if key in _prepared:
        return _prepared.get(key, lambda: track(opened, plan))
    with st.spinner("Reading the plan's days and its baseline …"):
        return _prepared.get(key, lambda: track(opened, plan))


def _days(tracked: Tracked) -> tuple[date, date]:
    """The days that are accounted for: all, the newest, or a month."""
    options: dict[str, tuple[date, date]] = {WHOLE: (tracked.first, tracked.last)}
    if (tracked.last - tracked.first).days >= PACE_DAYS:
        options[f"Last {PACE_DAYS} days"] = (tracked.last - timedelta(days=PACE_DAYS - 1), tracked.last)
    month = _periods.month_of(tracked.last)
    while month[1] >= tracked.first:
        options[_periods.month_name(month[0])] = (max(month[0], tracked.first), min(month[1], tracked.last))
        month = _periods.month_of(month[0] - timedelta(days=1))
    chosen = st.segmented_control(
        "Days", list(options), default=WHOLE, required=True, key="plan_span", bind="query-params"
    )
    return options.get(str(chosen), options[WHOLE])


def _show(plan: Plan, account: Realised) -> None:
    period = f"{account.first}-{account.last}"
    measured = [row for row in account.levers if row.status not in ("growth", "not measured")]
    month, low, high, expected = (
        formatting.usd(per_month(plan, amount, account.days))
        for amount in (account.realised, account.low, account.high, account.expected)
    )
    residual = sum(account.residual.values(), Decimal(0))
    draw.metric_row(
        [
            draw.Metric("Realised a month", month, help=f"95% range {low} to {high}"),
            draw.Metric("Expected at this volume", expected, help="A month; planned, at the actual volume"),
            draw.Metric("Realised in these days", formatting.usd(account.realised), help=f"In {account.days} complete days"),
            draw.Metric(
                "Not explained", formatting.usd(residual, plus=True),
                help="Saved, or (negative) spent, for no reason that plan, volume or prices tell",
            ),
        ]
    )  # fmt: skip
    if account.status == "too early":
        st.info(f"Nothing is said about a lever before {EARLY} complete days.", icon=":material/hourglass_empty:")
    draw.section("Expected and realised, lever by lever", "USD of these days; whiskers: 95% range of what is realised")
    lever_chart(measured, key="plan_levers")
    draw.table(
        pd.DataFrame(
            [
                {
                    "title": row.title, "status": MARKS[row.status], "planned": row.planned, "expected": row.expected, "realised": row.realised,
                    "low": row.low, "high": row.high, "month": per_month(plan, row.realised, account.days), "reason": row.reason,
                }
                for row in measured
            ],
            dtype=object,
        ),
        {
            "title": draw.Column("Lever", pinned=True, width="medium"),
            "status": draw.Column(
                "Standing", help=f"On track: within {TOLERANCE:.0%} of what is expected. No evidence: the range holds 0"
            ),
            "planned": draw.Column("Planned", "money", help="As adopted, for as many days"),
            "expected": draw.Column("Expected", "money", help="Planned, times the requests of its calls against those it was reckoned with"),
            "realised": draw.Column("Realised", "money"),
            "low": draw.Column("From", "money", help="Lower end of the 95% range"),
            "high": draw.Column("To", "money", help="Upper end of the 95% range"),
            "month": draw.Column("A month", "money", help="Realised, per month of the baseline's length"),
            "reason": draw.Column("Note", width="large"),
        },
        key="plan_table",
        export_name=f"plan-{plan.name}-{period}",
        missing="",
    )  # fmt: skip
    draw.section(
        "From the baseline to what was paid",
        f"USD of {_periods.describe((account.first, account.last))}; the baseline scaled to as many days",
    )
    account_chart(account, key="plan_account")
    draw.section("By cost category", "Exact: the baseline, and what each cause adds or takes off, make what was paid")
    draw.table(
        _categories(account),
        {
            "category": draw.Column("Category", pinned=True),
            "baseline": draw.Column("Baseline", "money"),
            "volume": draw.Column(
                "Volume", "money", help="More or fewer requests, at the baseline's cost of each feature's"
            ),
            "prices": draw.Column("Prices", "money", help="List prices and discounts against the baseline's"),
            "levers": draw.Column("Levers", "money"),
            "residual": draw.Column("Not explained", "money"),
            "actual": draw.Column("Paid", "money"),
        },
        key="plan_categories",
        export_name=f"plan-by-category-{plan.name}-{period}",
    )
    notes = list(account.notes)
    if account.unknown_calls:
        notes.append(f"The cost of {account.unknown_calls:,.0f} calls is not known; they are in no figure.")
    st.markdown("**How it is measured, and what to know**")
    st.markdown("\n".join(f"- {draw.plain(sentence)}" for sentence in (*METHOD, *notes)))
    if may(ANALYST):
        demo = _data.warehouse().is_demo
        st.download_button(
            "PDF", lambda: account_pdf(account, _periods.describe((account.first, account.last)), demo=demo), f"{file_name(plan.name)}-{period}.pdf",
            "application/pdf", key="plan_account_pdf", icon=":material/picture_as_pdf:", on_click="ignore",
        )  # fmt: skip


METHOD = (
    "Levers are taken back from the actual calls one after the other, the plan's last first: routed calls go back to the baseline's models, answers "
    "of a cache are paid again, read prefixes are plain input, answers and prompts are as long as they were, dropped calls are made.",
    "GPUs, vector database and commitments are measured by their bills: the baseline's cost a day less the actual. GPUs carry more load at no cost "
    "until the baseline's would have been full.",
    "Requests that a cache answered count as requests; calls that repeat a cut answer do not.",
    "The range is of these days and of the baseline's days. It does not say that the lever, and nothing else, did it.",
)


def _categories(account: Realised) -> pd.DataFrame:
    zero = Decimal("0.00")
    rows: list[tuple[str, list[Decimal]]] = []
    for name in account.baseline:
        levers = sum((row.by_category.get(name, zero) for row in account.levers), zero)
        saved = (account.volume[name], account.prices[name], levers, account.residual[name])
        rows.append((name, [account.baseline[name], *(-part for part in saved), account.actual[name]]))
    rows.append(("Total", [sum((amounts[place] for _, amounts in rows), zero) for place in range(6)]))
    columns = ("category", "baseline", "volume", "prices", "levers", "residual", "actual")
    return pd.DataFrame([(name, *amounts) for name, amounts in rows], columns=list(columns), dtype=object)


def _changes(plan: Plan) -> None:
    if plan.standing != "running" or not may(ANALYST):
        return
    with st.container(horizontal=True):
        with st.popover("End the plan", icon=":material/flag_check:"):
            day = st.date_input(
                "Last day",
                max(plan.start, _data.span()[1]),
                min_value=plan.start,
                key="plan_end_day",
                format="YYYY-MM-DD",
            )
            reason = st.text_input("Reason", key="plan_end_reason")
            if st.button("End", key="plan_end", type="primary"):
                with draw.guard():
                    person = require(ANALYST, "end a plan")
                    if not isinstance(day, date):
                        raise InputError("choose the last day of the plan")
                    end_plan(state(), plan.name, day, author=person.name, reason=reason)
                    st.rerun()
        with st.popover("Withdraw", icon=":material/undo:"):
            st.caption("A plan that was given up is tracked no more; it stays in the list with its history.")
            reason = st.text_input("Reason", key="plan_withdraw_reason")
            if st.button("Withdraw", key="plan_withdraw", type="primary"):
                with draw.guard():
                    person = require(ANALYST, "withdraw a plan")
                    withdraw_plan(state(), plan.name, author=person.name, reason=reason)
                    st.rerun()


def _history(plan: Plan) -> None:
    with st.expander("History, and the scenario as adopted", icon=":material/history:"):
        for version in plan_history(state(), plan.name):
            st.markdown(draw.plain(f"{version.saved_at:%Y-%m-%d %H:%M} UTC, {version.author}: {version.reason}"))
        st.caption(draw.plain(f"Made from snapshot {plan.snapshot_id}, rules as of revision {plan.rules_revision}."))
        st.code(plan.scenario.toml(), language="toml")


page()

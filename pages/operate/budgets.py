"""Budgets: what may be spent, what is, and where the month is heading."""

from __future__ import annotations

from datetime import date

import pandas as pd
import streamlit as st

from analytics import formatting
from analytics.budgets import Budget, budget_status, budgets_of
from analytics.period_names import month_name
from pages import _draw as draw
from pages._data import answer, configuration, span, warehouse
from pages._filters import current
from pages._links import link
from pages.operate._budget_chart import budget_chart
from pages.operate._budget_form import budget_form, last_change

EXAMPLE = """[[budget]]
name = "Summaries"
feature = "summarize"     # or team, project, category, env, user_tier, model, service; none: the total
amount = 6000             # a month, in the reporting currency
owner = "ai"
"""


def sentence(frame: pd.DataFrame, day: date) -> str:
    """The page's answer."""
    rows = frame.to_dict("records")
    over = [row for row in rows if row["breach"] == "over"]
    heading = [row for row in rows if row["breach"] in ("certain", "likely")]
    number = f"{len(rows)} {'budget' if len(rows) == 1 else 'budgets'}"
    if over:
        worst = over[0]
        beyond = formatting.money(worst["spent"] - worst["amount"], worst["currency"])
        return f"{len(over)} of {number} for {month_name(day)} {'is' if len(over) == 1 else 'are'} exceeded: {worst['budget']} by {beyond}"
    if heading:
        worst = heading[0]
        end = formatting.money(worst["forecast"], worst["currency"])
        amount = formatting.money(worst["amount"], worst["currency"])
        return f"{worst['budget']} is heading for {end} in {month_name(day)}, its budget is {amount}"
    if all(row["days_left"] == 0 for row in rows):
        return f"Every budget held in {month_name(day)}" if len(rows) > 1 else f"The budget held in {month_name(day)}"
    return f"No budget for {month_name(day)} is in trouble so far"


def statuses(frame: pd.DataFrame, day: date) -> None:
    """The budgets in a table, and how their month's ends were obtained."""
    currency = str(frame["currency"].iloc[0])
    columns = {
        "budget": draw.Column("Budget", pinned=True),
        "scope": draw.Column("Of"),
        "spent": draw.Column("Spent", "money", currency=currency),
        "amount": draw.Column("Amount", "money", currency=currency),
        "spent_share": draw.Column("Used", "share"),
        "forecast": draw.Column("Month's end", "money", help="Cost of the complete days, plus what is projected for the others", currency=currency),
        "forecast_low": draw.Column("At least", "money", help="80% of simulated month ends lie between", currency=currency),
        "forecast_high": draw.Column("At most", "money", currency=currency),
        "backtest_error": draw.Column("Past error", "share", help="Half of past forecasts of the days still to come were off by at most this"),
        "state": draw.Column("State", width="medium"),
        "owner": draw.Column("Owner"),
        "origin": draw.Column("Made in"),
    }  # fmt: skip
    draw.section(
        "Where each stands",
        f"Effective cost, {currency}, as of {day}; of a feature its own cost, without shares of shared costs",
    )
    draw.table(frame, columns, key="budget_table", export=frame, export_name=f"budgets-{day}", missing="–")
    with st.expander("How the month's ends were obtained"):
        for row in frame.to_dict("records"):
            st.markdown(f"**{draw.plain(row['budget'])}**: {draw.plain(row['how'])}")


def changes_of_budgets() -> None:
    """Every change made on this page."""
    documents = warehouse().state.history("budget")
    if not documents:
        return
    with st.expander(f"Changes: {len(documents)}", icon=":material/history:"):
        for document in reversed(documents):
            what = "removed" if document.body is None else f"{document.body['amount']} a month"
            reason = f" – {document.reason}" if document.reason else ""
            st.markdown(
                draw.plain(
                    f"{document.saved_at:%Y-%m-%d %H:%M} UTC, {document.author}: {document.name}, {what}{reason}"
                )
            )


def empty(budgets: tuple[Budget, ...]) -> None:
    """No budget holds in this month."""
    draw.headline(
        "No budget is set yet" if not budgets else "No budget holds in this month",
        "A budget says what a feature, a team, a category or everything may cost in a calendar month. Make one below, or in percall.toml.",
    )
    st.code(EXAMPLE, language="toml")


def page() -> None:
    """Ask for the budgets' states and draw them."""
    last_change()
    budgets = budgets_of(configuration(), warehouse().state)
    first, last = span()
    default = min(max(current().end, first), last)
    place = st.container()
    if budgets:
        chosen = st.date_input(
            "As of", default, min_value=first, max_value=last, key="budget_day", format="YYYY-MM-DD", bind="query-params", width=180,
            help="The month of this day, as it looked on it: later data are not used.",
        )  # fmt: skip
        day = chosen if isinstance(chosen, date) else default
    else:
        day = default
    frame = answer(budget_status, day, budgets)
    with place:
        if frame.empty:
            empty(budgets)
        else:
            draw.headline(
                sentence(frame, day),
                "Bars are parts of each budget's amount; whiskers say where 80% of simulated month ends lie. The filters do not change a budget.",
                kicker=f"As of {day.day} {month_name(day)} · effective cost",
            )
    if not frame.empty:
        budget_chart(frame, key="budget_chart")
        statuses(frame, day)
        link("why-changed", "Why did cost change?")
    with st.expander("Make or change a budget", expanded=not budgets, icon=":material/edit:"):
        budget_form(budgets)
    changes_of_budgets()


page()

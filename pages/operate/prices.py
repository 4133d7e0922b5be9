"""Prices: which price of which book holds, what it was before, and what the period's calls would cost at other prices."""

from __future__ import annotations

from datetime import UTC, datetime, time

import streamlit as st

from analytics import formatting
from analytics.filters import Filters
from analytics.price_history import price_changes, price_history, price_summary
from analytics.repriced import AT_THE_TIME, TODAY, RepricedReport, books, repriced_report
from pages import _draw as draw
from pages import _periods
from pages._data import answer
from pages._filters import current, describe
from pages._later import being_found_out, later
from pages._names import named

SCOPES = {"Models in use": "used", "Own agreements": "contract", "All": "all"}


def choice() -> tuple[str, datetime | None]:
    """The prices to compare with, chosen in the page and kept in its address: a view, nothing stored changes."""
    options = [TODAY, AT_THE_TIME, *answer(books)]
    chosen = st.selectbox(
        "The same calls at the prices of",
        options,
        key="book",
        bind="query-params",
        width=320,
        help="A view: no stored cost changes. Today: today's prices for all calls. At the time: the books' prices of each call's day. "
        "A book by name: its own prices of each call's day.",
    )
    picked = str(chosen) if chosen in options else TODAY
    return picked, datetime.combine(datetime.now(UTC).date(), time(12)) if picked == TODAY else None


def compare(report: RepricedReport, filters: Filters, picked: str) -> None:
    """The period's calls as recorded beside the chosen prices, by model."""
    frame, whole = report.table, report.whole
    money = formatting.usd
    draw.metric_row(
        [
            draw.Metric("As recorded", money(whole.cost), help="Cost of the compared calls as it is stored"),
            draw.Metric("At these prices", money(whole.repriced)),
            draw.Metric("Difference", money(whole.difference, plus=True), help="At these prices minus as recorded"),
            draw.Metric(
                "Not compared",
                f"{formatting.count(whole.not_compared_calls)} calls",
                help="Calls without a known cost, usage or price in these books: nothing is said about them",
            ),
        ]
    )
    draw.section(
        "The calls at other prices", "Traced cost in USD, whatever the bill says; rows sum to the figures above"
    )
    draw.table(
        frame.assign(model=named(frame["model"]), provider=named(frame["provider"])),
        {
            "model": draw.Column("Model"),
            "provider": draw.Column("Provider"),
            "cost": draw.Column("As recorded", "money"),
            "repriced": draw.Column("At these prices", "money"),
            "difference": draw.Column("Difference", "money"),
            "change": draw.Column("Change", "share"),
            "compared_calls": draw.Column("Calls compared", "count"),
            "not_compared_calls": draw.Column("Not compared", "count", help="Without a known cost, usage or price"),
        },
        key="repriced_table",
        export=frame,
        export_name=f"repriced-{picked}-{filters.start}-{filters.end}",
        missing="–",
    )


def changes(filters: Filters) -> None:
    """Price changes of the models in use."""
    frame = answer(price_changes, filters)
    draw.section(
        "What changed", "Prices of models in use that replaced another of the same book, the newest first; USD"
    )
    if frame.empty:
        st.caption("No price of a model in use ever changed in these books.")
        return
    draw.table(
        frame,
        {
            "valid_from": draw.Column("From (UTC)", "date"),
            "model": draw.Column("Model"),
            "token_class": draw.Column("Token class"),
            "processing": draw.Column("Processing"),
            "previous": draw.Column("Before", "unit_money"),
            "amount": draw.Column("Since then", "unit_money"),
            "change": draw.Column("Change", "share"),
            "book": draw.Column("Book"),
            "source": draw.Column("Source", width="large"),
        },
        key="price_changes",
        export=frame,
        export_name="price-changes",
        rows_in_sight=8,
    )


def history(filters: Filters) -> None:
    """Every price with its book, validity and source."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.segmented_control(
            "Prices of", list(SCOPES), default="Models in use", required=True, key="scope", bind="query-params"
        )
    scope = SCOPES.get(str(chosen), "used")
    frame = answer(price_history, filters, scope)
    draw.section(
        "Price list",
        f"USD per 1,000,000 tokens (request: per 1,000 calls). State on {_periods.describe((filters.end, filters.end))}; UTC, ends exclusive.",
    )
    if frame.empty:
        st.caption(
            "No own agreement is stored. `percall load prices.csv` (book, provider, model, token_class, amount, valid_from) adds one: stored calls "
            "without a reported cost are priced again, and what changes is listed under Restatements."
            if scope == "contract"
            else "No book has a price for the models in this selection."
        )
        return
    columns = {
        "model": draw.Column("Model"),
        "provider": draw.Column("Provider"),
        "token_class": draw.Column("Token class"),
        "processing": draw.Column("Processing"),
        "context_from": draw.Column("Above input tokens", "count", help="The price holds for requests with more input than this"),
        "amount": draw.Column("Price", "unit_money"),
        "state": draw.Column("State", help="Other book: valid, but an earlier book decides, or it is used only when it is named", width=100),
        "book": draw.Column("Book", help="Looked up in this order: contract, percall, genai-prices. Others only by name.", width=125),
        "valid_from": draw.Column("From", "date", help="–: it always held", width=100),
        "valid_to": draw.Column("To", "date", help="–: open; else the first day on which it no longer holds", width=100),
        "previous": draw.Column("Before", "unit_money", help="The price of the same book that this one replaced"),
        "change": draw.Column("Change", "share"),
        "source": draw.Column("Source", width="large"),
    }  # fmt: skip
    for name in ("context_from", "previous", "change"):
        if not frame[name].fillna(0).ne(0).any():
            del columns[name]
    draw.table(
        frame.assign(model=frame["model"].replace("*", "(every model)")),
        columns,
        key="price_list",
        export=frame,
        export_name=f"prices-{scope}",
        missing="–",
    )


def page() -> None:
    """Compare the period's calls with other prices, then list the prices."""
    filters = current()
    place = st.container()
    picked, at = choice()
    report = later(repriced_report, filters, picked, at)
    with place:
        draw.headline(
            "The period's calls at other prices" if report is None else report.headline,
            "Every call keeps the price of its own day; a changed price becomes a restatement, never a silent change of the past. "
            "Below: the same calls at other prices, then every price with its book and source.",
            kicker=describe(filters),
        )
    if report is None:
        being_found_out("What the same calls would have cost", (repriced_report, filters, picked, at))
    else:
        compare(report, filters, picked)
    summary = answer(price_summary, filters)
    if summary.without_price:
        st.caption(
            draw.plain(
                f"Without any known cost in this period: {', '.join(summary.without_price)}. Load a price file to price them."
            )
        )
    changes(filters)
    history(filters)


page()

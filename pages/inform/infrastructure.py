"""Infrastructure: the bills line by line, by category, service, account and resource, on every cost basis."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from analytics import formatting
from analytics.filters import UNTAGGED, Filters
from analytics.infrastructure import (
    BillSummary,
    bill_summary,
    charge_sums,
    charges,
    charges_over_time,
    unused_commitments,
)
from analytics.period_names import name, short_edges
from pages import _draw as draw
from pages._data import answer, configuration
from pages._filters import current, describe
from pages._provenance import how_obtained
from pages._rests_on import what_it_rests_on

NOT_NAMED = "(not named)"
"""For billing lines that name no resource, service or account."""

LEVELS = {"Category": "category", "Service": "service", "Account": "account", "Resource": "resource"}


def sentence(filters: Filters, bill: BillSummary) -> str:
    """The page's answer: the sum of the bills, how far below list, and how much is not for model usage."""
    text = f"The bills of {name(filters)} sum to {formatting.money(bill.cost, bill.currency)}"
    if bill.infrastructure_share is not None:
        text += f", of which {formatting.share(bill.infrastructure_share)} is infrastructure beside model APIs"
    return text


def figures(bill: BillSummary) -> None:
    """The cost bases side by side."""
    saved = None if bill.below_list is None else f"{formatting.share(bill.below_list)} below list"
    draw.metric_row(
        [
            draw.Metric(
                "List", formatting.money(bill.list, bill.currency), help="What the same use costs without any discount"
            ),
            draw.Metric(
                "Billed",
                formatting.money(bill.billed, bill.currency),
                help="What the invoices say (cash), net of credits",
            ),
            draw.Metric(
                "Effective",
                formatting.money(bill.effective, bill.currency),
                help="Prepayments and discounts spread over the time they cover (amortised)",
            ),
            draw.Metric("Credits", formatting.money(bill.credits, bill.currency), help="Part of billed; not list"),
        ]
    )
    notes = [saved] if saved else []
    if bill.list_unknown or bill.effective_unknown:
        notes.append(
            f"{bill.list_unknown} lines without list cost, {bill.effective_unknown} without effective cost: in neither sum"
        )
    notes.append("final: every line is invoiced" if bill.is_final else "provisional: not every line is invoiced yet")
    st.caption(draw.plain(f"{formatting.count(bill.lines)} billing lines · {' · '.join(notes)}"))


def by_level(filters: Filters, currency: str) -> None:
    """Sums by the level that the reader chose; a selected row narrows the resources below to it."""
    chosen = st.segmented_control(
        "Sum by", list(LEVELS), default="Category", required=True, key="level", bind="query-params"
    )
    level = LEVELS.get(str(chosen), "category")
    frame = answer(charge_sums, filters, (level,)) if level != "resource" else answer(charges, filters)
    shown = frame.assign(
        state=["● final" if final else "◐ provisional" for final in frame["is_final"]],
        **{level: frame[level].fillna(NOT_NAMED)},
    )
    columns = {
        level: draw.Column(str(chosen), pinned=True),
        **({"account_name": draw.Column("Name")} if level == "account" else {}),
        **({"service": draw.Column("Service"), "account": draw.Column("Account")} if level == "resource" else {}),
        "list": draw.Column("List", "money", currency=currency),
        "billed": draw.Column("Billed", "money", currency=currency),
        "effective": draw.Column("Effective", "money", currency=currency),
        "credits": draw.Column("Credits", "money", currency=currency),
        "share": draw.Column("Share", "bar", help=f"Of the {filters.basis} cost"),
        "lines": draw.Column("Lines", "count"),
        "state": draw.Column("State", help="Final: every line is invoiced. Provisional: it may still change."),
    }
    narrows = level in ("category", "service")
    selected = draw.table(
        shown,
        columns,
        key=f"bill_{level}",
        export=frame,
        export_name=f"charges-by-{level}-{filters.start}-{filters.end}",
        select="single-row" if narrows else None,
    )
    if not narrows:
        return
    if not selected:
        st.caption(f"Select a {level} to see its resources.")
        return
    value = frame[level].iloc[selected[0]]
    resources(filters, level, UNTAGGED if pd.isna(value) else str(value), currency)


def resources(filters: Filters, level: str, value: str, currency: str) -> None:
    """The resources of one category or service."""
    frame = answer(charges, filters.only(level, value))
    draw.section(f"Resources of {value}", f"All cost bases, {currency}")
    columns = {
        "resource": draw.Column("Resource", pinned=True),
        "resource_name": draw.Column("Name"),
        "service": draw.Column("Service"),
        "account": draw.Column("Account"),
        "list": draw.Column("List", "money", currency=currency),
        "billed": draw.Column("Billed", "money", currency=currency),
        "effective": draw.Column("Effective", "money", currency=currency),
        "share": draw.Column("Share", "bar", help=f"Of the {filters.basis} cost of {value}"),
        "lines": draw.Column("Lines", "count"),
    }
    draw.table(
        frame.assign(resource=frame["resource"].fillna(NOT_NAMED)),
        columns,
        key="bill_resources",
        export=frame,
        export_name=f"charges-{value}-{filters.start}-{filters.end}",
        missing="–",
    )


def commitments(filters: Filters) -> None:
    """Reservations and savings plans, and what of them was paid for but not used."""
    frame = answer(unused_commitments, filters)
    draw.section("Commitments", "Effective cost of used and unused reservations and savings plans")
    if frame.empty:
        st.caption("The bills of this period hold no reservations or savings plans.")
        return
    currency = str(frame["currency"].iloc[0])
    columns = {
        "commitment": draw.Column("Commitment", pinned=True),
        "name": draw.Column("Name"),
        "type": draw.Column("Type"),
        "currency": draw.Column("Currency"),
        "used": draw.Column("Used", "money", currency=currency),
        "unused": draw.Column("Unused", "money", "Paid for and not used", currency=currency),
        "unused_share": draw.Column("Unused share", "bar"),
    }
    draw.table(
        frame,
        columns,
        key="commitments",
        export=frame,
        export_name=f"commitments-{filters.start}-{filters.end}",
        missing="–",
    )


def page() -> None:
    """Ask for the bills of the period and draw them, the reporting currency first."""
    filters = current()
    bills = answer(bill_summary, filters)
    if not bills:
        draw.empty_result("billing lines")
        st.caption("Traces without a bill are on the other pages. `percall load bill.csv` adds a bill.")
        return
    preferred = configuration().reporting_currency
    bill = next((one for one in bills if one.currency == preferred), bills[0])
    draw.headline(
        sentence(filters, bill),
        "List is the price without discounts, billed the invoice, effective spreads prepayments. Select a row for its resources.",
        kicker=describe(filters),
    )
    what_it_rests_on(filters)
    if len(bills) > 1:
        others = ", ".join(formatting.money(one.cost, one.currency) for one in bills if one is not bill)
        st.caption(draw.plain(f"Also billed, in other currencies and in no sum above: {others}."))
    figures(bill)
    narrowed = filters.only("currency", bill.currency) if len(bills) > 1 else filters
    draw.cost_chart(
        answer(charges_over_time, narrowed),
        title="Bills by category",
        note=f"{filters.basis.capitalize()} cost per {filters.grain}, {bill.currency}, days in {configuration().reporting_time_zone}, bills alone"
        + short_edges(filters),
        key="infrastructure_chart",
        grain=filters.grain,
        currency=bill.currency,
    )
    by_level(narrowed, bill.currency)
    commitments(narrowed)
    how_obtained("charges", narrowed)


page()

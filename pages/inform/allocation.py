"""Allocation: what every feature costs all in, its direct cost and its part of what is shared, down to the billing lines."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from analytics.allocation import UNALLOCATED, all_in_costs, allocation_detail
from analytics.allocation_rules import allocation_rules
from analytics.allocation_summary import DIRECT_PART, UNALLOCATED_PART, all_in_parts, headline, shared_lines
from analytics.filters import UNTAGGED, Filters
from pages import _draw as draw
from pages._data import answer, configuration
from pages._filters import current, describe
from pages._links import link
from pages._part_bars import part_bars
from pages._provenance import how_obtained
from pages._rests_on import what_it_rests_on
from warehouse.schema import COST_CATEGORIES

UNALLOCATED_NAME = "Unallocated"
DIRECT_SHADE = {"light": "#44515A", "dark": "#C3CCD2"}
HOW = {
    "direct": "names the feature",
    "by traces": "bill, split by traced cost",
    "by rule": "shared, by rule",
    "unallocated": "no feature",
}


def named(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with a name for what no feature owes."""
    return frame.assign(feature=[UNALLOCATED_NAME if pd.isna(name) else name for name in frame["feature"]])


def chart(filters: Filters, currency: str) -> None:
    """The bars of all features, direct and allocated by category."""
    part_bars(
        named(answer(all_in_parts, filters)),
        [DIRECT_PART, *COST_CATEGORIES, UNALLOCATED_PART],
        title="All-in cost by feature",
        note=f"{filters.basis.capitalize()} cost, {currency}, days in {configuration().reporting_time_zone}; "
        "coloured parts are allocated from shared costs of that category",
        key="allocation_chart",
        name="feature",
        colours=draw.category_colours(draw.mode()) | {DIRECT_PART: DIRECT_SHADE[draw.mode()]},
        currency=currency,
    )


def overall(filters: Filters, frame: pd.DataFrame, currency: str) -> list[int]:
    """The table of all features; answers with the selected row."""
    draw.section("Features", f"{filters.basis.capitalize()} cost, {currency}. Select a row to see where it comes from.")
    columns = {
        "feature": draw.Column("Feature", pinned=True),
        "direct": draw.Column(
            "Direct", "money", "What a billing line's tag or a traced call names the feature for", currency=currency
        ),
        "allocated": draw.Column("Allocated", "money", "Its part of shared costs, by rule", currency=currency),
        "total": draw.Column("All in", "money", "Direct and allocated", currency=currency),
        "total_share": draw.Column("Share", "bar", "Of the whole cost, unallocated included"),
        "calls": draw.Column("Calls", "count", "Traced calls"),
        "total_per_call": draw.Column("All in per call", "unit_money", currency=currency),
    }
    return draw.table(
        named(frame),
        columns,
        key="allocation_table",
        export=frame,
        export_name=f"allocation-{filters.start}-{filters.end}",
        missing="–",
        select="single-row",
    )


def chosen_feature(frame: pd.DataFrame, selected: Sequence[int]) -> str | None:
    """Which row to look into: the one just selected, else the one in the address."""
    options = [
        UNALLOCATED_NAME if kind == UNALLOCATED else str(name)
        for name, kind in zip(frame["feature"], frame["kind"], strict=True)
    ]
    picked = tuple(selected)
    if picked != st.session_state.get("_allocation_picked", ()):
        st.session_state["_allocation_picked"] = picked
        if picked and picked[0] < len(options):
            st.session_state["all_in"] = options[picked[0]]
    choice = st.selectbox(
        "Where it comes from", options, index=None, key="all_in", bind="query-params", placeholder="Choose a feature", width=320
    )  # fmt: skip
    return str(choice) if choice in options else None


def inside(filters: Filters, feature: str, currency: str) -> None:
    """Direct costs and parts of shared costs of one feature, and the lines behind a part that is selected."""
    value = UNTAGGED if feature == UNALLOCATED_NAME else feature
    frame = answer(allocation_detail, filters.only("feature", value))
    if frame.empty:
        st.caption(f"Nothing is left {UNALLOCATED_NAME.lower()} in this period.")
        return
    draw.section(f"{feature}: where its cost comes from", f"{filters.basis.capitalize()} cost, {currency}")
    columns = {
        "how": draw.Column("How", pinned=True),
        "cost": draw.Column("Cost", "money", currency=currency),
        "category": draw.Column("Category", "tag"),
        "service": draw.Column("Service", "tag"),
        "cost_share": draw.Column("Share", "bar", f"Of the cost of {feature}", width=110),
        "rule": draw.Column("Rule"),
        "driver": draw.Column("Driver", help="What the shared cost is divided by"),
        "share_of_shared": draw.Column("Part of shared", "share", "Of the whole shared cost that the rule divides"),
        "shared_cost": draw.Column("Shared cost", "money", currency=currency),
        "note": draw.Column("Why"),
    }
    unused = ("note",) if feature != UNALLOCATED_NAME else ("driver", "share_of_shared", "shared_cost")
    selected = draw.table(
        frame.assign(how=[HOW[how] for how in frame["how"]]),
        {name: column for name, column in columns.items() if name not in unused},
        key=f"allocation_inside_{feature}",
        export=frame,
        export_name=f"allocation-{feature}-{filters.start}-{filters.end}",
        missing="–",
        select="single-row",
    )
    if not selected:
        st.caption("Select a shared cost to see its billing lines.")
        return
    lines(filters, *(frame[name].iloc[selected[0]] for name in ("how", "category", "service")))


def lines(filters: Filters, how: str, category: str | None, service: str | None) -> None:
    """The billing lines of a shared cost, as billed; direct costs have theirs on other pages."""
    if how in ("direct", "by traces"):
        st.caption("This cost names the feature itself.")
        link("features", "Its calls are on the page Features")
        return
    frame = answer(shared_lines, filters, category, service)
    draw.section(
        f"Lines of {service or category or UNTAGGED} that name no feature",
        "All cost bases, in the currency of the bill",
    )
    if frame.empty:
        st.caption("These are traced calls that no bill covers and that name no feature.")
        return
    columns = {
        "account": draw.Column("Account", "tag", pinned=True),
        "resource": draw.Column("Resource", "tag"),
        "resource_name": draw.Column("Name"),
        "currency": draw.Column("Currency"),
        "list": draw.Column("List", "money"),
        "billed": draw.Column("Billed", "money"),
        "effective": draw.Column("Effective", "money"),
        "lines": draw.Column("Lines", "count"),
    }
    draw.table(
        frame, columns, key="allocation_lines", export=frame, export_name=f"shared-{service or category}", missing="–"
    )


def page() -> None:
    """Ask for the all-in costs and draw them."""
    filters = current()
    frame = answer(all_in_costs, filters)
    if frame.empty:
        draw.empty_result()
        return
    currency = frame["currency"].iloc[0] or configuration().reporting_currency
    draw.headline(
        answer(headline, filters),
        "Direct is what names the feature; shared costs are divided by rules. What no rule takes stays unallocated, in sight.",
        kicker=describe(filters),
    )
    what_it_rests_on(filters)
    if not answer(allocation_rules):
        st.info("There are no allocation rules yet, so that every shared cost is unallocated.", icon=":material/rule:")
    link("rules", "Allocation rules and virtual tags")
    chart(filters, currency)
    selected = overall(filters, frame, currency)
    feature = chosen_feature(frame, selected)
    if feature:
        inside(filters, feature, currency)
    how_obtained("allocation", filters)


page()

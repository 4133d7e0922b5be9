"""Rules: who shares a shared cost, and which names are given where the source gave none; changed with a preview, kept with their history."""

from __future__ import annotations

import streamlit as st

from analytics import formatting
from analytics.allocation_summary import AllocationSummary, allocation_summary
from analytics.filters import Filters
from analytics.period_names import during
from analytics.rule_records import allocation_rule_list, rule_history, tag_rule_list
from pages import _draw as draw
from pages._data import answer, configuration
from pages._filters import current
from pages._links import link
from pages.operate._allocation_form import allocation_form
from pages.operate._rule_change import last_change
from pages.operate._tag_form import tag_form

RECORD = {
    "valid_from": draw.Column("From", "date"),
    "valid_to": draw.Column("To", "date", "Last day on which it holds"),
    "origin": draw.Column("Made in"),
    "author": draw.Column("By"),
    "saved_at": draw.Column("At (UTC)", "time"),
    "reason": draw.Column("Reason"),
}


def sentence(filters: Filters, short: AllocationSummary, tags: int) -> str:
    """The page's answer: how many rules hold, and what they leave over."""
    rules = "1 allocation rule" if short.rules == 1 else f"{short.rules or 'no'} allocation rules"
    virtual = "1 virtual tag" if tags == 1 else f"{tags or 'no'} virtual tags"
    currency = short.currency or configuration().reporting_currency
    rest, total = formatting.money(short.unallocated, currency), formatting.money(short.total, currency)
    text = f"{rules} and {virtual}; {rest} of {total} {during(filters)} is owed by no feature"
    return text[0].upper() + text[1:]


def allocation(filters: Filters) -> None:
    """The allocation rules, and the form."""
    frame = answer(allocation_rule_list)
    draw.section(
        "Allocation rules",
        "Read from the lowest priority number on; the first that matches takes a shared cost. Parts sum to the cost to the last digit.",
    )
    if frame.empty:
        st.caption("There are none yet, so that every shared cost is unallocated.")
    else:
        columns = {
            "priority": draw.Column("Priority", "count", width="small"),
            "name": draw.Column("Rule", pinned=True),
            "selects": draw.Column("Takes costs where"),
            "driver": draw.Column("Divides by"),
            "targets": draw.Column("Among"),
            **RECORD,
        }
        draw.table(frame, columns, key="allocation_rules", export_name="allocation-rules", missing="–", rows_in_sight=8)
    with st.expander("Make or change an allocation rule", expanded=frame.empty, icon=":material/edit:"):
        allocation_form(filters)


def virtual_tags() -> None:
    """The virtual tags, and the form."""
    frame = answer(tag_rule_list)
    draw.section(
        "Virtual tags",
        "Give calls and billing lines a name that their source did not, in every view. What is stored stays as it came.",
    )
    if frame.empty:
        st.caption("There are none yet.")
    else:
        columns = {
            "name": draw.Column("Rule", pinned=True),
            "selects": draw.Column("Rows where"),
            "sets": draw.Column("Get"),
            "override": draw.Column("Replaces", "flag", "Also where the source says otherwise"),
            **RECORD,
        }
        draw.table(frame, columns, key="tag_rules", export_name="virtual-tags", missing="–", rows_in_sight=8)
    with st.expander("Make or change a virtual tag", icon=":material/edit:"):
        tag_form()


def history() -> None:
    """Every change on this page."""
    frame = answer(rule_history)
    draw.section(
        f"Changes: {formatting.count(len(frame))}",
        "Every change on this page, the newest first. Nothing is ever overwritten.",
    )
    if frame.empty:
        st.caption("Nothing was changed here yet.")
        return
    columns = {
        "saved_at": draw.Column("At (UTC)", "time"),
        "kind": draw.Column("Kind"),
        "name": draw.Column("Rule"),
        "change": draw.Column("Change"),
        "author": draw.Column("By"),
        "reason": draw.Column("Reason", width="large"),
    }
    draw.table(
        frame, columns, key="rule_history", export=frame, export_name="rule-changes", missing="–", rows_in_sight=8
    )


def page() -> None:
    """Draw the rules, their forms and their history. Each part stands alone: a rule that cannot be used does not hide the others."""
    filters = current()
    last_change()
    with draw.guard():
        draw.headline(
            sentence(filters, answer(allocation_summary, filters), len(answer(tag_rule_list))),
            "Rules of percall.toml and of this page count alike. A change is previewed before it can be saved, and kept with who made it.",
        )
    link("allocation", "All-in cost by feature")
    for part in (lambda: allocation(filters), virtual_tags, history):
        with draw.guard():
            part()


page()

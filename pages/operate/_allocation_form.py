"""The form of an allocation rule."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

import streamlit as st

from analytics.allocation_rules import (
    DRIVERS,
    KIND,
    PAGE,
    SELECTORS,
    AllocationRule,
    allocation_rules,
    percent_from_text,
    read_allocation_rules,
)
from analytics.allocation_summary import all_in_change
from analytics.filters import Filters
from analytics.period_names import during
from analytics.rule_records import with_allocation_rule, without_allocation_rule
from pages import _draw as draw
from pages._data import answer, dimension_values
from pages.operate._rule_change import Change, decide
from pages.operate._tag_form import label
from warehouse.errors import InputError
from warehouse.state import Restated

NEW = "New rule"


def allocation_form(filters: Filters) -> None:
    """Make or change an allocation rule; those of percall.toml are changed there."""
    rules = answer(allocation_rules)
    saved = {rule.name: rule for rule in rules if rule.origin == PAGE}
    choice = str(st.selectbox("Rule", [NEW, *saved], key="allocation_choice", width=320))
    old = saved.get(choice)
    proposed = None
    with draw.guard():
        entry = _entry(old, choice, len(rules) + 1)
        proposed = _checked(entry)
    removal = Change(KIND, old.name, None) if old else None
    decide(
        Change(KIND, proposed.name, proposed.body()) if proposed else None,
        removal,
        lambda change: _preview(filters, change),
        "allocation",
    )


def _entry(old: AllocationRule | None, choice: str, next_priority: int) -> dict[str, Any]:
    """The controls, filled with the saved rule, and what they say."""
    select, key = dict(old.select) if old else {}, f"allocation_{choice}"
    with st.grid(3, min_column_width=220):
        name = st.text_input("Name", old.name if old else "", key=f"{key}_name", disabled=old is not None)
        driver = st.selectbox(
            "Driver", list(DRIVERS), index=list(DRIVERS).index(old.driver) if old else 0, format_func=DRIVERS.__getitem__,
            key=f"{key}_driver", help="What the shared cost is divided by, over the whole month of each day",
        )  # fmt: skip
        priority = st.number_input(
            "Priority", value=old.priority if old else next_priority, step=1, key=f"{key}_priority",
            help="The rule with the lowest number that matches takes a cost",
        )  # fmt: skip
    st.caption(
        "Shared costs where all of these are found (regular expressions, upper and lower case alike; empty: any)"
    )
    with st.grid(4, min_column_width=160):
        found = {field: st.text_input(label(field), select.get(field, ""), key=f"{key}_{field}") for field in SELECTORS}
    with st.grid(3, min_column_width=220):
        percent, targets = "", []
        if driver == "percent":
            given = ", ".join(f"{feature} = {part:f}" for feature, part in old.percent) if old else ""
            percent = st.text_input("Percentages", given, key=f"{key}_percent", placeholder="search = 60, ask = 30")
        else:
            known = dimension_values("feature")
            chosen = list(old.targets) if old else []
            targets = st.multiselect(
                "Features that share",
                list(dict.fromkeys([*known, *chosen])),
                chosen,
                key=f"{key}_targets",
                placeholder="All",
            )
        first = st.date_input("From", old.valid_from if old else None, key=f"{key}_from", format="YYYY-MM-DD")
        last = st.date_input("To", old.valid_to if old else None, key=f"{key}_to", format="YYYY-MM-DD")
    return {
        "name": name, "driver": driver, "priority": int(priority), "select": {field: text for field, text in found.items() if text},
        "targets": targets, "percent": percent_from_text(percent), "valid_from": _day(first), "valid_to": _day(last),
    }  # fmt: skip


def _day(value: object) -> date | None:
    return value if isinstance(value, date) else None


def _checked(entry: dict[str, Any]) -> AllocationRule | None:
    """The rule; None, with a line that says what is missing, while it is incomplete."""
    if not entry["name"] or not entry["select"]:
        st.caption("A rule needs a name and at least one field to select costs by.")
        return None
    (rule,) = read_allocation_rules([entry], origin=PAGE)
    answer(with_allocation_rule, rule)
    return rule


def _preview(filters: Filters, change: Change) -> Iterable[Restated]:
    """All-in costs of the period before and after. The ledger stays, so that nothing is restated."""
    if change.body is None:
        rules = answer(without_allocation_rule, change.name)
    else:
        (rule,) = read_allocation_rules([{"name": change.name, **change.body}], origin=PAGE)
        rules = answer(with_allocation_rule, rule)
    frame = answer(all_in_change, filters, rules)
    if frame.empty:
        raise InputError("the filters leave no cost that a rule could divide: widen the period")
    currency = str(frame["currency"].iloc[0])
    draw.section("What would change", f"All-in {filters.basis} cost by feature {during(filters)}, {currency}")
    columns = {
        "feature": draw.Column("Feature", pinned=True),
        "before": draw.Column("Now", "money", currency=currency),
        "after": draw.Column("Then", "money", currency=currency),
        "change": draw.Column("Change", "money", currency=currency),
    }
    draw.table(
        frame.assign(feature=["Unallocated" if kind == "unallocated" else name for name, kind in zip(frame["feature"], frame["kind"], strict=True)]),
        columns, key="allocation_change", export=frame, export_name="allocation-change",
    )  # fmt: skip
    return ()

"""The form of a virtual tag."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

import streamlit as st

from analytics import formatting
from analytics.rule_records import saved_names, tag_rule_list, with_tag_rule, without_tag_rule
from analytics.virtual_tags import effect
from pages import _draw as draw
from pages._data import answer, warehouse
from pages.operate._rule_change import Change, decide
from warehouse.schema import DIMENSIONS
from warehouse.state import Restated
from warehouse.tag_rules import FIELDS, KIND, TAG, TagRule, read_tag_rules

NEW = "New virtual tag"
LABELS = {"user_tier": "User tier", "env": "Environment", "prompt_name": "Prompt name", "user_id": "User id"}


def label(name: str) -> str:
    """A field's name on screen."""
    return LABELS.get(name, name.capitalize())


def tag_form() -> None:
    """Make or change a virtual tag; those of percall.toml are changed there."""
    names = saved_names(answer(tag_rule_list))
    choice = str(st.selectbox("Virtual tag", [NEW, *names], key="tag_choice", width=320))
    old = next((rule for rule in warehouse().tag_rules if rule.name == choice and choice in names), None)
    proposed = None
    with draw.guard():
        proposed = _checked(_entry(old, choice))
    removal = Change(KIND, old.name, None) if old else None
    decide(Change(KIND, proposed.name, proposed.body()) if proposed else None, removal, _preview, "tag")


def _entry(old: TagRule | None, choice: str) -> dict[str, Any]:
    """The controls, filled with the saved rule, and what they say."""
    match, key = dict(old.match) if old else {}, f"tag_{choice}"
    own_tag = next(((field, pattern) for field, pattern in match.items() if field.startswith(TAG)), ("", ""))
    with st.grid(3, min_column_width=220):
        name = st.text_input("Name", old.name if old else "", key=f"{key}_name", disabled=old is not None)
        dimension = st.selectbox(
            "Sets",
            DIMENSIONS,
            index=DIMENSIONS.index(old.dimension if old else "feature"),
            format_func=label,
            key=f"{key}_dimension",
        )
        value = st.text_input("To", old.value if old else "", key=f"{key}_value")
    st.caption(
        "Where all of these are found (regular expressions, upper and lower case alike; empty: any). Service, category and resource belong to "
        "billing lines; operation, prompt name and user id to calls."
    )
    with st.grid(4, min_column_width=160):
        found = {field: st.text_input(label(field), match.get(field, ""), key=f"{key}_{field}") for field in FIELDS}
        tag = st.text_input(
            "Existing tag or label", own_tag[0].removeprefix(TAG), key=f"{key}_tag", placeholder="cost-center"
        )
        pattern = st.text_input("… whose value has", own_tag[1], key=f"{key}_pattern")
    with st.grid(3, min_column_width=220):
        first = st.date_input("From", old.valid_from if old else None, key=f"{key}_from", format="YYYY-MM-DD")
        last = st.date_input("To and including", old.valid_to if old else None, key=f"{key}_to", format="YYYY-MM-DD")
        override = st.toggle(
            "Also where the source says otherwise", old.override if old else False, key=f"{key}_override",
            help="Off: only what is missing is filled in",
        )  # fmt: skip
    if tag:
        found[TAG + tag] = pattern or "."
    return {
        "name": name, "dimension": dimension, "value": value, "match": {field: text for field, text in found.items() if text},
        "override": override, "valid_from": _day(first), "valid_to": _day(last),
    }  # fmt: skip


def _day(value: object) -> date | None:
    return value if isinstance(value, date) else None


def _checked(entry: dict[str, Any]) -> TagRule | None:
    """The rule; None, with a line that says what is missing, while it is incomplete."""
    if not entry["name"] or not entry["value"] or not entry["match"]:
        st.caption("A virtual tag needs a name, a value to set, and at least one field to find rows by.")
        return None
    (rule,) = read_tag_rules([entry])
    answer(with_tag_rule, rule)
    return rule


def _preview(change: Change) -> Iterable[Restated]:
    """Rows and dollars that would get another name, over all days of the store."""
    if change.body is None:
        rules = answer(without_tag_rule, change.name)
    else:
        (rule,) = read_tag_rules([{"name": change.name, **change.body}])
        rules = answer(with_tag_rule, rule)
    with st.spinner("Comparing the ledger before and after"):
        found = answer(effect, rules)
    amounts = " and ".join(formatting.money(amount, currency) for currency, amount in found.moved) or "no cost"
    draw.section(
        f"{formatting.count(found.calls)} calls and {formatting.count(found.lines)} billing lines change, and {amounts} moves",
        "Effective cost over all days of the store. Past days are noted as restated, with the reason “rules”.",
    )
    if not found.changes.empty:
        currency = str(found.changes["currency"].iloc[0])
        columns = {
            "dimension": draw.Column("Dimension", pinned=True),
            "value": draw.Column("Value", "tag"),
            "before": draw.Column("Now", "money", currency=currency),
            "after": draw.Column("Then", "money", currency=currency),
            "change": draw.Column("Change", "money", currency=currency),
        }
        draw.table(found.changes, columns, key="tag_change", export_name="virtual-tag-change")
    return tuple(found.restated)

"""The form of a budget."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import streamlit as st

from analytics.budgets import PAGE, SCOPES, Budget, read_budgets, remove_budget, save_budget
from pages import _draw as draw
from pages._data import configuration, dimension_values, warehouse
from pages._people import ANALYST, may, require
from warehouse.schema import COST_CATEGORIES

NEW = "New budget"
_DONE, _FAILED = "_budget_done", "_budget_failed"


def budget_form(budgets: tuple[Budget, ...]) -> None:
    """Make, change or remove a budget; those of percall.toml are changed there."""
    if not may(ANALYST):
        return
    own = {budget.name: budget for budget in budgets if budget.origin == PAGE}
    choice = str(st.selectbox("Budget", [NEW, *own], key="budget_choice", width=320))
    old = own.get(choice)
    key = f"budget_{choice}"
    with st.grid(4, min_column_width=180):
        name = st.text_input("Name", old.name if old else "", key=f"{key}_name", disabled=old is not None)
        dimensions = ["total", *SCOPES]
        dimension = str(
            st.selectbox("For", dimensions, index=dimensions.index(old.dimension if old else "total"), key=f"{key}_dimension", format_func=_label)
        )  # fmt: skip
        value = _value(dimension, old, key)
        amount = st.text_input(
            f"Amount a month, {configuration().reporting_currency}", format(old.amount, "f") if old else "", key=f"{key}_amount", placeholder="6000"
        )  # fmt: skip
        owner = st.text_input("Owner", old.owner if old else "", key=f"{key}_owner", placeholder="Who answers for it")
        first = st.date_input("From", old.valid_from if old else None, key=f"{key}_from", format="YYYY-MM-DD")
        last = st.date_input("To and including", old.valid_to if old else None, key=f"{key}_to", format="YYYY-MM-DD")
    entry: dict[str, object] = {
        "name": name, "amount": amount, "owner": owner, "valid_from": first if isinstance(first, date) else None,
        "valid_to": last if isinstance(last, date) else None,
    }  # fmt: skip
    if dimension != "total":
        entry[dimension] = value
    reason = st.text_input("Reason", key=f"{key}_reason", placeholder="Kept with the change, for whoever asks later")
    complete = bool(name and amount and (dimension == "total" or value))
    proposed = None
    if complete:
        with draw.guard():
            (proposed,) = read_budgets([entry], origin=PAGE)
    else:
        st.caption("A budget needs a name, an amount and, unless it is for the total, what it is for.")
    state = warehouse().state
    with st.container(horizontal=True):
        st.button(
            "Save", key=f"{key}_save", type="primary", icon=":material/check:", disabled=proposed is None,
            on_click=_act, args=(lambda who: save_budget(state, proposed, author=who, reason=reason) if proposed else None, "saved"),
        )  # fmt: skip
        if old:
            st.button(
                "Remove", key=f"{key}_remove", icon=":material/delete:", on_click=_act,
                args=(lambda who: remove_budget(state, old.name, author=who, reason=reason), "removed"),
            )  # fmt: skip


def last_change() -> None:
    """Say once what was just done, or why it was not."""
    done, failed = st.session_state.pop(_DONE, None), st.session_state.pop(_FAILED, None)
    if failed is not None:
        draw.failure(failed)
    elif done:
        st.success(draw.plain(done), icon=":material/check:")


def _act(act: Callable[[str], None], done: str) -> None:
    try:
        act(require(ANALYST, "change a budget").name)
    except Exception as error:
        st.session_state[_FAILED] = error
        return
    st.session_state[_DONE] = f"The budget has been {done}."


def _value(dimension: str, old: Budget | None, key: str) -> str:
    options = (
        list(COST_CATEGORIES)
        if dimension == "category"
        else []
        if dimension in ("total", "service")
        else dimension_values(dimension)
    )
    kept = old.value if old and old.dimension == dimension else None
    if kept and kept not in options:
        options = [kept, *options]
    return str(
        st.selectbox(
            "Which", options, index=options.index(kept) if kept else None, key=f"{key}_value_{dimension}", accept_new_options=True,
            disabled=dimension == "total", placeholder="all of it" if dimension == "total" else "Choose",
        )
        or ""
    )  # fmt: skip


def _label(dimension: str) -> str:
    return {"total": "The total", "user_tier": "User tier", "env": "Environment"}.get(dimension, dimension.capitalize())

"""Keeping a scenario: saved under a name, opened again, adopted as a plan."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import streamlit as st

from analytics.filters import Filters
from analytics.simulators.adopted_plans import adopt
from analytics.simulators.saved_scenarios import LONGEST_NAME, find_scenario, save_scenario, saved_scenarios
from analytics.simulators.scenario import Scenario
from analytics.simulators.situation import Situation
from analytics.simulators.waterfall import Waterfall
from pages import _periods, _plan_editor
from pages._data import store_path, warehouse
from pages._filters import current
from pages._links import link
from pages._people import ANALYST, may, require
from pages._states import failure, guard
from pages._text import plain
from warehouse.errors import InputError, PercallError
from warehouse.state import State

SAVED = "saved"
"""Parameter of an address that opens a saved scenario by its name."""

_SAVED_ON, _DONE = "_plan_saved_on", "_plan_kept"


def state() -> State:
    """People's own state of this store."""
    return State(store_path())


def open_by_address() -> bool:
    """Open the saved scenario that the address names, once; from then on the address keeps the scenario itself. Whether one was opened."""
    name = st.query_params.get(SAVED)
    if name is None:
        return False
    del st.query_params[SAVED]
    try:
        _open(name)
    except PercallError as error:
        failure(error)
        return False
    return True


def open_bar() -> None:
    """Choose a saved scenario to open."""
    try:
        names = [saved.name for saved in saved_scenarios(state())]
    except PercallError as error:
        failure(error)
        return
    if names:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.selectbox("Saved scenario", names, key="plan_saved", width=260)
            st.button("Open", icon=":material/folder_open:", key="plan_open", on_click=_opened)


def _opened() -> None:
    name = st.session_state.get("plan_saved")
    if name:
        try:
            _open(str(name))
        except PercallError as error:
            st.session_state[_DONE] = ("error", str(error))


def _open(name: str) -> None:
    saved = find_scenario(state(), name)
    _plan_editor.replace_plan(saved.scenario)
    st.session_state[_SAVED_ON] = (saved.name, saved.filters)


def told() -> None:
    """What the last click did, and a way back to the days on which the open scenario was saved."""
    kind, sentence = st.session_state.pop(_DONE, (None, ""))
    if kind == "error":
        st.error(plain(sentence), icon=":material/error:")
    elif kind:
        st.success(plain(sentence), icon=":material/check:")
    name, saved = st.session_state.get(_SAVED_ON, (None, None))
    now = current()
    if (
        isinstance(saved, Filters)
        and name == _plan_editor.plan().name
        and (saved.start, saved.end) != (now.start, now.end)
    ):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(plain(f"{name} was saved for {_periods.describe((saved.start, saved.end))}."), width="stretch")
            st.button(
                "Go to these days", key="plan_days", type="tertiary", icon=":material/event:", on_click=_to_days, args=(saved.start, saved.end)
            )  # fmt: skip


def _to_days(start: date, end: date) -> None:
    st.session_state["period"], st.session_state["dates"] = _periods.CUSTOM, (start, end)


def save_form(plan: Scenario) -> None:
    """Save the plan under a name, for who may."""
    if not may(ANALYST):
        return
    with st.popover("Save", icon=":material/save:", disabled=not plan.levers):
        name = st.text_input("Name", plan.name, key="plan_name", max_chars=LONGEST_NAME)
        reason = st.text_input(
            "What changed, or what it is for", key="plan_reason", placeholder="Kept with this version"
        )
        if st.button("Save", key="plan_save", type="primary"):
            with guard():
                person = require(ANALYST, "save a scenario")
                named = replace(plan, name=" ".join(name.split()))
                save_scenario(state(), named, current(), author=person.name, reason=reason)
                _plan_editor.replace_plan(named)
                st.session_state[_SAVED_ON] = (named.name, current())
                st.session_state[_DONE] = ("done", f"Saved as {named.name}. Saved scenarios lists every version.")
                st.rerun()


def adopt_form(situation: Situation, plan: Scenario, outcome: Waterfall) -> None:
    """Adopt the plan as it was run, from a day on."""
    if not may(ANALYST):
        return
    window = situation.window
    baseline = replace(current(), start=window.first, end=window.last)
    with st.popover("Adopt as a plan", icon=":material/flag:"):
        st.caption(
            plain(
                f"From its first day on, what was really paid is compared with {_periods.describe((window.first, window.last))}, lever by lever. "
                "What is expected is frozen now."
            )
        )
        name = st.text_input("Name of the plan", plan.name, key="plan_adopt_name", max_chars=LONGEST_NAME)
        start = st.date_input("First day", window.last + timedelta(days=1), key="plan_adopt_start", format="YYYY-MM-DD")
        owner = st.text_input("Owner", key="plan_adopt_owner", placeholder="Who answers for it")
        note = st.text_input("Note", key="plan_adopt_note")
        if st.button("Adopt", key="plan_adopt", type="primary"):
            with guard():
                person = require(ANALYST, "adopt a plan")
                if not isinstance(start, date):
                    raise InputError("choose the first day of the plan")
                opened = warehouse()
                made = adopt(
                    state(), plan, outcome, baseline, start=start, author=person.name, owner=owner, note=note, snapshot_id=opened.snapshot_id,
                    rules_revision=opened.revision, name=name,
                )  # fmt: skip
                st.success(plain(f"{made.name} runs from {made.start} on."), icon=":material/check:")
                link("plans", "Plans")

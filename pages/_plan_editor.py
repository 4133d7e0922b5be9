"""Putting a plan together: levers in order, each with its main settings; the plan is kept in the session and in the address."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import streamlit as st

from analytics.simulators.lever import Lever
from analytics.simulators.lever_pages import PAGES, defaults
from analytics.simulators.plan_fields import FIELDS, PlanField, shown, with_fields
from analytics.simulators.scenario import Scenario, scenario_of_address
from analytics.simulators.situation import Situation
from pages._states import failure
from pages._text import plain
from warehouse.errors import InputError

PARAMETER = "scenario"
_PLAN, _PLACES = "_plan", "_plan_places"

_numbers = itertools.count(1)


def plan() -> Scenario:
    """The session's plan; at first the one of the address, else an empty one. A damaged address is said, and leaves an empty plan."""
    kept = st.session_state.get(_PLAN)
    if isinstance(kept, Scenario):
        return kept
    found = Scenario("My plan")
    word = st.query_params.get(PARAMETER)
    if word:
        try:
            found = scenario_of_address(word)
        except InputError as error:
            failure(error)
    _keep(found, [next(_numbers) for _ in found.levers])
    return found


def _keep(changed: Scenario, places: list[int]) -> None:
    st.session_state[_PLAN], st.session_state[_PLACES] = changed, places


def replace_plan(new: Scenario) -> None:
    """Make another plan the session's; its controls are drawn anew."""
    _keep(new, [next(_numbers) for _ in new.levers])


def edit(situation: Situation) -> tuple[Scenario, bool]:
    """Draw the plan's controls. Answers with the plan as they say it, and whether every lever accepts its settings."""
    now = plan()
    places: list[int] = st.session_state[_PLACES]
    _add(situation)
    levers, disabled, sound = [], set(), True
    for at, (lever, place) in enumerate(zip(now.levers, places, strict=True)):
        with st.container(border=True, gap="xsmall"):
            enabled = _bar(lever, at, place, len(places), at not in now.disabled)
            try:
                lever = _settings(situation, lever, place)  # noqa: PLW2901
            except InputError as error:
                failure(error)
                sound = False
        levers.append(lever)
        if not enabled:
            disabled.add(at)
    changed = replace(now, levers=tuple(levers), disabled=frozenset(disabled))
    _keep(changed, places)
    if changed.levers:
        st.query_params[PARAMETER] = changed.address()
    elif PARAMETER in st.query_params:
        del st.query_params[PARAMETER]
    return changed, sound


def _add(situation: Situation) -> None:
    titles = {page.kind.title: name for name, page in PAGES.items()}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox("Next lever", list(titles), key="plan_next", width=260)
        st.button("Add", icon=":material/add:", key="plan_add", on_click=_added, args=(titles,))
    # What an added lever opens with is worked out here, where a failure can be said, and not in the button's callback.
    name = st.session_state.pop("_plan_added", None)
    if name is not None:
        page = PAGES[name]
        try:
            lever = page.build(situation, defaults(page, situation))
        except InputError:
            lever = page.kind.neutral()
        now: Scenario = st.session_state[_PLAN]
        _keep(replace(now, levers=(*now.levers, lever)), [*st.session_state[_PLACES], next(_numbers)])
        st.rerun()


def _added(titles: dict[str, str]) -> None:
    st.session_state["_plan_added"] = titles.get(st.session_state.get("plan_next", ""))


def _bar(lever: Lever, at: int, place: int, size: int, enabled: bool) -> bool:
    """The lever's name with its switch, and the buttons that move and remove it."""
    with st.container(horizontal=True, vertical_alignment="center"):
        on = st.toggle(f"**{at + 1}. {plain(lever.title)}**", value=enabled, key=f"plan_{place}_on", width="stretch")
        for icon, what, step, off in (
            ("arrow_upward", "Earlier", -1, at == 0),
            ("arrow_downward", "Later", 1, at == size - 1),
            ("delete", "Remove", 0, False),
        ):
            st.button(
                f":material/{icon}:", key=f"plan_{place}_{what}", help=f"{what}: {plain(lever.title)}", disabled=off, type="tertiary",
                on_click=_moved, args=(place, step),
            )  # fmt: skip
    return on


def _moved(place: int, step: int) -> None:
    now: Scenario = st.session_state[_PLAN]
    places: list[int] = list(st.session_state[_PLACES])
    at = places.index(place)
    entries = [
        (lever, number, index in now.disabled)
        for index, (lever, number) in enumerate(zip(now.levers, places, strict=True))
    ]
    entry = entries.pop(at)
    if step:
        entries.insert(at + step, entry)
    off = frozenset(index for index, each in enumerate(entries) if each[2])
    _keep(replace(now, levers=tuple(each[0] for each in entries), disabled=off), [each[1] for each in entries])


def _settings(situation: Situation, lever: Lever, place: int) -> Lever:
    values: dict[str, Any] = {}
    features: tuple[str, ...] | None = None
    with st.grid(4, min_column_width=200):
        for field in FIELDS.get(lever.name, ()):
            values[field.name] = _field(field, lever, f"plan_{place}_{field.name}")
        calls = getattr(lever, "calls", None)
        if calls is not None:
            options = sorted({*situation.workload.names["feature"], *calls.feature})
            chosen = st.multiselect(
                "Only these features",
                options,
                list(calls.feature),
                placeholder="All calls",
                key=f"plan_{place}_features",
            )
            features = tuple(chosen)
    return with_fields(lever, values, features)


def _field(field: PlanField, lever: Lever, key: str) -> Any:
    value = shown(field, lever)
    if field.kind == "switch":
        return st.toggle(field.label, value=value, key=key)
    if field.kind == "choice":
        options = list(field.options)
        words = dict(zip(field.options, field.option_words or field.options, strict=True))
        return st.selectbox(
            field.label,
            options,
            index=options.index(value) if value in options else None,
            placeholder="As today",
            format_func=lambda option: words[option],
            key=key,
        )
    if field.kind == "model":
        return st.text_input(
            field.label, value=value or "", placeholder=field.empty_words, key=key, help="provider/model"
        ).strip()
    number = int if field.kind == "whole" else float
    low, high = (
        min(field.low, field.low if value is None else value),
        max(field.high, field.high if value is None else value),
    )
    digits = (
        "%d" if field.kind == "whole" else "%.2f" if field.step < 1 or (value is not None and value % 1) else "%.0f"
    )
    found = st.number_input(
        field.label, number(low), number(high), value, number(field.step), format=digits, key=key, placeholder=field.empty_words
    )  # fmt: skip
    # A setting that cannot be left empty keeps its value.
    return value if found is None and field.empty_words is None else found

"""What the meeting writes: remarks on sections, decisions, new actions, and what became of earlier ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta

import streamlit as st

from analytics.weekly_review import STEPS, TITLES
from analytics.weekly_review_notes import (
    DECISIONS,
    STATUSES,
    Action,
    Note,
    action_history,
    actions_before,
    actions_of,
    add_action,
    add_note,
    change_action,
    notes_of,
    remove_note,
)
from analytics.weekly_review_week import Week
from pages import _draw as draw
from pages._data import configuration, warehouse
from pages._links import link
from pages._people import ANALYST, may, require

TOOLS = "review_tools_"
"""Keys of containers that hold nothing to read: they are left off the paper."""

_DONE, _FAILED = "_review_done", "_review_failed"
_SIGNS = {"open": "○", "done": "●", "dropped": "✕"}
ABOUT = [step.key for step in STEPS if step.key not in ("actions", DECISIONS)]


def earlier(week: Week, today: date) -> None:
    """The actions that earlier reviews left, each with what may be done about it."""
    for action in actions_before(warehouse().state, week):
        _one(action, today)


def section_notes(week: Week, section: str, page: str, notes: Sequence[Note]) -> None:
    """The remarks on a section (of all `notes` of the week), the button that adds one or an action, and the way to the section's page."""
    for note in notes:
        if note.section == section:
            _note(note)
    with st.container(horizontal=True, vertical_alignment="center", key=f"{TOOLS}{section}"):
        if may(ANALYST):
            _add(week, section)
        if page:
            link(page, "All of it on its page")


@st.fragment
@draw.guarded
def _add(week: Week, section: str) -> None:
    """The button that opens the form for a remark or an action. Closed it has no form in it: ten of them took half the time of a run of the page."""
    with st.popover(
        "Note or action", icon=":material/add_comment:", key=f"review_{section}_add", on_change="rerun"
    ) as popover:
        if popover.open:
            _form(week, section)


def decided(week: Week, today: date) -> None:
    """Decisions and actions of this review, with remarks on its sections, and the form for more."""
    state = warehouse().state
    notes = notes_of(state, week)
    for note in notes:
        if note.section == DECISIONS:
            _note(note)
    for action in actions_of(state, week):
        _one(action, today)
    remarks = [note for note in notes if note.section != DECISIONS]
    if remarks:
        st.caption(draw.plain(f"And {len(remarks)} remark{'' if len(remarks) == 1 else 's'}, at the sections above."))
    if may(ANALYST):
        with st.container(border=True, key=f"{TOOLS}{DECISIONS}"):
            _form(week, DECISIONS)
    else:
        st.caption("Decisions and actions are written by people with the role analyst.")


def last_action() -> None:
    """Say once what was just done, or why it was not."""
    done, failed = st.session_state.pop(_DONE, None), st.session_state.pop(_FAILED, None)
    if failed is not None:
        draw.failure(failed)
    elif done:
        st.success(draw.plain(done), icon=":material/check:")


def _one(action: Action, today: date) -> None:
    late = action.is_overdue(today)
    status = f":{'orange' if late else 'gray'}-badge[{_SIGNS[action.status]} {'overdue' if late else action.status}]"
    facts = [
        action.owner or "no owner",
        f"due {action.due}" if action.due else "no day",
        *([TITLES[action.about].lower()] if action.about in TITLES else []),
        action.week,
    ]
    with st.container(border=True, gap="xxsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"{status} **{draw.plain(action.text)}**")
            if may(ANALYST):
                with (
                    st.container(key=f"{TOOLS}{action.name}", width="content"),
                    st.popover("Change", icon=":material/edit:", key=f"review_change_{action.name}", type="tertiary"),
                ):
                    _change(action)
        st.caption(draw.plain(" · ".join(facts)))
        if action.outcome:
            st.markdown(draw.plain(f"{action.outcome} ({action.changed_by}, {action.changed_at:%Y-%m-%d})"))


def _change(action: Action) -> None:
    key = f"review_change_{action.name}"
    with st.form(f"{key}_form", border=False):
        status = st.segmented_control("Status", STATUSES, default=action.status, required=True, key=f"{key}_status")
        outcome = st.text_input("What came of it", action.outcome, key=f"{key}_outcome")
        owner = st.text_input("Owner", action.owner, key=f"{key}_owner")
        due = st.date_input("Due", action.due, key=f"{key}_due", format="YYYY-MM-DD")
        if st.form_submit_button("Save", type="primary", icon=":material/check:"):
            _act(
                lambda who: change_action(
                    warehouse().state, action.name, author=who, status=str(status), owner=owner, outcome=outcome,
                    due=due if isinstance(due, date) else "none",
                ),
                "The action has been changed.",
            )  # fmt: skip
    versions = action_history(warehouse().state, action.name)
    if len(versions) > 1:
        lines = [
            f"{one.saved_at:%Y-%m-%d %H:%M} UTC, {one.author}: {(one.body or {}).get('status', 'removed')}"
            for one in reversed(versions)
        ]
        st.caption(draw.plain("; ".join(lines)))


def _note(note: Note) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f":material/chat: {draw.plain(note.text)} :gray[{draw.plain(f'{note.author}, {note.at:%Y-%m-%d %H:%M} UTC')}]"
        )
        if may(ANALYST):
            st.button(
                "Remove", key=f"review_remove_{note.name}", type="tertiary", icon=":material/close:", on_click=_callback,
                args=(lambda who: remove_note(warehouse().state, note.name, author=who), "The note has been removed."),
            )  # fmt: skip


def _form(week: Week, section: str) -> None:
    is_last = section == DECISIONS
    key = f"review_{section}_new"
    note = "Decision" if is_last else "Note"
    with st.form(key, clear_on_submit=True, border=False):
        text = st.text_area(
            "What was decided, or is to be done" if is_last else "What is to be said, or done",
            key=f"{key}_text",
            height=80,
        )
        kinds = [note, "Action"]
        kind = st.segmented_control("As", kinds, default=note, required=True, key=f"{key}_kind")
        with st.grid(3 if is_last else 2, min_column_width=140):
            owner = st.text_input("Owner", key=f"{key}_owner", placeholder="Of an action")
            due = st.date_input("Due", _next_monday(), key=f"{key}_due", format="YYYY-MM-DD")
            about = section
            if is_last:
                about = str(st.selectbox("About", ABOUT, key=f"{key}_about", format_func=lambda name: TITLES[name]))
        if st.form_submit_button("Keep it", type="primary", icon=":material/check:"):
            if kind == "Action":
                day = due if isinstance(due, date) else None
                _act(
                    lambda who: add_action(
                        warehouse().state, week, text, owner=owner, due=day, about=about, author=who
                    ),
                    "The action is kept: the next review asks for it.",
                )
            else:
                _act(
                    lambda who: add_note(warehouse().state, week, section, text, author=who),
                    f"The {note.lower()} is kept.",
                )


def _next_monday() -> date:
    today = datetime.now(configuration().zone).date()
    return today + timedelta(days=7 - today.weekday())


def _act(act: Callable[[str], object], done: str) -> None:
    """For what is asked inside the page's run: drawn again with the change."""
    _callback(act, done)
    st.rerun()


def _callback(act: Callable[[str], object], done: str) -> None:
    try:
        person = require(ANALYST, "write in the weekly review")
        act(person.name)
    except Exception as error:
        st.session_state[_FAILED] = error
        return
    st.session_state[_DONE] = done

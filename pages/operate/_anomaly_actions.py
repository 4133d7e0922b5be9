"""What somebody can do about an anomaly: acknowledge it, put it off, say that it was expected, note something, or open it again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import streamlit as st

from analytics.anomalies_states import Flag, acknowledge, annotate, mark_expected, reopen, snooze
from pages import _draw as draw
from pages._data import warehouse
from pages._people import ANALYST, may, require

_DONE, _FAILED = "_anomaly_done", "_anomaly_failed"


def actions(flag: Flag, today: date) -> None:
    """The buttons of one anomaly, for who may change it."""
    if not may(ANALYST):
        return
    key = f"anomaly_{flag.episode.key}"
    note = st.text_input(
        "Note", key=f"{key}_note", placeholder="What it was, or which deploy or launch explains it", width=520
    )
    state = warehouse().state
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if flag.status == "open":
            _button(
                "Acknowledge",
                "check",
                key,
                lambda who: acknowledge(state, flag.episode, author=who, note=note),
                "is acknowledged",
            )
            _button(
                "Was expected",
                "event_available",
                key,
                lambda who: mark_expected(state, flag.episode, author=who, note=note),
                "was expected",
            )
            until = st.date_input(
                "Snooze until", today + timedelta(days=7), min_value=today + timedelta(days=1), key=f"{key}_until", format="YYYY-MM-DD", width=150
            )  # fmt: skip
            if isinstance(until, date):
                _button(
                    "Snooze",
                    "snooze",
                    key,
                    lambda who: snooze(state, flag.episode, until, author=who, note=note),
                    f"is snoozed until {until}",
                )
        else:
            _button(
                "Open again",
                "replay",
                key,
                lambda who: reopen(state, flag.episode, author=who, note=note),
                "is open again",
            )
        if note:
            _button(
                "Only add the note",
                "edit_note",
                key,
                lambda who: annotate(state, flag, author=who, note=note),
                "has a note",
            )


def _button(label: str, icon: str, key: str, act: Callable[[str], None], done: str) -> None:
    st.button(label, key=f"{key}_{icon}", icon=f":material/{icon}:", on_click=_act, args=(act, label, done))


def _act(act: Callable[[str], None], label: str, done: str) -> None:
    # In the callback, so that the page that follows is already drawn with the change.
    try:
        person = require(ANALYST, f"change an anomaly ({label.lower()})")
        act(person.name)
    except Exception as error:
        st.session_state[_FAILED] = error
        return
    st.session_state[_DONE] = f"Saved: it {done}."


def last_action() -> None:
    """Say once what was just done, or why it was not."""
    done, failed = st.session_state.pop(_DONE, None), st.session_state.pop(_FAILED, None)
    if failed is not None:
        draw.failure(failed)
    elif done:
        st.success(draw.plain(done), icon=":material/check:")

"""Events that were announced before they cost anything: launches, deploys, migrations."""

from __future__ import annotations

from datetime import date

import pandas as pd
import streamlit as st

from analytics.anomalies_states import ANY_SERIES, ExpectedEvent, announce, expected_events, withdraw
from pages import _draw as draw
from pages._data import dimension_values, warehouse
from pages._people import ANALYST, may, require

DIRECTIONS = {"Costs more": "up", "Costs less": "down", "Either": "both"}


def expected(today: date) -> None:
    """The announced events, and the form that announces one."""
    state = warehouse().state
    events = expected_events(state)
    draw.section("Expected events", "Anomalies that begin in these days are told as expected, and nobody is alerted")
    if events:
        frame = pd.DataFrame(
            {
                "name": [event.name for event in events],
                "series": [event.series for event in events],
                "start": [event.start for event in events],
                "end": [event.end for event in events],
                "direction": [event.direction for event in events],
                "note": [event.note for event in events],
                "author": [event.author for event in events],
            }
        )
        columns = {
            "name": draw.Column("Event", pinned=True),
            "series": draw.Column("Of"),
            "start": draw.Column("From", "date"),
            "end": draw.Column("To", "date"),
            "direction": draw.Column("Direction"),
            "note": draw.Column("Note", width="large"),
            "author": draw.Column("By"),
        }
        draw.table(frame, columns, key="expected_events", export_name="expected-events", missing="–", rows_in_sight=6)
    else:
        st.caption("None is announced.")
    if not may(ANALYST):
        return
    with st.expander("Announce or withdraw an event", icon=":material/event:"):
        _form(today, [event.name for event in events])


def _form(today: date, names: list[str]) -> None:
    named = (f"{dimension}:{value}" for dimension in ("feature", "model") for value in dimension_values(dimension))
    series = [ANY_SERIES, "total", *named]
    with st.form("expected_event", clear_on_submit=True, border=False):
        with st.grid(4, min_column_width=180):
            name = st.text_input("Event", key="event_name", placeholder="Launch in Japan")
            chosen = st.selectbox(
                "Of",
                series,
                key="event_series",
                accept_new_options=True,
                help="Others: service:Pinecone",
            )
            days = st.date_input("From – to", (today, today), key="event_days", format="YYYY-MM-DD")
            direction = st.selectbox("Direction", list(DIRECTIONS), key="event_direction")
        note = st.text_input("Note", key="event_note")
        if st.form_submit_button("Announce", icon=":material/event:", type="primary"):
            person = require(ANALYST, "announce an expected event")
            both = [day for day in (days if isinstance(days, tuple) else (days,)) if isinstance(day, date)]
            with draw.guard():
                announce(
                    warehouse().state,
                    ExpectedEvent(name, str(chosen), min(both), max(both), DIRECTIONS[str(direction)], note),
                    author=person.name,
                )
                st.rerun()
    if names:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            gone = st.selectbox("Announced", names, key="event_gone", width=260)
            if st.button("Withdraw", key="event_withdraw", icon=":material/delete:"):
                person = require(ANALYST, "withdraw an expected event")
                withdraw(warehouse().state, str(gone), author=person.name)
                st.rerun()

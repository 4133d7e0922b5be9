"""Audit: who did what and when."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from analytics.audit import audit
from pages import _draw as draw
from pages._data import store_path, warehouse
from pages._filters import current
from warehouse.audit import NOT_ALLOWED, SHARE_REFUSED, SIGN_IN_REFUSED, AuditLog

REFUSALS = (NOT_ALLOWED, SHARE_REFUSED, SIGN_IN_REFUSED)


def sentence(frame: pd.DataFrame, damaged: int | None) -> str:
    """The page's answer: how many entries, how many of them refusals, and whether the log is what was written."""
    if damaged is not None:
        return f"The audit log was changed outside Percall: entry {damaged} is not what was written"
    if frame.empty:
        return "Nothing has been written to the audit log yet"
    refused = int(frame["action"].isin(REFUSALS).sum())
    entries = "1 entry" if len(frame) == 1 else f"{len(frame):,} entries"
    return f"{entries}, {'none' if not refused else f'{refused:,}'} of them a refusal; the log is what was written"


def page() -> None:
    """Read the log and draw it, without a cache: it changes without a new snapshot."""
    frame = audit(warehouse(), current())
    draw.headline(
        sentence(frame, AuditLog(store_path()).damaged()),
        "Loads, shared links, sign-ins, back-ups, and every saved rule, plan and note with its author. Entries are only ever added; the period does "
        "not apply.",
    )
    if frame.empty:
        return
    actions = sorted(frame["action"].unique())
    chosen = st.multiselect("Actions", actions, key="audit_actions", placeholder="All", width=420)
    shown = frame[frame["action"].isin(chosen)] if chosen else frame
    draw.section("Entries", "Times in UTC; the newest first")
    draw.table(
        shown,
        {
            "at": draw.Column("At (UTC)", "time"),
            "who": draw.Column("Who"),
            "action": draw.Column("What"),
            "subject": draw.Column("On"),
            "detail": draw.Column("Detail", width="large"),
            "address": draw.Column("From"),
        },
        key="audit_entries",
        export=frame,
        export_name="audit",
        missing="–",
        rows_in_sight=18,
    )


page()

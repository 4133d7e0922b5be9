"""The period's calls, ready to be replayed: prepared once per snapshot, rules and filters, and shared by every session."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import streamlit as st

from analytics.filters import Filters
from analytics.simulators.build_situation import build_situation
from analytics.simulators.situation import Situation
from pages import _data
from pages._filters import current
from warehouse.reader import open_snapshot


def situation() -> Situation:
    """The situation of this session's filters. A grain changes no call, so it takes no part. Raises InputError when nothing passes the filters."""
    warehouse = _data.warehouse()
    return _prepared(
        str(_data.store_path()), warehouse.snapshot_id, warehouse.revision, replace(current(), grain="day")
    )


@st.cache_resource(max_entries=2, show_spinner="Reading the calls of the period …")
def _prepared(store: str, snapshot_id: str, revision: int, filters: Filters) -> Situation:
    return build_situation(open_snapshot(Path(store), snapshot_id, _data.configuration(), revision=revision), filters)

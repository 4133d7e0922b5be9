"""The period's calls, ready to be replayed: prepared once per snapshot, rules and filters, and shared by every session."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from analytics.filters import Filters
from analytics.simulators.build_situation import build_situation
from analytics.simulators.situation import Situation
from pages import _data
from pages import _draw as draw
from pages._filters import current, describe
from warehouse.errors import InputError
from warehouse.reader import Warehouse


def situation() -> Situation:
    """The situation of this session's filters. A grain changes no call, so it takes no part. Raises InputError when nothing passes the filters."""
    warehouse = _data.warehouse()
    return _prepared(
        str(_data.store_path()), warehouse.snapshot_id, warehouse.revision, replace(current(), grain="day"), warehouse
    )


def situation_or_reason(lead: str) -> Situation | None:
    """The situation; None when there is neither a call nor a cost, which the page then says under `lead`, its line on how to read it."""
    try:
        return situation()
    except InputError as error:
        draw.headline("There is nothing to replay in this period", lead, kicker=describe(current()))
        draw.failure(error)
        return None


@st.cache_resource(max_entries=2, show_spinner="Reading the calls of the period …")
def _prepared(store: str, snapshot_id: str, revision: int, filters: Filters, _warehouse: Warehouse) -> Situation:  # noqa: ARG001
    # The open snapshot is told by the other arguments, so it takes no part in the key.
    return build_situation(_warehouse, filters)

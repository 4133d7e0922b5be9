"""The period's calls, ready to be replayed: prepared once per snapshot, rules and filters, and shared by every session;
what of it costs time is kept on disk (`analytics.simulators.keep_situation`)."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from analytics.filters import Filters
from analytics.simulators.keep_situation import kept_situation
from analytics.simulators.situation import Situation
from pages import _data
from pages import _draw as draw
from pages._answers import Shelf
from pages._filters import current, describe
from warehouse.errors import InputError

_prepared: Shelf[tuple[str, str, int, Filters], Situation] = _data.shelf(2)


def situation() -> Situation:
    """The situation of this session's filters. A grain changes no call, so it takes no part. Raises InputError when nothing passes the filters."""
    warehouse = _data.warehouse()
    filters = replace(current(), grain="day")
    key = (str(warehouse.store.path), warehouse.snapshot_id, warehouse.revision, filters)
    if key in _prepared:
        return _prepared.get(key, lambda: kept_situation(warehouse, filters))
    with st.spinner("Reading the calls of the period …"):
        return _prepared.get(key, lambda: kept_situation(warehouse, filters))


def situation_or_reason(lead: str) -> Situation | None:
    """The situation; None when there is neither a call nor a cost, which the page then says under `lead`, its line on how to read it."""
    try:
        return situation()
    except InputError as error:
        draw.headline("There is nothing to replay in this period", lead, kicker=describe(current()))
        draw.failure(error)
        return None

"""The line under a headline that says what its total rests on."""

from __future__ import annotations

import contextlib

import streamlit as st

from analytics.filters import Filters
from analytics.overview import rests_on
from pages import _draw as draw
from pages._data import answer
from warehouse.errors import InputError


def what_it_rests_on(filters: Filters) -> None:
    """Bill or traces, final or provisional, and the share of calls with usage, a price and a feature, beside the page's total.

    Where amounts in several currencies have no one total there is nothing that such a line could be about.
    """
    with contextlib.suppress(InputError):
        st.caption(draw.plain(answer(rests_on, filters)))

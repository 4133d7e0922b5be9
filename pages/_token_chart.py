"""Tokens over time, stacked by their disjoint classes."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pandas as pd
import streamlit as st

from analytics import formatting
from pages._charts import Series, mode, series_from
from pages._names import TOKEN_CLASS_NAMES
from pages._palette import NEUTRAL, SERIES
from pages._text import section

_CONFIG = {"displayModeBar": False, "responsive": True}


def token_chart(frame: pd.DataFrame, *, title: str, note: str, key: str, grain: str, height: int = 330) -> None:
    """Stacked bars of tokens by class. `frame`: period (date), token_class (a column name of `calls`), tokens."""
    periods, series = series_from(frame, "period", "token_class", "tokens")
    section(title, note)
    st.plotly_chart(_figure(periods, series, height), key=key, config=_CONFIG, alt=describe(periods, series, grain))


def describe(periods: Sequence[Any], series: Sequence[Series], grain: str) -> str:
    """The chart in words: the tokens of each class over all periods."""
    if not periods:
        return "An empty chart."
    parts = ", ".join(f"{TOKEN_CLASS_NAMES.get(one.name, one.name)} {formatting.count(one.total)}" for one in series)
    total = formatting.tokens(sum((one.total for one in series), Decimal(0)))
    return f"Stacked bars per {grain} from {periods[0]} to {periods[-1]}. {total}: {parts}."


def _figure(periods: Sequence[Any], series: Sequence[Series], height: int) -> dict[str, Any]:
    # A class keeps its colour, whichever others a filter leaves.
    shades = dict(zip(TOKEN_CLASS_NAMES, (*SERIES[mode()], NEUTRAL[mode()]), strict=True))
    return {
        "data": [
            {
                "type": "bar",
                "name": TOKEN_CLASS_NAMES.get(one.name, one.name),
                "x": [str(moment)[:10] for moment in periods],
                "y": [None if part is None else float(part) for part in one.values],
                "customdata": [formatting.count(part) for part in one.values],
                "hovertemplate": f"{TOKEN_CLASS_NAMES.get(one.name, one.name)}  %{{customdata}}<extra></extra>",
                "marker": {"color": shades.get(one.name, NEUTRAL[mode()]), "line": {"width": 0}},
            }
            for one in series
        ],
        "layout": {
            "barmode": "stack",
            "bargap": 0.25,
            "height": height,
            "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
            "hovermode": "x unified",
            "showlegend": True,
            "legend": {
                "orientation": "h",
                "x": 0,
                "y": -0.12,
                "yanchor": "top",
                "traceorder": "normal",
                "title": {"text": ""},
            },
            "xaxis": {"type": "date", "tickformat": "%-d %b", "showgrid": False, "title": {"text": ""}, "nticks": 10},
            "yaxis": {
                "tickformat": ".3~s",
                "rangemode": "tozero",
                "title": {"text": ""},
                "nticks": 5,
                "automargin": True,
            },
        },
    }

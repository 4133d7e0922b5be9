"""One series day by day, with the band of ordinary days and the days that stand out."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Any

import pandas as pd
import streamlit as st

from analytics import formatting
from pages import _palette
from pages._charts import mode


def anomaly_chart(frame: pd.DataFrame, flagged: Collection[date], currency: str, *, key: str) -> None:
    """Draw `analytics.anomalies.ordinary`: actual cost as bars, what was expected as a line in its band; flagged days in another colour."""
    usual, odd, grey = _palette.SERIES[mode()][0], _palette.SERIES[mode()][1], _palette.NEUTRAL[mode()]
    known = frame[[value is not None for value in frame["expected"]]]
    days = [day.isoformat() for day in frame["date"]]
    band_days = [day.isoformat() for day in known["date"]]
    tops = [float(value) for value in frame["actual"] if value is not None]
    # A very wide band says "anything goes": it is cut, so that the days themselves, and what was expected of them, stay readable.
    highest = max(tops, default=1.0)
    top = 1.15 * max(highest, min(2 * highest, max((float(value) for value in known["expected"]), default=0.0)))
    figure: dict[str, Any] = {
        "data": [
            {
                "type": "scatter", "mode": "lines", "x": band_days, "y": [min(value, top) for value in known["high"]], "line": {"width": 0},
                "hoverinfo": "skip", "showlegend": False,
            },
            {
                "type": "scatter", "mode": "lines", "x": band_days, "y": list(known["low"]), "line": {"width": 0}, "fill": "tonexty",
                "fillcolor": _faint(grey), "name": "Ordinary days", "hoverinfo": "skip",
            },
            {
                "type": "bar", "name": "Cost", "x": days, "y": [None if value is None else float(value) for value in frame["actual"]],
                "marker": {"color": [odd if day in flagged else usual for day in frame["date"]]},
                "customdata": [formatting.to_the_cent(value, currency) for value in frame["actual"]],
                "hovertemplate": "Cost  %{customdata}<extra></extra>",
            },
            {
                "type": "scatter", "mode": "lines", "name": "Expected", "x": band_days, "y": list(known["expected"]),
                "line": {"color": grey, "width": 2, "dash": "dot"},
                "customdata": [formatting.money(value, currency) for value in known["expected"]],
                "hovertemplate": "Expected  %{customdata}<extra></extra>",
            },
        ],
        "layout": {
            "height": 280, "margin": {"l": 8, "r": 8, "t": 8, "b": 8}, "bargap": 0.3, "hovermode": "x unified", "separators": ".,",
            "legend": {"orientation": "h", "x": 0, "y": -0.14, "yanchor": "top", "title": {"text": ""}},
            "xaxis": {"type": "date", "showgrid": False, "title": {"text": ""}, "hoverformat": "%a %-d %B %Y", "tickformat": "%-d %b", "nticks": 7},
            "yaxis": {
                "rangemode": "tozero", "range": [0, top], "nticks": 5, "automargin": True, "title": {"text": ""},
                "tickformat": "$,.3~s" if currency == "USD" and top >= 1000 else "$,.6~f" if currency == "USD" else ",.6~f",
            },
        },
    }  # fmt: skip
    st.plotly_chart(
        figure, key=key, config={"displayModeBar": False, "responsive": True}, alt=describe(frame, flagged, currency)
    )


def describe(frame: pd.DataFrame, flagged: Collection[date], currency: str) -> str:
    """The chart in words."""
    rows = frame[[day in flagged for day in frame["date"]]].to_dict("records")
    parts = [
        f"{row['date']}: {formatting.money(row['actual'], currency)} where {formatting.money(row['expected'], currency)} was expected"
        for row in rows
    ]
    return f"Daily cost with the band of ordinary days, {len(frame)} days. Flagged: {'; '.join(parts) or 'none'}."


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.22)"

"""Budgets side by side: what is spent, where the month is heading with its range, and the amount, each as a part of the amount."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from analytics import formatting
from pages import _palette
from pages._charts import mode

MOST = 1.6
"""Parts of a budget beyond which bars are cut: how far a budget is missed stands in the table."""


def budget_chart(frame: pd.DataFrame, *, key: str) -> None:
    """Draw `analytics.budgets.budget_status`: one bar per budget, 100 % marked."""
    rows = frame.to_dict("records")
    names = [row["budget"] for row in rows]
    spent_colour, rest_colour = _palette.SERIES[mode()][0], _palette.SERIES[mode()][5]
    over, grey = _palette.SERIES[mode()][1], _palette.NEUTRAL[mode()]
    spent = [min(row["spent_share"] or 0.0, MOST) for row in rows]
    ends = [min(row["forecast_share"] or 0.0, MOST) for row in rows]
    sides = [(_part(row["forecast_low"], row["amount"]), _part(row["forecast_high"], row["amount"])) for row in rows]
    words = [_hover(row) for row in rows]
    figure: dict[str, Any] = {
        "data": [
            {
                "type": "bar", "orientation": "h", "name": "Spent", "y": names, "x": spent, "customdata": words,
                "marker": {"color": [over if row["breach"] == "over" else spent_colour for row in rows]},
                "hovertemplate": "%{customdata}<extra></extra>",
            },
            {
                "type": "bar", "orientation": "h", "name": "Expected until the month's end", "y": names,
                "x": [max(end - part, 0.0) for end, part in zip(ends, spent, strict=True)], "customdata": words,
                "marker": {"color": rest_colour}, "hovertemplate": "%{customdata}<extra></extra>",
                "error_x": {
                    "type": "data", "symmetric": False, "color": grey, "thickness": 1.5, "width": 5,
                    "array": [max((high or end) - end, 0.0) for (_low, high), end in zip(sides, ends, strict=True)],
                    "arrayminus": [max(end - (low or end), 0.0) for (low, _high), end in zip(sides, ends, strict=True)],
                },
            },
        ],
        "layout": {
            "barmode": "stack", "height": 110 + 36 * len(names), "margin": {"l": 8, "r": 8, "t": 8, "b": 8}, "bargap": 0.4, "separators": ".,",
            "legend": {"orientation": "h", "x": 0, "y": -0.2, "yanchor": "top", "traceorder": "normal", "title": {"text": ""}},
            "shapes": [{"type": "line", "x0": 1, "x1": 1, "y0": 0, "y1": 1, "yref": "paper", "line": {"color": over, "width": 2, "dash": "dot"}}],
            "xaxis": {"tickformat": ".0%", "range": [0, max([1.1, *(value * 1.05 for value in ends), *((high or 0) for _low, high in sides)])],
                      "nticks": 6, "title": {"text": ""}},
            "yaxis": {"type": "category", "autorange": "reversed", "automargin": True, "showgrid": False, "title": {"text": ""}},
        },
    }  # fmt: skip
    st.plotly_chart(figure, key=key, config={"displayModeBar": False, "responsive": True}, alt=describe(frame))


def describe(frame: pd.DataFrame) -> str:
    """The chart in words."""
    return f"Budgets as parts of their amounts: {'; '.join(_hover(row) for row in frame.to_dict('records'))}.".replace(
        "<br>", ", "
    )


def _part(value: object, amount: object) -> float | None:
    return None if value is None else min(float(value / amount), MOST)  # type: ignore[operator]


def _hover(row: dict[Any, Any]) -> str:
    currency = row["currency"]
    text = f"<b>{row['budget']}</b>: {formatting.money(row['spent'], currency)} of {formatting.money(row['amount'], currency)}"
    if row["forecast"] is not None and row["days_left"]:
        text += f"<br>month end {formatting.money(row['forecast'], currency)}"
        if row["forecast_low"] is not None:
            text += f" ({formatting.money(row['forecast_low'], currency)} to {formatting.money(row['forecast_high'], currency)})"
    return text

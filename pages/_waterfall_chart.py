"""From today's cost to the plan's: one bar per lever, with its range."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from analytics import formatting
from analytics.simulators.waterfall import Waterfall
from pages import _palette
from pages._charts import mode


def waterfall_chart(outcome: Waterfall, steps: pd.DataFrame, *, key: str) -> None:
    """Draw today's cost, what each lever takes off or adds where it stands, and the cost at the end; USD per month.

    steps: `plan_results.steps`. The whiskers are the range of what a lever saves, at the end: of the whole cost with all levers.
    """
    totals, saves, costs = _palette.SERIES[mode()][0], _palette.SERIES[mode()][2], _palette.SERIES[mode()][1]
    records = steps.to_dict("records")
    names = ["Today", *(f"{row['step']}. {row['title']}" for row in records), "With all levers"]
    bases = [0.0, *(float(row["total"] + row["added"]) for row in records), 0.0]
    lengths = [float(outcome.today), *(-float(row["added"]) for row in records), float(outcome.end)]
    more = [
        0.0,
        *(float(row["added"] - row["added_low"]) for row in records),
        float(outcome.saving - outcome.saving_low),
    ]
    less = [
        0.0,
        *(float(row["added_high"] - row["added"]) for row in records),
        float(outcome.saving_high - outcome.saving),
    ]
    colours = [totals, *(saves if row["added"] >= 0 else costs for row in records), totals]
    labels = [
        formatting.usd(outcome.today),
        *(formatting.usd(-row["added"], plus=True) for row in records),
        formatting.usd(outcome.end),
    ]
    hovers = ["", *(f"saves {formatting.to_the_cent(row['added_low'])} to {formatting.to_the_cent(row['added_high'])}" for row in records),
              f"saves {formatting.to_the_cent(outcome.saving_low)} to {formatting.to_the_cent(outcome.saving_high)}"]  # fmt: skip
    grey = _palette.NEUTRAL[mode()]
    ends = [max(base, base + length) + up for base, length, up in zip(bases, lengths, more, strict=True)]
    figure: dict[str, Any] = {
        "data": [
            {
                "type": "bar",
                "orientation": "h",
                "y": names,
                "x": lengths,
                "base": bases,
                "marker": {"color": colours},
                "customdata": list(zip(labels, hovers, strict=True)),
                "hovertemplate": "%{y}<br><b>%{customdata[0]}</b> %{customdata[1]}<extra></extra>",
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": more,
                    "arrayminus": less,
                    "color": grey,
                    "thickness": 1.5,
                    "width": 5,
                },
            },
            {
                "type": "scatter",
                "mode": "text",
                "y": names,
                "x": ends,
                "text": [f"  {label}" for label in labels],
                "textposition": "middle right",
                "cliponaxis": False,
                "hoverinfo": "skip",
            },
        ],
        "layout": {
            "height": 70 + 44 * len(names),
            "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
            "bargap": 0.35,
            "showlegend": False,
            "separators": ".,",
            "xaxis": {
                "tickformat": "$,.3~s" if outcome.today >= 1000 else "$,.6~f",
                "range": [0, max(ends, default=0.0) * 1.3 or 1],
                "nticks": 5,
                "title": {"text": ""},
            },
            "yaxis": {
                "type": "category",
                "autorange": "reversed",
                "automargin": True,
                "showgrid": False,
                "title": {"text": ""},
            },
        },
    }
    st.plotly_chart(figure, key=key, config={"displayModeBar": False, "responsive": True}, alt=describe(outcome, steps))


def describe(outcome: Waterfall, steps: pd.DataFrame) -> str:
    """The chart in words."""
    parts = [
        f"{title} {'saves' if added >= 0 else 'adds'} {formatting.usd(abs(added))}"
        for title, added in zip(steps["title"], steps["added"], strict=True)
    ]
    return f"Waterfall from {formatting.usd(outcome.today)} today to {formatting.usd(outcome.end)} a month: {', '.join(parts)}."

"""Bars between two totals, each of which begins where the one before it ends: what makes one amount of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import streamlit as st

from pages import _palette
from pages._charts import mode


@dataclass(frozen=True)
class Bar:
    """One bar: where it begins, how far it goes (minus: to the left) and what it is, a total, a cost that falls or one that rises.

    `label` stands at its end, `exact` and `also` in the hover; `minus` and `plus` are the whiskers' lengths, to the left and to the right.
    """

    name: str
    base: float
    length: float
    kind: Literal["total", "less", "more"]
    label: str
    exact: str
    also: str = ""
    minus: float = 0.0
    plus: float = 0.0

    @property
    def first(self) -> float:
        """The leftmost amount that it covers."""
        return min(self.base, self.base + self.length)

    @property
    def last(self) -> float:
        """The rightmost amount that it covers, its whisker included."""
        return max(self.base, self.base + self.length) + self.plus


def bridge_bars(bars: Sequence[Bar], *, currency: str, key: str, alt: str) -> None:
    """Draw the bars from top to bottom, with their labels; whiskers where a bar has any."""
    total, more, less = _palette.SERIES[mode()][:3]
    colours = {"total": total, "less": less, "more": more}
    names, most = [bar.name for bar in bars], max((bar.last for bar in bars), default=0.0)
    bar_trace: dict[str, Any] = {
        "type": "bar",
        "orientation": "h",
        "y": names,
        "x": [bar.length for bar in bars],
        "base": [bar.base for bar in bars],
        "marker": {"color": [colours[bar.kind] for bar in bars]},
        "customdata": [(bar.exact, bar.also) for bar in bars],
        "hovertemplate": "%{y}<br><b>%{customdata[0]}</b> %{customdata[1]}<extra></extra>",
    }
    if any(bar.minus or bar.plus for bar in bars):
        bar_trace["error_x"] = {
            "type": "data",
            "symmetric": False,
            "array": [bar.plus for bar in bars],
            "arrayminus": [bar.minus for bar in bars],
            "color": _palette.NEUTRAL[mode()],
            "thickness": 1.5,
            "width": 5,
        }
    sign = "$" if currency == "USD" else ""
    figure: dict[str, Any] = {
        "data": [
            bar_trace,
            {
                "type": "scatter",
                "mode": "text",
                "y": names,
                "x": [bar.last for bar in bars],
                "text": [f"  {bar.label}" for bar in bars],
                "textposition": "middle right",
                "cliponaxis": False,
                "hoverinfo": "skip",
            },
        ],
        "layout": {
            "height": 70 + 42 * len(bars),
            "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
            "bargap": 0.35,
            "showlegend": False,
            "separators": ".,",
            "xaxis": {
                "tickformat": f"{sign},.3~s" if sign and most >= 1000 else f"{sign},.6~f",
                "range": [min([0.0, *(bar.first for bar in bars)]), most * 1.3 or 1],
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
    st.plotly_chart(figure, key=key, config={"displayModeBar": False, "responsive": True}, alt=alt)

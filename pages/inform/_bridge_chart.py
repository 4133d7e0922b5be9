"""The bridge from one period's cost to another's: one bar per driver, from the first total to the second."""

from __future__ import annotations

from decimal import Decimal
from itertools import accumulate
from typing import Any

import streamlit as st

from analytics import formatting
from analytics.why_changed import Change
from pages import _palette
from pages._charts import mode


def bridge_chart(found: Change, before: str, after: str, *, key: str) -> None:
    """Draw both totals and the parts between them; every bar's end is the next one's beginning. `before`, `after`: the periods' names."""
    currency = found.currency or "USD"
    totals, less, more = (_palette.SERIES[mode()][place] for place in (0, 2, 1))
    amounts = [amount for _driver, amount in found.parts]
    names = [before, *(driver.capitalize() for driver, _amount in found.parts), after]
    starts = list(accumulate(amounts, initial=found.before))
    bases = [0.0, *(float(start) for start in starts[:-1]), 0.0]
    lengths = [float(found.before), *(float(amount) for amount in amounts), float(found.after)]
    labels = [
        formatting.money(found.before, currency),
        *(formatting.money(amount, currency, plus=True) for amount in amounts),
        formatting.money(found.after, currency),
    ]
    exact = [formatting.to_the_cent(amount, currency) for amount in (found.before, *amounts, found.after)]
    ends = [max(base, base + length) for base, length in zip(bases, lengths, strict=True)]
    figure: dict[str, Any] = {
        "data": [
            {
                "type": "bar",
                "orientation": "h",
                "y": names,
                "x": lengths,
                "base": bases,
                "marker": {"color": [totals, *(more if amount > 0 else less for amount in amounts), totals]},
                "customdata": exact,
                "hovertemplate": "%{y}<br><b>%{customdata}</b><extra></extra>",
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
            "height": 70 + 40 * len(names),
            "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
            "bargap": 0.35,
            "showlegend": False,
            "separators": ".,",
            "xaxis": {
                "tickformat": "$,.3~s" if currency == "USD" and max(ends, default=0.0) >= 1000 else ",.6~f",
                "range": [min(0.0, *bases), max(ends, default=0.0) * 1.3 or 1],
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
    st.plotly_chart(
        figure, key=key, config={"displayModeBar": False, "responsive": True}, alt=describe(found, before, after)
    )


def describe(found: Change, before: str, after: str) -> str:
    """The chart in words."""
    currency = found.currency or "USD"
    parts = [f"{driver} {formatting.money(amount, currency, plus=True)}" for driver, amount in found.parts]
    return (
        f"Bridge from {formatting.money(found.before, currency)} in {before} to {formatting.money(found.after, currency)} in {after}: "
        f"{', '.join(parts) or 'no difference'}."
    )


def largest(found: Change) -> tuple[str, Decimal] | None:
    """The driver that moved most in the direction of the whole difference."""
    same_way = [part for part in found.parts if part[1] * found.difference > 0]
    return max(same_way, key=lambda part: abs(part[1]), default=None)

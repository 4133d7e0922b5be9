"""A plan's charts: what each lever was expected to save beside what it saved, and the way from the baseline to what was paid."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import streamlit as st

from analytics import formatting
from analytics.simulators.realised import Realised, RealisedLever
from pages import _palette
from pages._charts import mode

_CONFIG = {"displayModeBar": False, "responsive": True}


def lever_chart(levers: Sequence[RealisedLever], *, key: str) -> None:
    """Two bars per lever: expected at the actual volume, and realised with its range; USD of the days."""
    names = [row.title for row in levers]
    realised, expected = [float(row.realised) for row in levers], [float(row.expected) for row in levers]
    grey, colour = _palette.NEUTRAL[mode()], _palette.SERIES[mode()][2]
    tops = [max(one, other, float(row.high)) for one, other, row in zip(realised, expected, levers, strict=True)]
    figure: dict[str, Any] = {
        "data": [
            {
                "type": "bar", "orientation": "h", "name": "Expected", "y": names, "x": expected, "marker": {"color": grey},
                "customdata": [formatting.to_the_cent(row.expected) for row in levers],
                "hovertemplate": "%{y}<br>expected <b>%{customdata}</b><extra></extra>",
            },
            {
                "type": "bar", "orientation": "h", "name": "Realised", "y": names, "x": realised, "marker": {"color": colour},
                "customdata": [
                    f"{formatting.to_the_cent(row.realised)}</b> ({formatting.to_the_cent(row.low)} to {formatting.to_the_cent(row.high)})"
                    for row in levers
                ],
                "hovertemplate": "%{y}<br>realised <b>%{customdata}<extra></extra>",
                "error_x": {
                    "type": "data", "symmetric": False, "array": [float(row.high - row.realised) for row in levers],
                    "arrayminus": [float(row.realised - row.low) for row in levers], "thickness": 1.5, "width": 4,
                },
            },
        ],
        "layout": {
            "barmode": "group", "bargap": 0.3, "bargroupgap": 0.05, "height": 80 + 46 * max(len(names), 2), "separators": ".,",
            "margin": {"l": 8, "r": 16, "t": 8, "b": 8},
            "legend": {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "traceorder": "normal", "title": {"text": ""}},
            "xaxis": {"tickformat": _ticks(tops), "nticks": 6, "title": {"text": ""}, "automargin": True},
            "yaxis": {"type": "category", "autorange": "reversed", "automargin": True, "showgrid": False, "title": {"text": ""}},
        },
    }  # fmt: skip
    words = "; ".join(
        f"{row.title} {formatting.usd(row.realised)} of {formatting.usd(row.expected)}, {row.status}" for row in levers
    )
    st.plotly_chart(
        figure, key=key, config=_CONFIG, alt=f"Realised of expected: {words}." if levers else "An empty chart."
    )


def account_chart(account: Realised, *, key: str) -> None:
    """A waterfall: the baseline, then volume, prices, every lever and what is not explained, to what was paid; USD of the days."""
    measured = [row for row in account.levers if row.status not in ("growth", "not measured")]
    changes: list[tuple[str, Decimal]] = [
        ("Volume", -sum(account.volume.values(), Decimal(0))),
        ("Prices and discounts", -sum(account.prices.values(), Decimal(0))),
        *((row.title, -row.realised) for row in measured),
        ("Not explained", -sum(account.residual.values(), Decimal(0))),
    ]
    start, end = sum(account.baseline.values(), Decimal(0)), sum(account.actual.values(), Decimal(0))
    level, names, bases, lengths, colours, texts = (
        start,
        ["Baseline"],
        [0.0],
        [float(start)],
        [_palette.SERIES[mode()][0]],
        [formatting.usd(start)],
    )
    reach = [float(start)]
    for name, amount in changes:
        names.append(name)
        bases.append(float(level))
        lengths.append(float(amount))
        colours.append(
            _palette.SERIES[mode()][2 if amount <= 0 else 1] if name != "Not explained" else _palette.NEUTRAL[mode()]
        )
        texts.append(formatting.usd(amount, plus=True))
        reach.append(float(max(level, level + amount)))
        level += amount
    names, bases, lengths = [*names, "Paid"], [*bases, 0.0], [*lengths, float(end)]
    colours, texts, reach = [*colours, _palette.SERIES[mode()][0]], [*texts, formatting.usd(end)], [*reach, float(end)]
    figure: dict[str, Any] = {
        "data": [
            {
                "type": "bar", "orientation": "h", "y": names, "x": lengths, "base": bases, "marker": {"color": colours}, "customdata": texts,
                "hovertemplate": "%{y}<br><b>%{customdata}</b><extra></extra>",
            },
            {
                "type": "scatter", "mode": "text", "y": names, "x": reach, "text": [f"  {text}" for text in texts], "textposition": "middle right",
                "cliponaxis": False, "hoverinfo": "skip",
            },
        ],
        "layout": {
            "height": 60 + 34 * len(names), "margin": {"l": 8, "r": 8, "t": 8, "b": 8}, "bargap": 0.35, "showlegend": False, "separators": ".,",
            "xaxis": {"tickformat": _ticks(reach), "range": [0, max(reach) * 1.2 or 1], "nticks": 5, "title": {"text": ""}},
            "yaxis": {"type": "category", "autorange": "reversed", "automargin": True, "showgrid": False, "title": {"text": ""}},
        },
    }  # fmt: skip
    words = "; ".join(f"{name} {text}" for name, text in zip(names, texts, strict=True))
    st.plotly_chart(figure, key=key, config=_CONFIG, alt=f"Waterfall: {words}.")


def _ticks(values: Sequence[float]) -> str:
    return "$,.3~s" if max(values, default=0.0) >= 1000 else "$,.6~f"

"""Two shares side by side, row by row: where the cost goes beside where the calls go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from analytics import formatting
from pages._charts import mode
from pages._palette import NEUTRAL, SERIES
from pages._text import section

_CONFIG = {"displayModeBar": False, "responsive": True}
_ROW_HEIGHT = 34


def share_chart(
    names: Sequence[str],
    first: tuple[str, Sequence[float | None]],
    second: tuple[str, Sequence[float | None]],
    *,
    title: str,
    note: str,
    key: str,
) -> None:
    """Horizontal bars, two per name: `first` and `second` are a legend entry and shares (parts of 1; None: not known).

    Rows keep the order given, the first on top.
    """
    section(title, note)
    st.plotly_chart(_figure(names, first, second), key=key, config=_CONFIG, alt=describe(names, first, second))


def describe(
    names: Sequence[str], first: tuple[str, Sequence[float | None]], second: tuple[str, Sequence[float | None]]
) -> str:
    """The chart in words: every row with both shares."""
    rows = [
        f"{name} {formatting.share(one)} and {formatting.share(other)}"
        for name, one, other in zip(names, first[1], second[1], strict=True)
    ]
    return f"Horizontal bars, {first[0]} and {second[0]}: {'; '.join(rows)}." if rows else "An empty chart."


def _figure(
    names: Sequence[str], first: tuple[str, Sequence[float | None]], second: tuple[str, Sequence[float | None]]
) -> dict[str, Any]:
    shades = (SERIES[mode()][0], NEUTRAL[mode()])
    return {
        "data": [
            {
                "type": "bar",
                "orientation": "h",
                "name": label,
                "y": list(names),
                "x": [None if value is None else float(value) for value in values],
                "text": ["" if value is None else formatting.share(value) for value in values],
                "textposition": "outside",
                "textfont": {"size": 11},
                "constraintext": "none",
                "cliponaxis": False,
                "hovertemplate": f"%{{y}}: %{{text}} of {label.lower().removeprefix('share of ')}<extra></extra>",
                "marker": {"color": shade, "line": {"width": 0}},
            }
            for (label, values), shade in zip((first, second), shades, strict=True)
        ],
        "layout": {
            "barmode": "group",
            "bargap": 0.3,
            "bargroupgap": 0.05,
            "height": 70 + _ROW_HEIGHT * max(len(names), 2),
            "margin": {"l": 8, "r": 48, "t": 8, "b": 8},
            "hovermode": "closest",
            "showlegend": True,
            "legend": {
                "orientation": "h",
                "x": 0,
                "y": 1.0,
                "yanchor": "bottom",
                "traceorder": "normal",
                "title": {"text": ""},
            },
            "xaxis": {
                "tickformat": ".0%",
                "rangemode": "tozero",
                "title": {"text": ""},
                "nticks": 6,
                "automargin": True,
            },
            "yaxis": {
                "autorange": "reversed",
                "title": {"text": ""},
                "automargin": True,
                "showgrid": False,
                "type": "category",
            },
        },
    }

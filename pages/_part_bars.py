"""Horizontal bars made of parts: what each name costs, and of which parts it is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pandas as pd
import streamlit as st

from analytics import formatting
from pages._charts import mode
from pages._palette import NEUTRAL
from pages._text import section

_CONFIG = {"displayModeBar": False, "responsive": True}
_ROW_HEIGHT = 30
_LONGEST_NAME = 22


def part_bars(
    frame: pd.DataFrame,
    parts: Sequence[str],
    *,
    title: str,
    note: str,
    key: str,
    name: str,
    colours: Mapping[str, str],
    currency: str,
) -> None:
    """One bar per name, in the order of the frame, the first on top, of the costs of its parts, in the order of `parts`.

    `frame` has the columns `name`, part and cost (Decimal), one row per name and part.
    """
    section(title, note)
    st.plotly_chart(
        _figure(frame, parts, name, colours, currency), key=key, config=_CONFIG, alt=describe(frame, name, currency)
    )


def describe(frame: pd.DataFrame, name: str, currency: str) -> str:
    """The chart in words: every bar with its parts."""
    bars: dict[str, list[str]] = {}
    for label, part, cost in zip(frame[name], frame["part"], frame["cost"], strict=True):
        bars.setdefault(str(label), []).append(f"{part} {formatting.money(cost, currency)}")
    words = "; ".join(f"{label}: {', '.join(parts)}" for label, parts in bars.items())
    return f"Horizontal stacked bars. {words}." if bars else "An empty chart."


def _figure(
    frame: pd.DataFrame, parts: Sequence[str], name: str, colours: Mapping[str, str], currency: str
) -> dict[str, Any]:
    names = list(dict.fromkeys(str(label) for label in frame[name]))
    costs = {
        (str(label), part): cost for label, part, cost in zip(frame[name], frame["part"], frame["cost"], strict=True)
    }
    used = [part for part in parts if any((label, part) in costs for label in names)]
    return {
        "data": [_bar(part, names, costs, colours.get(part, NEUTRAL[mode()]), currency) for part in used],
        "layout": {
            "barmode": "relative",
            "bargap": 0.35,
            "height": 90 + _ROW_HEIGHT * max(len(names), 2),
            "margin": {"l": 8, "r": 16, "t": 8, "b": 8},
            "hovermode": "closest",
            "showlegend": True,
            "separators": ".,",
            "legend": {
                "orientation": "h",
                "x": 0,
                "y": 1.0,
                "yanchor": "bottom",
                "traceorder": "normal",
                "title": {"text": ""},
            },
            "xaxis": {
                "tickprefix": formatting.money(0, currency).rstrip("0").strip(),
                "tickformat": ",.3~s",
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
                "tickmode": "array",
                "tickvals": names,
                "ticktext": [_short(label) for label in names],
            },
        },
    }


def _bar(
    part: str, names: Sequence[str], costs: Mapping[tuple[str, str], Decimal], colour: str, currency: str
) -> dict[str, Any]:
    values = [costs.get((label, part)) for label in names]
    return {
        "type": "bar",
        "orientation": "h",
        "name": part,
        "y": list(names),
        "x": [None if value is None else float(value) for value in values],
        "customdata": [formatting.to_the_cent(value, currency) for value in values],
        "hovertemplate": f"%{{y}}: {part}  %{{customdata}}<extra></extra>",
        "marker": {"color": colour, "line": {"width": 0}},
    }


def _short(label: str) -> str:
    return label if len(label) <= _LONGEST_NAME else f"{label[: _LONGEST_NAME - 1]}…"

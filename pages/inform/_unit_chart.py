"""The chart of one unit cost over time: a line with a mark per period, gaps where the cost is not known."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import streamlit as st

from analytics import formatting
from pages import _draw as draw
from pages import _periods

FEWEST_FOR_A_LINE = 4
MOST_MARKS = 40
"""With more periods the marks would touch each other and the line alone is drawn."""


def unit_chart(
    periods: Sequence[date], values: Sequence[Decimal | None], *, unit: str, grain: str, currency: str, key: str
) -> None:
    """Draw a unit cost; `unit` names it ("Cost per call"), `periods` are first days and `values` stand in their order."""
    st.plotly_chart(
        _figure(periods, values, unit, grain, currency),
        key=key,
        config={"displayModeBar": False, "responsive": True},
        alt=describe(periods, values, unit=unit, grain=grain, currency=currency),
    )


def describe(periods: Sequence[date], values: Sequence[Decimal | None], *, unit: str, grain: str, currency: str) -> str:
    """The chart in words: first, last, highest and lowest value, and how many are not known."""
    known = [(value, day) for day, value in zip(periods, values, strict=True) if value is not None]
    if not known:
        return f"{unit}: not known in any {grain}."
    low, high = min(known), max(known)
    missing = len(values) - len(known)
    gaps = f" Not known in {missing} of {len(values)} {grain}s." if missing else ""
    return (
        f"{unit} by {grain}, from {formatting.money(known[0][0], currency)} ({_name(known[0][1], grain)}) to "
        f"{formatting.money(known[-1][0], currency)} ({_name(known[-1][1], grain)}). Highest {formatting.money(high[0], currency)} "
        f"({_name(high[1], grain)}), lowest {formatting.money(low[0], currency)} ({_name(low[1], grain)}).{gaps}"
    )


def _name(day: date, grain: str) -> str:
    return _periods.month_name(day) if grain == "month" else _periods.describe((day, day))


def _figure(
    periods: Sequence[date], values: Sequence[Decimal | None], unit: str, grain: str, currency: str
) -> dict[str, Any]:
    colour = draw.series_colours([unit], draw.mode())[unit]
    step = max(1, -(-len(periods) // 7))
    ticks = periods[::step]
    labels = [f"{day:%b} {day.year}" if grain == "month" else f"{day.day} {day:%b}" for day in ticks]
    symbol = formatting.money(0, currency).rstrip("0").strip()
    return {
        "data": [
            {
                **_shape(len(periods)),
                "name": unit,
                "x": [day.isoformat() for day in periods],
                "y": [None if value is None else float(value) for value in values],
                "customdata": [
                    [formatting.money(value, currency), _name(day, grain)]
                    for day, value in zip(periods, values, strict=True)
                ],
                "hovertemplate": "%{customdata[1]}<br>%{customdata[0]}<extra></extra>",
                "marker": {"color": colour},
            }
        ],
        "layout": {
            "height": 300,
            "margin": {"l": 8, "r": 16, "t": 8, "b": 8},
            "showlegend": False,
            "hovermode": "x",
            "separators": ".,",
            "xaxis": {
                "type": "category" if len(periods) <= FEWEST_FOR_A_LINE else "date",
                "showgrid": False,
                "title": {"text": ""},
                "tickmode": "array",
                "tickvals": [day.isoformat() for day in ticks],
                "ticktext": labels,
            },
            "yaxis": {
                "tickprefix": symbol,
                "tickformat": f",.{_digits(values)}f",
                "rangemode": "tozero",
                "title": {"text": ""},
                "nticks": 5,
                "automargin": True,
            },
        },
    }


def _shape(periods: int) -> dict[str, Any]:
    """Bars for so few periods that a line would be a dot or two, else a line with gaps where nothing is known."""
    if periods <= FEWEST_FOR_A_LINE:
        return {"type": "bar", "width": None if periods > 1 else 0.2}
    return {
        "type": "scatter",
        "mode": "lines+markers" if periods <= MOST_MARKS else "lines",
        "line": {"width": 2},
        "connectgaps": False,
    }


def _digits(values: Sequence[Decimal | None]) -> int:
    """Digits after the point that tell the axis' steps apart."""
    top = max((abs(value) for value in values if value is not None), default=Decimal(1))
    return next(
        (digits for digits, least in ((0, 20), (1, 4), (2, "0.2"), (3, "0.02"), (4, "0.002")) if top >= Decimal(least)),
        5,
    )

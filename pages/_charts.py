"""Charts: what a page says over time or by parts, as small Plotly specifications with a description in words.

Amounts stay exact: a bar's length is a float, because screens are, but its hover and its description show the Decimal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import pandas as pd
import streamlit as st

from analytics import formatting
from analytics.filters import UNTAGGED
from pages import _palette
from pages._text import section

_CONFIG = {"displayModeBar": False, "responsive": True}

MOST_TOTALS = 6
"""Where there is room for as many bars, they can carry their total in a narrow chart."""

_BAR_WIDTH = {grain: days * 24 * 3600 * 1000 for grain, days in (("day", 0.75), ("week", 5.25), ("month", 21))}
"""Milliseconds: three quarters of a period, so that a gap in the data stays a gap and no bar grows into it."""

_HOVER = {"day": "%-d %B %Y", "week": "Week from %-d %B %Y", "month": "%B %Y"}


def mode() -> _palette.Mode:
    """Whether this browser shows the light or the dark theme."""
    return "dark" if st.context.theme.type == "dark" else "light"


@dataclass(frozen=True)
class Series:
    """One named series of a chart: its values in the order of the chart's periods, None where a value is not known."""

    name: str
    values: tuple[Decimal | None, ...]

    @property
    def total(self) -> Decimal:
        """Sum of the known values."""
        return _sum(self.values)


def series_from(frame: pd.DataFrame, period: str, name: str, value: str) -> tuple[list[Any], list[Series]]:
    """Periods and series of a long frame with one row per period and name, the largest series first."""
    periods = sorted(frame[period].unique())
    place = {moment: position for position, moment in enumerate(periods)}
    known: dict[str, list[Decimal | None]] = {}
    for moment, label, amount in zip(frame[period], frame[name], frame[value], strict=True):
        row = known.setdefault(UNTAGGED if pd.isna(label) else str(label), [Decimal(0)] * len(periods))
        row[place[moment]] = None if pd.isna(amount) else Decimal(str(amount))
    series = [Series(label, tuple(values)) for label, values in known.items()]
    return periods, sorted(series, key=lambda one: (one.name in _palette.RESTS, -one.total, one.name))


def describe_costs(periods: Sequence[Any], series: Sequence[Series], grain: str, currency: str) -> str:
    """A stacked cost chart in words: total, the largest part with its share, and the highest period."""
    total = sum((one.total for one in series), Decimal(0))
    if not periods or not series:
        return "An empty chart."
    sums = [_sum(one.values[at] for one in series) for at in range(len(periods))]
    top = max(range(len(periods)), key=lambda at: sums[at])
    largest = max(series, key=lambda one: one.total)
    first, last = _moment(periods[0]), _moment(periods[-1])
    part = f" ({formatting.share(largest.total / total)})" if total else ""
    return (
        f"Stacked bars per {grain}, {first} to {last}. Total {formatting.money(total, currency)}. "
        f"Largest: {largest.name}, {formatting.money(largest.total, currency)}{part}. "
        f"Highest {grain}: {_moment(periods[top])}, {formatting.money(sums[top], currency)}."
    )


def cost_chart(
    frame: pd.DataFrame,
    *,
    title: str,
    note: str,
    key: str,
    period: str = "period",
    name: str = "category",
    value: str = "cost",
    grain: str = "day",
    currency: str = "USD",
    colours: Mapping[str, str] | None = None,
    height: int = 300,
    totals: bool = False,
) -> None:
    """Stacked bars of cost over time; with `totals` the sum of a bar stands over it, where there are few bars.

    `frame` has one row per period and name: `period` (date), `name` (category, feature, ...), `value` (Decimal, None:
    not known). `note` says basis, unit and time zone, under the title. `colours` maps names to colours (default:
    those of the cost categories). Parts with no cost at all are left out of the legend.
    """
    periods, series = series_from(frame, period, name, value)
    series = [one for one in series if any(part != 0 for part in one.values)]
    section(title, note)
    shades = colours or _palette.category_colours(mode())
    st.plotly_chart(
        _stacked_bars(
            periods, series, shades, grain, currency, height, totals=totals and _places(periods, grain) <= MOST_TOTALS
        ),
        key=key,
        config=_CONFIG,
        alt=describe_costs(periods, series, grain, currency),
    )
    unknown = sum(1 for one in series for part in one.values if part is None)
    if unknown:
        st.caption(f"{unknown} of {len(series) * len(periods)} values are unknown and missing from the bars.")


def _stacked_bars(
    periods: Sequence[Any],
    series: Sequence[Series],
    colours: Mapping[str, str],
    grain: str,
    currency: str,
    height: int,
    *,
    totals: bool,
) -> dict[str, Any]:
    fallback = _palette.NEUTRAL[mode()]
    sums = [_sum(one.values[at] for one in series) for at in range(len(periods))]
    total: dict[str, Any] = {
        "type": "scatter",
        "mode": "markers+text" if totals else "markers",
        "text": [formatting.money(amount, currency) for amount in sums],
        "textposition": "top center",
        "cliponaxis": False,
        "name": "Total",
        "x": [_iso(moment) for moment in periods],
        "y": [float(amount) for amount in sums],
        "customdata": [formatting.to_the_cent(amount, currency) for amount in sums],
        "hovertemplate": "<b>Total  %{customdata}</b><extra></extra>",
        "marker": {"opacity": 0, "color": fallback},
        "showlegend": False,
    }
    moments = [_iso(moment) for moment in periods]
    symbol = formatting.money(0, currency).rstrip("0").strip()
    return {
        "data": [
            {
                "type": "bar",
                "name": one.name,
                "x": moments,
                "width": _BAR_WIDTH[grain],
                "y": [None if part is None else float(part) for part in one.values],
                "customdata": [formatting.to_the_cent(part, currency) for part in one.values],
                "hovertemplate": f"{one.name}  %{{customdata}}<extra></extra>",
                "marker": {"color": colours.get(one.name, fallback), "line": {"width": 0}},
            }
            for one in series
        ]
        + ([total] if totals or len(series) > 1 else []),
        "layout": {
            "barmode": "relative",
            "bargap": 0.25,
            "height": height,
            "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
            "hovermode": "x unified",
            "showlegend": True,
            "separators": ".,",
            "legend": {
                "orientation": "h",
                "x": 0,
                "y": -0.2 if grain == "month" else -0.12,
                "yanchor": "top",
                "traceorder": "normal",
                "itemclick": "toggle",
                "title": {"text": ""},
            },
            "xaxis": {
                "type": "date",
                "showgrid": False,
                "title": {"text": ""},
                "hoverformat": _HOVER[grain],
                **_ticks(periods, grain),
            },
            "yaxis": {
                **_amount_ticks(symbol, max((abs(value) for value in sums), default=Decimal(0))),
                "rangemode": "tozero",
                "title": {"text": ""},
                "nticks": 5,
                "automargin": True,
                **({"range": [0, float(max(sums)) * 1.12]} if totals and sums and min(sums) >= 0 else {}),
            },
        },
    }


def _amount_ticks(symbol: str, largest: Decimal) -> dict[str, Any]:
    """Labels of an axis of amounts: 1.5k from 1,000 on, plain digits below (never "500m" for half a dollar), the sign before a dollar's symbol."""
    digits = ",.3~s" if largest >= 1000 else ",.6~f"
    return {"tickformat": f"${digits}"} if symbol == "$" else {"tickprefix": symbol, "tickformat": digits}


def _sum(values: Iterable[Decimal | None]) -> Decimal:
    """Exact sum of the known values."""
    return sum((value for value in values if value is not None), Decimal(0))


_DAYS = {"day": 1, "week": 7, "month": 31}
MOST_LABELS = 7


def _places(periods: Sequence[Any], grain: str) -> float:
    """As many bars have room between the first and the last, gaps in the data included."""
    days = [date.fromisoformat(_iso(moment)) for moment in periods]
    return ((max(days) - min(days)).days / _DAYS[grain] + 1) if days else 0


def _ticks(periods: Sequence[Any], grain: str) -> dict[str, Any]:
    """Labels under the bars that they name: at most seven, evenly spaced, the first bar among them. A month's year stands below the first label
    and below every first one of a year."""
    apart = _places(periods, grain) * _DAYS[grain] / MOST_LABELS
    chosen: list[date] = []
    for day in sorted({date.fromisoformat(_iso(moment)) for moment in periods}):
        if not chosen or (day - chosen[-1]).days >= apart:
            chosen.append(day)
    labels = [f"{day:%b}" if grain == "month" else f"{day.day} {day:%b}" for day in chosen]
    if grain == "month":
        years = [day.year for day in chosen]
        labels = [
            label if place and years[place - 1] == year else f"{label}<br>{year}"
            for place, (label, year) in enumerate(zip(labels, years, strict=True))
        ]
    return {"tickmode": "array", "tickvals": [_iso(day) for day in chosen], "ticktext": labels, "tickangle": 0}


def _iso(moment: Any) -> str:
    return moment.isoformat()[:10] if isinstance(moment, date) else str(moment)[:10]


def _moment(moment: Any) -> str:
    day = date.fromisoformat(_iso(moment))
    return f"{day.day} {day:%B} {day.year}"

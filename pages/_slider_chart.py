"""Cost along a slider: a line that keeps its place on the page while the slider moves."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from analytics import formatting
from pages import _palette
from pages._charts import mode


def slider_chart(frame: pd.DataFrame, *, chosen: str, today: Any, axis: str, key: str, height: int = 300) -> None:
    """Draw a `LeverPage.curve`: cost per month by step of the slider, today's cost as a dashed line, the chosen step as a point.

    today: cost per month without the lever (Decimal).
    """
    values, costs = list(frame["value"]), [float(cost) for cost in frame["cost"]]
    shade, accent = _palette.SERIES[mode()][:2]
    grey = _palette.NEUTRAL[mode()]
    at = values.index(chosen) if chosen in values else None
    now = next((place for place, is_today in enumerate(frame["is_today"]) if is_today), None)
    spec: dict[str, Any] = {
        "animation": False,
        "grid": {"left": 8, "right": 24, "top": 30, "bottom": 28, "containLabel": True},
        "legend": {"top": 0, "left": 0, "itemGap": 16},
        "tooltip": {"trigger": "axis", "valueFormatter": "dollar"},
        "xAxis": {
            "type": "category",
            "data": values,
            "name": axis,
            "nameLocation": "middle",
            "nameGap": 30,
            "axisLabel": {"hideOverlap": True},
            "axisTick": {"alignWithLabel": True},
        },
        "yAxis": {"type": "value", "scale": True, "splitNumber": 4, "axisLabel": {"formatter": "${value}"}},
        "series": [
            {
                "name": "Cost a month, simulated",
                "type": "line",
                "data": costs,
                "showSymbol": False,
                "lineStyle": {"width": 2.5, "color": shade},
                "itemStyle": {"color": shade},
            },
            {
                "name": "Today",
                "type": "line",
                "data": [float(today)] * len(values),
                "showSymbol": False,
                "lineStyle": {"type": "dashed", "width": 1.5, "color": grey},
                "itemStyle": {"color": grey},
                "markPoint": _points([now], costs, grey, "circle", 9),
            },
            {
                "name": "This setting",
                "type": "line",
                "data": [cost if place == at else None for place, cost in enumerate(costs)],
                "symbol": "diamond",
                "symbolSize": 16,
                "showSymbol": True,
                "itemStyle": {"color": accent},
                "lineStyle": {"width": 0, "color": accent},
            },
        ],
    }
    st.echarts_chart(spec, key=key, height=height, alt=describe(frame, chosen, today, axis))


def _points(places: list[int | None], costs: list[float], colour: str, symbol: str, size: int) -> dict[str, Any]:
    data = [{"coord": [place, costs[place]], "value": ""} for place in places if place is not None]
    return {
        "symbol": symbol,
        "symbolSize": size,
        "itemStyle": {"color": colour},
        "data": data,
        "label": {"show": False},
    }


def describe(frame: pd.DataFrame, chosen: str, today: Any, axis: str) -> str:
    """The chart in words: from where to where, today, and the chosen point."""
    if frame.empty:
        return "An empty chart."
    first, last = frame.iloc[0], frame.iloc[-1]
    words = (
        f"Line of cost a month along {axis.lower()}: {formatting.usd(first['cost'])} at {first['value']}, "
        f"{formatting.usd(last['cost'])} at {last['value']}. Today {formatting.usd(today)}."
    )
    here = frame[frame["value"] == chosen]
    return words if here.empty else f"{words} This setting, {chosen}: {formatting.usd(here['cost'].iloc[0])}."

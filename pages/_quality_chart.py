"""Quality over cost, or over the share of calls that stay: a router's line, drawing lots, and where today and the sliders stand."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from analytics.simulators.routing_labels import Judged, Risk
from pages import _palette
from pages._charts import mode

MOST_POINTS = 200


def quality_chart(judged: Judged, here: Risk, *, by_cost: bool, key: str, height: int = 300) -> None:
    """Draw the curve of a labelled sample: mean quality in percent over USD per 1,000 calls (`by_cost`), or over the share of calls on today's
    model."""
    curve = judged.curve
    along = _along(judged, by_cost)
    places = np.unique(np.rint(np.linspace(0, len(along) - 1, MOST_POINTS)).astype(int))
    order = places[np.lexsort((curve.quality[places], along[places]))]
    line = [[round(float(along[at]), 6), round(100 * float(curve.quality[at]), 3)] for at in order]
    place = int(np.argmin(np.abs(curve.share - (1 - here.routed / here.labels))))
    ends = [[float(along[at]), 100 * float(curve.quality[at])] for at in (0, -1)]
    shade, accent = _palette.SERIES[mode()][:2]
    grey = _palette.NEUTRAL[mode()]
    spec: dict[str, Any] = {
        "animation": False,
        "grid": {"left": 8, "right": 24, "top": 30, "bottom": 28, "containLabel": True},
        "legend": {"top": 0, "left": 0, "itemGap": 16},
        "tooltip": {"trigger": "item"},
        "xAxis": {
            "type": "value",
            "scale": by_cost,
            "name": "USD per 1,000 calls" if by_cost else "Calls on today's model, %",
            "nameLocation": "middle",
            "nameGap": 30,
        },
        "yAxis": {"type": "value", "scale": True, "splitNumber": 4, "axisLabel": {"formatter": "{value}%"}},
        "series": [
            _line("Router", line, shade, 2.5, "solid"),
            _line("Lots", ends, grey, 1.5, "dashed"),
            _point("Today", ends[-1], grey, "circle", 10),
            _point(
                "This setting", [float(along[place]), 100 * here.quality], accent, "diamond", 16
            ),
        ],
    }  # fmt: skip
    st.echarts_chart(spec, key=key, height=height, alt=describe(judged, here, by_cost))


def _along(judged: Judged, by_cost: bool) -> np.ndarray:
    if by_cost and judged.curve.cost is not None:
        return 1000 * judged.curve.cost
    return 100 * judged.curve.share


def _line(name: str, data: list[list[float]], colour: str, width: float, kind: str) -> dict[str, Any]:
    return {
        "name": name, "type": "line", "data": data, "showSymbol": False,
        "lineStyle": {"width": width, "color": colour, "type": kind}, "itemStyle": {"color": colour},
    }  # fmt: skip


def _point(name: str, at: list[float], colour: str, symbol: str, size: int) -> dict[str, Any]:
    return {
        "name": name, "type": "scatter", "data": [at], "symbol": symbol, "symbolSize": size, "itemStyle": {"color": colour},
    }  # fmt: skip


def describe(judged: Judged, here: Risk, by_cost: bool) -> str:
    """The chart in words."""
    along, curve = _along(judged, by_cost), judged.curve
    unit = "dollars per 1,000 calls" if by_cost else "percent of calls on today's model"
    return (
        f"Line of quality over {unit}: {curve.quality[0]:.1%} at {along[0]:,.2f}, {curve.quality[-1]:.1%} at {along[-1]:,.2f}. "
        f"This setting: {here.quality:.1%}, with {here.routed} of {here.labels} labelled calls on the target."
    )

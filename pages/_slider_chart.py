"""Cost along a slider: a line whose point follows the slider's thumb in the browser, before the server has answered.

Measured from a key on the slider to the painted chart (docs/benchmarks-sliders.md): an answer of the server costs the round trip, and that the
browser goes through the whole page. The costs of all steps are a few hundred bytes; so they are sent once for all other settings, and the step is
read from the slider itself (`_live_chart.js`). Without the script the slider works as ever; only this chart is not there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from analytics import formatting
from pages import _palette
from pages._charts import mode

_HTML = """
<div class="live">
  <div class="legend"><span><i class="cost">&#9473;</i> Cost a month, simulated</span><span><i class="today">&#9477;</i> Today</span
  ><span><i class="chosen">&#9670;</i> This setting</span></div>
  <svg role="img" preserveAspectRatio="none"></svg>
  <div class="words" aria-live="polite"></div>
</div>
"""
_CSS = """
.live { position: relative; width: 100%; color: var(--st-text-color); font: 0.8rem var(--st-font); }
.legend { display: flex; flex-wrap: wrap; gap: 0 1rem; }
.legend i { font-style: normal; }
svg { display: block; width: 100%; height: 300px; overflow: visible; }
svg text { fill: var(--st-text-color); opacity: 0.72; font: 12px var(--st-font); font-variant-numeric: tabular-nums; }
.grid { stroke: var(--st-border-color); stroke-width: 1; }
.cost { fill: none; stroke-width: 2.5; stroke-linejoin: round; }
.today { stroke-width: 1.5; stroke-dasharray: 5 4; }
.guide { display: none; stroke: var(--st-text-color); opacity: 0.35; }
.words { min-height: 1.3em; font-variant-numeric: tabular-nums; }
"""
_chart = st.components.v2.component(
    "percall_live_chart",
    html=_HTML,
    css=_CSS,
    js=(Path(__file__).with_name("_live_chart.js")).read_text(encoding="utf-8"),
)


def slider_chart(frame: pd.DataFrame, *, chosen: str, today: Any, axis: str, slider: str, key: str) -> None:
    """Draw a `LeverPage.curve`: cost per month by step of the slider, today's cost as a dashed line, the chosen step as a point.

    today: cost per month without the lever (Decimal). slider: key of the slider that the point follows.
    """
    steps = list(frame["value"])
    shade, accent = _palette.SERIES[mode()][:2]
    now = next((place for place, is_today in enumerate(frame["is_today"]) if is_today), -1)
    _chart(
        key=key,
        height=354,
        data={
            "slider": slider,
            "steps": steps,
            "costs": [float(cost) for cost in frame["cost"]],
            "words": [_words(*row) for row in zip(steps, frame["cost"], frame["saving"], strict=True)],
            "today": float(today),
            "now": now,
            "chosen": steps.index(chosen) if chosen in steps else -1,
            "axis": axis,
            "alt": describe(frame, chosen, today, axis),
            "colours": {"cost": shade, "chosen": accent, "today": _palette.NEUTRAL[mode()]},
        },
    )


def _words(step: str, cost: Any, saving: Any) -> str:
    """One point: what a month costs there, and how much less that is than today."""
    if saving == 0:
        return f"{step}: {formatting.usd(cost)} a month, as today"
    how = "less" if saving > 0 else "more"
    return f"{step}: {formatting.usd(cost)} a month, {formatting.usd(abs(saving))} {how} than today"


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

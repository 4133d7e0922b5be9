"""Cost along a slider: a line whose point follows the slider's thumb in the browser, before the server has answered.

Measured from a key on the slider to the painted chart (docs/benchmarks-sliders.md): an answer of the server costs the round trip, and that the
browser goes through the whole page. The costs of all steps are a few hundred bytes; so they are sent once for all other settings, and the step is
read from the slider itself (`_live_chart.js`). Without the script the slider works as ever; only this chart is not there.
"""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True)
class Along:
    """A curve ready to be drawn for any step of its slider, by anybody: nothing in it is changed. `step`: as the slider says it; amounts in words."""

    steps: list[str]
    costs: list[float]
    amounts: list[str]
    words: list[str]
    now: int


def along(frame: pd.DataFrame) -> Along:
    """A `LeverPage.curve` for `slider_chart`: the same at every step, so that a move of the slider finds it done."""
    steps, costs, savings = (frame[name].to_list() for name in ("value", "cost", "saving"))
    return Along(
        steps=steps,
        costs=[float(cost) for cost in costs],
        amounts=[formatting.usd(cost) for cost in costs],
        words=[_words(*row) for row in zip(steps, costs, savings, strict=True)],
        now=next((place for place, is_today in enumerate(frame["is_today"]) if is_today), -1),
    )


def slider_chart(curve: Along, *, chosen: str, today: Any, axis: str, slider: str, key: str) -> None:
    """Draw the cost per month by step of the slider, today's cost as a dashed line, the chosen step as a point.

    today: cost per month without the lever (Decimal). slider: key of the slider that the point follows.
    """
    shade, accent = _palette.SERIES[mode()][:2]
    _chart(
        key=key,
        height=354,
        data={
            "slider": slider,
            "steps": curve.steps,
            "costs": curve.costs,
            "words": curve.words,
            "today": float(today),
            "now": curve.now,
            "chosen": curve.steps.index(chosen) if chosen in curve.steps else -1,
            "axis": axis,
            "alt": describe(curve, chosen, today, axis),
            "colours": {"cost": shade, "chosen": accent, "today": _palette.NEUTRAL[mode()]},
        },
    )


def _words(step: str, cost: Any, saving: Any) -> str:
    """One point: what a month costs there, and how much less that is than today."""
    if saving == 0:
        return f"{step}: {formatting.usd(cost)} a month, as today"
    how = "less" if saving > 0 else "more"
    return f"{step}: {formatting.usd(cost)} a month, {formatting.usd(abs(saving))} {how} than today"


def describe(curve: Along, chosen: str, today: Any, axis: str) -> str:
    """The chart in words: from where to where, today, and the chosen point."""
    if not curve.steps:
        return "An empty chart."
    words = (
        f"Line of cost a month along {axis.lower()}: {curve.amounts[0]} at {curve.steps[0]}, "
        f"{curve.amounts[-1]} at {curve.steps[-1]}. Today {formatting.usd(today)}."
    )
    if chosen not in curve.steps:
        return words
    return f"{words} This setting, {chosen}: {curve.amounts[curve.steps.index(chosen)]}."

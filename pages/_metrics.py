"""A row of key figures, each with its change and what the change is measured against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import streamlit as st

from analytics import formatting
from pages._text import plain


@dataclass(frozen=True)
class Metric:
    """One figure: its label, its text (from `analytics.formatting`), and optionally what it was before.

    `now` and `before` give the change, `against` says what `before` is ("April 2026"). `good` says which direction is
    good news: "down" for costs, "up" for revenue, "neither" for volumes. `help` explains the term.
    """

    label: str
    value: str
    now: formatting.Number | None = None
    before: formatting.Number | None = None
    against: str | None = None
    good: Literal["down", "up", "neither"] = "down"
    help: str | None = None


def metric_row(metrics: Sequence[Metric]) -> None:
    """Draw the figures side by side, as many in a row as the width allows: two on a phone."""
    with st.grid(len(metrics), min_column_width=150):
        for metric in metrics:
            _metric(metric)


def _metric(metric: Metric) -> None:
    label, value = plain(metric.label), metric.value
    if metric.against is None or metric.value == formatting.UNKNOWN:
        st.metric(label, value, help=metric.help)
        return
    change = formatting.change(metric.now, metric.before)
    if not change.startswith((formatting.MINUS, "+")):
        sentence = formatting.delta(metric.now, metric.before, metric.against)
        st.metric(label, value, delta=sentence, delta_color="off", delta_arrow="off", help=metric.help)
        return
    colour: Literal["inverse", "normal", "off"] = {"down": "inverse", "up": "normal", "neither": "off"}[metric.good]  # type: ignore[assignment]
    # Streamlit reads the direction from an ASCII minus sign.
    st.metric(
        label,
        value,
        delta=change.replace(formatting.MINUS, "-"),
        delta_color=colour,
        delta_description=f"vs {metric.against}",
        help=metric.help,
    )

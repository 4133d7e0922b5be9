"""Every GPU of the catalogue under the sliders' setting: whether the model fits, how fast it is, and what the load would cost on it."""

from __future__ import annotations

from typing import cast

import streamlit as st

from analytics.simulators.gpu_rightsizing import GpuRightsizing, gpu_options
from analytics.simulators.lever import Lever
from analytics.simulators.lever_page import Setting
from analytics.simulators.lever_pages import PAGES
from analytics.simulators.lever_pages_resources import AS_TODAY
from analytics.simulators.situation import Situation
from analytics.simulators.slider import kept
from pages import _draw as draw
from pages import _situation
from pages._filters import current
from pages._lever_setting import at_the_sliders, current_setting


def precision(_situation: Situation, lever: Lever, _setting: Setting) -> tuple[float, str] | None:
    """Weights of as many bits as today's answer as they do today; with fewer nobody knows."""
    chosen = cast("GpuRightsizing", lever)
    return (0.0, f"None: {chosen.bits} bits, as today.") if chosen.bits >= chosen.bits_now else None


@st.fragment
@draw.guarded
def options() -> None:
    """The section of the page."""
    draw.section(
        "Other GPUs under this setting",
        "The same load on each GPU of data/gpus.csv, one GPU per replica, at the cheapest price that can be rented; USD per month, simulated",
    )
    page = PAGES[GpuRightsizing.name]
    busy = current_setting(page, _situation.situation())["busy"]
    found, lever = at_the_sliders(GpuRightsizing.name, "gpu_follow", busy="70%" if busy == AS_TODAY else busy)
    chosen = cast("GpuRightsizing", lever)
    frame = kept(found, "gpu options", chosen, lambda: gpu_options(chosen, found))
    filters = current()
    st.caption(
        draw.plain(
            f"{chosen.bits} bits, {chosen.batch} x {chosen.context:,} tokens at once, replicas kept {chosen.target_utilization:.0%} busy."
        )
    )
    draw.table(
        frame,
        {
            "gpu": draw.Column("GPU"),
            "fits": draw.Column("Fits", "flag", help="Weights, cache and overhead lie within its memory"),
            "memory_share": draw.Column("Memory used", "share"),
            "usd_per_hour": draw.Column("USD per hour", "money"),
            "tokens_per_second": draw.Column(
                "Tokens per second",
                "number",
                help="Of one replica: measured where logged, else by the rooflines' ratio",
            ),
            "gpu_hours": draw.Column("GPU hours", "count", help="A month"),
            "cost": draw.Column("Cost", "money"),
            "saving": draw.Column("Saving", "money"),
        },
        key="gpu_options",
        export=frame,
        export_name=f"gpu-options-{filters.start}-{filters.end}",
        missing="–",
    )

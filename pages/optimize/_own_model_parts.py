"""Whether own GPUs pay for these calls, how many replicas keep waiting short, and which GPUs hold the model."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import streamlit as st

from analytics.simulators.lever import Lever
from analytics.simulators.lever_page import Setting
from analytics.simulators.self_host import SelfHost
from analytics.simulators.self_host_evidence import gpus_that_fit, replicas_by_latency, replicas_words, worth
from analytics.simulators.situation import Situation
from analytics.simulators.slider import SETTINGS, kept, kept_for_good
from pages import _draw as draw
from pages._filters import current
from pages._lever_setting import at_the_sliders


def pays_from(situation: Situation, lever: Lever, _setting: Setting) -> None:
    """The break-even, and how many replicas run at this setting, in sentences."""
    chosen = replace(cast("SelfHost", lever), share=0.0)
    with draw.guard():
        found = kept_for_good(situation, "own model worth", chosen, lambda: worth(chosen, situation), SETTINGS)
        st.markdown(f"**When it pays.** {draw.plain(found.words)}")
        st.markdown(f"**How many run.** {draw.plain(replicas_words(cast('SelfHost', lever), situation))}")


@st.fragment
@draw.guarded
def waiting() -> None:
    """Replicas for a target of latency, from the arrivals of the day with the most work."""
    draw.section(
        "Replicas for a target of latency",
        "The chosen calls of the day with the most work arrive as they did, first come, first served; USD per month if so many replicas always run",
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        target = st.number_input(
            "Requests that may wait longer (%)", 0.0, 50.0, 5.0, 1.0, key="own_target", format="%.0f", width=260
        )
        found, lever = at_the_sliders(SelfHost.name, "own_follow")
    chosen = cast("SelfHost", lever)
    with st.spinner("Replaying the arrivals …"):
        key = (chosen, target)
        frame = kept_for_good(
            found, "own model replicas", key, lambda: replicas_by_latency(chosen, found, target=target / 100), SETTINGS
        )
    filters = current()
    draw.table(
        frame,
        {
            "limit": draw.Column("May wait, seconds", "number"),
            "replicas": draw.Column("Replicas", "count"),
            "share_waiting": draw.Column("Wait longer", "share"),
            "p95_wait": draw.Column("95% wait at most, s", "number"),
            "erlang": draw.Column(
                "By formula", "count", help="Erlang C, for arrivals that know nothing of each other: real ones come in bursts and need more"
            ),
            "cost": draw.Column("Cost", "money"),
        },
        key="own_replicas",
        export=frame,
        export_name=f"replicas-{filters.start}-{filters.end}",
        missing="–",
    )  # fmt: skip


@st.fragment
@draw.guarded
def fitting() -> None:
    """GPUs whose memory holds the model."""
    draw.section(
        "GPUs that hold the model", "By memory: weights, cache of the requests at once, and overhead; 730 hours a month"
    )
    found, lever = at_the_sliders(SelfHost.name, "own_fit_follow")
    chosen = cast("SelfHost", lever)
    frame = kept(found, "own model GPUs", chosen, lambda: gpus_that_fit(chosen), SETTINGS)
    st.caption(draw.plain(f"{chosen.model} at {chosen.bits} bits, {chosen.batch} x {chosen.context:,} tokens at once."))
    draw.table(
        frame,
        {
            "gpu": draw.Column("GPU"),
            "gpus_needed": draw.Column("Needed", "count"),
            "memory_gb": draw.Column("GB each", "count"),
            "memory_share": draw.Column("Memory used", "share"),
            "usd_per_hour": draw.Column("USD per hour", "money"),
            "usd_per_month": draw.Column("USD per month", "money"),
            "instance_type": draw.Column("Instance"),
            "source": draw.Column("Price from"),
        },
        key="own_fitting",
        export=frame,
        export_name="gpus-that-fit",
        missing="–",
    )

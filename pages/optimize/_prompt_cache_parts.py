"""Whether the replay of prompt caches can be believed, and which prefixes are worth marking."""

from __future__ import annotations

from typing import cast

import streamlit as st

from analytics.simulators.lever import Lever
from analytics.simulators.lever_page import Setting
from analytics.simulators.prompt_cache import PromptCache
from analytics.simulators.prompt_cache_evidence import Calibration, calibration, prefixes_to_mark
from analytics.simulators.situation import Situation
from analytics.simulators.slider import kept_for_good
from pages import _draw as draw
from pages._filters import current
from pages._lever_setting import at_the_sliders


def calibrated(situation: Situation, lever: Lever, _setting: Setting) -> None:
    """Before any what-if: the replay against the cache reads in the log."""
    chosen = cast("PromptCache", lever)
    key = (chosen.stable_share, chosen.objects)

    def compare() -> Calibration:
        return calibration(PromptCache(stable_share=chosen.stable_share, objects=chosen.objects), situation)

    found = kept_for_good(situation, "prompt cache calibration", key, compare)
    if found.error is None:
        st.info(draw.plain(f"{found.words} What follows rests on the providers' rules alone."), icon=":material/rule:")
    elif found.is_calibrated:
        st.success(draw.plain(found.words), icon=":material/check:")
    else:
        st.warning(
            draw.plain(f"{found.words} Read what follows with care: prefixes may be cut otherwise than the log says."),
            icon=":material/warning:",
        )


@st.fragment
@draw.guarded
def worth_marking() -> None:
    """The prefixes that save most, each on its own."""
    draw.section(
        "Prefixes worth marking",
        "The beginning of a prompt up to where the prompts of several calls part, and what caching up to there alone would save against plain "
        "input; "
        "USD per month, simulated. Rows of one model that begin alike do not add up.",
    )
    found, lever = at_the_sliders(PromptCache.name, "prefix_follow")
    chosen = cast("PromptCache", lever)
    with st.spinner("Looking for common beginnings …"):
        frame = kept_for_good(found, "prefixes to mark", chosen, lambda: prefixes_to_mark(chosen, found))
    if frame.empty:
        st.caption(
            "No prefix that several calls share saves anything: calls carry no fingerprints of their prompt's beginning (prefix_blocks), are too "
            "short, or "
            "their models' books have no lower price for reads."
        )
        return
    filters = current()
    draw.table(
        frame,
        {
            "feature": draw.Column("Feature", "tag"),
            "prompt_name": draw.Column("Prompt", "tag"),
            "model": draw.Column("Model"),
            "tokens": draw.Column("Tokens", "count"),
            "calls": draw.Column("Calls", "count"),
            "reads": draw.Column("Reads", "count"),
            "writes": draw.Column("Writes", "count"),
            "hit_share": draw.Column("Found warm", "share"),
            "saving": draw.Column("Saving", "money"),
            "prefix": draw.Column("Fingerprint", help="Hash of the prefix's last block, as the log has it"),
        },
        key="prefix_marks",
        export=frame.drop(columns=["example"]),
        export_name=f"prefixes-to-mark-{filters.start}-{filters.end}",
        missing="–",
        rows_in_sight=8,
    )

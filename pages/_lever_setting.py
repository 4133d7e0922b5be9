"""What a lever's sliders say now, for parts of its page that are drawn apart from them."""

from __future__ import annotations

from typing import Any

import streamlit as st

from analytics.simulators.lever_page import LeverPage
from analytics.simulators.situation import Situation


def current_setting(page: LeverPage, situation: Situation) -> dict[str, Any]:
    """The setting of this session's sliders. A fragment of its own is not drawn again when they move: it asks when it is used."""
    setting: dict[str, Any] = {}
    for control in page.controls(situation):
        value = st.session_state.get(f"{page.key}_{control.name}", control.default)
        if control.kind == "features":
            value = tuple(sorted(value or ()))
        setting[control.name] = (
            control.default if value is None and control.kind in {"number", "steps", "switch"} else value
        )
    return setting

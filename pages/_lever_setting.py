"""What a lever's sliders say now, for parts of its page that are drawn apart from them."""

from __future__ import annotations

from typing import Any

import streamlit as st

from analytics.simulators.lever import Lever
from analytics.simulators.lever_page import LeverPage
from analytics.simulators.lever_pages import PAGES
from analytics.simulators.situation import Situation
from pages._situation import situation


def current_setting(page: LeverPage, found: Situation) -> dict[str, Any]:
    """The setting of this session's sliders. A fragment of its own is not drawn again when they move: it asks when it is used."""
    setting: dict[str, Any] = {}
    for control in page.drawn(found):
        value = st.session_state.get(f"{page.key}_{control.name}", control.default)
        if control.kind == "features":
            value = tuple(sorted(value or ()))
        setting[control.name] = (
            control.default if value is None and control.kind in {"number", "steps", "switch"} else value
        )
    return setting


def at_the_sliders(lever: str, key: str, **fixed: Any) -> tuple[Situation, Lever]:
    """The situation and the lever at the sliders' setting (`fixed` in place of what they say), with a button that follows them again.

    For a fragment below the sliders' own: what takes longer than a look-up is worked out there once, and not at every move. Raises InputError for a
    setting that the lever refuses.
    """
    page, found = PAGES[lever], situation()
    st.button(
        "Follow the sliders", key=key, type="tertiary", icon=":material/sync:", help="Work this out again for what the sliders say now"
    )  # fmt: skip
    return found, page.build(found, current_setting(page, found) | fixed)

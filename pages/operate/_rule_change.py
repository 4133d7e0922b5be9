"""Changing a rule: what it would do is shown first, and only what has been shown can be saved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from pages import _draw as draw
from pages._data import warehouse
from pages._people import ADMIN, require
from warehouse.state import Restated

_PREVIEWED, _DONE = "_rule_previewed", "_rule_done"


@dataclass(frozen=True)
class Change:
    """A rule as it would be saved; `body` None: it would be removed."""

    kind: str
    name: str
    body: Mapping[str, Any] | None


def decide(
    proposed: Change | None, removal: Change | None, preview: Callable[[Change], Iterable[Restated]], key: str
) -> None:
    """The buttons below a form. `preview` draws what a change would do, and answers with what it restates.

    `proposed` is None while the form cannot be used, `removal` is None for a rule that is not saved yet.
    """
    with st.container(horizontal=True):
        if st.button(
            "Preview", key=f"{key}_preview", type="primary", icon=":material/visibility:", disabled=proposed is None
        ):
            st.session_state[_PREVIEWED] = proposed
        if removal and st.button("Preview removal", key=f"{key}_remove", icon=":material/delete:"):
            st.session_state[_PREVIEWED] = removal
    previewed = st.session_state.get(_PREVIEWED)
    if previewed is None or previewed not in (proposed, removal):
        return
    with draw.guard():
        restated = list(preview(previewed))
        reason = st.text_input(
            "Reason", key=f"{key}_reason", placeholder="Kept with the change, for whoever asks later"
        )
        label = "Remove the rule" if previewed.body is None else "Save the rule"
        if st.button(label, key=f"{key}_save", type="primary", icon=":material/check:"):
            _save(previewed, reason, restated)


def _save(change: Change, reason: str, restated: list[Restated]) -> None:
    person = require(ADMIN, "change a rule")
    warehouse().state.save(change.kind, change.name, change.body, author=person.name, reason=reason, restated=restated)
    st.session_state.pop(_PREVIEWED, None)
    st.session_state[_DONE] = (
        f"The {change.kind} {change.name!r} has been {'removed' if change.body is None else 'saved'}."
    )
    st.rerun()


def last_change() -> None:
    """Say once what was just saved."""
    done = st.session_state.pop(_DONE, None)
    if done:
        st.success(draw.plain(done), icon=":material/check:")

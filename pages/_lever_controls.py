"""The controls of a lever, each bound to a parameter of the address that begins with the lever's key."""

from __future__ import annotations

from typing import Any

import streamlit as st

from analytics.simulators.lever_page import Control


def draw_control(control: Control, key: str) -> Any:
    """Draw a control and answer with its value. What an address says and the control does not offer is dropped."""
    bound: dict[str, Any] = {"key": key, "help": control.help, "bind": "query-params"}
    options = list(control.options)
    label = f"{control.label} ({control.unit})" if control.unit else control.label
    if control.kind == "steps":
        return st.select_slider(label, options, value=control.default, **bound)
    if control.kind == "choice":
        place = options.index(control.default) if control.default in options else None
        return st.selectbox(label, options, index=place, accept_new_options=control.open, placeholder="None", **bound)
    if control.kind == "features":
        return tuple(sorted(st.multiselect(label, options, placeholder="None chosen", **bound)))
    if control.kind == "switch":
        return st.toggle(label, value=control.default, **bound)
    number = float if isinstance(control.default, float) else int
    decimals = "%.4f" if control.step < 0.01 else "%.2f" if control.step < 1 else "%d" if number is int else "%.0f"
    value = st.number_input(
        label, number(control.low), number(control.high), control.default, number(control.step), format=decimals, **bound
    )  # fmt: skip
    return control.default if value is None else value

"""Links from one page to another, with the filters kept in the address."""

from __future__ import annotations

import streamlit as st

from pages._registry import PAGES_FOLDER, REGISTRY


def link(url_path: str, label: str) -> None:
    """A link to a registered page; nothing where this dashboard has no such page. Streamlit carries the filters along."""
    entry = next((entry for entry in REGISTRY if entry.url_path == url_path), None)
    if entry is not None:
        st.page_link(
            str(entry.script.relative_to(PAGES_FOLDER)),
            label=label,
            icon=":material/arrow_forward:",
        )

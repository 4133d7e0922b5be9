"""Links from one page to another, with the filters kept in the address."""

from __future__ import annotations

import streamlit as st

from pages._filters import NARROW
from pages._registry import PAGES_FOLDER, REGISTRY
from pages._text import plain


def link(url_path: str, label: str, **narrowed: str) -> None:
    """A link to a registered page that keeps the filters, and narrows some: `link("features", "Search", feature="search")`.

    Nothing is drawn where this dashboard has no such page. Streamlit carries bound parameters to the next page by itself, but neither page
    links nor `st.switch_page` may set one: what is narrowed travels in a parameter of its own, which `_filters.sidebar` takes over.
    """
    entry = next((entry for entry in REGISTRY if entry.url_path == url_path), None)
    if entry is None:
        return
    st.page_link(
        str(entry.script.relative_to(PAGES_FOLDER)),
        label=plain(label),
        icon=":material/arrow_forward:",
        query_params={NARROW: [f"{name}:{value}" for name, value in narrowed.items()]} if narrowed else None,
    )

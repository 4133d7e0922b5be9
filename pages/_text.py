"""Words on a page: the headline that answers the page's question, and the line that says how to read it."""

from __future__ import annotations

import re

import streamlit as st

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#$~:|])")


def plain(text: str) -> str:
    """Text that Markdown shows as it stands: amounts are no formulas, and names from the data carry no markup."""
    return _MARKDOWN.sub(r"\\\1", text)


def headline(sentence: str, how_to_read: str, *, kicker: str | None = None) -> None:
    """The page's answer in one sentence, with the line "how to read this" below it; `kicker` is a short line above."""
    with st.container(gap=None, key="headline"):
        if kicker:
            st.caption(plain(kicker))
        st.markdown(f"# {plain(sentence)}", anchors=False)
        st.caption(f":material/menu_book: {plain(how_to_read)}")


def section(title: str, note: str | None = None) -> None:
    """The heading of a chart or table, with what it shows: basis, unit, time zone."""
    with st.container(gap=None):
        st.markdown(f"#### {plain(title)}", anchors=False)
        if note:
            st.caption(plain(note))

"""Shared links: which there are, who made them, how often they were opened, and ending one."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from pages import _draw as draw
from pages._data import store_path
from pages._people import ADMIN, require
from warehouse.share_records import Share, Shares

STATES = {"live": "● live", "expired": "○ expired", "revoked": "✕ revoked"}


def sentence(shares: list[Share]) -> str:
    """The page's answer: how many links work now, and how often they were opened."""
    live = [share for share in shares if share.state() == "live"]
    if not live:
        return "No shared link works now"
    opens = sum(share.opens for share in live)
    number = "1 shared link works" if len(live) == 1 else f"{len(live)} shared links work"
    return f"{number} now, opened {'once' if opens == 1 else f'{opens} times' if opens else 'never'}"


def frame_of(shares: list[Share]) -> pd.DataFrame:
    """One row per link, the newest first."""
    return pd.DataFrame(
        [
            {
                "state": STATES[share.state()],
                "title": share.title,
                "period": f"{share.question.get('start', '')} – {share.question.get('end', '')}",
                "filters": ", ".join(share.question.get("where", [])) or None,
                "opens": share.opens,
                "last_opened_at": share.last_opened_at,
                "expires_at": share.expires_at,
                "passcode": share.has_passcode,
                "created_by": share.created_by,
                "created_at": share.created_at,
                "share_id": share.share_id,
            }
            for share in shares
        ]
    )


def revoke(store: Shares, live: list[Share]) -> None:
    """Choose a link and end it."""
    if not live:
        return
    names = {f"{share.share_id} · {share.title}": share.share_id for share in live}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox(
            "End a link", list(names), index=None, placeholder="Choose a link", key="share_ends", width=320
        )
        pressed = st.button("End it now", icon=":material/link_off:", key="share_revoke", disabled=chosen is None)
    if pressed and chosen:
        with draw.guard():
            person = require(ADMIN, "end a shared link")
            store.revoke(names[chosen], person.name)
            st.rerun()


def page() -> None:
    """List the links."""
    store = Shares(store_path())
    store.release()
    shares = store.all()
    draw.headline(
        sentence(shares),
        "A link shows one report, frozen when it was made. Its address is shown once, to whoever makes it; ending it works at once.",
    )
    if not shares:
        st.caption("Share this page, in the sidebar of most pages, makes one; so does `percall share create overview`.")
        return
    draw.section("Links", "Times in UTC; the newest first")
    frame = frame_of(shares)
    draw.table(
        frame,
        {
            "state": draw.Column("State", pinned=True),
            "title": draw.Column("Shows"),
            "period": draw.Column("Period"),
            "filters": draw.Column("Filters"),
            "opens": draw.Column("Opened", "count"),
            "last_opened_at": draw.Column("Last opened", "time"),
            "expires_at": draw.Column("Works until", "time"),
            "passcode": draw.Column("Passcode", "flag"),
            "created_by": draw.Column("Made by"),
            "created_at": draw.Column("Made", "time"),
            "share_id": draw.Column("Id"),
        },
        key="shared_links",
        export_name="shared-links",
        missing="–",
    )
    revoke(store, [share for share in shares if share.state() == "live"])


page()

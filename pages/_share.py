"""The control that shares the page one looks at: a link to a frozen report, or the report as a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import streamlit as st

from analytics.filters import Filters
from analytics.snapshot_report import Answer, Report
from analytics.snapshot_report_html import page as html_page
from analytics.snapshot_report_pdf import pdf
from analytics.snapshot_report_views import SHAREABLE, report, report_of
from pages import _states
from pages._data import store_path, warehouse
from pages._filters import current
from pages._people import ADMIN, ANALYST, may, require
from warehouse.reader import Warehouse
from warehouse.share_records import DEFAULT_DAYS, LEAST_PASSCODE, Shares

Build = Callable[[Warehouse, Filters], Report]

LIVES = {"1 day": 1, "7 days": 7, "14 days": DEFAULT_DAYS, "30 days": 30, "90 days": 90}
_MADE = "_share_made"


def control(view: str) -> None:
    """In the sidebar, for a page that can be shared and a person who may: see `offer`."""
    if view in SHAREABLE and may(ANALYST):
        with st.sidebar:
            offer(view, lambda opened, filters: report(opened, view, filters))


def offer_answer(view: str, title: str, build: Callable[[], Answer]) -> None:
    """For a page whose answer is worked out in the session (a plan): shares what `build` gives."""
    if may(ANALYST):
        offer(view, lambda opened, filters: report_of(opened, view, filters, build()), title)


def offer(view: str, build: Build, title: str = "Share this page", about: Filters | None = None) -> None:
    """The button and what it opens: how long, which passcode, the link once it is made; and the report as a file.

    `about`: what the report is asked with, for a page that does not go by the sidebar's filters.
    """
    with st.popover(title, icon=":material/share:", key=f"share_{view}"), _states.guard():
        filters = about or current()
        if may(ADMIN):
            st.caption(
                "A read-only link for people without a sign-in. It shows the figures as they are now, and they stay so; aggregates only."
            )
            lives = st.selectbox("Works for", list(LIVES), index=2, key=f"share_{view}_days")
            passcode = st.text_input(
                "Passcode", type="password", key=f"share_{view}_passcode", placeholder="None", autocomplete="new-password",
                help=f"At least {LEAST_PASSCODE} characters. Send it another way than the link.",
            )  # fmt: skip
            if st.button("Make a link", type="primary", icon=":material/link:", key=f"share_{view}_make"):
                _make(view, build(warehouse(), filters), filters, LIVES[str(lives)], passcode or None)
            _show_made(view)
        _file(view, build, filters)


def _make(view: str, made: Report, filters: Filters, days: int, passcode: str | None) -> None:
    person = require(ADMIN, "share a link")
    share, token = Shares(store_path()).create(
        view=view, title=made.answer.title, report=made.to_json(), question=question(filters), snapshot_id=made.snapshot_id,
        revision=warehouse().revision, author=person.name, days=days, passcode=passcode,
    )  # fmt: skip
    st.session_state[_MADE] = {
        "view": view,
        "id": share.share_id,
        "url": address(token),
        "until": f"{share.expires_at:%Y-%m-%d %H:%M}",
    }


def _show_made(view: str) -> None:
    made: dict[str, Any] | None = st.session_state.get(_MADE)
    if not made or made["view"] != view:
        return
    st.code(made["url"], language=None, wrap_lines=True)
    st.caption(
        f"Copy it now: it is not shown again. {made['id']} works until {made['until']} UTC; Operate / Shared links ends it earlier."
    )


def _file(view: str, build: Build, filters: Filters) -> None:
    # Written when it is asked for, outside of the session: with what the session looks at now.
    opened = warehouse()
    name = f"{view}-{filters.start}-{filters.end}.html"
    st.download_button(
        "As a file", data=lambda: html_page(build(opened, filters)).encode(), file_name=name, mime="text/html", key=f"share_{view}_file",
        icon=":material/download:", on_click="ignore", help="One HTML file that needs neither network nor sign-in: whoever has it can read it.",
    )  # fmt: skip
    st.download_button(
        "As PDF", data=lambda: pdf(build(opened, filters)), file_name=name.replace(".html", ".pdf"), mime="application/pdf",
        key=f"share_{view}_pdf", icon=":material/picture_as_pdf:", on_click="ignore", help="Headline, figures and tables on paper.",
    )  # fmt: skip


def question(filters: Filters) -> dict[str, Any]:
    """What a report was asked with, as its link keeps it."""
    where = [f"{name}={'|'.join(values)}" for name, values in filters.where]
    return {
        "start": filters.start.isoformat(),
        "end": filters.end.isoformat(),
        "where": where,
        "basis": filters.basis,
        "grain": filters.grain,
    }


def address(token: str) -> str:
    """The link's address as this browser reaches the server."""
    parts = urlsplit(str(st.context.url or "http://localhost:8501"))
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return urlunsplit((parts.scheme, parts.netloc, f"{f'/{base}' if base else ''}/share/{token}", "", ""))

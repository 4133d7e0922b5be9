"""One run of the dashboard: the gate, the navigation, the filters, the page, the footer, in this order."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from datetime import datetime
from typing import Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from analytics.conversions import note
from analytics.freshness import late_sources
from pages import _data, _filters, _gate, _people, _periods, _share, _states
from pages._people import Person
from pages._registry import PageEntry
from pages._text import plain
from warehouse.people import MAY, allows

_BARS = (
    '<rect x="0" y="14" width="4" height="10" fill="#2E86C1"/><rect x="6" y="9" width="4" height="15" fill="#2E86C1"/>'
    '<rect x="12" y="4" width="4" height="20" fill="#D9762B"/>'
)
# A picture of our own: the browser would fetch a Material symbol or an emoji from a host outside.
_ICON = f'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64" viewBox="-4 2 24 24">{_BARS}</svg>'
_WORDMARK = (
    f'<svg xmlns="http://www.w3.org/2000/svg" width="112" height="28" viewBox="0 0 112 28">{_BARS}'
    '<text x="24" y="23" font-family="Source Serif 4, Georgia, serif" font-size="22" font-weight="600" fill="#2E86C1">'
    "Percall</text></svg>"
)

MOST_LATE = 3
"""As many late sources are named at the top of a page; Operate / Data lists all."""


def run(registry: Sequence[PageEntry]) -> None:
    """Draw what this session asked for. Nothing is drawn, and no page named, before the gate has let the session in."""
    st.set_page_config(page_title="Percall", page_icon=_ICON, layout="wide", initial_sidebar_state="auto")
    identity = _gate.admit()
    if identity is None:
        st.stop()
    draw(registry, identity)


def draw(registry: Sequence[PageEntry], identity: Person) -> None:
    """Draw what this session asked for, for somebody whom the gate has let in: what his or her role does not have is not even named."""
    with st.container(key=f"gate-{identity.kind}", gap=None):
        # The place of the demo banner, and the first thing that reaches a browser: see tests/pages/test_cold_start.py.
        banner = st.container(gap=None)
    registry = [entry for entry in registry if allows(identity.role, entry.role)]
    entries = {entry.url_path: entry for entry in registry}
    pages = {entry.url_path: _page(entry, "first" if entry is registry[0] else "listed") for entry in registry}
    phases: dict[str, list[st.Page]] = {}
    for entry in registry:
        phases.setdefault(entry.phase, []).append(pages[entry.url_path])
    # The first page answers at the bare address; links that name it, as those of reviews do, are not to say that there is none.
    phases[registry[0].phase].append(_page(registry[0], "unlisted"))
    st.logo(_WORDMARK, size="large")
    chosen = st.navigation(phases, expanded=True)
    _who(identity)
    entry = next((entries[path] for path, page in pages.items() if page == chosen), registry[0])
    with _states.guard():
        if not _prepare(entry, banner):
            return
        if _data.has_data():
            _share.control(entry.url_path)
        with _states.guard():
            chosen.run()
        if _data.has_data():
            _footer(identity)


Place = Literal["first", "listed", "unlisted"]
_known_pages: dict[tuple[PageEntry, Place], st.Page] = {}


def _page(entry: PageEntry, place: Place) -> st.Page:
    """The page of an entry, for one run. Making one asks the file system, which over all pages took a fifth of a run; a copy does not."""
    known = _known_pages.get((entry, place))
    if known is None:
        known = _known_pages[entry, place] = st.Page(
            entry.script,
            title=entry.title,
            icon=f":material/{entry.icon}:",
            url_path="" if place == "first" else entry.url_path,
            default=place == "first",
            visibility="hidden" if place == "unlisted" else "visible",
            help=entry.question,
        )
    return copy(known)


def _prepare(entry: PageEntry, banner: DeltaGenerator) -> bool:
    """Fix the snapshot, say so if it is a demo, and read the filters. False when the page has nothing to run on."""
    _data.look_up_snapshot()
    if not _data.has_data():
        if entry.needs_data:
            _states.empty_store(_data.store_path())
        return not entry.needs_data
    warehouse = _data.warehouse()
    if warehouse.is_demo:
        banner.markdown(
            ":orange-badge[Demo data]  :small[A made-up company. It makes room for your own files once you load them: "
            "`percall load FILE…`, or Operate / Data.]"
        )
    else:
        _say_what_is_late(banner)
    _filters.sidebar()
    return True


def _say_what_is_late(banner: DeltaGenerator) -> None:
    """Name the sources that have brought nothing new for longer than they usually take."""
    today = datetime.now(_data.configuration().zone).date()
    late = _data.answer(late_sources, today)
    if not late:
        return
    ends = [f"{source} ends on {_periods.describe((day, day))}" for source, day in late]
    more = f", and {len(ends) - MOST_LATE} more" if len(ends) > MOST_LATE else ""
    banner.markdown(
        f":orange-badge[Older data]  :small[{plain(', '.join(ends[:MOST_LATE]) + more)}: later days are missing here. "
        "Load newer files with `percall load FILE…`, or on Operate / Data.]"
    )


def _who(person: Person) -> None:
    """Under the filters: who is signed in, with which role, and the way out. The machine's own user has none to take."""
    if person.kind == "local":
        return
    with st.sidebar.container(key="person"):
        st.caption(f"{plain(person.name)} · {person.role}", help=f"You may {MAY[person.role]}.")
        st.button("Sign out", key="sign_out", icon=":material/logout:", on_click=_people.sign_out, type="tertiary")


def _footer(identity: Person) -> None:
    """Where the figures come from: snapshot, last day with data, time zone, reader, and the exchange rates of the period."""
    warehouse = _data.warehouse()
    configuration = _data.configuration()
    last = _data.span()[1]
    snapshot = warehouse.snapshot_id.replace("-", " ")
    st.divider()
    st.caption(
        plain(
            f"Data to {_periods.describe((last, last))} · {snapshot} · days cut in "
            f"{configuration.reporting_time_zone} · amounts in {configuration.reporting_currency} · {identity.name}"
        )
    )
    converted = _data.answer(note, _filters.current())
    if converted:
        st.caption(plain(converted))

"""Weekly review: half an hour on Monday, from top to bottom, from last week's actions to this week's decisions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import streamlit as st

from analytics.filters import Filters
from analytics.snapshot_report_views import report
from analytics.weekly_review import STEPS, Step, assembled, section
from analytics.weekly_review_model import MARK_SIGNS, Review, Section
from analytics.weekly_review_notes import Action, Note, actions, notes_of
from analytics.weekly_review_paper import html, pdf
from analytics.weekly_review_text import markdown
from analytics.weekly_review_week import Week, WeekDays, days_of, default_week, read_week, weeks_with_data
from pages import _draw as draw
from pages import _share
from pages._data import answer, configuration, warehouse
from pages._later import being_found_out, later
from pages._paper import print_styles
from pages._people import ANALYST, may
from pages.operate._review_actions import TOOLS, decided, earlier, last_action, section_notes
from pages.operate._review_sections import content, heading, on_its_way

HOW = (
    "One path, top to bottom. What is marked to decide wants a word: write a note or an action where it stands. The sidebar's filters do not apply: "
    "a review is of everything, on the effective basis."
)


_PRINT = f"""<style>
@media print {{ [class*="st-key-{TOOLS}"], [data-testid="stDownloadButton"] {{ display: none !important; }} }}
</style>"""


def week_chosen() -> Week:
    """The week of the address, else the newest that the data cover to its Sunday."""
    weeks = answer(weeks_with_data)
    default = answer(default_week) or weeks[0]
    names = [week.name for week in weeks]
    chosen = st.selectbox(
        "Week", names, index=names.index(default.name), key="week", bind="query-params", width=180,
        help="Monday to Sunday in the reporting time zone, by its ISO name. Default: the newest week that the data cover whole.",
    )  # fmt: skip
    return read_week(str(chosen)) if chosen in names else default


def question(step: Step, week: Week, today: date) -> tuple[Any, ...]:
    """What a section is asked with: it is kept until the data or what it knows of people's state change."""
    revision = warehouse().state.revision(*step.kinds) if step.kinds else 0
    return section, step.key, week, today, revision


def draw_section(
    told_section: Section, number: int, week: Week, days: WeekDays, today: date, notes: Sequence[Note]
) -> None:
    """One section with what people wrote about it."""
    heading(told_section, number)
    if told_section.key == "actions":
        earlier(week, today)
    elif told_section.key == "decisions":
        decided(week, today)
    else:
        content(told_section, days)
        section_notes(week, told_section.key, told_section.page, notes)


def files(review: Review) -> None:
    """The review as a file, for who may export."""
    if not may(ANALYST):
        return
    name = f"weekly-review-{review.week.name}"
    for label, ending, mime, make in (
        ("PDF", "pdf", "application/pdf", lambda: pdf(review)),
        ("HTML", "html", "text/html", lambda: html(review).encode()),
        ("Markdown", "md", "text/markdown; charset=utf-8", lambda: markdown(review).encode()),
    ):
        st.download_button(
            label, data=make, file_name=f"{name}.{ending}", mime=mime, key=f"review_{ending}", type="tertiary", icon=":material/download:",
            on_click="ignore",
        )  # fmt: skip


def in_hand(told_section: Section, week: Week, known: Sequence[Action]) -> Section:
    """The section as the review has it: in hand where an open action is about it."""
    standing = sum(
        action.about == told_section.key and action.status == "open" and action.week <= week.name for action in known
    )
    return told_section.with_actions(standing)


def page() -> None:
    """Tell the sections one after the other; the headline when all are told."""
    print_styles()
    st.html(_PRINT)
    last_action()
    top = st.container()
    with st.container(horizontal=True, vertical_alignment="bottom", key="paper_controls"):
        week = week_chosen()
        tools = st.container(horizontal=True, vertical_alignment="bottom")
    days = answer(days_of, week)
    today = datetime.now(configuration().zone).date()
    for sentence in days.missing:
        st.warning(draw.plain(sentence), icon=":material/event_busy:")
    overview = st.container()
    sections: list[Section] = []
    awaited: list[tuple[Any, ...]] = []
    # Read once: each of the twelve sections asks for them.
    known, notes = actions(warehouse().state), notes_of(warehouse().state, week)
    for number, step in enumerate(STEPS, start=1):
        with st.container(key=f"review_{step.key}"):
            with draw.guard():
                asked = question(step, week, today)
                # What the first section was waited for is enough for one run.
                found: Section | None = (
                    later(*asked, patience=0.0 if awaited else None) if step.looks_at_calls else answer(*asked)
                )
                if found is None:
                    awaited.append(asked)
                    on_its_way(step, number)
                else:
                    sections.append(found)
                    draw_section(in_hand(found, week, known), number, week, days, today, notes)
            st.space("small")
    kicker = f"{week.name} · {week.words} · days cut in {configuration().reporting_time_zone}"
    if awaited:
        with top:
            draw.headline(f"The review of {week.words}", HOW, kicker=kicker)
            being_found_out(f"What {len(awaited)} of the {len(STEPS)} sections tell", *awaited)
        return
    review = assembled(warehouse(), week, tuple(sections))
    with top:
        draw.headline(review.headline, HOW, kicker=kicker)
    with overview:
        st.caption(draw.plain("   ".join(f"{MARK_SIGNS[one.mark]} {one.title}" for one in review.sections)))
    with tools:
        files(review)
        if may(ANALYST):
            period = Filters(days.now.start, days.now.end)
            _share.offer("review", lambda opened, about: report(opened, "review", about), "Share", period)


page()

"""The sections of the weekly review as they are drawn."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from analytics.filters import Filters
from analytics.snapshot_report import Column as ReportColumn
from analytics.weekly_review import Step
from analytics.weekly_review_model import MARK_SIGNS, MARK_WORDS, Mark, Section, more_rows
from analytics.weekly_review_week import WeekDays
from analytics.why_changed import change
from pages import _draw as draw
from pages._data import answer
from pages._tables import Kind
from pages.inform._bridge_chart import bridge_chart

_BADGES: dict[Mark, str] = {"look": "orange", "in hand": "blue", "fine": "green", "empty": "gray", "unknown": "red"}
_KINDS: dict[str, Kind] = {
    "text": "text", "money": "money", "unit_money": "unit_money", "share": "share", "count": "count", "number": "number",
}  # fmt: skip
_WIDE = ("What ends it", "What to do", "What it is", "What came of it", "Action")
_TREND = "weeks"


def heading(section: Section, number: int) -> None:
    """The section's place in the review, its title and mark, its answer, and how to read it."""
    with st.container(gap="xxsmall"):
        badge = f":{_BADGES[section.mark]}-badge[{MARK_SIGNS[section.mark]} {MARK_WORDS[section.mark]}]"
        st.markdown(f"#### {number} · {draw.plain(section.title)} {badge}", anchors=False)
        st.markdown(f"**{draw.plain(section.sentence)}.**")
        st.caption(f":material/menu_book: {draw.plain(section.how_to_read)}")


def on_its_way(step: Step, number: int) -> None:
    """A section's place while it is being found out."""
    with st.container(gap="xxsmall"):
        st.markdown(f"#### {number} · {draw.plain(step.title)}", anchors=False)
        st.caption(":material/hourglass_top: Being found out")


def content(section: Section, days: WeekDays) -> None:
    """Figures, points and table of a section."""
    if section.figures:
        _figures(section)
    if section.points:
        st.markdown("\n".join(f"- {draw.plain(point)}" for point in section.points))
    if section.key == "changed" and section.mark != "unknown" and days.compares:
        _bridge(days.now, days.earlier, days.against)
    elif section.table is not None:
        _table(section, days)


def _figures(section: Section) -> None:
    with st.grid(len(section.figures), min_column_width=150):
        for figure in section.figures:
            with st.container(gap=None):
                st.metric(draw.plain(figure.label), figure.value)
                if figure.note:
                    st.caption(draw.plain(figure.note))


def _bridge(now: Filters, earlier: Filters, against: str) -> None:
    found = answer(change, now, earlier)
    bridge_chart(found, f"{against[0].upper()}{against[1:]}", "This week", key="review_bridge")


def _table(section: Section, days: WeekDays) -> None:
    assert section.table is not None  # noqa: S101 - the caller looked
    columns = section.table.columns
    frame = pd.DataFrame(
        {
            column.name: pd.Series([row[at] for row in section.table.rows], dtype=object)
            for at, column in enumerate(columns)
        }
    )
    shown = {column.name: _column(column, section.currency, pinned=at == 0) for at, column in enumerate(columns)}
    if section.trends:
        frame[_TREND] = pd.Series(list(section.trends[: len(frame)]), dtype=object)
        shown[_TREND] = draw.Column("Last weeks", "trend")
    if section.table.note:
        st.caption(draw.plain(section.table.note))
    draw.table(
        frame, shown, key=f"review_{section.key}_table", export=frame.drop(columns=[_TREND], errors="ignore"),
        export_name=f"weekly-review-{days.week.name}-{section.key}", missing="–",
    )  # fmt: skip
    if section.left_out:
        st.caption(more_rows(section))


def _column(column: ReportColumn, currency: str, *, pinned: bool) -> draw.Column:
    width = 420 if column.label in _WIDE else None
    return draw.Column(
        column.label, _KINDS[column.kind], help=column.note or None, width=width, currency=currency, pinned=pinned
    )

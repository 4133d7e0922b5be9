"""What a weekly review says, as plain data: every form of it (page, Markdown, HTML, PDF, Slack, JSON) is drawn from this alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from analytics.snapshot_report import Cell, Column, Figure, Table
from analytics.snapshot_report_html import written
from analytics.weekly_review_week import Week

Mark = Literal["look", "in hand", "fine", "empty", "unknown"]
"""look: wants a decision; in hand: it did, and an open action is about it; fine; empty: there is nothing to say yet; unknown: could not be told."""

MARK_WORDS: Mapping[Mark, str] = {
    "look": "to decide", "in hand": "in hand", "fine": "fine", "empty": "nothing yet", "unknown": "not known",
}  # fmt: skip
MARK_SIGNS: Mapping[Mark, str] = {"look": "▲", "in hand": "◐", "fine": "●", "empty": "○", "unknown": "?"}
"""Signs that tell the marks apart without colour."""


@dataclass(frozen=True)
class Section:
    """One step of the review.

    sentence: its answer. how_to_read: what the figures are and are not. page: address of the page that has all of it ("": none). points: what
    more there is to say, one sentence each. table: exact values in `currency`; `left_out` rows more are on the page. trends: of each row of the
    table, the weeks before and this one, the oldest first; None: no data then.
    """

    key: str
    title: str
    sentence: str
    how_to_read: str
    page: str = ""
    mark: Mark = "fine"
    figures: tuple[Figure, ...] = ()
    points: tuple[str, ...] = ()
    table: Table | None = None
    left_out: int = 0
    trends: tuple[tuple[Decimal | None, ...], ...] = ()
    currency: str = "USD"

    def with_actions(self, number: int) -> Section:
        """The same where so many open actions are about it: what wants a decision is then in hand."""
        if not number or self.mark != "look":
            return self
        return replace(
            self,
            mark="in hand",
            points=(*self.points, f"{number} open action{'s are' if number > 1 else ' is'} about this."),
        )


@dataclass(frozen=True)
class Review:
    """The review of one week. headline: the answer in a sentence; missing: what the week's data lack; as_of: when the data were published, UTC."""

    week: Week
    headline: str
    missing: tuple[str, ...]
    sections: tuple[Section, ...]
    zone: str
    as_of: str
    snapshot_id: str
    demo: bool

    @property
    def title(self) -> str:
        """`Weekly review 2026-W22, 25 – 31 May 2026`."""
        return f"Weekly review {self.week.name}, {self.week.words}"

    @property
    def to_decide(self) -> tuple[Section, ...]:
        """The sections that want a decision."""
        return tuple(section for section in self.sections if section.mark == "look")


def table(
    name: str, note: str, columns: Sequence[Column], rows: Iterable[Mapping[Any, Any]], most: int | None = None
) -> tuple[Table | None, int]:
    """A section's table of the first `most` rows, and how many are left out. None without rows."""
    found = list(rows)
    shown = found if most is None else found[:most]
    if not shown:
        return None, 0
    cells = tuple(tuple(_cell(row.get(column.name)) for column in columns) for row in shown)
    return Table(name, "", note, tuple(columns), cells), len(found) - len(shown)


def written_rows(section: Section, missing: str = "–") -> list[tuple[str, ...]]:
    """The rows of the section's table as people read them; the same digits in every form."""
    if section.table is None:
        return []
    return [
        tuple(
            missing
            if value is None or value == ""
            else value
            if isinstance(value, str)
            else written(value, column, section.currency)
            for value, column in zip(row, section.table.columns, strict=True)
        )
        for row in section.table.rows
    ]


def more_rows(section: Section) -> str:
    """How many rows are left out, in a sentence; nothing where none is."""
    if not section.left_out:
        return ""
    return f"{section.left_out} more {'row is' if section.left_out == 1 else 'rows are'} on the page."


def body(review: Review) -> dict[str, Any]:
    """The review as JSON: amounts as exact decimal text, shares as numbers, days as text."""
    return {
        "week": review.week.name,
        "from": review.week.start.isoformat(),
        "to": review.week.end.isoformat(),
        "headline": review.headline,
        "missing": list(review.missing),
        "time_zone": review.zone,
        "as_of": review.as_of,
        "snapshot": review.snapshot_id,
        "demo": review.demo,
        "sections": [_section_body(section) for section in review.sections],
    }


def _section_body(section: Section) -> dict[str, Any]:
    rows = [
        {column.name: _plain(value) for column, value in zip(section.table.columns, row, strict=True)} for row in section.table.rows
    ] if section.table else []  # fmt: skip
    return {
        "section": section.key, "title": section.title, "mark": section.mark, "sentence": section.sentence, "currency": section.currency,
        "figures": [{"label": one.label, "value": one.value, "note": one.note} for one in section.figures],
        "points": list(section.points), "rows": rows, "rows_left_out": section.left_out, "page": section.page or None,
    }  # fmt: skip


def _plain(value: Cell) -> Any:
    return format(value, "f") if isinstance(value, Decimal) else value


def _cell(value: Any) -> Cell:
    return value.isoformat() if isinstance(value, date) else value

"""A report: what one page answers, frozen, for people who get no further than this: headline, figures, charts, tables.

A report is plain data, made once from one snapshot. It holds aggregates alone, in a form that can be kept as JSON and drawn as a web page
(`analytics.snapshot_report_html`), or written as CSV. How a page becomes one: `analytics.snapshot_report_views`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import date
from decimal import Decimal
from typing import Any, Literal, get_args

import pandas as pd

from analytics.csv_export import write_rows
from warehouse.errors import InputError

Cell = str | Decimal | int | float | bool | None
"""A value of a table. None is "not known"."""

ChartKind = Literal["stacked", "bars", "pairs", "line"]
"""stacked: columns over time, made of parts; bars: one horizontal bar per name, made of parts; pairs: two shares per name; line: over time."""

Unit = Literal["money", "share"]
ColumnKind = Literal["text", "money", "unit_money", "share", "count", "number"]

NEVER_SHOWN = frozenset(
    {
        "user_id", "session_id", "trace_id", "call_id", "input_hash", "prefix_blocks", "prompt_name", "prompt_version", "text", "vector", "labels",
        "file", "resource", "resource_name", "account", "account_name", "billing_account_id", "checksum",
    }
)  # fmt: skip
"""Columns that name a person, a call, a text or a part of somebody's infrastructure: in no report."""


@dataclass(frozen=True)
class Figure:
    """A key figure as people read it, with what it means or compares with."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Series:
    """One named series of a chart: a value per label of the chart, None where it is not known."""

    name: str
    values: tuple[Decimal | None, ...]


@dataclass(frozen=True)
class Chart:
    """A chart's data. `labels` are days (ISO dates) over time, else names; `note` says basis, unit and time zone. `grain` is what a day of the labels
    starts: "day", "week" or "month"; "" is that of the report."""

    kind: ChartKind
    title: str
    note: str
    labels: tuple[str, ...]
    series: tuple[Series, ...]
    unit: Unit = "money"
    grain: str = ""


@dataclass(frozen=True)
class Column:
    """A column of a table: its name in the CSV file, its title on the page, how it is written, and what it means."""

    name: str
    label: str
    kind: ColumnKind = "text"
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A table with exact values; `name` is the CSV file's name without its ending."""

    name: str
    title: str
    note: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def csv(self) -> bytes:
        """The columns and rows shown, with every digit."""
        import io  # noqa: PLC0415 - for one method

        stream = io.StringIO(newline="")
        write_rows([column.name for column in self.columns], self.rows, stream)
        return stream.getvalue().encode("utf-8")


@dataclass(frozen=True)
class Answer:
    """What a page answers: the part of a report that differs from view to view."""

    title: str
    headline: str
    currency: str
    figures: tuple[Figure, ...] = ()
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """An answer with what it rests on.

    `as_of` is when the snapshot was published and `made_at` when the report was made, both UTC, ISO; `data_to` the last day with data;
    `state` "final" or "provisional"; `conditions` the filters in words; `rests_on` bills, traces and coverage in sentences; `smallest_group` the
    fewest people that a row may stand for.
    """

    view: str
    answer: Answer
    period: str
    start: str
    end: str
    basis: str
    conditions: tuple[str, ...]
    zone: str
    as_of: str
    made_at: str
    snapshot_id: str
    data_to: str
    state: str
    rests_on: str
    prices: str
    demo: bool
    smallest_group: int
    grain: str = field(default="day")

    def table(self, name: str) -> Table | None:
        """The table of this name, if the report has it."""
        return next((table for table in self.answer.tables if table.name == name), None)

    def to_json(self) -> str:
        """The report as text that `report_from_json` reads, with exact amounts."""
        return json.dumps(_plain(asdict(self)), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def report_from_json(text: str) -> Report:
    """The report that was written. Raises InputError when the text is no report of this version."""
    try:
        raw = _exact(json.loads(text))
        answer = raw.pop("answer")
        charts = tuple(
            Chart(**{**chart, "series": tuple(Series(**one) for one in chart["series"])})
            for chart in answer.pop("charts")
        )
        tables = tuple(
            Table(**{**table, "columns": tuple(Column(**column) for column in table["columns"])})
            for table in answer.pop("tables")
        )
        figures = tuple(Figure(**figure) for figure in answer.pop("figures"))
        return Report(answer=Answer(**answer, figures=figures, charts=charts, tables=tables), **raw)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"this is no report that this version can read ({error}): make the link again") from error


def table_of(frame: pd.DataFrame, name: str, title: str, note: str, columns: Iterable[Column]) -> Table:
    """A table from a frame of the analytics layer.

    Raises ValueError for a column that a report never shows, or that the frame does not have.
    """
    chosen = tuple(columns)
    for column in chosen:
        if column.name in NEVER_SHOWN:
            raise ValueError(f"{column.name} is never part of a report")
        if column.name not in frame.columns:
            raise ValueError(f"the frame of {name} has no column {column.name}")
        if column.kind not in get_args(ColumnKind):
            raise ValueError(f"{column.kind} is no kind of column")
    values = [[_cell(value) for value in frame[column.name]] for column in chosen]
    return Table(name, title, note, chosen, tuple(zip(*values, strict=True)))


def stacked(
    frame: pd.DataFrame, title: str, note: str, *, period: str = "period", name: str, value: str, grain: str = ""
) -> Chart:
    """A chart over time from one row per period and name; a period that lacks a name has no part of it."""
    labels = sorted({str(_cell(at)) for at in frame[period]})
    cells: dict[tuple[str, str], Decimal | None] = {}
    for at, part, amount in zip(frame[period], frame[name], frame[value], strict=True):
        cells[str(_cell(at)), str(part)] = None if pd.isna(amount) else Decimal(str(amount))
    names = list(dict.fromkeys(part for _at, part in cells))
    series = tuple(Series(part, tuple(cells.get((at, part), Decimal(0)) for at in labels)) for part in names)
    used = tuple(one for one in series if any(amount is None or amount for amount in one.values))
    return Chart("stacked", title, note, tuple(labels), used, grain=grain)


def bars(frame: pd.DataFrame, title: str, note: str, *, name: str, parts: Mapping[str, str]) -> Chart:
    """One bar per row, made of the columns that `parts` names (column -> its name in the legend)."""
    series = tuple(
        Series(label, tuple(None if pd.isna(amount) else Decimal(str(amount)) for amount in frame[column]))
        for column, label in parts.items()
    )
    used = tuple(one for one in series if any(one.values))
    return Chart("bars", title, note, tuple(str(label) for label in frame[name]), used)


def _cell(value: Any) -> Cell:
    if value is None or (not isinstance(value, list | tuple | str) and pd.isna(value)):
        return None
    if isinstance(value, date):
        return value.isoformat()[:10]
    if isinstance(value, str | Decimal | bool | int | float):
        return value
    if hasattr(value, "item"):
        return _cell(value.item())
    raise ValueError(f"{type(value).__name__} is no value of a report's table")


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return {"decimal": format(value, "f")}
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value


def _exact(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"decimal"}:
            return Decimal(value["decimal"])
        return {key: _exact(part) for key, part in value.items()}
    if isinstance(value, list):
        return tuple(_exact(part) for part in value)
    return value


REPORT_FIELDS = tuple(one.name for one in fields(Report))
"""Names of what a report says about itself."""

"""Tables: numbers right-aligned with one format per column, missing values named, and a CSV file beside every one."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import streamlit as st

from analytics import formatting
from analytics.csv_export import frame_to_csv
from analytics.filters import UNTAGGED
from pages._people import ANALYST, may

Kind = Literal[
    "text", "tag", "money", "unit_money", "share", "bar", "count", "large_count", "number", "date", "time", "trend", "flag", "link",
]  # fmt: skip

_SHARES = ("share", "bar")
_NUMERIC = ("money", "unit_money", "number", *_SHARES)

ROW_HEIGHT = 32
MOST_ROWS_IN_SIGHT = 14
MOST_CELLS_IN_WORDS = 100_000


@dataclass(frozen=True)
class Column:
    """How a column of a frame is shown.

    tag: a dimension's value, "(untagged)" where there is none; money: amounts with cents; unit_money: small amounts per call,
    three to six digits; share: a part of 1 as a percentage; bar: the same with a bar; count: whole numbers with separators;
    large_count: the same in thousands, millions and billions, for columns of very large ones;
    number: one digit after the point; trend: a list of numbers as a sparkline, without those that are not known.
    `help` explains the term where it stands. `pinned` keeps the column in sight when scrolling.
    """

    label: str
    kind: Kind = "text"
    help: str | None = None
    width: Literal["small", "medium", "large"] | int | None = None
    pinned: bool = False
    currency: str = "USD"


@dataclass(frozen=True)
class Prepared:
    """A table worked out for the screen (`prepared`), which may be drawn again and again, for anybody: `frame` holds the columns shown."""

    frame: pd.DataFrame
    data: Any
    configuration: Mapping[str, Any]
    rows: int
    alt: str


def prepared(frame: pd.DataFrame, columns: Mapping[str, Column]) -> Prepared:
    """The columns of `frame` that `columns` names, in that order, for `table`.

    As Arrow columns made from the cells: through a frame of pandas, which Streamlit would take as well, one table of a dozen rows cost 2.5 ms.
    """
    shown = {name: frame[name].to_list() for name in columns}
    written = _written(shown, columns)
    digits = {
        name: 2 if column.kind == "money" else _unit_digits(shown[name])
        for name, column in columns.items()
        if column.kind in ("money", "unit_money")
    }
    cells = pa.table({name: _cells(shown[name], column, digits.get(name, 1)) for name, column in columns.items()})
    return Prepared(
        frame=frame[list(columns)],
        data=_with_words(cells, written),
        configuration={
            name: _configuration(
                column, None if name in written else digits.get(name), from_zero=_from_zero(shown[name], column)
            )
            for name, column in columns.items()
        },
        rows=len(frame),
        alt=_describe(len(frame), columns),
    )


def table(
    frame: pd.DataFrame | Prepared,
    columns: Mapping[str, Column] | None = None,
    *,
    key: str,
    export_name: str,
    export: pd.DataFrame | Callable[[], pd.DataFrame] | None = None,
    missing: str = "unknown",
    rows_in_sight: int = MOST_ROWS_IN_SIGHT,
    select: Literal["single-row", "multi-row"] | None = None,
    alt: str | None = None,
) -> list[int]:
    """Draw the columns of `frame` that `columns` names, in that order, and a button that downloads them as CSV.

    The file holds `export` (default: the columns shown) with every digit, named after `export_name`. Missing values
    show as `missing`. Answers with the positions of selected rows (`select`), else with an empty list. What is `prepared` has its columns already.
    """
    ready = frame if isinstance(frame, Prepared) else prepared(frame, columns or {})
    selected: list[int] = []
    common: dict[str, Any] = {
        "column_config": ready.configuration,
        "hide_index": True,
        "height": (min(ready.rows, rows_in_sight) + 1) * ROW_HEIGHT + 3,
        "row_height": ROW_HEIGHT,
        "placeholder": missing,
        "key": key,
        "alt": alt or ready.alt,
    }
    with st.container(gap="xsmall"):
        if select:
            event: Any = st.dataframe(ready.data, on_select="rerun", selection_mode=select, **common)
            selected = list(event.selection.rows)
        else:
            st.dataframe(ready.data, **common)
        download(ready.frame if export is None else export, key=f"{key}_csv", export_name=export_name)
    return selected


def download(frame: pd.DataFrame | Callable[[], pd.DataFrame], *, key: str, export_name: str) -> None:
    """A button, for who may export, that writes the frame as CSV once it is clicked, without running the page again."""
    # What writes the file is known to the server only once a button is drawn, so that who has none cannot ask for it.
    if not may(ANALYST):
        return
    name = file_name(export_name)
    with st.container(horizontal=True, horizontal_alignment="right"):
        st.download_button(
            "CSV",
            data=lambda: frame_to_csv(frame() if callable(frame) else frame),
            file_name=f"{name}.csv",
            mime="text/csv; charset=utf-8",
            key=key,
            type="tertiary",
            icon=":material/download:",
            on_click="ignore",
            help="All rows, every digit, UTF-8",
        )


def file_name(name: str) -> str:
    """A name that every system takes as a file's."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "table"


def _cells(values: list[Any], column: Column, digits: int = 1) -> pa.Array:
    """A column for the browser: exact decimals become floats for the screen alone, and what is nothing in its digits has no sign: no -$0.00."""
    if column.kind == "tag":
        return pa.array([UNTAGGED if _is_missing(value) else str(value) for value in values], pa.string())
    if column.kind in _NUMERIC:
        scale = 100 if column.kind in _SHARES else 1
        numbers = [None if _is_missing(value) else float(value) * scale for value in values]
        least = 0.5 * 10**-digits
        return pa.array(
            [0.0 if number is not None and -least < number <= 0 else number for number in numbers], pa.float64()
        )
    if column.kind == "trend":
        # What is not known is left out: a single NULL makes the browser draw an error instead of the line.
        parts = [[float(part) for part in each if not _is_missing(part)] for each in values]
        return pa.array(parts, pa.list_(pa.float64()))
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowException, OverflowError):
        # Of several types, as columns of messages may be: their words.
        return pa.array([None if _is_missing(value) else str(value) for value in values], pa.string())


def _is_missing(value: Any) -> bool:
    """What `pd.isna` says of a cell, at a tenth of its price: what is not known is None, NA, or a number that is not even itself."""
    return value is None or value is pd.NA or value is pd.NaT or value != value  # noqa: PLR0124


def _written(shown: Mapping[str, list[Any]], columns: Mapping[str, Column]) -> dict[str, Callable[[float], str]]:
    """How amounts are written in columns where the browser would put the minus sign after the currency: $-0.611 instead of -$0.611."""
    found: dict[str, Callable[[float], str]] = {}
    if sum(len(values) for values in shown.values()) > MOST_CELLS_IN_WORDS:
        return found
    for name, column in columns.items():
        is_preset = column.kind == "money" and column.currency == "USD"
        if (
            column.kind in ("money", "unit_money")
            and not is_preset
            and any(not _is_missing(value) and value < 0 for value in shown[name])
        ):
            digits = 2 if column.kind == "money" else _unit_digits(shown[name])
            found[name] = functools.partial(_amount, currency=column.currency, digits=digits)
    return found


def _amount(value: float, *, currency: str, digits: int) -> str:
    # A hyphen, as the browser writes the amounts of the columns beside.
    return formatting.money(value, currency, digits=digits).replace(formatting.MINUS, "-")


def _with_words(cells: pa.Table, written: Mapping[str, Callable[[float], str]]) -> Any:
    """The table, with words for the cells of some number columns; they still sort as numbers."""
    if not written:
        return cells
    frame = cells.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    return frame.style.format({name: _or_nothing(words) for name, words in written.items()})


def _or_nothing(words: Callable[[float], str]) -> Callable[[Any], str]:
    return lambda value: "" if pd.isna(value) else words(value)


def _from_zero(values: list[Any], column: Column) -> bool:
    """Whether lines of trends can begin at 0: where one lies below it whole, as that of a credit does, the browser would draw an error."""
    if column.kind != "trend":
        return True
    known = ([part for part in each if not _is_missing(part)] for each in values)
    return not any(parts and min(parts) < 0 and max(parts) <= 0 for parts in known)


@functools.lru_cache(maxsize=1000)
def _configuration(column: Column, digits: int | None, *, from_zero: bool = True) -> Mapping[str, Any]:
    """How the browser shows a column. digits: of amounts; None: they come with words of their own. Never changed: what draws it takes a copy."""
    make = st.column_config
    common: dict[str, Any] = {"help": column.help, "width": column.width, "pinned": column.pinned or None}
    amounts = None if digits is None else _money_format(column.currency, digits)
    makers: dict[str, Callable[[], Any]] = {
        "text": lambda: make.TextColumn(column.label, **common),
        "tag": lambda: make.TextColumn(column.label, **common),
        "money": lambda: make.NumberColumn(column.label, format=amounts, **common),
        "unit_money": lambda: make.NumberColumn(column.label, format=amounts, **common),
        "share": lambda: make.NumberColumn(column.label, format="%.1f%%", **common),
        "bar": lambda: make.ProgressColumn(column.label, format="%.1f%%", min_value=0, max_value=100, **common),
        "count": lambda: make.NumberColumn(column.label, format="%,d", **common),
        "large_count": lambda: make.NumberColumn(column.label, format="compact", **common),
        "number": lambda: make.NumberColumn(column.label, format="%,.1f", **common),
        "date": lambda: make.DateColumn(column.label, format="YYYY-MM-DD", **common),
        "time": lambda: make.DatetimeColumn(column.label, format="YYYY-MM-DD HH:mm", **common),
        "trend": lambda: make.LineChartColumn(column.label, y_min=0 if from_zero else None, **common),
        "flag": lambda: make.CheckboxColumn(column.label, **common),
        "link": lambda: make.LinkColumn(column.label, **common),
    }
    return _without_defaults(makers[column.kind]())


def _without_defaults(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Only what is set: Streamlit copies all of it, level by level, each time a table is drawn."""
    return {
        name: _without_defaults(value) if isinstance(value, Mapping) else value
        for name, value in settings.items()
        if value is not None
    }


def _money_format(currency: str, digits: int) -> str:
    if currency == "USD" and digits == 2:
        return "dollar"
    symbol = {"USD": "$", "EUR": "€", "GBP": "£"}.get(currency, f"{currency} ")
    return f"{symbol}%,.{digits}f"


def _unit_digits(values: Sequence[Any]) -> int:
    """Digits that leave two significant ones to the smallest amount of the column, between three and six."""
    amounts = [abs(float(value)) for value in values if not _is_missing(value) and value != 0]
    smallest = min(amounts, default=0.01)
    return 6 if smallest < 0.0001 else 5 if smallest < 0.001 else 4 if smallest < 0.1 else 3


def _describe(rows: int, columns: Mapping[str, Column]) -> str:
    return (
        f"Table of {rows} {'row' if rows == 1 else 'rows'}: {', '.join(column.label for column in columns.values())}."
    )

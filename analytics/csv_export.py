"""Tables as CSV: UTF-8, every digit that is stored, and no cell that a spreadsheet would run as a formula.

One writer serves the download buttons and the command line, so that both give the same bytes.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TextIO

import numpy as np
import pandas as pd

_FORMULA_START = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


def neutralise(text: str) -> str:
    """Text that a spreadsheet shows instead of running: a leading apostrophe before =, +, -, @, tab or carriage return.

    Blanks before such a character do not hide it. What is a plain number (`-12.5`) stays a number.
    """
    if not text or not (text.startswith(_FORMULA_START) or text.lstrip().startswith(_FORMULA_START)):
        return text
    return text if _NUMBER.fullmatch(text) else f"'{text}"


def cell(value: Any) -> str:
    """One value as it stands in the file; a missing value is an empty cell, never 0."""
    if isinstance(value, str):
        return neutralise(value)
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else ""
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, Mapping):
        return neutralise(json.dumps({str(k): cell(v) for k, v in value.items()}, ensure_ascii=False, sort_keys=True))
    if isinstance(value, np.ndarray | list | tuple | set | frozenset):
        return neutralise(json.dumps([cell(part) for part in value], ensure_ascii=False))
    if value is None or pd.isna(value):
        return ""
    if isinstance(value, float | np.floating):
        number = float(value)
        if not np.isfinite(number):
            return ""
        # Counts beside a missing value arrive as floats from pandas: write them as the counts they are.
        return str(int(number)) if number.is_integer() and abs(number) < 2**53 else repr(number)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date):
        return value.isoformat()
    return neutralise(str(value))


def write_rows(columns: Sequence[str], rows: Iterable[Sequence[Any]], stream: TextIO) -> None:
    """Write a header and rows to an open text stream (open it with `encoding="utf-8", newline=""`)."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([neutralise(str(column)) for column in columns])
    for row in rows:
        writer.writerow([cell(value) for value in row])


def _values(column: pd.Series) -> list[Any]:
    """A column's values; days, which pandas keeps as midnights, become dates again when the whole column is days."""
    if (
        isinstance(column.dtype, np.dtype)
        and column.dtype.kind == "M"
        and (column.dropna().dt.normalize() == column.dropna()).all()
    ):
        return [None if pd.isna(value) else value.date() for value in column]
    return column.tolist()


def frame_to_csv(frame: pd.DataFrame) -> bytes:
    """A frame, without its index, as the bytes of a CSV file."""
    stream = io.StringIO(newline="")
    # Column by column: iterating rows through a frame would turn integers beside floats into floats.
    values = [_values(frame.iloc[:, position]) for position in range(frame.shape[1])]
    write_rows([str(column) for column in frame.columns], zip(*values, strict=True), stream)
    return stream.getvalue().encode("utf-8")

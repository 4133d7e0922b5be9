"""A view's frame as bytes: CSV, JSON or Parquet, with every digit that is stored."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from analytics.csv_export import frame_to_csv
from warehouse.errors import InputError

FORMATS = ("csv", "json", "parquet")


def write(frame: pd.DataFrame, form: str, one_object: bool = False) -> bytes:
    """The frame in a format. JSON is a list of row objects (`one_object`: the one row itself), money as exact decimal strings,
    shares and margins as numbers, unknown as null.

    Raises InputError for an unknown format.
    """
    if form == "csv":
        return frame_to_csv(frame)
    if form == "json":
        rows = [{str(name): plain(value) for name, value in row.items()} for row in _records(frame)]
        body: Any = (rows[0] if rows else {}) if one_object else rows
        return (json.dumps(body, ensure_ascii=False, indent=1) + "\n").encode("utf-8")
    if form == "parquet":
        stream = io.BytesIO()
        frame.to_parquet(stream, index=False)
        return stream.getvalue()
    raise InputError(f"unknown format {form!r}: choose {', '.join(FORMATS)}")


def _records(frame: pd.DataFrame) -> list[dict[Any, Any]]:
    columns = {name: frame[name].tolist() for name in frame.columns}
    return [{name: values[row] for name, values in columns.items()} for row in range(len(frame))]


def plain(value: Any) -> Any:
    """A cell as JSON has it: decimals as exact strings, dates as ISO text, NaN and NaT as null."""
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else None
    if isinstance(value, float | np.floating):
        number = float(value)
        if not math.isfinite(number):
            return None
        return number
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, datetime):
        midnight = (value.hour, value.minute, value.second, value.microsecond) == (0, 0, 0, 0)
        return value.date().isoformat() if midnight and value.tzinfo is None else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(part) for part in value]
    return str(value)

"""Reading a small table of texts and labels for a what-if on a file: CSV (gz too), JSON lines or Parquet."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import pandas as pd

from warehouse.errors import InputError

KINDS = ".csv, .csv.gz, .jsonl, .jsonl.gz or .parquet"


def read_labelled(path: Path | str, needed: tuple[str, ...]) -> pd.DataFrame:
    """The file as texts (every column str; blank: not said), in its order, numbered from 0; row n of the file's data is number n - 1.

    Raises InputError when the file cannot be read, is of another kind, lacks one of the `needed` columns or holds no row.
    """
    path = Path(path)
    name = path.name.lower()
    try:
        if name.endswith((".csv", ".csv.gz")):
            table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
        elif name.endswith((".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")):
            table = _json_lines(path)
        elif name.endswith(".parquet"):
            table = pd.read_parquet(path)
        else:
            raise InputError(f"a file of labelled calls is {KINDS}", file=str(path))
    except (OSError, ValueError) as error:
        raise InputError(f"this file cannot be read: {error}", file=str(path)) from error
    missing = [column for column in needed if column not in table.columns]
    if missing:
        there = ", ".join(map(str, table.columns)) or "none"
        raise InputError(f"the column {missing[0]} is missing; there are: {there}", file=str(path))
    if not len(table):
        raise InputError("there is no row in this file", file=str(path))
    return pd.DataFrame({column: table[column].map(_text) for column in table.columns}).reset_index(drop=True)


def _json_lines(path: Path) -> pd.DataFrame:
    rows = []
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise InputError(f"this line is no JSON: {error}", file=str(path), row=number) from error
            if not isinstance(row, dict):
                raise InputError("every line must be one JSON object", file=str(path), row=number)
            rows.append(row)
    return pd.DataFrame(rows, dtype=object)


def numbers(column: pd.Series) -> pd.Series:
    """The column as float64; NaN where it says no finite number. true and false count as 1 and 0."""
    words = column.str.strip().str.lower().replace({"true": "1", "false": "0"})
    values = pd.to_numeric(words, errors="coerce").astype("float64")
    return values.where(values.abs() < float("inf"))


def _text(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return value.isoformat() if hasattr(value, "isoformat") else str(value)

"""Runs a connector on a file or on rows and gives its rows back as dicts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb

from connectors.files import inspect
from warehouse.configuration import Configuration
from warehouse.schema import TABLES, TOKEN_CLASSES

DATA = Path(__file__).parent.parent / "data"


def connection() -> duckdb.DuckDBPyConnection:
    """A fresh connection as the loader sets it up."""
    fresh = duckdb.connect()
    fresh.execute("SET TimeZone = 'UTC'")
    return fresh


def extracted(
    module: ModuleType, path: Path, scratch: Path, configuration: Configuration | None = None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(good rows, rejected rows) of a file, in file order; every column must be one of the canonical table."""
    file = inspect(path, scratch)
    assert module.detect(file)
    good: list[dict[str, Any]] = []
    bad: list[dict[str, Any]] = []
    own = connection()
    for extraction in module.extract(own, file, configuration or Configuration()):
        cursor = own.execute(f"SELECT * FROM ({extraction.query}) ORDER BY _row")
        names = [column[0] for column in cursor.description]
        assert set(names) <= {"_row", "_column", "_reason", *TABLES[extraction.table].names}
        for values in cursor.fetchall():
            row = dict(zip(names, values, strict=True))
            (good if row["_reason"] is None else bad).append(row)
    return good, bad


def from_objects(
    module: ModuleType, objects: Iterable[object], scratch: Path, configuration: Configuration | None = None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The same for JSON objects, written as lines."""
    path = scratch / "rows.jsonl"
    path.write_text("".join(json.dumps(item) + "\n" for item in objects), encoding="utf-8")
    return extracted(module, path, scratch, configuration)


def classes(row: dict[str, Any], names: Sequence[str] = TOKEN_CLASSES) -> tuple[int | None, ...]:
    """The token classes of a row, in the schema's order."""
    return tuple(row[name] for name in names)

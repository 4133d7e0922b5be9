"""Reads a file as a load would, for the tests of connectors."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from connectors import files
from connectors.detection import connector_for, detect_kind
from connectors.extraction import Extraction
from warehouse.configuration import Configuration
from warehouse.schema import TABLES

DATA = Path(__file__).parent.parent / "data"


@dataclass(frozen=True)
class Read:
    """Good rows by column, rejected rows as (row, column, reason), and the extraction itself."""

    rows: list[dict[str, Any]]
    rejects: list[tuple[int, str | None, str]]
    extraction: Extraction


def read(path: Path, kind: str | None = None, configuration: Configuration | None = None) -> Read:
    """The rows that one file gives, in file order. Checks that every column is one of the canonical table, in its type."""
    with tempfile.TemporaryDirectory() as scratch:
        return _read(files.inspect(path, Path(scratch)), kind, configuration or Configuration())


def _read(file: files.SourceFile, kind: str | None, configuration: Configuration) -> Read:
    connection = duckdb.connect()
    connection.execute("SET TimeZone='UTC'")
    connector = connector_for(kind or detect_kind(file))
    (extraction,) = connector.extract(connection, file, configuration)
    table = TABLES[extraction.table]
    names = [row[0] for row in connection.execute(f"DESCRIBE {extraction.query}").fetchall()]
    assert set(names) - {"_row", "_column", "_reason"} <= set(table.names)
    connection.execute(table.ddl("stored"))
    own = ", ".join(f'"{name}"' for name in names if not name.startswith("_"))
    connection.execute(f"CREATE TABLE extracted AS SELECT * FROM ({extraction.query})")
    connection.execute(f"INSERT INTO stored BY NAME SELECT {own} FROM extracted WHERE _reason IS NULL ORDER BY _row")
    result = connection.execute("SELECT * FROM stored")
    keys = [column[0] for column in result.description]
    rows = [dict(zip(keys, row, strict=True)) for row in result.fetchall()]
    bad = connection.execute(
        "SELECT _row, _column, _reason FROM extracted WHERE _reason IS NOT NULL ORDER BY _row"
    ).fetchall()
    connection.close()
    return Read(rows, bad + [(r.row, r.column, r.reason) for r in extraction.rejects], extraction)


def read_text(folder: Path, text: str | bytes, kind: str | None = None, **settings: Any) -> Read:
    """Like `read`, of a file with this content."""
    path = folder / "export.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(path, kind, Configuration(**settings) if settings else None)

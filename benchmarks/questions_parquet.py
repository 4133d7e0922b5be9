"""The ten questions by hand, DuckDB's SQL on Parquet files of a day: what one has without loading anything."""

from __future__ import annotations

import duckdb

from benchmarks.peers import InProcess
from benchmarks.questions_sql import answer
from benchmarks.rows import MEMORY_LIMIT, Rows


def connect(rows: Rows, purpose: str) -> duckdb.DuckDBPyConnection:
    """A connection with the views `calls`, `charges` and `dated_prices` over the files."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
    connection.execute(f"SET temp_directory = '{rows.folder / f'spill-{purpose}'}'")
    for name, files in (("calls", rows.calls / "*.parquet"), ("charges", rows.charges), ("dated_prices", rows.prices)):
        connection.execute(f"CREATE VIEW {name} AS FROM read_parquet('{files}')")
    return connection


def open_engine(rows: Rows) -> InProcess:
    """DuckDB on the files."""
    connection = connect(rows, "parquet")
    return InProcess(
        lambda question: answer(connection.cursor(), question),
        disk_bytes=sum(path.stat().st_size for path in rows.days),
    )

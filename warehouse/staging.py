"""Staging: canonical rows of the files of one load, gathered in a scratch database before anything is stored.

Each extraction makes a table of its own, and `complete` gathers them with one statement per canonical table: appending every file to one growing
table took five times as long per call (4.0 against 0.9 µs, one core, a million calls in 90 files).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import duckdb

from warehouse.errors import InputError
from warehouse.filing import path_text
from warehouse.intake import Extraction, Reject
from warehouse.schema import CALLS, CHARGES, TABLES, Table
from warehouse.table import Column

REJECT_DETAILS_KEPT = 10_000
"""Rejected rows of one file beyond this many are counted but not listed."""

PIECES_AT_ONCE = 200
"""So many tables are gathered by one statement: planning grows faster than their number."""


Price = Callable[[duckdb.DuckDBPyConnection, str, str | None], None]
"""Prices the calls of a table, or makes the table from a SELECT of calls (see `warehouse.pricing.price_staged_calls`)."""


@dataclass
class StagedFile:
    """One extraction after staging: what was read and what was rejected."""

    part: int
    kind: str
    table: str
    source: str
    file: str
    checksum: str
    delivery: str | None
    delivered_at: datetime | None = None
    rejected: int = 0
    rejects: list[Reject] = field(default_factory=list)
    message: str | None = None
    rows_read: int | None = None


class Staging:
    """A scratch DuckDB database that connectors read files with and that holds their rows until they are stored."""

    def __init__(self, folder: Path, memory_limit: str = "6GB") -> None:
        self.folder = folder
        self.connection = duckdb.connect(":memory:")
        self.connection.execute("SET TimeZone = 'UTC'")
        self.connection.execute("SET enable_progress_bar = false")
        self.connection.execute(f"SET memory_limit = '{memory_limit}'")
        self.connection.execute(f"SET temp_directory = '{path_text(folder / 'spill')}'")
        self.connection.execute("SET preserve_insertion_order = true")
        self.files: list[StagedFile] = []
        self._pieces: dict[str, dict[str, str]] = {}
        """Per canonical table, the tables that its files were read into, with the SELECT of the good rows of each."""

    def close(self) -> None:
        """Release the scratch database."""
        self.connection.close()

    def name(self, table: str) -> str:
        """Name of the staging table of a canonical table."""
        return f"staged_{table}"

    def tables(self) -> list[Table]:
        """Canonical tables that have staged rows, in the schema's order."""
        return [table for table in TABLES.values() if table.name in self._pieces]

    def add(self, extraction: Extraction) -> StagedFile:
        """Take over one file's rows; nothing is stored yet.

        Raises InputError when the file cannot be read to its end: its rows are then not staged, those of other files stay.
        """
        table = TABLES[extraction.table]
        part = len(self.files) + 1
        staged = StagedFile(
            part,
            extraction.kind,
            table.name,
            extraction.source,
            extraction.file,
            extraction.checksum,
            extraction.delivery,
            extraction.delivered_at,
        )
        try:
            piece = self._take(table, extraction, staged)
        except duckdb.Error as error:
            raise InputError(f"cannot be read: {_first_line(error)}", file=extraction.file) from error
        pieces = self._pieces.setdefault(table.name, {})
        pieces[f"extracted_{part}"] = piece
        if len(pieces) >= PIECES_AT_ONCE:
            self._gather(table.name, gathered := f"gathered_{part}")
            self._pieces[table.name] = {gathered: f"SELECT * FROM {gathered}"}
        staged.rejects = [*extraction.rejects, *staged.rejects]
        staged.rejected += len(extraction.rejects)
        staged.rows_read = extraction.rows_read
        self.files.append(staged)
        return staged

    def _take(self, table: Table, extraction: Extraction, staged: StagedFile) -> str:
        """Run an extraction's query once into a table of its own and list its bad rows; answers with the SELECT of the good ones."""
        piece = f"extracted_{staged.part}"
        self.connection.execute(f"CREATE TABLE {piece} AS {extraction.query}")
        present = {row[0] for row in self.connection.execute(f"DESCRIBE {piece}").fetchall()}
        column, reason = ("_column", "_reason") if "_reason" in present else ("NULL::VARCHAR", "NULL::VARCHAR")
        if table.month_column and table.month_column in present:
            # A row without its time belongs to no month file and would vanish without a word.
            timeless = f'{reason} IS NULL AND "{table.month_column}" IS NULL'
            column = f"CASE WHEN {timeless} THEN '{table.month_column}' ELSE {column} END"
            reason = f"CASE WHEN {timeless} THEN 'has no time; give one, or leave the row out' ELSE {reason} END"
        row = "_row" if "_row" in present else "NULL::BIGINT"
        ((staged.rejected,),) = self.connection.execute(f"SELECT count({reason}) FROM {piece}").fetchall()
        if staged.rejected:
            rows = self.connection.execute(
                f"SELECT {row}, {column}, {reason} AS reason FROM {piece} WHERE reason IS NOT NULL ORDER BY 1 LIMIT ?",
                [REJECT_DETAILS_KEPT],
            ).fetchall()
            staged.rejects = [Reject(*row) for row in rows]
        values = ", ".join(
            f'{_value(table, column, present, extraction.source)} AS "{column.name}"' for column in table.columns
        )
        return f"SELECT {values}, {staged.part}::INTEGER AS _part, {row} AS _row FROM {piece} WHERE ({reason}) IS NULL"

    def _gather(self, table: str, into: str) -> None:
        """Put the good rows of all pieces of a table into one, in the order in which they were read."""
        pieces = self._pieces[table]
        self.connection.execute(f"CREATE TABLE {into} AS {' UNION ALL '.join(pieces.values())}")
        self._drop(pieces)

    def _drop(self, pieces: Iterable[str]) -> None:
        for piece in pieces:
            self.connection.execute(f"DROP TABLE {piece}")

    def refuse(self, file: str, kind: str, checksum: str, reason: str) -> None:
        """Record a file that cannot be used at all."""
        self.files.append(StagedFile(len(self.files) + 1, kind, "", kind, file, checksum, None, message=reason))

    def withdraw(self, parts: Sequence[int], table: str) -> None:
        """Drop the staged rows of these parts."""
        if parts:
            self.connection.execute(f"DELETE FROM {self.name(table)} WHERE _part IN ({', '.join(map(str, parts))})")

    def gather(self, table: str) -> None:
        """Make the staging table of a canonical table from what was added to it."""
        self._gather(table, self.name(table))

    def complete(self, price: Price, categories: str) -> None:
        """Gather what was added, and add what connectors leave open: canonical models and prices of calls, the cost category of billing lines."""
        for table, pieces in self._pieces.items():
            if table == CALLS.name:
                price(self.connection, self.name(table), " UNION ALL ".join(pieces.values()))
                self._drop(pieces)
            elif table != "prices":
                self.gather(table)
        if CHARGES.name in self._pieces:
            self.connection.execute(f"UPDATE {self.name(CHARGES.name)} SET x_CostCategory = {categories}")


def _value(table: Table, column: Column, present: set[str], source: str) -> str:
    """SQL for a canonical column of an extraction: NULL where it has none, the extraction's source where the row names none."""
    found = f'CAST("{column.name}" AS {column.type})' if column.name in present else f"CAST(NULL AS {column.type})"
    names_source = column.name == ("x_Source" if table.name == "charges" else "source")
    if names_source and table.name not in ("prices", "fx_rates"):
        text = source.replace("'", "''")
        return f"coalesce({found}, '{text}')"
    return found


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]

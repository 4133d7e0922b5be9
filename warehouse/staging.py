"""Staging: canonical rows of the files of one load, gathered in a scratch database before anything is stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from warehouse.errors import InputError
from warehouse.filing import path_text
from warehouse.intake import Extraction, Reject
from warehouse.schema import CALLS, CHARGES, TABLES, Table

REJECT_DETAILS_KEPT = 10_000
"""Rejected rows of one file beyond this many are counted but not listed."""


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
    rejected: int = 0
    rejects: list[Reject] = field(default_factory=list)
    message: str | None = None
    rows_read: int | None = None


class Staging:
    """A scratch DuckDB database that connectors read files with and that holds their rows until they are stored."""

    def __init__(self, folder: Path, memory_limit: str = "4GB") -> None:
        self.folder = folder
        self.connection = duckdb.connect(str(folder / "staging.duckdb"))
        self.connection.execute("SET TimeZone = 'UTC'")
        self.connection.execute("SET enable_progress_bar = false")
        self.connection.execute(f"SET memory_limit = '{memory_limit}'")
        self.connection.execute(f"SET temp_directory = '{path_text(folder / 'spill')}'")
        self.connection.execute("SET preserve_insertion_order = true")
        self.files: list[StagedFile] = []
        self._tables: set[str] = set()

    def close(self) -> None:
        """Release the scratch database."""
        self.connection.close()

    def name(self, table: str) -> str:
        """Name of the staging table of a canonical table."""
        return f"staged_{table}"

    def tables(self) -> list[Table]:
        """Canonical tables that have staged rows, in the schema's order."""
        return [table for table in TABLES.values() if table.name in self._tables]

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
        )
        try:
            self.connection.execute("BEGIN")
            self._take(table, extraction.query, staged)
            source = "x_Source" if table.name == "charges" else "source"
            if source in table.names and table.name not in ("prices", "fx_rates"):
                self.connection.execute(
                    f"UPDATE {self.name(table.name)} SET {source} = ? WHERE {source} IS NULL AND _part = {part}",
                    [extraction.source],
                )
            self.connection.execute("COMMIT")
        except duckdb.Error as error:
            self.connection.execute("ROLLBACK")
            raise InputError(f"cannot be read: {_first_line(error)}", file=extraction.file) from error
        self._tables.add(table.name)
        staged.rejects = [*extraction.rejects, *staged.rejects]
        staged.rejected += len(extraction.rejects)
        staged.rows_read = extraction.rows_read
        self.files.append(staged)
        return staged

    def _take(self, table: Table, query: str, staged: StagedFile) -> None:
        """Run an extraction's query once, keep its good rows, list the bad ones."""
        probe = self.connection.execute(f"SELECT * FROM ({query}) LIMIT 0").description or []
        present = {column[0] for column in probe}
        values = ", ".join(
            f'CAST({f"{chr(34)}{column.name}{chr(34)}" if column.name in present else "NULL"} AS {column.type}) AS "{column.name}"'
            for column in table.columns
        )
        judged = "_reason" in present
        judgement = (", _row" if "_row" in present else ", NULL::BIGINT AS _row") + (
            ", _column, _reason" if judged else ", NULL::VARCHAR AS _column, NULL::VARCHAR AS _reason"
        )
        self.connection.execute(
            f"CREATE TABLE extracted AS SELECT {values}, {staged.part}::INTEGER AS _part{judgement} FROM ({query})"
        )
        if table.month_column:
            # A row without its time belongs to no month file and would vanish without a word.
            self.connection.execute(
                f"""UPDATE extracted SET _column = '{table.month_column}', _reason = 'has no time; give one, or leave the row out'
                    WHERE _reason IS NULL AND "{table.month_column}" IS NULL"""
            )
        count = self.connection.execute("SELECT count(*) FROM extracted WHERE _reason IS NOT NULL").fetchone()
        staged.rejected = count[0] if count else 0
        rows = self.connection.execute(
            "SELECT _row, _column, _reason FROM extracted WHERE _reason IS NOT NULL ORDER BY _row LIMIT ?",
            [REJECT_DETAILS_KEPT],
        ).fetchall()
        staged.rejects = [Reject(*row) for row in rows]
        if staged.rejected:
            self.connection.execute("DELETE FROM extracted WHERE _reason IS NOT NULL")
        for name in ("_column", "_reason"):
            self.connection.execute(f"ALTER TABLE extracted DROP COLUMN {name}")
        if table.name in self._tables:
            self.connection.execute(f"INSERT INTO {self.name(table.name)} BY NAME SELECT * FROM extracted")
            self.connection.execute("DROP TABLE extracted")
        else:
            self.connection.execute(f"ALTER TABLE extracted RENAME TO {self.name(table.name)}")

    def refuse(self, file: str, kind: str, checksum: str, reason: str) -> None:
        """Record a file that cannot be used at all."""
        self.files.append(StagedFile(len(self.files) + 1, kind, "", kind, file, checksum, None, message=reason))

    def withdraw(self, parts: Sequence[int], table: str) -> None:
        """Drop the staged rows of these parts."""
        if parts:
            self.connection.execute(f"DELETE FROM {self.name(table)} WHERE _part IN ({', '.join(map(str, parts))})")

    def complete(self, price: Callable[[duckdb.DuckDBPyConnection, str], None], categories: str) -> None:
        """Add what connectors leave open: canonical models and prices of calls, the cost category of billing lines."""
        if CALLS.name in self._tables:
            price(self.connection, self.name(CALLS.name))
        if CHARGES.name in self._tables:
            self.connection.execute(f"UPDATE {self.name(CHARGES.name)} SET x_CostCategory = {categories}")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]

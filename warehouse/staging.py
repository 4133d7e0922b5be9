"""Staging: canonical rows of the files of one load, gathered in a scratch database before anything is stored.

Each extraction makes a table of its own, and `complete` gathers them with one statement per canonical table: appending every file to one growing
table took five times as long per call (4.0 against 0.9 µs, one core, a million calls in 90 files). Calls are not gathered, and those of
Parquet files not even copied: they are counted (`warehouse.call_tally`) and read again when their month is written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import duckdb

from warehouse.call_pieces import CallPiece, FiledCalls, TabledCalls
from warehouse.call_tally import CallTally
from warehouse.errors import InputError
from warehouse.filing import path_text
from warehouse.intake import Extraction, Reject
from warehouse.schema import CALLS, CHARGES, TABLES, Table
from warehouse.table import Column

REJECT_DETAILS_KEPT = 10_000
"""Rejected rows of one file beyond this many are counted but not listed."""

PIECES_AT_ONCE = 200
"""So many tables are gathered by one statement: planning grows faster than their number."""

FILES_AT_ONCE = 1_000
"""So many Parquet files are looked at by one statement."""


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
        # What is written here counts for nothing until a writer adopts it, who brings it to the disk himself, once (`Writer.adopt`).
        self.connection.execute("SET fsync_mode = 'NONE'")
        self.files: list[StagedFile] = []
        self.tally = CallTally(self.connection)
        self._pieces: dict[str, dict[str, str]] = {}
        """Per canonical table, the tables that its files were read into, with the SELECT of the good rows of each."""
        self._parts: dict[str, list[int]] = {}
        """Per table in `_pieces` that holds calls, the parts that lie in it."""
        self._waiting: list[tuple[Extraction, StagedFile]] = []
        self._files: list[FiledCalls] = []

    def close(self) -> None:
        """Release the scratch database."""
        self.connection.close()

    def name(self, table: str) -> str:
        """Name of the staging table of a canonical table."""
        return f"staged_{table}"

    def tables(self) -> list[Table]:
        """Canonical tables that have staged rows, in the schema's order."""
        present = {*self._pieces, *([CALLS.name] if self._files or self._waiting else [])}
        return [table for table in TABLES.values() if table.name in present]

    def add(self, extraction: Extraction) -> StagedFile:
        """Take over one file's rows; nothing is stored yet. Calls of Parquet files wait for `read_waiting`.

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
        if extraction.row_wise and table is CALLS:
            self._waiting.append((extraction, staged))
        else:
            self._keep(table, extraction, staged)
        self.files.append(staged)
        return staged

    def read_waiting(self) -> list[tuple[StagedFile, InputError]]:
        """Look at the Parquet files that wait, all of one form at once; answers with those that cannot be read, and why: they have no rows."""
        failed: list[tuple[StagedFile, InputError]] = []
        groups: dict[tuple[str, str, object], list[tuple[Extraction, StagedFile]]] = {}
        for extraction, staged in self._waiting:
            if extraction.row_wise:
                form = (extraction.source, extraction.row_wise.query, extraction.row_wise.columns)
                groups.setdefault(form, []).append((extraction, staged))
        self._waiting = []
        for group in groups.values():
            for together in (group[at : at + FILES_AT_ONCE] for at in range(0, len(group), FILES_AT_ONCE)):
                failed += self._read_together(together)
        return failed

    def _read_together(self, group: list[tuple[Extraction, StagedFile]]) -> list[tuple[StagedFile, InputError]]:
        """Look at files of one form by one statement; by halves, and at last by themselves, where one of them does not let them be."""
        try:
            piece = self._filed(group)
            bad = self.tally.add_files(piece)
        except (duckdb.Error, ValueError):
            if middle := len(group) // 2:
                return self._read_together(group[:middle]) + self._read_together(group[middle:])
            ((extraction, staged),) = group
            try:
                self._keep(CALLS, extraction, staged)
            except InputError as error:
                staged.table = ""
                return [(staged, error)]
            return []
        piece.has_bad = bool(bad)
        self._files.append(piece)
        for extraction, staged in group:
            staged.rejected = bad.get(staged.part, 0)
            if staged.rejected:
                rows = self.connection.execute(
                    f"""SELECT {piece.row_number}, {piece.column}, {piece.reason} FROM {piece.rows([staged.part])}
                        WHERE ({piece.reason}) IS NOT NULL ORDER BY 1 LIMIT ?""",
                    [REJECT_DETAILS_KEPT],
                ).fetchall()
                staged.rejects = [Reject(*row) for row in rows]
            self._note(extraction, staged)
        return []

    def _filed(self, group: list[tuple[Extraction, StagedFile]]) -> FiledCalls:
        """The calls of files of one form."""
        extraction = group[0][0]
        assert extraction.row_wise is not None  # noqa: S101 - what waits is row-wise
        paths = {staged.part: other.row_wise.path for other, staged in group if other.row_wise}
        piece = FiledCalls(extraction.row_wise, paths, "", "", "")
        present = {row[0] for row in self.connection.execute(f"DESCRIBE SELECT * FROM {piece.rows()}").fetchall()}
        piece.column, piece.reason = _fault(CALLS, present)
        piece.values = _values(CALLS, present, extraction.source)
        return piece

    def _keep(self, table: Table, extraction: Extraction, staged: StagedFile) -> None:
        """Read a file into a table of its own."""
        try:
            piece = self._take(table, extraction, staged)
        except duckdb.Error as error:
            raise InputError(f"cannot be read: {_first_line(error)}", file=extraction.file) from error
        pieces = self._pieces.setdefault(table.name, {})
        pieces[f"extracted_{staged.part}"] = piece
        self._parts[f"extracted_{staged.part}"] = [staged.part]
        if len(pieces) >= PIECES_AT_ONCE:
            parts = [part for name in pieces for part in self._parts[name]]
            self._gather(table.name, gathered := f"gathered_{staged.part}")
            self._pieces[table.name] = {gathered: f"SELECT * FROM {gathered}"}
            self._parts[gathered] = parts
        self._note(extraction, staged)

    def _note(self, extraction: Extraction, staged: StagedFile) -> None:
        """Add what the connector itself says about its rows."""
        staged.rejects = [*extraction.rejects, *staged.rejects]
        staged.rejected += len(extraction.rejects)
        staged.rows_read = extraction.rows_read

    def _take(self, table: Table, extraction: Extraction, staged: StagedFile) -> str:
        """Run an extraction's query once into a table of its own and list its bad rows; answers with the SELECT of the good ones."""
        piece = f"extracted_{staged.part}"
        if extraction.kept_in:
            self.connection.execute(f"ALTER TABLE {extraction.kept_in} RENAME TO {piece}")
        else:
            self.connection.execute(f"CREATE TABLE {piece} AS {extraction.query}")
        present = {row[0] for row in self.connection.execute(f"DESCRIBE {piece}").fetchall()}
        column, reason = _fault(table, present)
        row = "_row" if "_row" in present else "rowid + 1" if extraction.kept_in else "NULL::BIGINT"
        ((staged.rejected,),) = self.connection.execute(f"SELECT count({reason}) FROM {piece}").fetchall()
        if staged.rejected:
            rows = self.connection.execute(
                f"SELECT {row}, {column}, {reason} AS reason FROM {piece} WHERE reason IS NOT NULL ORDER BY 1 LIMIT ?",
                [REJECT_DETAILS_KEPT],
            ).fetchall()
            staged.rejects = [Reject(*row) for row in rows]
        values = _values(table, present, extraction.source)
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

    def gather(self, table: str) -> None:
        """Make the staging table of a canonical table from what was added to it."""
        self._gather(table, self.name(table))

    def complete(self, categories: str) -> None:
        """Gather what was added, calls left where they are and counted, and add the cost category of billing lines."""
        if CALLS.name in self._pieces:
            self.tally.add(self._tabled_calls())
        for table in self._pieces:
            if table not in (CALLS.name, "prices"):
                self.gather(table)
        if CHARGES.name in self._pieces:
            self.connection.execute(f"UPDATE {self.name(CHARGES.name)} SET x_CostCategory = {categories}")

    def call_pieces(self) -> list[CallPiece]:
        """The calls that were added."""
        return [*([self._tabled_calls()] if CALLS.name in self._pieces else []), *self._files]

    def _tabled_calls(self) -> TabledCalls:
        tables = self._pieces[CALLS.name]
        parts = frozenset(part for name in tables for part in self._parts[name])
        return TabledCalls(parts, " UNION ALL ".join(tables.values()))

    def unreadable_files(self) -> dict[str, str]:
        """Parquet files of calls that cannot be read to their end, and why: by name. Reads them all."""
        found = {}
        for piece in self._files:
            for part, path in piece.paths.items():
                try:
                    self.connection.execute(f"SELECT max(hash(COLUMNS(*))) FROM read_parquet({path})").fetchall()
                except duckdb.Error as error:
                    found[self.files[part - 1].file] = _first_line(error)
        return found


def _fault(table: Table, present: Collection[str]) -> tuple[str, str]:
    """SQL for the column at fault and the reason, over the columns of an extraction."""
    column, reason = ("_column", "_reason") if "_reason" in present else ("NULL::VARCHAR", "NULL::VARCHAR")
    if table.month_column and table.month_column in present:
        # A row without its time belongs to no month file and would vanish without a word.
        timeless = f'{reason} IS NULL AND "{table.month_column}" IS NULL'
        column = f"CASE WHEN {timeless} THEN '{table.month_column}' ELSE {column} END"
        reason = f"CASE WHEN {timeless} THEN 'has no time; give one, or leave the row out' ELSE {reason} END"
    return column, reason


def _values(table: Table, present: Collection[str], source: str) -> str:
    """SELECT list of all canonical columns, over the columns of an extraction."""
    return ", ".join(f'{_value(table, column, present, source)} AS "{column.name}"' for column in table.columns)


def _value(table: Table, column: Column, present: Collection[str], source: str) -> str:
    """SQL for a canonical column of an extraction: NULL where it has none, the extraction's source where the row names none."""
    found = f'CAST("{column.name}" AS {column.type})' if column.name in present else f"CAST(NULL AS {column.type})"
    names_source = column.name == ("x_Source" if table.name == "charges" else "source")
    if names_source and table.name not in ("prices", "fx_rates"):
        text = source.replace("'", "''")
        return f"coalesce({found}, '{text}')"
    return found


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]

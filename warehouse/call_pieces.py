"""Pieces of the calls of one load: rows that lie in a table already, and Parquet files that are read when they are stored.

A Parquet file is read twice, once for what must be known before anything is stored (`warehouse.call_tally`), from a few columns, and once into the
month that it is stored in. That costs less than keeping a copy: reading ten million calls of 22 columns took 3 s of CPU, copying them
into memory 12 s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from warehouse.intake import FILE_ROWS, RowWise

_ROWS_OF_A_FILE = 40
"""Bits of a row number within a file: the number of the file stands above them."""


class CallPiece(Protocol):
    """Calls of one or several parts (see `warehouse.staging.StagedFile`)."""

    @property
    def parts(self) -> frozenset[int]:
        """The parts that lie in it."""

    def good(self, parts: Sequence[int]) -> str:
        """SELECT of the good rows, at least those of these parts: the columns of `calls`, `_part` and `_row`."""


@dataclass
class TabledCalls:
    """Calls that lie in a table of the staging database: `select` gives the good ones."""

    parts: frozenset[int]
    select: str

    def good(self, parts: Sequence[int]) -> str:  # noqa: ARG002 - a table is read whole
        """See `CallPiece`."""
        return self.select


@dataclass
class FiledCalls:
    """Calls of Parquet files that one row-wise query reads.

    `paths` are the files by part, `values` the canonical columns as SQL over the query's, `column` and `reason` SQL for what is wrong with a
    row. `has_bad` is set once it is known whether any row is bad; until then every row is looked at.
    """

    row_wise: RowWise
    paths: dict[int, str]
    values: str
    column: str
    reason: str
    has_bad: bool = True

    @property
    def parts(self) -> frozenset[int]:
        """The parts whose files are read."""
        return frozenset(self.paths)

    def rows(self, parts: Sequence[int] | None = None) -> str:
        """A relation of all rows, good and bad, of these parts, in their order, or of all parts: the query's columns and `_part`; `row_number`
        is what stands in `_row`."""
        chosen = [part for part in (sorted(self.paths) if parts is None else parts) if part in self.paths]
        files = ", ".join(self.paths[part] for part in chosen)
        numbers = ", ".join(map(str, chosen))
        return f"""(
            WITH {FILE_ROWS} AS NOT MATERIALIZED (
                SELECT (file_index::BIGINT << {_ROWS_OF_A_FILE}) + file_row_number + 1 AS _row, *
                FROM read_parquet([{files}], hive_partitioning=false))
            SELECT *, ([{numbers}]::INTEGER[])[1 + (_row >> {_ROWS_OF_A_FILE})] AS _part FROM ({self.row_wise.query}))"""

    @property
    def row_number(self) -> str:
        """SQL for the number of a row in its file."""
        return f"(_row & {(1 << _ROWS_OF_A_FILE) - 1})"

    def good(self, parts: Sequence[int]) -> str:
        """See `CallPiece`; only the files of these parts are read."""
        where = f" WHERE ({self.reason}) IS NULL" if self.has_bad else ""
        return f"SELECT {self.values}, _part, {self.row_number} AS _row FROM {self.rows(parts)}{where}"

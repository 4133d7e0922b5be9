"""What a connector hands to the loader: canonical rows of one file, and what was wrong with the others.

A connector reads a file with the DuckDB connection that it is given and answers with an `Extraction`: the name of a canonical
table and a query, valid on that connection, whose columns are (a subset of) that table's columns plus

* `_row`     BIGINT   number of the row in the file (1 = first data row),
* `_column`  VARCHAR  column at fault, NULL when the row is good,
* `_reason`  VARCHAR  what is wrong and what to do, NULL when the row is good.

Rows with a `_reason` are rejected and counted, all others are stored. Columns that the query leaves out are NULL. The loader adds
`load_id`, the costs by price book and the cost category; a connector never does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Reject:
    """An input row (or, with `row` None, a piece of a file) that cannot be used: where, and what to do."""

    row: int | None
    column: str | None
    reason: str


FILE_ROWS = "file_rows"
"""Relation that a row-wise query reads: the columns of a Parquet file, and `_row`."""


@dataclass(frozen=True)
class RowWise:
    """The query of an extraction that looks at each row of one Parquet file by itself: equal ones read many files in one statement, and
    what they read is stored without a copy in between.

    `query` gives what the extraction's own query gives, from the relation `FILE_ROWS`. `path` is the file's path as an SQL literal and
    `columns` are its columns with their types: files whose columns differ are not read together. Where the condition `unless`, over the
    query's columns, holds for any row, the row alone does not say enough, and the extraction's own query is used.
    """

    query: str
    path: str
    columns: tuple[tuple[str, str], ...]
    unless: str = "false"

    def of_its_file(self) -> str:
        """SELECT of what the query gives for the file."""
        rows = f"SELECT file_row_number + 1 AS _row, * FROM read_parquet({self.path}, hive_partitioning=false)"
        return f"WITH {FILE_ROWS} AS NOT MATERIALIZED ({rows}) SELECT * FROM ({self.query})"


@dataclass(frozen=True)
class Extraction:
    """Canonical rows of one file (see the module's docstring for the query's columns).

    `delivery` is set when the source itself says which rows belong together and supersede what came before (a manifest's
    report and period): all extractions of one delivery replace the older deliveries of the same name; `delivered_at` (UTC)
    says which is older. `warnings` are sentences that the person
    who loads should read.
    """

    kind: str
    table: str
    source: str
    file: str
    checksum: str
    query: str
    rejects: Sequence[Reject] = ()
    delivery: str | None = None
    delivered_at: datetime | None = None
    warnings: Sequence[str] = field(default=())
    row_wise: RowWise | None = None
    kept_in: str | None = None
    """Temporary table of the connection in which the rows lie already, all of the file's in its order: the query reads `rowid + 1` as `_row` and
    the other columns from it. Whoever stages the rows takes the table over instead of running the query."""
    rows_read: int | None = None
    """Rows of the file, where the query leaves some out that are no facts of their own (spans that are no calls, negations that net to zero)."""

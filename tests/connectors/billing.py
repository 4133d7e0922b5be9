"""What the tests of billing connectors share: reading a file into charges, and writing small synthetic ones."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from connectors import files
from connectors.extraction import Extraction
from warehouse.configuration import Configuration
from warehouse.schema import CHARGES

DATA = Path(__file__).resolve().parents[1] / "data"
SHARED = Path(__file__).resolve().parents[3] / "shared" / "samples" / "billing"


@dataclass
class Read:
    """A file after extraction: good rows as dicts in canonical types, rejected ones, warnings."""

    rows: list[dict[str, Any]] = field(repr=False)
    rejected: list[tuple[int, str, str]]
    warnings: Sequence[str]
    extraction: Extraction = field(repr=False)

    def total(self, column: str, **where: object) -> Decimal:
        """Sum of a column over the rows that have these values."""
        chosen = (row for row in self.rows if all(row[key] == value for key, value in where.items()))
        return sum((row[column] for row in chosen if row[column] is not None), Decimal(0))


def read(connector: Any, path: Path, only: str = "true") -> Read:
    """Everything a connector makes of a file (or the rows that `only` keeps), through the canonical table's types."""
    with TemporaryDirectory() as scratch, duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        file = files.inspect(path, Path(scratch))
        assert connector.detect(file)
        (extraction,) = connector.extract(connection, file, Configuration())
        connection.execute(f"CREATE TABLE extracted AS SELECT * FROM ({extraction.query})")
        present = [row[0] for row in connection.execute("DESCRIBE extracted").fetchall()]
        assert set(present) <= {*CHARGES.names, "_row", "_column", "_reason"}
        connection.execute(CHARGES.ddl())
        connection.execute(
            "INSERT INTO charges BY NAME SELECT * EXCLUDE (_row, _column, _reason) FROM extracted WHERE _reason IS NULL"
        )
        result = connection.execute(f"SELECT * FROM charges WHERE {only} ORDER BY x_RowNumber, x_RawLineItemType")
        names = [column[0] for column in result.description]
        rows = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
        rejected = connection.execute(
            "SELECT _row, _column, _reason FROM extracted WHERE _reason IS NOT NULL ORDER BY _row"
        ).fetchall()
    return Read(rows, rejected, extraction.warnings, extraction)


def write_csv(path: Path, rows: Iterable[Mapping[str, object]]) -> Path:
    """Rows as CSV, gzip where the name says so; columns are those of all rows together."""
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row))
    opener = gzip.open if path.suffix == ".gz" else open
    path.parent.mkdir(parents=True, exist_ok=True)
    with opener(path, "wt", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, names)
        writer.writeheader()
        writer.writerows(rows)
    return path


def read_csv(path: Path) -> list[dict[str, str]]:
    """A gzip CSV file's rows."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def totals(connector: Any, path: Path) -> tuple[Decimal, Decimal, int, Sequence[str]]:
    """Billed and effective sum of a file, how many of its rows are rejected, and the warnings."""
    with TemporaryDirectory() as scratch, duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        file = files.inspect(path, Path(scratch))
        assert connector.detect(file)
        (extraction,) = connector.extract(connection, file, Configuration())
        billed, effective, rejected = connection.execute(f"""
            SELECT sum(BilledCost) FILTER (_reason IS NULL), sum(EffectiveCost) FILTER (_reason IS NULL), count(_reason)
            FROM ({extraction.query})""").fetchall()[0]
    return billed, effective, rejected, extraction.warnings

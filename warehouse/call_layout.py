"""How the calls of a month lie in its file: what all of them have in common is told once, only the rest is stored call by call.

Writing is the larger half of a load, and every column costs it something, however little it says: one without any value 19 ns of CPU per call, one
with a single text 50 (a million calls of one core). Sources tell half of the columns of `calls` at most. So a column whose value follows
without looking at the call (no value, one text for all, another column's value) is left out of the stored table, and the file's view
`calls` gives it back: who reads sees every column with its type, as in a file that stores all of them, and answers come no later (DuckDB folds
what is constant).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import duckdb

from warehouse.schema import CALLS
from warehouse.table import Column, Table

ROWS = "call_rows"
"""Table of a month's file that holds the calls where its `calls` is a view."""

COMMON = "call_common"
"""Table of a month's file: the columns that its calls have in common, and the SQL of each over the stored ones."""

SAMPLE, LONGEST = 1_000, 200
"""So many calls say what to look for; longer texts are stored."""

WORTH_IT = 50_000
"""A month of fewer new calls is stored with all columns: looking for what they have in common would take longer than it saves."""

SAME_MODEL = {"model_raw": '"model"'}
"""Models were written by their canonical names."""

NEVER_COMMON = (
    "call_id",
    "started_at",
    "provider",
    "model",
    "priced_cost",
    "cost",
    "cost_basis",
    "price_id",
    "load_id",
    "model_raw",
)
"""What a load finds out of each call, or looks it up by; `model_raw` is looked at with what it finds out (`SAME_MODEL`)."""


@dataclass(frozen=True)
class Layout:
    """The columns that all calls of a month have in common, each as SQL over the stored ones. None: the file stores all columns in a table."""

    common: Mapping[str, str] = field(default_factory=dict)

    @property
    def table(self) -> str:
        """The table of the file that holds the calls."""
        return ROWS if self.common else CALLS.name

    @property
    def stored(self) -> list[Column]:
        """The columns of that table."""
        return [column for column in CALLS.columns if column.name not in self.common]

    @property
    def names(self) -> str:
        """SELECT list of the stored columns."""
        return ", ".join(f'"{column.name}"' for column in self.stored)

    @property
    def values(self) -> str:
        """SELECT list of all columns of `calls` over that table."""
        return ", ".join(f'{self._value(column)} AS "{column.name}"' for column in CALLS.columns)

    def _value(self, column: Column) -> str:
        common = self.common.get(column.name)
        return f'"{column.name}"' if common is None else f"CAST({common} AS {column.type})"

    def create(self, session: duckdb.DuckDBPyConnection, file: str) -> None:
        """Make the table, and the view, in an attached file (name of its database)."""
        session.execute(Table(self.table, "", tuple(self.stored)).ddl(f"{file}.{self.table}"))
        if self.common:
            session.execute(f"CREATE VIEW {file}.{CALLS.name} AS SELECT {self.values} FROM {file}.{ROWS}")
            session.execute(f"CREATE TABLE {file}.{COMMON} (name VARCHAR, value VARCHAR)")
            session.execute(
                f"INSERT INTO {file}.{COMMON} SELECT unnest(?::VARCHAR[]), unnest(?::VARCHAR[])",
                [*map(list, zip(*self.common.items(), strict=True))],
            )


def layout_of(session: duckdb.DuckDBPyConnection, file: str) -> Layout:
    """How calls lie in an attached file (name of its database); files of before there were layouts store all columns."""
    known = "SELECT 1 FROM duckdb_tables() WHERE database_name = ? AND table_name = ?"
    if not session.execute(known, [file, COMMON]).fetchall():
        return Layout()
    return Layout(dict(session.execute(f"SELECT name, value FROM {file}.{COMMON}").fetchall()))


def sampled(session: duckdb.DuckDBPyConnection, rows: str) -> dict[str, str]:
    """What the first calls of a SELECT have in common: to be looked for in all of them (see `holding`)."""
    looked_at = [column.name for column in CALLS.columns if column.name not in NEVER_COMMON]
    names = ", ".join(f'"{name}"' for name in looked_at)
    found = session.execute(f"SELECT {names} FROM ({rows}) LIMIT {SAMPLE}").fetchall()
    values = zip(looked_at, zip(*found, strict=True), strict=True) if found else ()
    return {
        name: text for name, (first, *others) in values if others == [first] * len(others) and (text := _written(first))
    }


def _written(value: object) -> str | None:
    """SQL of a value; None for one that is better stored."""
    if value is None or isinstance(value, bool | int):
        return "NULL" if value is None else str(value)
    if isinstance(value, str) and len(value) <= LONGEST:
        return "'" + value.replace("'", "''") + "'"
    empty = "MAP {}" if isinstance(value, dict) else "[]" if isinstance(value, list) else None
    return None if value else empty


def holding(session: duckdb.DuckDBPyConnection, rows: str, common: Mapping[str, str]) -> dict[str, str]:
    """Those of these that hold for every row of a SELECT (columns of `calls`), found by looking at all of them.

    A column that the source does not have costs nothing: that it has no value is known without reading a row.
    """
    differs = {
        name: f'"{name}" IS DISTINCT FROM CAST({value} AS {CALLS.by_name[name].type})' for name, value in common.items()
    }
    if (
        not common
        or not session.execute(f"SELECT 1 FROM ({rows}) WHERE {' OR '.join(differs.values())} LIMIT 1").fetchall()
    ):
        return dict(common)
    checks = ", ".join(f"coalesce(bool_or({condition}), false)" for condition in differs.values())
    (found,) = session.execute(f"SELECT {checks} FROM ({rows})").fetchall()
    return {name: value for (name, value), differ in zip(common.items(), found, strict=True) if not differ}

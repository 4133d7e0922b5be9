"""A text file's rows as a table of texts: parsed once, by all cores, whatever is asked of them afterwards.

A query that reads a file again for every statement parses it as often, and its row numbers (a window over the whole file) keep it on
one core. The rows of a table have their numbers for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import uuid4

from connectors.source_file import NULL_WORDS, csv_rows, json_objects, json_rows, quote_identifier, sql_text

if TYPE_CHECKING:
    import duckdb

    from connectors.source_file import SourceFile

_NAME = "rows_of_file_"
_WORDS = ", ".join(sql_text(word) for word in NULL_WORDS)
_BEGINNINGS = sorted({word[0] for word in NULL_WORDS if word})


class RowTable:
    """The rows of a CSV or JSON file in a temporary table of the connection that is given, until `drop_row_tables`.

    `names` are the CSV file's columns or keys of the JSON objects; `columns` says under which name of the table each of them lies
    (VARCHAR, NULL where it is missing, empty or one of `NULL_WORDS`; nested values are JSON). `source` is a table expression of these
    columns and `_row` (BIGINT, 1 = first data row), in the file's order.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, file: SourceFile, names: Sequence[str]) -> None:
        # Names of their own: keys of JSON may differ in case alone, which SQL cannot tell apart.
        self.columns = {name: f"value_{at}" for at, name in enumerate(names, start=1)}
        values = _columns(names) if file.format == "csv" else _picks(names)
        items = ", ".join(
            f"{_without_null_words(value)} AS {column}"
            for value, column in zip(values, self.columns.values(), strict=True)
        )
        numbered = file.numbered or (file.format != "csv" and bool(file.rejects))
        listed = ", ".join(["_row"] * numbered + [items] * bool(items)) or "NULL AS nothing"
        rows = csv_rows(file) if file.format == "csv" else _picked(file, names, numbered)
        name = keep_rows(connection, f"SELECT {listed} FROM {rows}")
        self.source = name if numbered else f"(SELECT rowid + 1 AS _row, * FROM {name})"


def keep_rows(connection: duckdb.DuckDBPyConnection, query: str) -> str:
    """Name of a temporary table with what the query gives, until `drop_row_tables`."""
    name = f"{_NAME}{uuid4().hex}"
    connection.execute(f"CREATE TEMP TABLE {name} AS {query}")
    return name


def drop_row_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Give back the memory of every row table of a connection: what was asked of its files has been answered."""
    found = connection.execute(
        f"SELECT table_name FROM duckdb_tables() WHERE temporary AND starts_with(table_name, '{_NAME}')"
    ).fetchall()
    for (name,) in found:
        connection.execute(f"DROP TABLE {name}")


def _columns(names: Sequence[str]) -> list[str]:
    return [quote_identifier(name) for name in names]


def _picks(names: Sequence[str]) -> list[str]:
    return [f"_picked[{at}]" for at in range(1, len(names) + 1)]


def _picked(file: SourceFile, names: Sequence[str], numbered: bool) -> str:
    """Every key of an object by one look through it (one for each key took five times as long)."""
    pointers = ", ".join(sql_text("/" + name.replace("~", "~0").replace("/", "~1")) for name in names)
    picked = f"json_extract_string(json, [{pointers}]) AS _picked"
    if not numbered:
        return f"(SELECT {picked} FROM {json_objects(file)})"
    return f"(SELECT _row, {picked} FROM {json_rows(file)} WHERE json IS NOT NULL AND json_type(json) = 'OBJECT')"


def _without_null_words(value: str) -> str:
    """SQL: the value, NULL where it is a word for nothing, with blanks around it or without. Most values can be told by their first sign."""
    other = " AND ".join(f"NOT starts_with({value}, {sql_text(sign)})" for sign in _BEGINNINGS)
    plain = f"{value} BETWEEN '!' AND '~' AND {other}"
    return f"CASE WHEN {plain} THEN {value} WHEN trim({value}) NOT IN ({_WORDS}) THEN {value} END"

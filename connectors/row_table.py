"""A text file's rows as a table of texts: parsed once, by all cores, whatever is asked of them afterwards.

A query that reads a file again for every statement parses it as often, and its row numbers (a window over the whole file) keep it on
one core. The rows of a table have their numbers for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING
from uuid import uuid4

import duckdb

from connectors.source_file import (
    NULL_WORDS,
    csv_rows,
    json_objects,
    json_rows,
    json_values,
    quote_identifier,
    sql_text,
)

if TYPE_CHECKING:
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
        numbered = file.numbered or (file.format != "csv" and bool(file.rejects))
        name = None if numbered or file.format == "csv" else _parsed_once(connection, file, self.columns)
        if name is None:
            values = [
                quote_identifier(name) if file.format == "csv" else f"_picked[{at}]" for at, name in enumerate(names, 1)
            ]
            listed = (
                ", ".join(["_row"] * numbered + _without_null_words(values, self.columns.values())) or "NULL AS nothing"
            )
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


def _parsed_once(connection: duckdb.DuckDBPyConnection, file: SourceFile, columns: Mapping[str, str]) -> str | None:
    """The table of a JSON file's rows, cheaper than by `_picked`, which parses every object a second time.

    None where the result might be another one: keys that SQL cannot tell apart or that an object holds twice, something that is no object,
    numbers that would be written in another way.
    """
    if len({name.lower() for name in columns}) < len(columns) or "" in columns or not columns:
        return None
    texts = [name for name in columns if all(isinstance(row.get(name), str) for row in file.head)]
    kinds = ", ".join(f"{sql_text(name)}: '{'VARCHAR' if name in texts else 'JSON'}'" for name in columns)
    values = [quote_identifier(name) if name in texts else _text_of_json(quote_identifier(name)) for name in columns]
    as_text = ", ".join(f"{value} AS {column}" for value, column in zip(values, columns.values(), strict=True))
    listed = ", ".join(_without_null_words(columns.values(), columns.values()))
    try:
        table = keep_rows(connection, f"SELECT {listed} FROM (SELECT {as_text} FROM {json_values(file, kinds)})")
    except duckdb.Error:
        return None
    doubts = [f"coalesce({', '.join(columns.values())}) IS NULL", *(_may_be_number(columns[name]) for name in texts)]
    if connection.execute(f"SELECT 1 FROM {table} WHERE {' OR '.join(doubts)} LIMIT 1").fetchall():
        connection.execute(f"DROP TABLE {table}")
        return None
    return table


def _text_of_json(value: str) -> str:
    return f"CASE WHEN starts_with({value}, '\"') THEN {value} ->> '$' ELSE CAST({value} AS VARCHAR) END"


def _may_be_number(text: str) -> str:
    """SQL: the text may have been a number that DuckDB writes with an exponent where JSON's own text has none (3.5e-06 for 0.0000035)."""
    return f"({text} BETWEEN '-' AND ':' AND length({text}) < 26 AND regexp_full_match({text}, '-?\\d(\\.\\d+)?e[+-]\\d+'))"


def _picked(file: SourceFile, names: Sequence[str], numbered: bool) -> str:
    """Every key of an object by one look through it (one for each key took five times as long)."""
    pointers = ", ".join(sql_text("/" + name.replace("~", "~0").replace("/", "~1")) for name in names)
    picked = f"json_extract_string(json, [{pointers}]) AS _picked"
    if not numbered:
        return f"(SELECT {picked} FROM {json_objects(file)})"
    return f"(SELECT _row, {picked} FROM {json_rows(file)} WHERE json IS NOT NULL AND json_type(json) = 'OBJECT')"


def _without_null_words(values: Iterable[str], columns: Iterable[str]) -> list[str]:
    """SELECT items: the values, NULL where one is a word for nothing, with blanks around it or without. Most can be told by their first sign."""
    items = []
    for value, column in zip(values, columns, strict=True):
        other = " AND ".join(f"NOT starts_with({value}, {sql_text(sign)})" for sign in _BEGINNINGS)
        plain = f"{value} BETWEEN '!' AND '~' AND {other}"
        items.append(
            f"CASE WHEN {plain} THEN {value} WHEN trim({value}) NOT IN ({_WORDS}) THEN {value} END AS {column}"
        )
    return items

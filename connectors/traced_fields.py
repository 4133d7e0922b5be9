"""Named text columns out of rows that may be JSON objects, CSV texts or typed Parquet columns: one shape for all, parsed once per row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import duckdb

from connectors.files import checked, quote_identifier, scan, sql_text
from connectors.row_table import json_stream, keep_at_once
from connectors.source_file import csv_rows

if TYPE_CHECKING:
    from connectors.files import SourceFile


def pick(paths: Mapping[str, str], source: str, inner: str) -> str:
    """A query that adds a text column per JSON pointer of `paths` (name -> pointer) to those of `inner`.

    `source` is a column of type JSON (or JSON text). Empty texts are NULL; nested values are their compact JSON text.
    """
    listed = ", ".join(sql_text(path) for path in paths.values())
    columns = ", ".join(
        f"nullif(_picked[{at}], '') AS {quote_identifier(name)}" for at, name in enumerate(paths, start=1)
    )
    return f"""
        SELECT * EXCLUDE (_picked), {columns}
        FROM (SELECT *, json_extract_string({source}, [{listed}]) AS _picked FROM ({inner}))"""


def fields(connection: duckdb.DuckDBPyConnection, file: SourceFile, paths: Mapping[str, str]) -> str:
    """A query with `_row` and a text column (VARCHAR, NULL where missing or empty) per name of `paths`.

    JSON rows are read at the pointer; in CSV and Parquet the column of that name is, whatever its case; a pointer into a column
    (`/a/b`) is then followed inside of it. Maps, structs and lists become JSON text, times with a zone UTC.
    """
    if file.is_json:
        return f"SELECT * EXCLUDE (json) FROM ({pick(paths, 'json', f'SELECT _row, json FROM {scan(file)}')})"
    described = connection.execute(f"DESCRIBE SELECT * FROM {scan(file)}").fetchall()
    return _of_columns({name: kind for name, kind, *_ in described}, paths, scan(file))


def kept_fields(
    connection: duckdb.DuckDBPyConnection, file: SourceFile, paths: Mapping[str, str]
) -> tuple[SourceFile, str]:
    """The query of `fields`, over a temporary table where that is possible, so that it may be asked often; and the file, looked through."""
    rows = _stream(file, paths)
    if rows and (table := keep_at_once(connection, file, rows)):
        return file, f"SELECT * EXCLUDE (_doubt) REPLACE (rowid + 1 AS _row) FROM {table}"
    file = checked(file)
    return file, fields(connection, file, paths)


def _stream(file: SourceFile, paths: Mapping[str, str]) -> str | None:
    """The query of `fields` for one statement that reads a text file: `_row` is NULL, and `_doubt` says whether what is read may be something
    else. None where the file has to be read in another way."""
    if file.format == "csv":
        if file.numbered or file.rejects:
            return None
        rows = f"(SELECT NULL::BIGINT AS _row, false AS _doubt, * FROM {csv_rows(file)})"
        return _of_columns(dict.fromkeys(file.columns, "VARCHAR"), paths, rows, ("_row", "_doubt"))
    if not file.is_json:
        return None
    split = {name: path.removeprefix("/").partition("/") for name, path in paths.items()}
    nested = dict.fromkeys(head for head, _, rest in split.values() if rest)
    read = json_stream(file, list(dict.fromkeys(head for head, _, _ in split.values())), nested)
    if read is None:
        return None
    own = {name: head for name, (head, _, rest) in split.items() if not rest}
    values = [f"nullif({read.columns[head]}, '') AS {quote_identifier(name)}" for name, head in own.items()]
    rows = f"SELECT _row, _doubt, {', '.join([*values, *(read.columns[head] for head in nested)])} FROM {read.source}"
    for head in nested:
        inside = {name: f"/{rest}" for name, (first, _, rest) in split.items() if first == head and rest}
        rows = f"SELECT * EXCLUDE ({read.columns[head]}) FROM ({pick(inside, read.columns[head], rows)})"
    return rows


def _of_columns(
    types: Mapping[str, str], paths: Mapping[str, str], rows: str, others: tuple[str, ...] = ("_row",)
) -> str:
    """The query of `fields` for rows of typed columns; a column is looked into once, whatever is asked of its inside."""
    known = {name.lower(): (quote_identifier(name), kind) for name, kind in types.items()}
    items, inside = [], dict[str, dict[str, str]]()
    for name, path in paths.items():
        head, _, rest = path.removeprefix("/").partition("/")
        if rest:
            inside.setdefault(head, {})[name] = f"/{rest}"
            continue
        items.append(
            f"nullif({_as_text(*known.get(head.lower(), ('NULL', 'VARCHAR')))}, '') AS {quote_identifier(name)}"
        )
    looked_into = {head: f"_inside_{at}" for at, head in enumerate(inside)}
    for head, column in looked_into.items():
        whole = _as_text(*known.get(head.lower(), ("NULL", "VARCHAR")))
        items.append(f"TRY_CAST({whole} AS JSON) AS {column}")
    query = f"SELECT {', '.join([*others, *items])} FROM {rows}"
    for head, column in looked_into.items():
        query = f"SELECT * EXCLUDE ({column}) FROM ({pick(inside[head], column, query)})"
    return query


def _as_text(column: str, kind: str) -> str:
    if kind.startswith("TIMESTAMP WITH"):
        column = f"make_timestamp(epoch_us({column}))"
    elif kind.startswith(("STRUCT", "MAP")) or kind.endswith("[]"):
        column = f"to_json({column})"
    return f"CAST({column} AS VARCHAR)"

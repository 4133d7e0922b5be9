"""Named text columns out of rows that may be JSON objects, CSV texts or typed Parquet columns: one shape for all, parsed once per row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from connectors.files import quote_identifier, scan, sql_text

if TYPE_CHECKING:
    import duckdb

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
    if file.format in ("json", "jsonl"):
        return f"SELECT * EXCLUDE (json) FROM ({pick(paths, 'json', f'SELECT _row, json FROM {scan(file)}')})"
    described = connection.execute(f"DESCRIBE SELECT * FROM {scan(file)}").fetchall()
    types = {name.lower(): (quote_identifier(name), kind) for name, kind, *_ in described}
    items = []
    for name, path in paths.items():
        head, *rest = path.removeprefix("/").split("/")
        column, kind = types.get(head.lower(), ("NULL", "VARCHAR"))
        if kind.startswith("TIMESTAMP WITH"):
            column = f"make_timestamp(epoch_us({column}))"
        elif kind.startswith(("STRUCT", "MAP")) or kind.endswith("[]"):
            column = f"to_json({column})"
        if rest:
            column = f"TRY_CAST({column} AS JSON) ->> {sql_text('/' + '/'.join(rest))}"
        items.append(f"nullif(CAST({column} AS VARCHAR), '') AS {quote_identifier(name)}")
    return f"SELECT _row, {', '.join(items)} FROM {scan(file)}"

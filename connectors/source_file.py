"""A file that was looked at, and the DuckDB expressions that read its rows."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from connectors import json_records
from connectors.csv_records import Dialect
from connectors.extraction import Reject

NULL_WORDS = ("", "NULL", "null", "\\N")
"""What stands for "no value" in a CSV file."""

_DEFAULT = Dialect()


@dataclass(frozen=True)
class Unchecked:
    """What is needed to look through a text file of which only the beginning was read: `copy` is where a cleaned copy of it may be written,
    `rows` how many a CSV file has if none of them goes over several lines."""

    copy: Path
    rows: int


@dataclass(frozen=True)
class SourceFile:
    """A file that was looked at.

    `path` is the file given; `readable` the file that DuckDB reads: the same, or a cleaned temporary copy. `format` is csv, jsonl, json or
    parquet, found from content. `columns` are the header's names as written (for JSON: the keys of the first object). `head` holds up to 50
    first rows as dicts of raw values, for detection. `rejects` are lines that had to be dropped to make the rest readable. `checksum` is
    SHA-256 of the bytes on disk.

    How to read it: `compression` (gzip, zstd or ""), `dialect` (CSV), `numbered` (a copy whose first column is the row number in the
    original), `layout` (JSON: lines, array or documents) and `longest` (longest row in bytes). `texts` are the objects of a small JSON file
    (lines, or one object) whose every object is good. `unchecked` is set while nobody looked for broken rows (see `connectors.files.glance`).
    """

    path: Path
    readable: Path
    format: str
    columns: tuple[str, ...]
    head: tuple[dict[str, object], ...]
    checksum: str
    size: int
    rejects: tuple[Reject, ...] = ()
    compression: str = ""
    dialect: Dialect = _DEFAULT
    numbered: bool = False
    layout: str = "lines"
    longest: int = 0
    texts: tuple[str, ...] = ()
    unchecked: Unchecked | None = None

    @property
    def name(self) -> str:
        """File name without its folder."""
        return self.path.name

    @property
    def is_json(self) -> bool:
        """Whether it holds JSON objects, one per line or not."""
        return self.format in ("json", "jsonl")

    def has(self, *names: str) -> bool:
        """Whether all these columns are in the header, whatever their case."""
        present = {column.lower() for column in self.columns}
        return all(name.lower() in present for name in names)


def checksum(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def quote_identifier(name: str) -> str:
    """A column or table name, quoted for SQL."""
    return '"' + name.replace('"', '""') + '"'


def sql_text(value: str) -> str:
    """A text literal, quoted for SQL."""
    return "'" + value.replace("'", "''") + "'"


def scan(file: SourceFile, columns: Sequence[str] | None = None) -> str:
    """A DuckDB table expression with the file's rows: `_row` BIGINT (1 = first data row; blank lines are not counted), and

    * CSV: the header's columns, all VARCHAR, NULL where empty or one of `NULL_WORDS`;
    * JSON: one column `json` (JSON), an object per row;
    * Parquet: the file's columns in their types.

    `columns` keeps only these (names as in `SourceFile.columns`). Numbers are right only while the connection keeps insertion order
    (DuckDB's default).
    """
    chosen = "*" if columns is None else ", ".join(["_row", *(quote_identifier(name) for name in columns)])
    path = path_literal(file.readable)
    if file.format == "parquet":
        clash = ' RENAME (_row AS "_row_2")' if file.has("_row") else ""
        rows = f"SELECT file_row_number + 1 AS _row, * EXCLUDE (file_row_number){clash}"
        return (
            f"(SELECT {chosen} FROM ({rows} FROM read_parquet({path}, file_row_number=true, hive_partitioning=false)))"
        )
    if file.format == "csv":
        rows = "SELECT * FROM" if file.numbered else "SELECT row_number() OVER () AS _row, * FROM"
        return f"(SELECT {chosen} FROM ({rows} {csv_rows(file)}))"
    if file.numbered or not file.rejects:
        return (
            f"(SELECT * FROM {json_rows(file)})"  # every row was found to be an object: asking again is a second parse
        )
    return f"(SELECT * FROM {json_rows(file)} WHERE json IS NOT NULL AND json_type(json) = 'OBJECT')"


def csv_rows(file: SourceFile) -> str:
    """DuckDB's reader for a CSV file, without row numbers unless it is a numbered copy."""
    types = dict.fromkeys(file.columns, "VARCHAR")
    if file.numbered:
        types = {"_row": "BIGINT"} | types
    listed = ", ".join(f"{sql_text(name)}: {sql_text(kind)}" for name, kind in types.items())
    nulls = ", ".join(sql_text(word) for word in NULL_WORDS)
    longest = max(2 << 20, file.longest + (1 << 16))
    return (
        f"read_csv({path_literal(file.readable)}, auto_detect=false, hive_partitioning=false, header={str(not file.numbered).lower()}, "
        f"columns={{{listed}}}, delim={sql_text(file.dialect.delimiter)}, "
        f"quote='\"', escape={sql_text(file.dialect.escape)}, "
        f"nullstr=[{nulls}], strict_mode=true, max_line_size={longest}, compression={_compression(file)})"
    )


def json_rows(file: SourceFile) -> str:
    """Rows of a JSON file: `_row` and `json`, NULL where a line is no JSON."""
    if file.numbered:
        return (
            f"read_csv({path_literal(file.readable)}, auto_detect=false, hive_partitioning=false, header=false, "
            f"columns={{'_row': 'BIGINT', 'json': 'JSON'}}, delim='\t', quote='', escape='', "
            f"max_line_size={_longest_object(file)}, compression={_compression(file)})"
        )
    return f"(SELECT row_number() OVER () AS _row, json FROM {json_objects(file)})"


def json_objects(file: SourceFile) -> str:
    """DuckDB's reader for a JSON file that is no numbered copy: `json` alone, in the file's order, NULL where a line is no JSON."""
    reader, how = "read_ndjson_objects", "ignore_errors=true"
    if file.layout != "lines":
        reader, how = "read_json_objects", f"format='{'array' if file.layout == 'array' else 'unstructured'}'"
    return (
        f"{reader}({path_literal(file.readable)}, {how}, "
        f"maximum_object_size={_longest_object(file)}, compression={_compression(file)}, hive_partitioning=false)"
    )


def json_values(file: SourceFile, columns: str) -> str:
    """DuckDB's reader for the values of a JSON file that is no numbered copy, in the file's order; `columns` are SQL of keys and their types."""
    form = {"lines": "newline_delimited", "array": "array"}.get(file.layout, "unstructured")
    return (
        f"read_json({path_literal(file.readable)}, format='{form}', columns={{{columns}}}, auto_detect=false, "
        f"maximum_object_size={_longest_object(file)}, compression={_compression(file)}, hive_partitioning=false)"
    )


def _longest_object(file: SourceFile) -> int:
    return min(max(16 << 20, file.longest + (1 << 16)), json_records.LONGEST_DOCUMENT)


def path_literal(path: Path) -> str:
    """The path for DuckDB, which would take *, ? and [ in it for a pattern, and read other files."""
    return sql_text(re.sub(r"[*?\[]", r"[\g<0>]", str(path)))


def _compression(file: SourceFile) -> str:
    return sql_text(file.compression or "none")

"""A text file's rows as a table of texts: parsed once, by all cores, whatever is asked of them afterwards.

A query that reads a file again for every statement parses it as often, and its row numbers (a window over the whole file) keep it on
one core. The rows of a table have their numbers for nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

import duckdb

from connectors.files import is_whole
from connectors.source_file import (
    NULL_WORDS,
    csv_rows,
    json_objects,
    json_rows,
    json_values,
    quote_identifier,
    sql_text,
)
from warehouse.errors import InputError

if TYPE_CHECKING:
    from connectors.source_file import SourceFile

MOST_KEYS = 1_000
"""So many different keys may the objects of a JSON file have: each becomes a column."""

_NAME = "rows_of_file_"
_WORDS = ", ".join(sql_text(word) for word in NULL_WORDS)
_BEGINNINGS = sorted({word[0] for word in NULL_WORDS if word})
_PLAIN_SIGNS = [
    (low, high)
    for low, high in zip(["!", *(chr(ord(sign) + 1) for sign in _BEGINNINGS)], [*_BEGINNINGS, "\x7f"], strict=True)
    if low < high
]
"""Ranges of first signs, of all that are seen in ASCII, that no word for nothing has."""


class RowTable:
    """The rows of a CSV or JSON file in a temporary table of the connection that is given, until `drop_row_tables`.

    `names` are the CSV file's columns or keys of the JSON objects; `columns` says under which name of the table each of them lies
    (VARCHAR, NULL where it is missing, empty or one of `NULL_WORDS`; nested values are JSON). `source` is a table expression of these
    columns and `_row` (BIGINT, 1 = first data row), in the file's order.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, file: SourceFile, names: Sequence[str]) -> None:
        self.columns = _columns(names)
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


@dataclass(frozen=True)
class RowStream:
    """A file's rows as an expression for one statement, which reads the file: `columns` as in `RowTable`, and `source`, a table expression of
    these columns, `_row` (NULL: the place of a row in the file is its place in what the statement makes of all of them, in their order) and
    `_doubt`, whether what is read may be something else than what `RowTable` would hold. The statement fails where the file is broken.
    """

    source: str
    columns: dict[str, str]


def names_of(connection: duckdb.DuckDBPyConnection, file: SourceFile) -> list[str]:
    """The columns of a CSV file, or every key of a JSON file's objects: those of the first ones in their order, then all others by name.

    Raises InputError for more keys than `MOST_KEYS`.
    """
    if file.format == "csv":
        return list(dict.fromkeys(file.columns))
    names = dict.fromkeys(key for row in file.head for key in row)
    if not file.texts or len(file.texts) > len(file.head):
        names |= dict.fromkeys(_other_keys(connection, file))
    if len(names) > MOST_KEYS:
        raise InputError(
            f"the objects have more than {MOST_KEYS:,} different keys; put what differs from object to object under one key, `labels`",
            file=file.name,
        )
    return list(names)


def _other_keys(connection: duckdb.DuckDBPyConnection, file: SourceFile) -> list[str]:
    """Keys of objects that have other keys than the first ones, by name: a log may begin to tell of something at any line.

    Nearly all objects of a log have the keys of another: comparing lists costs half of grouping them (0.5 s of CPU for half a million
    objects of 22 keys).
    """
    usual = list(dict.fromkeys(tuple(row) for row in file.head))
    known = ", ".join(f"[{', '.join(map(sql_text, keys))}]::VARCHAR[]" for keys in usual)
    unusual = f"WHERE keys NOT IN ({known})" if 0 < len(usual) < 4 else ""
    rows = json_rows(file) if file.numbered else json_objects(file)
    query = f"SELECT DISTINCT unnest(keys) AS key FROM (SELECT json_keys(json) AS keys FROM {rows}) {unusual} ORDER BY key LIMIT {MOST_KEYS + 1}"
    try:
        return [key for (key,) in connection.execute(query).fetchall()]
    except duckdb.Error:
        if file.unchecked is None:
            raise
        return []  # what is broken is found by the statement that reads the values; then the file is looked through


def row_stream(file: SourceFile, names: Sequence[str]) -> RowStream | None:
    """The rows of a file of CSV columns or JSON keys of these names; None where they have to be read in another way."""
    columns = _columns(names)
    if file.numbered or file.rejects:
        return None
    if file.format == "csv":
        values = ", ".join(_without_null_words(map(quote_identifier, names), columns.values()))
        return RowStream(f"(SELECT NULL::BIGINT AS _row, false AS _doubt, {values} FROM {csv_rows(file)})", columns)
    if not _can_be_told_apart(columns):
        return None
    values, doubt = _json_values(file, columns)
    return RowStream(f"(SELECT NULL::BIGINT AS _row, *, {doubt} AS _doubt FROM ({values}))", columns)


def json_stream(file: SourceFile, names: Sequence[str], nested: Collection[str] = ()) -> RowStream | None:
    """Like `row_stream` for keys of a JSON file, but no text is taken for a word for nothing: they are those of `json_extract_string`. The
    keys in `nested` stay JSON. None where the file has to be read in another way."""
    columns = _columns(names)
    if file.numbered or file.rejects or not _can_be_told_apart(columns):
        return None
    texts = [name for name in _only_texts(file, columns) if name not in nested]
    values = ", ".join(
        f"{quote_identifier(name) if name in texts or name in nested else _text_of_json(quote_identifier(name))} AS {column}"
        for name, column in columns.items()
    )
    rows = f"SELECT {values} FROM {json_values(file, _kinds(columns, texts))}"
    return RowStream(f"(SELECT NULL::BIGINT AS _row, *, {_doubt(columns, texts)} AS _doubt FROM ({rows}))", columns)


def keep_rows(connection: duckdb.DuckDBPyConnection, query: str) -> str:
    """Name of a temporary table with what the query gives, until `drop_row_tables`."""
    name = f"{_NAME}{uuid4().hex}"
    connection.execute(f"CREATE TEMP TABLE {name} AS {query}")
    return name


def keep_at_once(connection: duckdb.DuckDBPyConnection, file: SourceFile, query: str) -> str | None:
    """Name of a temporary table with what a query over a file's stream (`row_stream`, `json_stream`) gives, a row for each of
    the file and in its order; None where the file has to be read in another way: it is broken, or `_doubt`, a column that the query has, is
    true of some row.

    The query must be nothing but a projection: DuckDB keeps the order of the rows of a file, but not through the join that it makes of `IN` with
    five values or more (the last of a file's rows, where no line end followed it, came first).

    The file is parsed once, by all cores: to number its rows while they are read keeps that on one core, and to look for broken ones before is
    another parse.
    """
    try:
        table = keep_rows(connection, query)
    except duckdb.Error:
        return None
    ((count, doubt),) = connection.execute(f"SELECT count(*), coalesce(bool_or(_doubt), false) FROM {table}").fetchall()
    if doubt or not is_whole(file, count):
        connection.execute(f"DROP TABLE {table}")
        return None
    return table


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
    if not _can_be_told_apart(columns):
        return None
    values, doubt = _json_values(file, columns)
    try:
        table = keep_rows(connection, values)
    except duckdb.Error:
        return None
    if connection.execute(f"SELECT 1 FROM {table} WHERE {doubt} LIMIT 1").fetchall():
        connection.execute(f"DROP TABLE {table}")
        return None
    return table


def _columns(names: Sequence[str]) -> dict[str, str]:
    # Names of their own: keys of JSON may differ in case alone, which SQL cannot tell apart.
    return {name: f"value_{at}" for at, name in enumerate(names, start=1)}


def _can_be_told_apart(columns: Mapping[str, str]) -> bool:
    """Whether DuckDB can take these keys of JSON for names of columns."""
    return len({name.lower() for name in columns}) == len(columns) > 0 and "" not in columns


def _json_values(file: SourceFile, columns: Mapping[str, str]) -> tuple[str, str]:
    """SELECT of the values of a JSON file, and the condition over them that says that a row may have been read wrongly."""
    texts = _only_texts(file, columns)
    values = [quote_identifier(name) if name in texts else _text_of_json(quote_identifier(name)) for name in columns]
    as_text = ", ".join(f"{value} AS {column}" for value, column in zip(values, columns.values(), strict=True))
    listed = ", ".join(_without_null_words(columns.values(), columns.values()))
    return f"SELECT {listed} FROM (SELECT {as_text} FROM {json_values(file, _kinds(columns, texts))})", _doubt(
        columns, texts
    )


def _only_texts(file: SourceFile, names: Iterable[str]) -> list[str]:
    """The keys under which all of the file's first objects hold a text."""
    return [name for name in names if all(isinstance(row.get(name), str) for row in file.head)]


def _kinds(names: Iterable[str], texts: Collection[str]) -> str:
    return ", ".join(f"{sql_text(name)}: '{'VARCHAR' if name in texts else 'JSON'}'" for name in names)


def _doubt(columns: Mapping[str, str], texts: Iterable[str]) -> str:
    """Condition: the row may have been none, or a number stood where a text was expected."""
    # Both as text: JSON and VARCHAR have no value in common.
    values = ", ".join(f"CAST({column} AS VARCHAR)" for column in columns.values())
    doubts = [f"coalesce({values}) IS NULL", *(_may_be_number(columns[name]) for name in texts)]
    return f"CASE {' '.join(f'WHEN {doubt} THEN true' for doubt in doubts)} ELSE false END"


def _text_of_json(value: str) -> str:
    text = f"CAST({value} AS VARCHAR)"
    return f"CASE WHEN {text} < '\"' OR {text} >= '#' THEN {text} ELSE {value} ->> '$' END"


def _may_be_number(text: str) -> str:
    """SQL: the text may have been a number that DuckDB writes with an exponent where JSON's own text has none (3.5e-06 for 0.0000035)."""
    exponent = f"contains({text}, 'e-') OR contains({text}, 'e+')"
    written = f"regexp_full_match({text}, '-?\\d(\\.\\d+)?e[+-]\\d+')"
    # CASE, not AND: what is dear is then only looked for in what is left.
    tests = (f"{text} >= '-' AND {text} < ':'", f"strlen({text}) < 26", exponent)
    return "".join(f"CASE WHEN {test} THEN " for test in tests) + written + " END" * len(tests)


def _picked(file: SourceFile, names: Sequence[str], numbered: bool) -> str:
    """Every key of an object by one look through it (one for each key took five times as long)."""
    pointers = ", ".join(sql_text("/" + name.replace("~", "~0").replace("/", "~1")) for name in names)
    picked = f"json_extract_string(json, [{pointers}]) AS _picked"
    if not numbered:
        return f"(SELECT {picked} FROM {json_objects(file)})"
    return f"(SELECT _row, {picked} FROM {json_rows(file)} WHERE json IS NOT NULL AND json_type(json) = 'OBJECT')"


def _without_null_words(values: Iterable[str], columns: Iterable[str]) -> list[str]:
    """SELECT items: the values, NULL where one is a word for nothing, with blanks around it or without.

    Nearly all can be told by their first sign, of which no such word has one: comparing a text with constants took 2 ns, looking at how it
    starts three times 30.
    """
    items = []
    for value, column in zip(values, columns, strict=True):
        plain = " ".join(
            f"WHEN {value} >= {sql_text(low)} AND {value} < {sql_text(high)} THEN {value}" for low, high in _PLAIN_SIGNS
        )
        items.append(f"CASE {plain} WHEN trim({value}) NOT IN ({_WORDS}) THEN {value} END AS {column}")
    return items

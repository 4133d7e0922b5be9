"""Fields of a Google Cloud billing export under one name each, whether the file is nested (JSON lines, Parquet) or flat.

The same field is `service.description` in a flat CSV (or `service_description`), a member of a STRUCT in Parquet and of an
object in JSON. Fields appear over the years: one that is absent reads as NULL. Lists (labels, credits) are read as lists of
objects from LIST columns, JSON text or, in files that pandas wrote, from the text of a Python list.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Sequence
from typing import Any

import duckdb
from duckdb.func import SPECIAL

from connectors.files import SourceFile, quote_identifier, scan, sql_text

MONEY = "DECIMAL(38,12)"
NO_VALUE = ("", "NULL", "null", "None", "nan", "NaN", "\\N", "<NA>")
LISTS = ("labels", "system_labels", "tags", "credits", "project.labels", "project.ancestors")
PYTHON_LIST = "percall_python_list"
_SCALARS = re.compile(r"(?:Decimal|Timestamp|datetime\.datetime)\(('[^']*')(?:,[^()]*)?\)")


class Fields:
    """The fields of one file; every method answers with SQL on the rows of `source`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, file: SourceFile) -> None:
        self.source = scan(file)
        self.nested_json = file.format in ("json", "jsonl")
        self.flat: dict[str, str] = {}
        self.types: dict[str, Any] = {}
        if self.nested_json:
            self.flat = {_normal(name): name for name in file.columns if "." in name}
        else:
            relation = connection.sql(f"SELECT * EXCLUDE (_row) FROM {self.source} LIMIT 0")
            self.types = dict(zip(relation.columns, relation.types, strict=True))
            self.flat = {_normal(name): name for name in relation.columns}
        self.top = {_normal(name) for name in file.columns}
        self.python_lists = file.format == "csv" and self._has_python_lists(connection)
        if self.python_lists:
            register_python_lists(connection)

    def has(self, name: str) -> bool:
        """Whether the file has this field (for JSON: whether its outermost part is in the first object)."""
        if self.nested_json:
            return _normal(name) in self.flat or name.split(".", maxsplit=1)[0] in self.top
        return self.raw(name) is not None

    def raw(self, name: str) -> str | None:
        """The field in the type that the file has it in, None when it is absent."""
        if self.nested_json:
            parts = [self.flat[_normal(name)]] if _normal(name) in self.flat else name.split(".")
            path = "$" + "".join(f'."{part}"' for part in parts)
            return f"json_extract(json, {sql_text(path)})"
        if _normal(name) in self.flat:
            return quote_identifier(self.flat[_normal(name)])
        first, *rest = name.split(".")
        if first not in self.types:
            return None
        expression, kind = quote_identifier(first), self.types[first]
        for part in rest:
            children = dict(kind.children) if kind.id == "struct" else {}
            if part not in children:
                return None
            expression, kind = f"struct_extract({expression}, {sql_text(part)})", children[part]
        return expression

    def text(self, *names: str) -> str:
        """First of these fields that holds something, as text."""
        found = []
        for name in names:
            raw = self.raw(name)
            if raw is not None:
                value = f"({raw} ->> '$')" if self.nested_json else f"CAST({raw} AS VARCHAR)"
                trimmed = f"trim({value})"
                found.append(f"CASE WHEN {trimmed} NOT IN ({_no_values()}) THEN {trimmed} END")
        return f"coalesce({', '.join(found)})" if found else "NULL::VARCHAR"

    def money(self, name: str) -> str:
        """A field as an exact number, through its shortest decimal text; NULL when it is none."""
        return f"try_cast({self.text(name)} AS {MONEY})"

    def moment(self, name: str) -> str:
        """A field as a time in UTC (`2020-10-01 20:00:00 UTC` too); NULL when it is none."""
        return f"CAST(try_cast({self.text(name)} AS TIMESTAMPTZ) AS TIMESTAMP)"

    def objects(self, name: str, keys: Sequence[str]) -> str:
        """A list field as a list of structs with these keys as text; empty where there is none, NULL where unreadable."""
        raw = self.raw(name)
        shape = sql_text(json.dumps([dict.fromkeys(keys, "VARCHAR")]))
        empty = "CAST([] AS STRUCT(" + ", ".join(f"{quote_identifier(key)} VARCHAR" for key in keys) + ")[])"
        if raw is None:
            return empty
        if not self.nested_json and name in self.types and self.types[name].id == "list":
            return f"coalesce({self._typed(raw, self.types[name], keys)}, {empty})"
        if not self.nested_json and "." in name and _normal(name) not in self.flat:
            outer, inner = name.split(".", 1)
            return f"coalesce({self._typed(raw, dict(self.types[outer].children)[inner], keys)}, {empty})"
        text = f"CAST({raw} AS VARCHAR)"
        if self.python_lists:
            text = f"CASE WHEN {text} IS NULL OR json_valid({text}) THEN {text} ELSE {PYTHON_LIST}({text}) END"
        return (
            f"CASE WHEN {raw} IS NULL OR trim(CAST({raw} AS VARCHAR)) IN ({_no_values()}, '[]') THEN {empty} "
            f"WHEN json_valid({text}) THEN from_json({text}, {shape}) END"
        )

    def _typed(self, raw: str, kind: Any, keys: Sequence[str]) -> str:
        element = dict(kind.children)["child"]
        members = dict(element.children) if element.id == "struct" else {}
        taken = [
            f"{sql_text(key)}: CAST(struct_extract(o, {sql_text(key)}) AS VARCHAR)"
            if key in members
            else f"{sql_text(key)}: NULL::VARCHAR"
            for key in keys
        ]
        return f"list_transform({raw}, lambda o: {{{', '.join(taken)}}})"

    def _has_python_lists(self, connection: duckdb.DuckDBPyConnection) -> bool:
        columns = [quote_identifier(self.flat[_normal(name)]) for name in LISTS if _normal(name) in self.flat]
        if not columns:
            return False
        tests = " OR ".join(f"(starts_with({column}, '[') AND NOT json_valid({column}))" for column in columns)
        return bool(connection.execute(f"SELECT 1 FROM {self.source} WHERE {tests} LIMIT 1").fetchall())


def register_python_lists(connection: duckdb.DuckDBPyConnection) -> None:
    """Make `percall_python_list(text)` known to a connection: a Python list's text as JSON text, NULL when it is none."""
    try:
        connection.create_function(PYTHON_LIST, python_list, ["VARCHAR"], "VARCHAR", null_handling=SPECIAL)
    except (duckdb.CatalogException, duckdb.NotImplementedException):
        return  # an earlier file of the same load has registered it


def python_list(text: str | None) -> str | None:
    """A list written by Python (`[{'key': 'a', 'value': None}]`, numbers exactly) as JSON text; nothing is evaluated.

    None when the text is no list of literals.
    """
    if text is None:
        return None
    try:
        value = ast.literal_eval(_SCALARS.sub(r"\1", text))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return json.dumps(value, default=str) if isinstance(value, list) else None


def _normal(name: str) -> str:
    return name.replace(".", "_").lower()


def _no_values() -> str:
    return ", ".join(map(sql_text, NO_VALUE))

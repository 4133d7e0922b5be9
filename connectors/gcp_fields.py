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
from functools import lru_cache
from typing import Any

import duckdb
from duckdb.func import SPECIAL

from connectors.files import SourceFile, quote_identifier, scan, sql_text

MONEY = "DECIMAL(38,12)"
NO_VALUE = ("", "NULL", "null", "None", "nan", "NaN", "\\N", "<NA>")
LISTS = ("labels", "system_labels", "tags", "credits", "project.labels")
FIELDS = (
    "billing_account_id", "invoice.month", "cost_type", "service.id", "service.description", "sku.id", "sku.description",
    "usage_start_time", "usage_end_time", "project.id", "project.number", "project.name", "location.location",
    "location.region", "location.zone", "resource.name", "resource.global_name", "cost", "currency",
    "currency_conversion_rate", "usage.amount", "usage.unit", "usage.amount_in_pricing_units", "usage.pricing_unit",
    "cost_at_list", "cost_at_effective_price_default", "price.list_price", "price.effective_price",
    "adjustment_info.id", "adjustment_info.type", "adjustment_info.description", "adjustment_info.mode",
    "subscription.instance_id", "consumption_model.description", "transaction_type", "seller_name", "export_time",
)  # fmt: skip
"""The fields that are read; of objects (JSON) only these are unpacked, in one go."""
PYTHON_LIST = "percall_python_list"
_SCALARS = re.compile(r"(?:Decimal|Timestamp|datetime\.datetime)\(('[^']*')(?:,[^()]*)?\)")


class Fields:
    """The fields of one file; every method answers with SQL on the rows of `source`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, file: SourceFile) -> None:
        self.source = scan(file)
        self.top: set[str] | None = None
        if file.is_json:
            self.top = {_normal(name) for name in file.columns}
            self.source = _unpacked(self.source, file.columns)
        relation = connection.sql(f"SELECT * EXCLUDE (_row) FROM {self.source} LIMIT 0")
        self.types: dict[str, Any] = dict(zip(relation.columns, relation.types, strict=True))
        self.flat = {_normal(name): name for name in relation.columns}
        self.python_lists = file.format == "csv" and self._has_python_lists(connection)
        if self.python_lists:
            register_python_lists(connection)

    def has(self, name: str) -> bool:
        """Whether the file has this field (for JSON: whether the first object has it, or what it lies in)."""
        if self.top is not None:
            return bool({_normal(name), _normal(name.split(".", maxsplit=1)[0])} & self.top)
        return self._found(name) is not None

    def text(self, *names: str) -> str:
        """First of these fields that holds something, as text."""
        values = []
        for name in names:
            found = self._found(name)
            if found is not None:
                trimmed = f"trim(CAST({found[0]} AS VARCHAR))"
                values.append(f"CASE WHEN {trimmed} NOT IN ({_no_values()}) THEN {trimmed} END")
        return f"coalesce({', '.join(values)})" if values else "NULL::VARCHAR"

    def money(self, name: str) -> str:
        """A field as an exact number, through its shortest decimal text; NULL when it is none."""
        return f"try_cast({self.text(name)} AS {MONEY})"

    def moment(self, name: str) -> str:
        """A field as a time in UTC (`2020-10-01 20:00:00 UTC` too); NULL when it is none."""
        return f"CAST(try_cast({self.text(name)} AS TIMESTAMPTZ) AS TIMESTAMP)"

    def objects(self, name: str, keys: Sequence[str]) -> str:
        """A list field as a list of structs with these keys as text; empty where there is none, NULL where unreadable."""
        found = self._found(name)
        empty = "CAST([] AS STRUCT(" + ", ".join(f"{quote_identifier(key)} VARCHAR" for key in keys) + ")[])"
        if found is None:
            return empty
        raw, kind = found
        if kind.id == "list" and dict(kind.children)["child"].id == "struct":
            members = dict(dict(kind.children)["child"].children)
            taken = ", ".join(f"{quote_identifier(key)}: {_member(key, members)}" for key in keys)
            return f"coalesce(list_transform({raw}, lambda o: {{{taken}}}), {empty})"
        text = f"CAST(to_json({raw}) AS VARCHAR)" if kind.id == "list" else f"CAST({raw} AS VARCHAR)"
        shape = sql_text(json.dumps([dict.fromkeys(keys, "VARCHAR")]))
        otherwise = f"ELSE from_json({PYTHON_LIST}({text}), {shape})" if self.python_lists else ""
        return (
            f"CASE WHEN {raw} IS NULL OR trim({text}) IN ({_no_values()}, '[]') THEN {empty} "
            f"WHEN json_valid({text}) THEN from_json({text}, {shape}) {otherwise} END"
        )

    def _found(self, name: str) -> tuple[str, Any] | None:
        """A field as SQL and its type; None when it is absent or has no value in the whole file."""
        if _normal(name) in self.flat:
            column = self.flat[_normal(name)]
            return None if self.types[column].id == "null" else (quote_identifier(column), self.types[column])
        first, *rest = name.split(".")
        if first not in self.types:
            return None
        expression, kind = quote_identifier(first), self.types[first]
        for part in rest:
            children = dict(kind.children) if kind.id == "struct" else {}
            if part not in children or children[part].id == "null":
                return None
            expression, kind = f"struct_extract({expression}, {sql_text(part)})", children[part]
        return expression, kind

    def _has_python_lists(self, connection: duckdb.DuckDBPyConnection) -> bool:
        columns = [quote_identifier(self.flat[_normal(name)]) for name in LISTS if _normal(name) in self.flat]
        if not columns:
            return False
        tests = " OR ".join(f"(starts_with({column}, '[') AND NOT json_valid({column}))" for column in columns)
        return bool(connection.execute(f"SELECT 1 FROM {self.source} WHERE {tests} LIMIT 1").fetchall())


def _unpacked(source: str, names: Sequence[str]) -> str:
    """Rows of JSON objects as columns: scalars as text, lists as JSON, each object read once.

    Nested objects keep their nesting; where the keys themselves are dotted (`service.description`) they stay so.
    """
    dotted = any("." in name for name in names)
    shape: dict[str, Any] = {}
    for name in (*FIELDS, *LISTS):
        kind = "JSON" if name in LISTS else "VARCHAR"
        first, _, inner = name.partition(".")
        if dotted or not inner:
            shape[name] = kind
        else:
            shape.setdefault(first, {})[inner] = kind
    return f"(SELECT _row, unnest(from_json(json, {sql_text(json.dumps(shape))})) FROM {source})"


def _member(key: str, members: dict[str, Any]) -> str:
    if key not in members or members[key].id == "null":
        return "NULL::VARCHAR"
    return f"CAST(struct_extract(o, {sql_text(key)}) AS VARCHAR)"


def register_python_lists(connection: duckdb.DuckDBPyConnection) -> None:
    """Make `percall_python_list(text)` known to a connection: a Python list's text as JSON text, NULL when it is none."""
    try:
        connection.create_function(PYTHON_LIST, python_list, ["VARCHAR"], "VARCHAR", null_handling=SPECIAL)
    except (duckdb.CatalogException, duckdb.NotImplementedException):
        return  # an earlier file of the same load has registered it


@lru_cache(maxsize=10_000)
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

"""Columns of an AWS cost and usage file under one name each, whatever the file's style, and how to read their values.

The same column is `lineItem/UnblendedCost` in a legacy CSV and `line_item_unblended_cost` in Parquet, Athena and CUR 2.0; in CUR 2.0 some
live inside maps (`product['product_name']`), which are MAP in Parquet and JSON text in CSV. Columns come and go by month: one that is
absent reads as NULL.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from connectors.entries import NO_ENTRIES
from connectors.files import quote_identifier, sql_text

NO_VALUE = ("", "NULL", "null", "\\N")
MONEY = "DECIMAL(38,12)"
MAPS = ("product", "resource_tags", "tags", "cost_category", "discount")


def snake_name(name: str) -> str:
    """`lineItem/UsageAccountId` as `line_item_usage_account_id`; names of tag columns are left to `tag_columns`."""
    parts = name.split("/", 1)
    return "_".join(re.sub(r"(?<!^)(?=[A-Z])", "_", part).lower() for part in parts)


class Columns:
    """The columns of one file: `types` maps their names as written to their DuckDB types."""

    def __init__(self, types: Mapping[str, str]) -> None:
        self.types = dict(types)
        self.actual = {
            snake_name(name): name for name in types if not name.startswith(("resourceTags/", "costCategory/"))
        }

    def has(self, name: str) -> bool:
        """Whether the file has this column (by its snake_case name)."""
        return name in self.actual

    def raw(self, name: str) -> str:
        """The column itself as SQL, NULL when the file lacks it."""
        return quote_identifier(self.actual[name]) if name in self.actual else "NULL"

    def text(self, *names: str) -> str:
        """First of these columns that holds something, as text; empty strings and written nulls are NULL.

        `product_x` is also looked up in the map `product`.
        """
        found = [text_of(self.raw(name)) for name in names if name in self.actual]
        if "product" in self.actual:
            keys = [name.removeprefix("product_") for name in names if name.startswith("product_")]
            found += [self._from_map("product", key) for key in keys]
        return f"coalesce({', '.join(found)})" if found else "NULL::VARCHAR"

    def money(self, *names: str) -> str:
        """First of these columns that is a number, exactly (through its shortest decimal text, never as a float)."""
        found = [f"try_cast({text_of(self.raw(name))} AS {MONEY})" for name in names if name in self.actual]
        return f"coalesce({', '.join(found)})" if found else f"NULL::{MONEY}"

    def moment(self, *names: str) -> str:
        """First of these columns that is a time, in UTC."""
        found = [f"try_cast({text_of(self.raw(name))} AS TIMESTAMPTZ)" for name in names if name in self.actual]
        return f"CAST(coalesce({', '.join(found)}) AS TIMESTAMP)" if found else "NULL::TIMESTAMP"

    def is_map(self, name: str) -> bool:
        """Whether the column is a MAP of Parquet (else JSON text or a struct)."""
        return self.types[self.actual[name]].startswith("MAP")

    def map_entries(self, name: str) -> str:
        """A map column as a list of {k, v}, empty where there is none."""
        as_map = self.raw(name) if self.is_map(name) else f"try_cast({self._as_json(name)} AS MAP(VARCHAR, VARCHAR))"
        entry = "lambda e: {'k': CAST(e.key AS VARCHAR), 'v': CAST(e.value AS VARCHAR)}"
        return f"coalesce(list_transform(map_entries({as_map}), {entry}), [])"

    def _from_map(self, name: str, key: str) -> str:
        if self.is_map(name):
            return text_of(f"{self.raw(name)}[{sql_text(key)}]")
        path = sql_text('$."' + key + '"')
        return f"json_extract_string({self._as_json(name)}, {path})"

    def _as_json(self, name: str) -> str:
        """A map that is written as JSON text, or (by data frame libraries) as a struct, as JSON."""
        if self.types[self.actual[name]].startswith("STRUCT"):
            return f"to_json({self.raw(name)})"
        return f"try_cast({self.raw(name)} AS JSON)"

    def tag_columns(self) -> list[tuple[str, str]]:
        """Tag key and column of every flat tag column, `user:` dropped, other prefixes kept as `aws:` and `costCategory/`."""
        found = []
        for name in self.types:
            if name.startswith("resourceTags/"):
                found.append((name.removeprefix("resourceTags/").removeprefix("user:"), name))
            elif name.startswith("costCategory/"):
                found.append((name, name))
            elif name.startswith("resource_tags_user_"):
                found.append((name.removeprefix("resource_tags_user_"), name))
            elif name.startswith("resource_tags_aws_"):
                found.append(("aws:" + name.removeprefix("resource_tags_aws_"), name))
            elif name.startswith("cost_category_"):
                found.append(("costCategory/" + name.removeprefix("cost_category_"), name))
        return sorted(found)

    @property
    def tags_may_repeat(self) -> bool:
        """Whether one tag key may come from two places: from maps, or from `user:team` beside `team`."""
        keys = [key for key, _ in self.tag_columns()]
        return len(set(keys)) < len(keys) or any(
            name in self.actual for name in ("resource_tags", "tags", "cost_category")
        )

    def tag_entries(self) -> str:
        """All tags of a line as a list of {k, v}, those that count first in front (see `json_object`).

        Where two sources give one key the first counts: tags of the resource, then of the map `tags`, then the caller's
        (`iamPrincipal/team` is kept as such and stands in for `team` where the resource has none).
        """
        lists = []
        flat = [f"{{'k': {sql_text(key)}, 'v': {text_of(quote_identifier(name))}}}" for key, name in self.tag_columns()]
        if flat:
            lists.append(f"[{', '.join(flat)}]")
        bare = "regexp_replace(regexp_replace(e.k, '^(resourceTag/)?(user[:_])?', ''), '^aws_', 'aws:')"
        lists += [
            f"list_transform({self.map_entries(name)}, lambda e: {{'k': {bare}, 'v': e.v}})"
            for name in ("resource_tags", "tags")
            if name in self.actual
        ]
        if "tags" in self.actual:
            caller = f"list_filter({self.map_entries('tags')}, lambda e: starts_with(e.k, 'iamPrincipal/'))"
            lists.append(f"list_transform({caller}, lambda e: {{'k': replace(e.k, 'iamPrincipal/', ''), 'v': e.v}})")
        if "cost_category" in self.actual:
            entries = self.map_entries("cost_category")
            lists.append(f"list_transform({entries}, lambda e: {{'k': 'costCategory/' || e.k, 'v': e.v}})")
        return " || ".join(lists) if lists else NO_ENTRIES

    def entries(self, named: Mapping[str, str]) -> str:
        """These SQL texts as a list of {k, v} under the names given, in the names' order."""
        pairs = [f"{{'k': {sql_text(name)}, 'v': {value}}}" for name, value in sorted(named.items())]
        return f"[{', '.join(pairs)}]" if pairs else NO_ENTRIES

    def whole(self, name: str) -> str:
        """A column as one text; a map as JSON text, NULL when it is empty."""
        if name in MAPS and self.is_map(name):
            return f"CASE WHEN len({self.map_entries(name)}) > 0 THEN CAST(to_json({self.raw(name)}) AS VARCHAR) END"
        if name in MAPS and self.types[self.actual[name]].startswith("STRUCT"):
            return f"CAST({self._as_json(name)} AS VARCHAR)"
        return text_of(self.raw(name))


def text_of(column: str) -> str:
    """A column as text, trimmed; empty strings and written nulls are NULL."""
    text = f"trim(CAST({column} AS VARCHAR))"
    return f"CASE WHEN {text} NOT IN ({', '.join(map(sql_text, NO_VALUE))}) THEN {text} END"

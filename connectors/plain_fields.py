"""How the columns of a plain table are declared, read and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from connectors.columns import Columns, believable, first_fault, unreadable
from connectors.files import quote_identifier, sql_text
from warehouse.configuration import Configuration
from warehouse.schema import CALL_MONEY, LINE_MONEY

MOST = 1_000_000_000_000
"""A whole number beyond this, below zero or above, is no count of one row; sums of counts up to it stay within 64 bits."""


@dataclass(frozen=True)
class Field:
    """One column: its canonical name, how it is read (text, lower, currency, integer, double, boolean, money, call_money, time, open_time,
    day, list), its synonyms, whether a row needs it and the SQL that stands in where it misses.

    A `lenient` field that cannot be read is unknown; any other rejects its row.
    """

    name: str
    type: str
    synonyms: tuple[str, ...] = ()
    required: bool = False
    default: str | None = None
    lenient: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """All names that a file may use; one that starts with an underscore is our own."""
        return self.synonyms if self.name.startswith("_") else (self.name, *self.synonyms)

    def is_typed(self, columns: Columns) -> bool:
        """Whether the file stores the value in the type that it is read as, so that it is either given or not, never unreadable."""
        if self.type == "double" and not self.lenient:
            return False  # a number may be NaN: what is refused for it is shown as it was written
        return columns.typed({"open_time": "time"}.get(self.type, self.type), *self.names) is not None

    def shown(self, columns: Columns) -> str:
        """SQL of what the file says here, for a sentence."""
        if not self.is_typed(columns):
            return f"_text_{self.name}"
        name = f"_given_{self.name}" if self.type == "call_money" else self.name
        return f"CAST({quote_identifier(name)} AS VARCHAR)"

    def value(self, columns: Columns, configuration: Configuration) -> str:
        """SQL of the value read."""
        readers = {
            "text": lambda: columns.trimmed(*self.names),
            "lower": lambda: f"lower({columns.trimmed(*self.names)})",
            "currency": lambda: f"upper({columns.trimmed(*self.names)})",
            "integer": lambda: _counted(columns.integer(*self.names)),
            "double": lambda: columns.double(*self.names),
            "boolean": lambda: columns.boolean(*self.names),
            "money": lambda: columns.decimal(*self.names, type=LINE_MONEY),
            "call_money": lambda: (
                columns.typed("call_money", *self.names) or columns.decimal(*self.names, type=CALL_MONEY)
            ),
            "time": lambda: columns.time(*self.names),
            "open_time": lambda: columns.time(*self.names),
            "day": lambda: columns.day(configuration.reporting_time_zone, *self.names),
            "list": lambda: columns.numbers(*self.names),
        }
        return readers[self.type]()


_EXAMPLES = {
    "integer": f"write a whole number such as 1200, of at most {MOST:,}",
    "double": "write a plain number such as 0.75",
    "boolean": "write true or false",
    "money": "write a plain number such as 12.5 or 35.2E-7",
    "call_money": "write a plain number such as 0.0125 or 35.2E-7",
    "time": "write it like 2026-03-01T12:00:00Z",
    "open_time": "write it like 2026-03-01T12:00:00Z",
    "day": "write it like 2026-03-01",
    "list": "write a list of whole numbers such as [1, 2]",
}


@dataclass(frozen=True)
class Fault:
    """A condition over the fields that rejects a row; `{}` in the reason is what the file says in `column`."""

    condition: str
    column: str
    reason: str


def parsed_fields(columns: Columns, fields: Sequence[Field], configuration: Configuration) -> dict[str, str]:
    """SQL of every field's value, and of its text under `_text_<name>` where it is read from text; of a whole number or amount
    that the file stores as one, that as it is under `_given_<name>`."""
    values: dict[str, str] = {}
    for field in fields:
        value = field.value(columns, configuration)
        values[field.name] = value if field.default is None else _with_default(columns, field, value)
        if not field.is_typed(columns):
            values[f"_text_{field.name}"] = columns.text(*field.names)
        elif field.type == "integer":
            values[f"_given_{field.name}"] = columns.integer(*field.names)
        elif field.type == "call_money" and (name := columns.find(*field.names)):
            values[f"_given_{field.name}"] = quote_identifier(name)
    return values


def _counted(number: str) -> str:
    return f"(CASE WHEN {number} BETWEEN -{MOST} AND {MOST} THEN {number} END)"


def _with_default(columns: Columns, field: Field, value: str) -> str:
    if field.type in ("text", "lower", "currency"):
        return f"coalesce({value}, {field.default})"  # the value is NULL where its text is: a quarter of the time
    return f"CASE WHEN {columns.text(*field.names)} IS NULL THEN {field.default} ELSE {value} END"


def field_faults(columns: Columns, fields: Sequence[Field]) -> list[tuple[str, str, str]]:
    """What rejects a row because a field misses, cannot be read or cannot be true; for `first_fault`."""
    faults = []
    for field in fields:
        shown, text, typed = columns.find(*field.names) or field.names[0], field.shown(columns), field.is_typed(columns)
        if field.required:
            faults.append(
                (f"{field.name if typed else text} IS NULL", shown, f"{field.names[0]} is missing; every row needs it")
            )
        if field.type in _EXAMPLES and not field.lenient and not typed:
            reason = f"{{}} cannot be read; {_EXAMPLES[field.type]}"
            faults.append((unreadable(text, field.name), f"{shown}|{text}", reason))
        if field.type == "integer" and not field.lenient and typed:
            given, reason = f"_given_{field.name}", f"{{}} is too large; {_EXAMPLES['integer']}"
            faults.append((unreadable(given, field.name), f"{shown}|CAST({given} AS VARCHAR)", reason))
        if field.type in ("time", "day"):
            reason = "{} lies before 2006 or more than ten years ahead; correct it"
            faults.append((f"NOT {believable(field.name)}", f"{shown}|{text}", reason))
    return faults


def named_faults(columns: Columns, fields: Sequence[Field], faults: Sequence[Fault]) -> list[tuple[str, str, str]]:
    """Faults under the file's own column names; for `first_fault`."""
    by_name = {field.name: field for field in fields}
    named = []
    for fault in faults:
        names = by_name[fault.column].names
        shown = by_name[fault.column].shown(columns)
        named.append((fault.condition, f"{columns.find(*names) or names[0]}|{shown}", fault.reason))
    return named


def plain_query(
    columns: Columns,
    fields: Sequence[Field],
    configuration: Configuration,
    faults: Sequence[Fault] = (),
    computed: Mapping[str, str] | None = None,
) -> str:
    """The extraction query of a table whose columns are its fields (those named with an underscore only serve `computed`)."""
    values = parsed_fields(columns, fields, configuration) | {"_file": sql_text(f"file {columns.file.name}")}
    read = ", ".join(f"{value} AS {quote_identifier(name)}" for name, value in values.items())
    results = {field.name: field.name for field in fields if not field.name.startswith("_")} | dict(computed or {})
    shown = ", ".join(f"{value} AS {quote_identifier(name)}" for name, value in results.items())
    column, reason = first_fault(field_faults(columns, fields) + named_faults(columns, fields, faults))
    return (
        f"WITH parsed AS (SELECT _row, {read} FROM {columns.source}) "
        f"SELECT _row, {shown}, {column} AS _column, {reason} AS _reason FROM parsed"
    )


def lenient_warnings(
    connection: duckdb.DuckDBPyConnection, columns: Columns, fields: Sequence[Field], configuration: Configuration
) -> list[str]:
    """Sentences that count the values which cannot be read and stay unknown."""
    found = [(field, columns.find(*field.names)) for field in fields if field.lenient]
    present = [
        (field, name) for field, name in found if name and (field.type == "double" or not field.is_typed(columns))
    ]
    if not present:
        return []
    counts = ", ".join(
        f"count(*) FILTER ({unreadable(_given(columns, field, name), field.value(columns, configuration))})"
        for field, name in present
    )
    (row,) = connection.execute(f"SELECT {counts} FROM {columns.source}").fetchall()
    return [unread_warning(name, count) for (_, name), count in zip(present, row, strict=True) if count]


def unread_warning(name: str, count: int) -> str:
    """The sentence that counts values of a lenient field which cannot be read."""
    return f"{count} values of {name} cannot be read and stay unknown."


def unread_values(columns: Columns, fields: Sequence[Field]) -> list[tuple[str, str]]:
    """The lenient fields that a text file has, under its own name, and the condition over `parsed_fields` that the value cannot be read."""
    found = [(field, columns.find(*field.names)) for field in fields if field.lenient]
    return [(name, unreadable(f"_text_{field.name}", field.name)) for field, name in found if name]


def _given(columns: Columns, field: Field, name: str) -> str:
    """SQL that is NULL where nothing is written."""
    return quote_identifier(name) if field.is_typed(columns) else columns.text(*field.names)

"""A file's columns as SQL expressions, found under whatever spelling the file uses, and read strictly.

Every expression is NULL for "no value". What is written but cannot be read is NULL in the typed expression and not NULL in `text`, which is
how `unreadable` finds it. Expressions hold on the rows of `connectors.files.scan` and on a session whose TimeZone is UTC.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from datetime import UTC, date, datetime
from functools import lru_cache

import duckdb

from connectors.files import NULL_WORDS, SourceFile, quote_identifier, scan, sql_text
from connectors.row_table import RowStream, RowTable, names_of
from connectors.source_file import path_literal
from warehouse.errors import InputError
from warehouse.intake import FILE_ROWS, RowWise
from warehouse.schema import CALL_MONEY

EARLIEST = date(2006, 1, 1)
"""No cloud bill and no model call is older; an earlier time is a mistake of the file (an epoch of 0, a misread year)."""

_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")

_US_DATE = r"^\d{1,2}/\d{1,2}/(\d{2}|\d{4})( .*)?$"
_US_FORMATS = [f"%m/%d/{year}{time}" for year in ("%y", "%Y") for time in ("", " %H:%M", " %H:%M:%S", " %I:%M %p")]
_ZONE = r"(Z|UTC|GMT|[+-]\d{2}(:?\d{2})?)$"

# How numbers and times are written nearly always: told apart by one look, and read for a fraction of what every other way of writing
# them costs (a whole number 54 against 290 ns, a time 134 against 411, a list of hashes 210 against 560).
PLAIN_NUMBER = r"\d{1,18}"
PLAIN_TIME = r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d{1,6})?Z?"
PLAIN_LIST = r"\[(0|[1-9]\d{0,19})(, ?(0|[1-9]\d{0,19}))*\]"


@lru_cache(maxsize=10_000)
def normalised(name: str) -> str:
    """A column name without case, underscores, blanks, hyphens and dots: BilledCost, billed_cost and "Billed Cost" are one."""
    return re.sub(r"[\s_.\-]+", "", name).lower()


def latest() -> date:
    """The last day that is believed: ten years from now (multi-year commitments end later than today)."""
    today = datetime.now(UTC).date()
    return today.replace(year=today.year + 10, day=min(today.day, 28))


class Columns:
    """The columns of one file, by normalised name (see `normalised`), first spelling wins.

    `stream` is what is read of a text file by one statement (`connectors.row_table.row_stream`); without it the file is read at once and may be
    asked often.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, file: SourceFile, stream: RowStream | None = None
    ) -> None:
        self.file = file
        self._connection = connection
        self.source = scan(file)
        """Table expression with the file's rows."""
        self.is_stream = stream is not None
        if file.format == "parquet":
            described = connection.execute(f"DESCRIBE SELECT * FROM {self.source}").fetchall()
            self._types = {str(row[0]): str(row[1]) for row in described if row[0] != "_row"}
            self._texts: dict[str, str] = {}
        else:
            rows = stream or RowTable(connection, file, names_of(connection, file))
            self.source, self._texts = rows.source, rows.columns
            self._types = dict.fromkeys(self._texts, "VARCHAR")
        self._names: dict[str, str] = {}
        self._spellings: dict[str, list[str]] = {}
        for name in self._types:
            self._names.setdefault(normalised(name), name)
            self._spellings.setdefault(normalised(name), []).append(name)

    def one_by_one(self, query: Callable[[Columns], str], unless: str) -> RowWise | None:
        """The row-wise query of a Parquet file (see `warehouse.intake.RowWise`), from a function that makes a query from columns; None for
        any other file."""
        if self.file.format != "parquet" or self.find("_row", "file_index", "file_row_number", "filename"):
            return None
        rows = copy(self)
        rows.source = FILE_ROWS
        return RowWise(query(rows), path_literal(self.file.readable), tuple(self._types.items()), unless)

    def find(self, *names: str) -> str | None:
        """The file's own name of the first of these columns that it has."""
        return next((self._names[key] for key in map(normalised, names) if key in self._names), None)

    def require(self, *groups: Sequence[str], kind: str) -> None:
        """Raises InputError when no column of one of these groups of synonyms is there; it names all that miss."""
        missing = [group[0] for group in groups if self.find(*group) is None]
        if missing:
            there = ", ".join(list(self._types)[:40]) or "none"
            raise InputError(
                f"a {kind} file needs the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}; it has {there}",
                file=self.file.name,
            )

    def always(self, *names: str) -> bool:
        """Whether every row has a value here."""
        missing = f"SELECT 1 FROM {self.source} WHERE {self.trimmed(*names)} IS NULL LIMIT 1"
        return self.find(*names) is not None and not self._connection.execute(missing).fetchall()

    def others(self, used: Iterable[str | None]) -> list[str]:
        """The file's names of all columns that are not among these; of a JSON file's spellings of one name the first, which stands for all."""
        taken = {name for name in used if name is not None}
        return [name for name in (self._names.values() if self.file.is_json else self._types) if name not in taken]

    def text(self, *names: str) -> str:
        """The value as text; NULL where the column misses, is empty or says NULL. Nested values are JSON.

        Of a JSON file with several of these keys it is the first that a row fills: the objects of one log may differ in their keys. Columns of
        one table are different things: there the first of these names counts, filled or not.
        """
        name = self.find(*names)
        if name is None:
            return "NULL::VARCHAR"
        if name in self._texts:
            given = dict.fromkeys(one for key in map(normalised, names) for one in self._spellings.get(key, ()))
            texts = [self._texts[one] for one in given] if self.file.is_json else [self._texts[name]]
            return texts[0] if len(texts) == 1 else f"coalesce({', '.join(texts)})"
        kind = self._types[name]
        if kind == "VARCHAR":
            value = quote_identifier(name)
        elif kind.startswith(("MAP", "STRUCT")) or kind.endswith("]"):
            return f"CAST(to_json({quote_identifier(name)}) AS VARCHAR)"
        elif kind.startswith("TIMESTAMP WITH"):
            return f"strftime({quote_identifier(name)} AT TIME ZONE 'UTC', '%Y-%m-%d %H:%M:%S.%fZ')"
        else:
            return f"CAST({quote_identifier(name)} AS VARCHAR)"
        words = ", ".join(sql_text(word) for word in NULL_WORDS)
        return f"(CASE WHEN trim({value}) NOT IN ({words}) THEN {value} END)"

    def trimmed(self, *names: str) -> str:
        """`text` without spaces around it, NULL where nothing is left. Spaces are looked for only where there may be any: trimming every id
        cost five times as much as finding that it holds no space and nothing but ASCII (another script has spaces of its own).
        """
        name = self.find(*names)
        if name is None or self._types[name] != "VARCHAR":
            return f"trim({self.text(*names)})"
        is_clean = name in self._texts
        value = self.text(*names) if is_clean else quote_identifier(name)
        value = f"CASE WHEN contains({value}, ' ') OR length({value}) <> strlen({value}) THEN trim({value}) ELSE {value} END"
        for word in () if is_clean else NULL_WORDS:
            value = f"nullif({value}, {sql_text(word)})"
        return value

    def typed(self, form: str, *names: str) -> str | None:
        """The value straight from a Parquet column that is of this form already (integer, double, boolean, call_money, time, list, map);
        None when its text has to be read. What is stored as a number or time cannot be unreadable, so that nothing has to be written out and checked:
        over half of the work of reading a call.
        """
        name = self.find(*names)
        if name is None or self.file.format != "parquet":
            return None
        kind, column = self._types[name], quote_identifier(name)
        if form == "integer" and kind in _WHOLE:
            return f"CAST({column} AS BIGINT)"
        if form == "double" and kind in ("DOUBLE", *_WHOLE):
            return f"(CASE WHEN isfinite(CAST({column} AS DOUBLE)) THEN CAST({column} AS DOUBLE) END)"
        if (form, kind) in (("boolean", "BOOLEAN"), ("list", "UBIGINT[]"), ("map", "MAP(VARCHAR, VARCHAR)")):
            return column
        if form == "call_money" and kind.startswith("DECIMAL") and _fits(kind):
            return f"CAST({column} AS {CALL_MONEY})"
        if form == "time" and kind in ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS"):
            return f"CAST({column} AS TIMESTAMP)"
        if form == "time" and kind == "TIMESTAMP WITH TIME ZONE":
            return f"({column} AT TIME ZONE 'UTC')"
        return None

    def decimal(self, *names: str, type: str = "DECIMAL(38,12)") -> str:
        """The value as an exact number, read from its digits ("1.50", "35.2E-7"); NaN, Infinity and "1,5" cannot be read."""
        return f"TRY_CAST({self.text(*names)} AS {type})"

    def integer(self, *names: str) -> str:
        """The value as BIGINT; "12.0" is 12, "12.5" cannot be read."""
        if typed := self.typed("integer", *names):
            return typed
        text, number = self.text(*names), self.decimal(*names)
        whole = f"CASE WHEN {number} = trunc({number}) THEN TRY_CAST({number} AS BIGINT) END"
        return f"({plainly(text, PLAIN_NUMBER, f'CAST({text} AS BIGINT)', whole)})"

    def double(self, *names: str) -> str:
        """The value as DOUBLE; NaN and Infinity cannot be read."""
        if typed := self.typed("double", *names):
            return typed
        number = f"TRY_CAST({self.text(*names)} AS DOUBLE)"
        return f"(CASE WHEN isfinite({number}) THEN {number} END)"

    def numbers(self, *names: str) -> str:
        """The value as UBIGINT[]; an element that is none is NULL."""
        if typed := self.typed("list", *names):
            return typed
        text = self.text(*names)
        return plainly(
            text, PLAIN_LIST, f"TRY_CAST(TRY_CAST({text} AS JSON) AS UBIGINT[])", f"TRY_CAST({text} AS UBIGINT[])"
        )

    def boolean(self, *names: str) -> str:
        """The value as BOOLEAN: true/false, t/f, yes/no, 1/0."""
        return self.typed("boolean", *names) or f"TRY_CAST({self.text(*names)} AS BOOLEAN)"

    def time(self, *names: str) -> str:
        """The value as UTC TIMESTAMP: ISO 8601 with or without zone (without: UTC), US dates (4/1/25), seconds, milliseconds or
        microseconds since 1970.
        """
        return self.typed("time", *names) or time_sql(self.text(*names))

    def day(self, zone: str, *names: str) -> str:
        """The value as DATE: a time with a zone is cut into days of `zone`, one without keeps its written day."""
        text = self.text(*names)
        local = f"((({time_sql(text)}) AT TIME ZONE 'UTC') AT TIME ZONE {sql_text(zone)})::DATE"
        has_zone = f"regexp_matches({text}, {sql_text(_ZONE)}) AND contains({text}, ':')"
        return f"(CASE WHEN {has_zone} THEN {local} ELSE ({time_sql(text)})::DATE END)"


def _fits(kind: str) -> bool:
    """Whether every value of this DECIMAL type is one of `CALL_MONEY`, no digit lost."""
    digits, places = map(int, kind.removeprefix("DECIMAL(").removesuffix(")").split(","))
    most, most_places = map(int, CALL_MONEY.removeprefix("DECIMAL(").removesuffix(")").split(","))
    return places <= most_places and digits - places <= most - most_places


def plainly(text: str, pattern: str, read: str, otherwise: str) -> str:
    """SQL: what `read` makes of texts that match the pattern from end to end, `otherwise` of all others (of the same values the same)."""
    return f"CASE WHEN regexp_full_match({text}, {sql_text(pattern)}) THEN {read} ELSE {otherwise} END"


def time_sql(text: str) -> str:
    """UTC TIMESTAMP of a text expression (see `Columns.time`)."""
    formats = ", ".join(sql_text(pattern) for pattern in _US_FORMATS)
    otherwise = (
        f"CASE WHEN regexp_matches({text}, {sql_text(_US_DATE)}) THEN try_strptime(trim({text}), [{formats}]) "
        f"WHEN regexp_matches({text}, '^\\d{{9,10}}(\\.\\d+)?$') "
        f"THEN make_timestamp(CAST(round(TRY_CAST({text} AS DECIMAL(20,7)) * 1000000) AS BIGINT)) "
        f"WHEN regexp_matches({text}, '^\\d{{12,13}}$') THEN make_timestamp(TRY_CAST({text} AS BIGINT) * 1000) "
        f"WHEN regexp_matches({text}, '^\\d{{15,16}}$') THEN make_timestamp(TRY_CAST({text} AS BIGINT)) "
        f"ELSE TRY_CAST(trim({text}) AS TIMESTAMPTZ) AT TIME ZONE 'UTC' END"
    )
    return f"({plainly(text, PLAIN_TIME, f'TRY_CAST({text} AS TIMESTAMP)', otherwise)})"


def believable(value: str) -> str:
    """Condition: this date or time lies between 2006 and ten years from now."""
    return f"({value} >= DATE '{EARLIEST}' AND {value} < DATE '{latest()}')"


def unreadable(text: str, value: str) -> str:
    """Condition: something is written, but it cannot be read as what it must be."""
    return f"({text} IS NOT NULL AND {value} IS NULL)"


def first_fault(faults: Sequence[tuple[str, str, str]]) -> tuple[str, str]:
    """SQL for `_column` and `_reason` from (condition, column, reason) in order of importance.

    A reason may hold `{}`: the value of the SQL expression that stands behind a `|` in the column takes its place.
    """
    column = reason = ""
    for condition, where, why in faults:
        name, _, shown = where.partition("|")
        column += f" WHEN {condition} THEN {sql_text(name)}"
        before, placeholder, after = why.partition("{}")
        words = sql_text(why)
        if placeholder:
            words = f"concat({sql_text(before)}, left({shown}, 80), {sql_text(after)})"
        reason += f" WHEN {condition} THEN {words}"
    return f"CASE{column} END", f"CASE{reason} END"


def other_values(columns: Columns, names: Sequence[str]) -> str:
    """JSON text of these columns' values, without those that have none; NULL when none has."""
    if not names:
        return "NULL::VARCHAR"
    pairs = ", ".join(f"{sql_text(name)}, {columns.text(name)}" for name in names)
    return f"NULLIF(CAST(json_merge_patch('{{}}', json_object({pairs})) AS VARCHAR), '{{}}')"

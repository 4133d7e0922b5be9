"""Rows of text files as a table: the same texts however they were read, numbered as in the file, and values that mean what is written."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from connectors import files
from connectors.columns import Columns
from connectors.row_table import RowTable, drop_row_tables
from tests.connectors.extracted import connection

NOTHING = ("", "NULL", "null", "\\N")
BLANKS = " \u00a0\u2003\u3000"

TEXT = st.sampled_from(
    [*NOTHING, " NULL ", "\u3000null", "Nobody", "nil", "\\n", " x ", "1e-07", "-2.5e+20", "3.5e-06x"]
) | st.text(max_size=6)
NUMBER = st.integers() | st.floats() | st.sampled_from([3.5e-06, 1e-7, 1e16, 1e22, 123456789012345680.0, -0.0, 5e-324])
VALUE = st.none() | st.booleans() | NUMBER | TEXT | st.lists(NUMBER | TEXT, max_size=3)
KEYS = ["a", "b", "B", "a/b", "a~b", "_row", 'q"', "é"]


def told(rows: list[str], folder: Path, names: list[str]) -> list[tuple[Any, ...]]:
    """(row number, texts by name) of lines of JSON."""
    path = folder / "rows.jsonl"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    file = files.inspect(path, folder / "scratch")
    own = connection()
    table = RowTable(own, file, names)
    listed = ", ".join(table.columns[name] for name in names)
    return own.execute(f"SELECT _row, {listed} FROM {table.source} ORDER BY _row").fetchall()


def by_hand(line: str, names: list[str]) -> list[str | None]:
    """The same of one line, each key by its pointer; blank and empty values and the words for nothing are none."""
    values: list[str | None] = []
    with duckdb.connect() as own:
        for name in names:
            pointer = "/" + name.replace("~", "~0").replace("/", "~1")
            (value,) = own.execute("SELECT json_extract_string(?::JSON, ?)", [line, pointer]).fetchall()[0]
            values.append(None if value is None or value.strip(BLANKS) in NOTHING else value)
    return values


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.dictionaries(st.sampled_from(KEYS), VALUE, max_size=5), min_size=1, max_size=5), case=st.booleans()
)
@example(rows=[{"a": "x"}] * 60 + [{"a": 3.5e-06}], case=False)
@example(rows=[{"a": "x", "b": None}] * 60 + [{"a": "y", "b": 3.5e-06}, {"b": "NULL"}], case=False)
def test_texts_are_those_of_the_json(rows, case, tmp_path_factory):
    names = KEYS if case else [key for key in KEYS if key != "B"]
    lines = [json.dumps(row) for row in rows]
    if any(map(has_half_a_pair, lines)):
        return
    found = told(lines, tmp_path_factory.mktemp("rows"), names)
    assert found == [(number, *by_hand(line, names)) for number, line in enumerate(lines, 1)]


def has_half_a_pair(line: str) -> bool:
    try:
        json.dumps(json.loads(line), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def test_broken_and_foreign_rows_keep_their_numbers_out(tmp_path):
    filler = ['{"a": "%s"}' % ("x" * 300)] * 4000  # more than is looked at while the file is small
    rows = [*filler, "null", '{"a": 1', '{"a": "first", "a": "second"}', "[3]", '{"a": "last"}']
    found = told(rows, tmp_path, ["a"])
    assert [row[0] for row in found] == [*range(1, 4001), 4003, 4005]
    assert found[-2:] == [(4003, "first"), (4005, "last")]
    assert told([*filler, "null", '{"a": 5}'], tmp_path, ["a"])[4000:] == [(4002, "5")]


def test_rows_of_a_file_that_many_threads_read_stand_in_its_order(tmp_path):
    path = tmp_path / "rows.jsonl"
    with duckdb.connect() as own:
        own.execute(f"COPY (SELECT i, repeat('x', 200) AS filler FROM range(1, 400001) t(i)) TO '{path}' (FORMAT json)")
    own = connection()
    own.execute("SET threads = 4")
    table = RowTable(own, files.inspect(path, tmp_path), ["i", "filler"])
    (counted,) = own.execute(
        f"SELECT count(*), sum(_row), count(*) FILTER (_row::VARCHAR <> value_1) FROM {table.source}"
    ).fetchall()
    assert counted == (400_000, 400_000 * 400_001 // 2, 0)
    drop_row_tables(own)
    assert own.execute("SELECT count(*) FROM duckdb_tables()").fetchone() == (0,)


def read_column(folder: Path, texts: list[str], reader: str) -> list[Any]:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps({"v": text, "other": "x"}) + "\n" for text in texts), encoding="utf-8")
    own = connection()
    columns = Columns(own, files.inspect(path, folder / "scratch"))
    rows = own.execute(f"SELECT {getattr(columns, reader)('v')} FROM {columns.source} ORDER BY _row").fetchall()
    return [row[0] for row in rows]


ODD_NUMERALS = ["007", "1e3", "12.0", "12.5", "+5", "0x10", "9" * 18, "9" * 19]
NUMERALS = st.from_regex(r"-?[0-9]{1,25}(\.[0-9]{1,4})?", fullmatch=True) | st.sampled_from(ODD_NUMERALS)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(NUMERALS, min_size=1, max_size=20))
def test_whole_numbers_are_exact_or_not_read(texts, tmp_path_factory):
    found = read_column(tmp_path_factory.mktemp("numbers"), texts, "integer")
    for text, value in zip(texts, found, strict=True):
        if value is not None:
            assert Decimal(text) == value
        elif not text.startswith("0x"):
            exact = Decimal(text)
            assert exact != exact.to_integral_value() or abs(exact) >= 2**63


ZONED = st.tuples(
    st.datetimes(datetime(2006, 1, 1), datetime(2035, 1, 1)),
    st.sampled_from(["", "Z", "+07:00", "-03", " UTC"]),
    st.sampled_from(" T"),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(times=st.lists(ZONED, min_size=1, max_size=20))
def test_times_are_in_utc(times, tmp_path_factory):
    offsets = {"": "", "Z": "+00:00", " UTC": "+00:00", "-03": "-03:00"}
    texts = [time.isoformat(sep=separator) + zone for time, zone, separator in times]
    found = read_column(tmp_path_factory.mktemp("times"), texts, "time")
    for (time, zone, _), value in zip(times, found, strict=True):
        told_time = datetime.fromisoformat(time.isoformat() + offsets.get(zone, zone))
        expected = told_time.astimezone(UTC).replace(tzinfo=None) if told_time.tzinfo else told_time
        assert value == expected


def test_times_that_do_not_exist_are_not_read(tmp_path):
    texts = ["2026-02-30 12:00:00", "2026-13-01T00:00:00Z", "2026-01-01 25:00:00", "2026-01-01 10:61:00"]
    assert read_column(tmp_path, texts, "time") == [None] * 4


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lists=st.lists(st.lists(st.integers(0, 2**64 + 5), max_size=5), min_size=1, max_size=10),
    separator=st.sampled_from([",", ", "]),
)
def test_lists_of_hashes_keep_every_bit(lists, separator, tmp_path_factory):
    texts = ["[" + separator.join(map(str, numbers)) + "]" for numbers in lists]
    found = read_column(tmp_path_factory.mktemp("lists"), texts, "numbers")
    assert found == [[number if number < 2**64 else None for number in numbers] for numbers in lists]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.floats(), min_size=1, max_size=10))
def test_doubles_come_back_as_they_were(values, tmp_path_factory):
    found = read_column(tmp_path_factory.mktemp("doubles"), [repr(value) for value in values], "double")
    assert found == [value if math.isfinite(value) else None for value in values]

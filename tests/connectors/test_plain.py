"""The plain table of calls: what it accepts, what it makes of it, and what it refuses; and the templates of all plain tables."""

from __future__ import annotations

import gzip
import tempfile
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.intake import load_paths
from connectors.plain import PLAIN_KINDS, template
from tests.connectors.reading import read, read_text
from warehouse.configuration import Configuration
from warehouse.errors import InputError
from warehouse.schema import TOKEN_CLASSES
from warehouse.store import Store

D = Decimal


def calls(folder, header, *lines, **settings):
    return read_text(
        folder, "\n".join([f"started_at,model,{header}", *(f"2026-03-02T09:00:00Z,m,{x}" for x in lines)]), **settings
    )


@pytest.mark.parametrize("kind", [kind.KIND for kind in PLAIN_KINDS] + ["focus"])
def test_every_template_loads_whole(tmp_path, kind):
    found = read_text(tmp_path, template(kind))
    assert (found.extraction.kind, len(found.rows), found.rejects) == (kind, 2, [])


def test_templates_are_stored_once_and_bad_files_stand_beside_them(tmp_path):
    store = Store(tmp_path / "store")
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for kind in PLAIN_KINDS:
        (inbox / f"{kind.KIND}.csv").write_text(template(kind.KIND))
    (inbox / "cut.csv.gz").write_bytes(gzip.compress(b"date,user_id\n" * 99)[:30])
    bad = load_paths(store, Configuration(), [inbox / "cut.csv.gz"])
    assert [(report.status, "truncated" in (report.message or "")) for report in bad] == [("refused", True)]
    first = load_paths(store, Configuration(), [inbox])
    assert sorted((report.file, report.status, report.rows_kept) for report in first) == sorted(
        [("cut.csv.gz", "refused", 0), *((f"{kind.KIND}.csv", "stored", 2) for kind in PLAIN_KINDS)]
    )
    again = load_paths(store, Configuration(), [inbox])
    assert {report.status for report in again if report.file != "cut.csv.gz"} == {"unchanged"}


def test_there_is_no_other_template():
    for kind in ("nope", "../cost_categories", ""):
        with pytest.raises(InputError, match="there are activity"):
            template(kind)


def test_values_of_the_calls_template(tmp_path):
    first, second = read_text(tmp_path, template("calls")).rows
    assert first["started_at"] == datetime(2026, 3, 2, 9, 15)
    assert (first["call_id"], first["source"], first["provider"], first["model"], first["model_raw"]) == (
        "req-0001", "calls", "openai", None, "gpt-4o",
    )  # fmt: skip
    assert (first["reported_cost"], first["cache_write_5m_tokens"], first["reasoning_tokens"]) == (D("0.0055"), None, 0)
    assert (first["converted"], first["revenue"], first["flags"], first["labels"]) == (False, None, [], {})
    assert [second[name] for name in TOKEN_CLASSES] == [86, 12000, 1000, 500, 420, None, None, None]
    assert (second["reported_cost"], second["revenue"], second["cost"]) == (None, D("1.25"), None)


@pytest.mark.parametrize(
    ("header", "line", "classes", "flags"),
    [
        # uncached, read, write 5m, write 1h, output, reasoning, audio in, audio out
        ("input_tokens,output_tokens", "100,7", (100, None, None, None, 7, None, None, None), []),
        ("prompt_tokens,cached_tokens,completion_tokens", "6074,3456,285", (2618, 3456, None, None, 285, None, None, None), []),
        ("input_tokens,cache_read_tokens,cache_write_tokens", "130213,128955,1253", (5, 128955, 1253, None, None, None, None, None), []),
        ("input_tokens,cache_write_tokens,cache_write_1h_tokens", "300,248,100", (52, None, 148, 100, None, None, None, None), []),
        ("uncached_input_tokens,input_tokens,cache_read_tokens", "86,17903,17817", (86, 17817, None, None, None, None, None, None), []),
        ("uncached_input_tokens,input_tokens,cache_read_tokens", "86,17904,17817", (86, 17817, None, None, None, None, None, None), ["token_total"]),
        ("input_tokens,cache_read_tokens", "10,20", (0, 20, None, None, None, None, None, None), ["token_total"]),
        ("completion_tokens,reasoning_tokens", "300,192", (None, None, None, None, 108, 192, None, None), []),
        ("output_tokens,reasoning_tokens", "108,192", (None, None, None, None, 108, 192, None, None), []),
        ("output_tokens,reasoning_tokens,completion_tokens", "300,192,300", (None, None, None, None, 300, 192, None, None), ["token_total"]),
        ("input_tokens,output_tokens,total_tokens", "100,7,107", (100, None, None, None, 7, None, None, None), []),
        ("input_tokens,output_tokens,total_tokens", "100,7,108", (100, None, None, None, 7, None, None, None), ["token_total"]),
        ("input_tokens,audio_input_tokens", "100,40", (60, None, None, None, None, None, 40, None), []),
        ("input_tokens,cost", ",0.5", (None,) * 8, []),
        ("input_tokens,total_tokens", ",500", (None,) * 8, []),
        ("input_tokens", "12.0", (12, *(None,) * 7), []),
        ("input_tokens", "1e3", (1000, *(None,) * 7), []),
    ],
)  # fmt: skip
def test_token_classes_are_disjoint_and_unknown_stays_unknown(tmp_path, header, line, classes, flags):
    (row,) = calls(tmp_path, header, line).rows
    assert tuple(row[name] for name in TOKEN_CLASSES) == classes
    assert row["flags"] == flags


TOKENS = st.integers(0, 10**7)


@settings(deadline=None, max_examples=60)
@given(st.tuples(*[TOKENS] * 8))
def test_totals_and_classes_say_the_same(counts):
    uncached, read_, five, hour, output, reasoning, audio_in, audio_out = counts
    total_in, total_out = uncached + read_ + five + hour + audio_in, output + reasoning + audio_out
    names = (
        "input_tokens,cache_read_tokens,cache_write_tokens,cache_write_1h_tokens,completion_tokens,reasoning_tokens,"
        "audio_input_tokens,audio_output_tokens,total_tokens"
    )
    values = [total_in, read_, five + hour, hour, total_out, reasoning, audio_in, audio_out, total_in + total_out]
    with tempfile.TemporaryDirectory() as folder:
        (row,) = calls(Path(folder), names, ",".join(map(str, values))).rows
    assert tuple(row[name] for name in TOKEN_CLASSES) == counts
    assert row["flags"] == []


@pytest.mark.parametrize(
    ("header", "bad", "column"),
    [
        ("input_tokens", "-1", "input_tokens"),
        ("prompt_tokens", "-1", "prompt_tokens"),
        ("output_tokens", "1.5", "output_tokens"),
        ("output_tokens", "many", "output_tokens"),
        ("cache_read_tokens,input_tokens", "-5,5", "cache_read_tokens"),
        ("cost", "NaN", "cost"),
        ("cost", "Infinity", "cost"),
        ("cost", "-0.01", "cost"),
        ("cost", "1e12", "cost"),
        ("cost_usd", '"0,01"', "cost_usd"),
        ("cost,currency", "1,EUR", "currency"),
    ],
)
def test_a_call_that_cannot_be_right_is_rejected_alone(tmp_path, header, bad, column):
    good = ",".join({"currency": "USD"}.get(name, "1") for name in header.split(","))
    found = calls(tmp_path, header, good, bad, good)
    assert len(found.rows) == 2
    ((row, where, reason),) = found.rejects
    assert (row, where) == (2, column)
    assert len(reason) > 20


@pytest.mark.parametrize(
    "time", ["1970-01-01T00:00:00Z", "2262-04-11T00:00:00Z", "0", "yesterday", "", "infinity", "2026-02-30"]
)
def test_calls_outside_of_time_are_rejected(tmp_path, time):
    found = read_text(tmp_path, f"timestamp,model,input_tokens\n{time},m,1\n2026-03-02,m,1\n")
    assert [row["started_at"] for row in found.rows] == [datetime(2026, 3, 2)]
    assert [(row, column) for row, column, _ in found.rejects] == [(1, "timestamp")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-02T09:00:00.123456Z", datetime(2026, 3, 2, 9, 0, 0, 123456)),
        ("2026-03-02T16:00:00+07:00", datetime(2026, 3, 2, 9)),
        ("2026-03-02 09:00:00", datetime(2026, 3, 2, 9)),
        ("2026-03-02 09:00:00 UTC", datetime(2026, 3, 2, 9)),
        ("1772442000", datetime(2026, 3, 2, 9)),
        ("1772442000.5", datetime(2026, 3, 2, 9, 0, 0, 500000)),
        ("1772442000123", datetime(2026, 3, 2, 9, 0, 0, 123000)),
        ("1772442000123456", datetime(2026, 3, 2, 9, 0, 0, 123456)),
        ("3/2/26 9:00", datetime(2026, 3, 2, 9)),
        ("3/2/2026 9:00 AM", datetime(2026, 3, 2, 9)),
    ],
)
def test_times_as_people_write_them(tmp_path, text, expected):
    (row,) = read_text(tmp_path, f"timestamp,model,input_tokens\n{text},m,1\n").rows
    assert row["started_at"] == expected


def test_a_call_without_model_is_rejected_and_a_file_without_the_column_refused(tmp_path):
    found = read_text(tmp_path, "started_at,model,input_tokens\n2026-03-02,,1\n2026-03-02,m,1\n")
    assert [(row, column) for row, column, _ in found.rejects] == [(1, "model")]
    with pytest.raises(InputError, match="needs the column model; it has started_at, input_tokens"):
        read_text(tmp_path, "started_at,input_tokens\n2026-03-02,1\n", "calls")


def test_ids_are_made_from_content_and_equal_rows_are_told_apart(tmp_path):
    first = [row["call_id"] for row in calls(tmp_path, "input_tokens,user_id", "5,u", "5,u", "6,u", "5,u").rows]
    assert len(set(first)) == 4
    again = [row["call_id"] for row in calls(tmp_path, "input_tokens,user_id", "6,u", "5,u", "5,u", "5,u").rows]
    assert sorted(again) == sorted(first), "neither the order of rows nor another load changes them"
    swapped = read_text(tmp_path, "user_id,model,input_tokens,started_at\nu,m,6,2026-03-02T09:00:00Z\n").rows
    assert swapped[0]["call_id"] == first[2], "nor does the order of columns"


def test_other_columns_are_labels_and_texts_are_not_kept(tmp_path):
    found = calls(
        tmp_path,
        "input_tokens,Release,prompt,empty,labels",
        '1,v7,"secret words",,"{""a"": ""b""}"',
        '1,v7,"secret words",,',
    )
    first, second = found.rows
    assert first["labels"] == {"Release": "v7", "a": "b"}
    assert second["labels"] == {"Release": "v7"}
    assert first["input_hash"] == second["input_hash"]
    assert not any("secret" in str(value) for row in found.rows for value in row.values())
    assert any("prompt" in warning for warning in found.extraction.warnings)


def test_a_gateway_hit_costs_nothing_and_keeps_what_it_saved(tmp_path):
    (row,) = calls(tmp_path, "input_tokens,cache_hit,cost,saved_cost", "100,true,,0.000337").rows
    assert (row["reported_cost"], row["saved_cost"], row["uncached_input_tokens"]) == (0, D("0.000337"), 100)


def test_what_does_not_count_may_be_unreadable(tmp_path):
    found = calls(
        tmp_path, "input_tokens,latency_ms,is_stream,status", "1,fast,perhaps,200", "1,NaN,yes,error", "1,12.5,,odd"
    )
    assert [row["latency_ms"] for row in found.rows] == [None, None, 12.5]
    assert [row["is_stream"] for row in found.rows] == [None, True, None]
    assert [row["status"] for row in found.rows] == ["success", "failure", None]
    assert "2 values of latency_ms cannot be read and stay unknown." in found.extraction.warnings


def test_a_time_that_no_calendar_has_rejects_its_row_of_parquet_as_of_csv(tmp_path):
    micros = pa.array([datetime(2026, 3, 2, 9), None, None, None], pa.timestamp("us"))
    endless = pa.array([0, 2**63 - 1, -(2**63) + 1, 569_000_000_000_000_000], pa.int64()).cast(pa.timestamp("us"))
    times = pa.chunked_array([micros.slice(0, 1), endless.slice(1)])
    table = pa.table({"started_at": times, "model": ["m"] * 4, "input_tokens": [7] * 4})
    pq.write_table(table, tmp_path / "calls.parquet")
    lines = "2026-03-02 09:00:00,m,7\ninfinity,m,7\n-infinity,m,7\n20000-12-30,m,7\n"
    (tmp_path / "calls.csv").write_text("started_at,model,input_tokens\n" + lines)
    for name in ("calls.parquet", "calls.csv"):
        found = read(tmp_path / name)
        assert ([row["uncached_input_tokens"] for row in found.rows], len(found.rejects)) == ([7], 3), name


HUGE = 2**63 - 1


@pytest.mark.parametrize("form", ["csv", "parquet", "wider parquet"])
def test_a_count_that_no_call_has_rejects_its_row_and_not_the_load(tmp_path, form):
    counts = {
        "input_tokens": [7, HUGE, HUGE, 10**12, 7],
        "cached_tokens": [0, HUGE, 0, 0, 0],
        "total_tokens": [8, HUGE, 9, 9, 8],
    }
    table = pa.table(
        {"started_at": [datetime(2026, 3, 2, 9)] * 5, "model": ["m"] * 5, "output_tokens": [1] * 5} | counts
    )
    path = tmp_path / "calls.file"
    if form == "csv":
        pa_csv.write_csv(table, path)
    elif form == "parquet":
        pq.write_table(table, path)
    else:
        wide = [2**64 - 1 if count == HUGE else count for count in counts["input_tokens"]]
        pq.write_table(table.set_column(3, "input_tokens", pa.array(wide, pa.uint64())), path)
    found = read(path)
    assert [row["uncached_input_tokens"] for row in found.rows] == [7, 10**12, 7]
    assert [(row, column) for row, column, _ in found.rejects] == [(2, "input_tokens"), (3, "input_tokens")]
    assert all("1,000,000,000,000" in reason for *_, reason in found.rejects)
    reports = load_paths(Store(tmp_path / "store"), Configuration(), [path])
    assert [(report.status, report.rows_kept, report.rows_rejected) for report in reports] == [("stored", 3, 2)]


def test_calls_as_typed_parquet_and_as_json(tmp_path):
    table = pa.table(
        {
            "started_at": pa.array([datetime(2026, 3, 2, 9)], pa.timestamp("ns", "Asia/Tokyo")),
            "model": ["m"],
            "input_tokens": pa.array([100.0]),
            "reported_cost": [1e-7],
            "labels": pa.array([[("k", "v")]], pa.map_(pa.string(), pa.string())),
            "prefix_blocks": pa.array([[2**64 - 1]], pa.list_(pa.uint64())),
        }
    )
    pq.write_table(table, tmp_path / "calls.parquet")
    (row,) = read(tmp_path / "calls.parquet").rows
    assert (row["started_at"], row["uncached_input_tokens"]) == (datetime(2026, 3, 2, 9), 100)
    assert (row["reported_cost"], row["labels"], row["prefix_blocks"]) == (D("1e-7"), {"k": "v"}, [2**64 - 1])
    (row,) = read_text(
        tmp_path, '{"timestamp": 1772442000, "model": "m", "input_tokens": 5, "cost": 2e-05, "x": {"y": 1}}'
    ).rows
    assert (row["started_at"], row["reported_cost"], row["labels"]) == (
        datetime(2026, 3, 2, 9),
        D("0.00002"),
        {"x": '{"y":1}'},
    )

"""Calls of Parquet files, which are read where they lie, are the calls of the same rows as JSON lines, which are copied first."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.intake import load_paths
from warehouse import callers, feature_users
from warehouse.configuration import Configuration
from warehouse.load_report import LoadReport
from warehouse.reader import open_current
from warehouse.rollups import ROLLUPS
from warehouse.schema import CALLS
from warehouse.store import Store

CONFIGURATION = Configuration()
SCHEMA = pa.schema(
    [
        ("call_id", pa.string()),
        ("started_at", pa.timestamp("us")),
        ("provider", pa.string()),
        ("model", pa.string()),
        ("feature", pa.string()),
        ("status", pa.string()),
        ("uncached_input_tokens", pa.int64()),
        ("output_tokens", pa.int64()),
        ("reported_cost", pa.decimal128(12, 6)),
        ("latency_ms", pa.float64()),
        ("input_hash", pa.string()),
        ("flavour", pa.string()),
    ]
)
TEXTS = st.sampled_from(
    [None, "", "search", " chat ", "NULL", "null", "\\N", "Tóm tắt", "\u00a0x\u00a0", "ab  cd", "\u3000"]
)
ROW = st.fixed_dictionaries(
    {
        "call_id": st.one_of(st.integers(0, 40).map(lambda n: f"chatcmpl-{n}"), st.integers(0, 9).map(str), TEXTS),
        "started_at": st.datetimes(datetime(2026, 2, 27), datetime(2026, 3, 2)),
        "provider": st.sampled_from(["openai", " OpenAI", None]),
        "model": st.sampled_from(["gpt-4o", "gpt-4o-mini", "none-such", None]),
        "feature": TEXTS,
        "status": st.sampled_from(["ok", "failure", "odd", None]),
        "uncached_input_tokens": st.sampled_from([None, -5, 0, 1_000, 250_000]),
        "output_tokens": st.sampled_from([None, 0, 7, 10**13]),
        "reported_cost": st.sampled_from([None, Decimal("0"), Decimal("0.125000"), Decimal("-1.5")]),
        "latency_ms": st.sampled_from([None, 12.5, 900.0]),
        "input_hash": TEXTS,
        "flavour": TEXTS,
    }
)
NEVER_MISSING = ROW.map(lambda row: row | {"call_id": (row["call_id"] or "").strip() or "x-1"}).filter(
    lambda row: row["call_id"] not in ("NULL", "null", "\\N")
)


def parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path)
    return path


def lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, default=str) + "\n" for row in rows))
    return path


def load(store: Path, *paths: Path) -> list[LoadReport]:
    return load_paths(Store(store), CONFIGURATION, paths, kind="calls")


def stored(store: Path) -> list[tuple[Any, ...]]:
    columns = ", ".join(f'"{name}"' for name in CALLS.names)
    return (
        open_current(store, CONFIGURATION)
        .connection.cursor()
        .execute(f"SELECT {columns} FROM calls ORDER BY ALL")
        .fetchall()
    )


def told(reports: list[LoadReport]) -> list[tuple[Any, ...]]:
    return [
        (r.file.split(".")[0], r.partition, r.status, r.rows_in, r.rows_kept, r.rows_rejected, r.rows_duplicate, r.billed, r.effective, r.billed_in,
         r.effective_in, r.first, r.last, r.load_id, r.message)
        for r in reports
    ]  # fmt: skip


def rejected(store: Path) -> list[tuple[Any, ...]]:
    rows = (
        open_current(store, CONFIGURATION)
        .connection.cursor()
        .execute("SELECT load_id, split_part(file, '.', 1), row_number, column_name FROM rejects ORDER BY ALL")
    )
    return rows.fetchall()


@settings(max_examples=6, deadline=None)
@given(files=st.lists(st.lists(st.one_of(NEVER_MISSING, ROW), min_size=1, max_size=8), min_size=1, max_size=3))
def test_parquet_and_json_lines_of_the_same_rows_are_the_same_calls(
    tmp_path_factory: Any, files: list[list[dict[str, Any]]]
) -> None:
    folder = tmp_path_factory.mktemp("both")
    one = [parquet(folder / f"calls-{n}.parquet", rows) for n, rows in enumerate(files)]
    two = [lines(folder / f"calls-{n}.jsonl", rows) for n, rows in enumerate(files)]
    assert told(load(folder / "a", *one)) == told(load(folder / "b", *two))
    assert _without_hashes(stored(folder / "a")) == _without_hashes(stored(folder / "b"))
    assert rejected(folder / "a") == rejected(folder / "b")


def _without_hashes(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows whose id had to be made of their content leave it out: the content is written differently in the two formats."""
    return sorted((row[1:] if row[0].startswith("row-") else row for row in rows), key=repr)


def day(number: int, ids: range, cost: str = "0.01") -> list[dict[str, Any]]:
    start = datetime(2026, 3, 1) + timedelta(days=number)
    return [
        {"call_id": f"chatcmpl-{n:06d}", "started_at": start + timedelta(seconds=n % 80_000), "provider": "openai", "model": "gpt-4o",
         "uncached_input_tokens": 100, "output_tokens": 10, "reported_cost": Decimal(cost), "input_hash": f"{n * 7919:08x}"}
        for n in ids
    ]  # fmt: skip


def test_a_corrected_day_takes_the_place_of_the_first_one_only(tmp_path: Path) -> None:
    store = tmp_path / "store"
    days = [parquet(tmp_path / f"day-{n}.parquet", day(n, range(1000 * n, 1000 * n + 900))) for n in range(40)]
    load(store, *days)
    corrected = [row | {"output_tokens": 11} for row in day(12, range(12_000, 12_900), "0.02")]
    corrected += day(12, range(12_900, 12_950), "0.02")
    (report,) = load(store, parquet(tmp_path / "corrected.parquet", corrected))
    assert (report.rows_kept, report.rows_duplicate, report.billed) == (950, 0, Decimal("19.00"))
    rows = (
        open_current(store, CONFIGURATION)
        .connection.cursor()
        .execute("SELECT count(*), count(DISTINCT call_id), sum(cost), sum(output_tokens) FROM calls")
    )
    assert rows.fetchall() == [(36_050, 36_050, Decimal("370.00"), 36_050 * 10 + 900)]
    sums = (
        open_current(store, CONFIGURATION).connection.cursor().execute("SELECT sum(calls), sum(cost) FROM calls_daily")
    )
    assert sums.fetchall() == [(36_050, Decimal("370.00"))]
    changed = (
        open_current(store, CONFIGURATION)
        .connection.cursor()
        .execute("SELECT date::VARCHAR, cost_before, cost_after FROM restatements")
    )
    assert changed.fetchall() == [("2026-03-13", Decimal("9"), Decimal("19"))]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Ho_Chi_Minh"])
def test_sums_of_days_are_those_of_their_calls_after_every_amendment(tmp_path: Path, zone: str) -> None:
    """Months that lose, gain and exchange a few calls are amended in place: what is summed per day must be what a whole sum would give."""
    store, configuration = Store(tmp_path / "store"), Configuration(reporting_time_zone=zone)
    for n in range(0, 40, 10):
        days = [parquet(tmp_path / f"{d}.parquet", day(d, range(1000 * d, 1000 * d + 300))) for d in range(n, n + 10)]
        load_paths(store, configuration, days)
    amendments = {
        "late": day(5, range(5_400, 5_420)),
        "longer": [row | {"output_tokens": 20} for row in day(12, range(12_000, 12_250))],
        "moved": [row | {"output_tokens": 30} for row in day(33, range(12_000, 12_060))],
        "both": [row | {"output_tokens": 40, "feature": "chat"} for row in day(30, range(30_000, 30_090))]
        + day(31, range(31_900, 31_930)),
    }
    for name, rows in amendments.items():
        load_paths(store, configuration, [parquet(tmp_path / f"{name}.parquet", rows)])
        snapshot = store.current()
        assert snapshot is not None
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            for number, file in enumerate(snapshot.of("calls")):
                connection.execute(f"ATTACH '{store.facts / file.name}' AS f{number} (READ_ONLY)")
                assert connection.execute(f"SELECT count(*) FROM f{number}.calls").fetchall() == [(file.rows,)]
                wanted = {
                    rollup: select(configuration, f"f{number}.calls") for rollup, select in ROLLUPS["calls"].items()
                }
                wanted[callers.NAME] = callers.callers(f"f{number}.user_days")
                wanted[feature_users.NAME] = feature_users.feature_users(configuration, f"f{number}")
                for rollup, select in wanted.items():
                    there, again = f"SELECT * FROM f{number}.{rollup}", f"SELECT * FROM ({select})"
                    for differs in (f"{there} EXCEPT ALL {again}", f"{again} EXCEPT ALL {there}"):
                        assert connection.execute(differs).fetchall() == [], (name, file.month, rollup)
        assert snapshot.number > 4
    calls = (
        open_current(tmp_path / "store", configuration)
        .connection.cursor()
        .execute("SELECT count(*), count(DISTINCT call_id), sum(output_tokens) FROM calls")
    )
    longer = 190 * 20 + 60 * 30 + 90 * 40
    assert calls.fetchall() == [(12_050, 12_050, (12_050 - 340) * 10 + longer)]


def test_a_file_that_is_damaged_inside_is_refused_and_the_others_are_loaded(tmp_path: Path) -> None:
    good, bad = parquet(tmp_path / "good.parquet", day(0, range(2000))), tmp_path / "bad.parquet"
    rows = pa.Table.from_pylist(day(1, range(2000, 12_000)), schema=SCHEMA)
    pq.write_table(rows, bad, compression="none", use_dictionary=False, data_page_size=4096)
    facts = pq.ParquetFile(bad).metadata.row_group(0)
    column = next(facts.column(n) for n in range(facts.num_columns) if facts.column(n).path_in_schema == "input_hash")
    content = bytearray(bad.read_bytes())
    end = column.data_page_offset + column.total_compressed_size
    content[end - 30_000 : end] = b"\xff" * 30_000
    bad.write_bytes(content)
    reports = load(tmp_path / "store", good, bad)
    assert {(report.file, report.status, report.rows_kept) for report in reports} == {
        ("good.parquet", "stored", 2000),
        ("bad.parquet", "refused", 0),
    }
    assert "cannot be read" in next(report.message or "" for report in reports if report.status == "refused")
    assert len(stored(tmp_path / "store")) == 2000

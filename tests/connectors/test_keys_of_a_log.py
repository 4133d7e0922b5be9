"""A log of JSON objects that do not all have the same keys: what one begins to tell changes nothing of what the others told."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from connectors.intake import load_paths
from warehouse.configuration import Configuration
from warehouse.reader import open_current
from warehouse.store import Store

HEAD = 50
"""So many objects are looked at first."""


def call(minute: int, **more: Any) -> dict[str, Any]:
    """A call without an id."""
    time = f"2026-03-01T{minute // 60:02d}:{minute % 60:02d}:00Z"
    return {"started_at": time, "model": "gpt-4o", "input_tokens": 100, "output_tokens": 10} | more


def load(store: Path, log: Path, calls: list[dict[str, Any]]) -> int:
    """Load a log of these calls; answers with how many rows were rejected."""
    lines = [json.dumps(one) for one in calls]
    log.write_text("\n".join(lines) + "\n" if log.suffix == ".jsonl" else f"[{','.join(lines)}]", encoding="utf-8")
    reports = load_paths(Store(store), Configuration(), [log])
    assert {report.status for report in reports} <= {"stored", "note"}
    return sum(report.rows_rejected for report in reports)


def stored(store: Path, columns: str) -> list[tuple[Any, ...]]:
    """How many calls have these values."""
    cursor = open_current(store, Configuration()).connection.cursor()
    return cursor.execute(f"SELECT {columns}, count(*) FROM calls GROUP BY ALL ORDER BY ALL").fetchall()


@pytest.mark.parametrize("name", ["log.jsonl", "log.json"])
def test_a_log_that_grew_by_calls_with_a_key_of_their_own_is_no_second_log(tmp_path: Path, name: str) -> None:
    store, log = tmp_path / "store", tmp_path / name
    calls = [call(minute) for minute in range(HEAD + 10)]
    load(store, log, calls)
    before = {call_id for call_id, _calls in stored(store, "call_id")}
    calls += [call(100, team="search"), call(100, team="sales"), call(101)]
    load(store, log, calls)

    assert stored(store, "team") == [("sales", 1), ("search", 1), (None, HEAD + 11)]
    assert before < {call_id for call_id, _calls in stored(store, "call_id")}


def test_two_spellings_of_one_key_are_one_key(tmp_path: Path) -> None:
    old = {"startedAt": "2026-03-01T05:00:00Z", "model": "gpt-4o", "inputTokens": 7, "outputTokens": 1, "userId": "ann"}
    calls = [call(minute, user_id="bob", Release="r1") for minute in range(HEAD + 10)] + [old | {"release": "r2"}]

    assert load(tmp_path / "store", tmp_path / "log.jsonl", calls) == 0
    assert stored(tmp_path / "store", "user_id, uncached_input_tokens, CAST(labels AS VARCHAR)") == [
        ("ann", 7, "{Release=r2}", 1),
        ("bob", 100, "{Release=r1}", HEAD + 10),
    ]


def test_a_text_under_another_key_takes_no_call_its_hash(tmp_path: Path) -> None:
    calls = [call(minute, prompt=f"question {minute}") for minute in range(HEAD + 10)]
    load(tmp_path / "store", tmp_path / "log.jsonl", [*calls, call(100, messages="question 3")])

    hashes = [hashlib.sha256(f"question {minute}".encode()).hexdigest() for minute in [*range(HEAD + 10), 3]]
    assert stored(tmp_path / "store", "input_hash") == sorted(Counter(hashes).items())


def test_two_columns_of_a_table_are_two_things_whatever_its_format(tmp_path: Path) -> None:
    """What somebody computed (`cost`) is not what the source reported, where the table has a column for that."""
    csv, parquet = tmp_path / "calls.csv", tmp_path / "calls.parquet"
    csv.write_text(
        "call_id,started_at,model,uncached_input_tokens,output_tokens,reported_cost,cost\n"
        "a,2026-03-01T00:00:00Z,gpt-4o,10,1,,2.5\nb,2026-03-01T00:00:00Z,gpt-4o,10,1,3,2.5\n"
    )
    duckdb.sql(f"COPY (FROM read_csv('{csv}')) TO '{parquet}'")
    for file in (csv, parquet):
        load_paths(Store(tmp_path / file.suffix), Configuration(), [file])
        assert stored(tmp_path / file.suffix, "call_id, reported_cost") == [("a", None, 1), ("b", Decimal(3), 1)]

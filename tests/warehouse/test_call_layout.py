"""What the calls of a month have in common is stored once: whatever is loaded in whichever order, readers see the same calls and sums as where
every column is stored."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.intake import load_paths
from warehouse import call_months
from warehouse.call_layout import NEVER_COMMON, ROWS, SAMPLE, holding, layout_of, sampled
from warehouse.configuration import Configuration
from warehouse.reader import open_current
from warehouse.schema import CALLS
from warehouse.store import Store

CONFIGURATION = Configuration()
KINDS = {"started_at": pa.timestamp("us"), "output_tokens": pa.int64(), "uncached_input_tokens": pa.int64()}
ALL = 10**9


def rows(day: int, calls: range, **more: Any) -> list[dict[str, Any]]:
    """One call a minute of a day of March 2026."""
    start = datetime(2026, 3, day)
    return [
        {
            "call_id": f"chatcmpl-{day}-{n}", "started_at": start + timedelta(minutes=n), "provider": "openai", "model": "gpt-4o",
            "feature": "search", "user_id": f"u{n % 7}", "uncached_input_tokens": 100 + n, "output_tokens": 0,
        } | more
        for n in calls
    ]  # fmt: skip


def parquet(path: Path, calls: list[dict[str, Any]]) -> Path:
    names = list(dict.fromkeys(name for call in calls for name in call))
    schema = pa.schema([(name, KINDS.get(name, pa.string())) for name in names])
    pq.write_table(pa.Table.from_pylist(calls, schema=schema), path)
    return path


def seen(store: Path) -> list[list[tuple[Any, ...]]]:
    """All that readers see of calls: types, calls, and the roll-ups."""
    cursor = open_current(store, CONFIGURATION).connection.cursor()
    told = [cursor.execute("DESCRIBE calls").fetchall()]
    tables = (
        f"(SELECT {', '.join(CALLS.names)} FROM calls)",
        *("calls_daily", "user_days", "callers", "feature_users", "restatements"),
    )
    for table in tables:
        shown = "* EXCLUDE (restated_at)" if table == "restatements" else "*"
        told.append(cursor.execute(f"SELECT {shown} FROM {table} ORDER BY ALL").fetchall())
    return told


def in_common(store: Path, month: str = "2026-03") -> Mapping[str, str]:
    snapshot = Store(store).current()
    assert snapshot is not None
    (file,) = [file for file in snapshot.of("calls") if file.month == month]
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{store / 'facts' / file.name}' AS f (READ_ONLY)")
        layout = layout_of(connection, "f")
        columns = [row[0] for row in connection.execute(f"DESCRIBE f.{layout.table}").fetchall()]
        assert columns == [column.name for column in layout.stored]
        return layout.common


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Loads files into two stores, one of which looks for what calls have in common; both must look the same to readers."""
    narrow, wide = tmp_path / "narrow", tmp_path / "wide"

    def load(*files: Path) -> Mapping[str, str]:
        for store, least in ((narrow, 0), (wide, ALL)):
            monkeypatch.setattr(call_months, "WORTH_IT", least)
            reports = load_paths(Store(store), CONFIGURATION, files, kind="calls")
            assert {report.status for report in reports} <= {"stored", "unchanged"}
        assert seen(narrow) == seen(wide)
        assert in_common(wide) == {}
        return in_common(narrow)

    return load


def test_readers_see_no_difference_after_any_load(tmp_path: Path, stores: Any) -> None:
    days = [parquet(tmp_path / f"{day}.parquet", rows(day, range(200), env="it's")) for day in range(1, 9)]
    first = stores(*days)
    assert first["session_id"] == "NULL"
    assert first["source"] == "'calls'"
    assert first["labels"] == "MAP {}"
    assert first["flags"] == "[]"
    assert first["env"] == "'it''s'"
    assert first["output_tokens"] == "0"
    assert first["model_raw"] == '"model"'
    assert not first.keys() & {*NEVER_COMMON, "user_id", "uncached_input_tokens"} - {"model_raw"}

    late = parquet(tmp_path / "late.parquet", rows(9, range(50), env="it's"))
    assert stores(late) == first, "a day that has the same in common is added as it is"
    corrected = parquet(tmp_path / "4.parquet", rows(4, range(200), env="it's", uncached_input_tokens=7))
    assert stores(corrected) == first
    longer = parquet(tmp_path / "5.parquet", rows(5, range(200), env="it's", output_tokens=3))
    assert stores(longer) == {name: value for name, value in first.items() if name != "output_tokens"}
    other = parquet(tmp_path / "10.parquet", rows(10, range(50), model="openai/gpt-4o-2024-08-06", session_id="s"))
    expected = {*first} - {"output_tokens", "model_raw", "session_id", "env"}
    assert stores(other).keys() == expected
    again = parquet(tmp_path / "all.parquet", [call for day in range(1, 9) for call in rows(day, range(200))])
    assert stores(again).keys() == expected, "what was told once more is merged with what was stored"


def test_text_files_and_other_months(tmp_path: Path, stores: Any) -> None:
    march = [call | {"started_at": call["started_at"].isoformat()} for call in rows(3, range(300), team=None)]
    april = [
        call | {"started_at": "2026-04-01T08:00:00", "call_id": f"a{n}", "team": f"t{n}"}
        for n, call in enumerate(march)
    ]
    file = tmp_path / "both.jsonl"
    file.write_text("".join(json.dumps(call) + "\n" for call in [*march, *april]))
    common = stores(file)
    assert common["trace_id"] == "NULL"
    assert "team" not in in_common(tmp_path / "narrow", "2026-04")
    moved = [call | {"started_at": "2026-04-02T08:00:00", "trace_id": "x"} for call in march[:20]]
    second = tmp_path / "moved.jsonl"
    second.write_text("".join(json.dumps(call) + "\n" for call in moved))
    stores(second)


def test_scores_and_prices_rewrite_such_a_month_whole(tmp_path: Path, stores: Any) -> None:
    stores(parquet(tmp_path / "1.parquet", rows(1, range(50))))
    prices = tmp_path / "prices.csv"
    prices.write_text("book,provider,model,token_class,amount,valid_from\ncontract,openai,gpt-4o,input,9,2026-01-01\n")
    narrow = Store(tmp_path / "narrow")
    assert [report.status for report in load_paths(narrow, CONFIGURATION, [prices])] == ["stored"]
    cursor = open_current(narrow.path, CONFIGURATION).connection.cursor()
    assert cursor.execute("SELECT count(*), count(DISTINCT price_id), max(trace_id) FROM calls").fetchall() == [
        (50, 1, None)
    ]
    ((price,),) = cursor.execute("SELECT DISTINCT price_id FROM calls").fetchall()
    assert price.startswith("contract/")


def test_what_only_the_first_calls_have_alike_is_not_common() -> None:
    with duckdb.connect() as connection:
        names = ", ".join(f'CAST(NULL AS {column.type}) AS "{column.name}"' for column in CALLS.columns)
        select = f"""SELECT * REPLACE ('x' AS env, CASE WHEN n > {SAMPLE} THEN 't' END AS team, n = -1 AS is_stream, MAP {{}} AS labels,
                            CASE WHEN n = {SAMPLE + 1} THEN ['odd'] ELSE [] END AS flags, 'u' || n AS user_id)
                     FROM (SELECT n, {names} FROM range({SAMPLE + 2}) AS r(n))"""
        found = sampled(connection, select)
        assert (found["env"], found["team"], found["is_stream"], found["labels"], found["flags"]) == (
            "'x'",
            "NULL",
            "False",
            "MAP {}",
            "[]",
        )
        assert "user_id" not in found
        assert found.keys() - holding(connection, select, found).keys() == {"team", "flags"}
        assert sampled(connection, f"{select} WHERE false") == {}
        assert holding(connection, f"{select} WHERE n = 0", found) == found


def test_a_view_of_one_file_never_reads_the_rows_of_another(tmp_path: Path, stores: Any) -> None:
    """The stored table has one name in all files: months that are open together must keep to their own."""
    calls = [
        rows(1, range(30)),
        [call | {"started_at": datetime(2026, 4, 2), "call_id": f"a{n}"} for n, call in enumerate(rows(1, range(20)))],
    ]
    stores(*(parquet(tmp_path / f"{n}.parquet", month) for n, month in enumerate(calls)))
    warehouse = open_current(tmp_path / "narrow", CONFIGURATION)
    warehouse.connection.execute(f"CREATE TABLE {ROWS} (call_id VARCHAR)")
    months = "SELECT strftime(started_at, '%m'), count(*) FROM calls GROUP BY 1 ORDER BY 1"
    assert warehouse.connection.cursor().execute(months).fetchall() == [("03", 30), ("04", 20)]

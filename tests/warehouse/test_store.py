"""The store's files: readers beside a writer, versions, damage, locks, clean-up."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path

import pytest

from tests.warehouse.rows import call_rows, charge_lines
from warehouse.configuration import Configuration
from warehouse.errors import StoreError
from warehouse.intake import Extraction
from warehouse.loading import Loading
from warehouse.reader import open_current, open_snapshot
from warehouse.store import KEPT_SNAPSHOTS, Store


def load(path: Path, extraction: Extraction, configuration: Configuration | None = None) -> None:
    with Loading(Store(path), configuration or Configuration(), on_overlap="replace") as loading:
        loading.add(extraction)
        loading.commit()


def lines(cents: int) -> Extraction:
    rows = [(f"2026-03-01 {hour:02d}:00", "EC2", f"i-{hour}", f"{cents / 100}") for hour in range(24)]
    return charge_lines(rows, file=f"{cents}.csv")


def test_a_reader_in_another_process_is_never_blocked_and_sees_whole_versions(tmp_path: Path) -> None:
    load(tmp_path, lines(100))
    reader = subprocess.Popen(
        [sys.executable, "-m", "tests.warehouse.read_while_writing", str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert reader.stdout is not None
    assert reader.stdout.readline() == "reading\n"
    for cents in range(101, 109):
        load(tmp_path, lines(cents))
    output, _ = reader.communicate("stop\n", timeout=60)
    result = json.loads(output)
    assert result["errors"] == []
    assert set(result["sums"]) <= {str(Decimal(cents * 24) / 100) for cents in range(100, 109)}
    assert result["reads"] > 1


def test_many_threads_may_ask_one_warehouse(tmp_path: Path) -> None:
    load(tmp_path, lines(100))
    warehouse = open_current(tmp_path, Configuration())
    found: list[Decimal] = []

    def ask() -> None:
        for _ in range(20):
            table = warehouse.table("charges_daily")
            found.append(warehouse.row(table.agg(total=table.billed.sum()))["total"])

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [Decimal(24)] * 120


def test_a_store_of_another_version_is_refused_in_words(tmp_path: Path) -> None:
    load(tmp_path, lines(100))
    manifest = next((tmp_path / "snapshots").glob("*.json"))
    raw = json.loads(manifest.read_text())
    for version, words in ((99, "newer Percall"), (0, "percall load")):
        manifest.write_text(json.dumps(raw | {"schema_version": version}))
        with pytest.raises(StoreError, match=words):
            open_current(tmp_path, Configuration())


def test_a_damaged_or_missing_file_is_named(tmp_path: Path) -> None:
    load(tmp_path, lines(100))
    fact = next((tmp_path / "facts").glob("charges-*"))
    fact.unlink()
    with pytest.raises(StoreError, match=fact.name):
        open_current(tmp_path, Configuration())
    next((tmp_path / "snapshots").glob("*.json")).write_text("{")
    with pytest.raises(StoreError, match="damaged"):
        open_current(tmp_path, Configuration())


def test_a_second_writer_is_told_who_writes(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.writing(), pytest.raises(StoreError, match="process"), Store(tmp_path).writing(wait_seconds=0.2):
        pass


def test_old_snapshots_go_after_a_while_unless_pinned(tmp_path: Path) -> None:
    load(tmp_path, lines(100))
    store = Store(tmp_path)
    first = store.current_id()
    assert first is not None
    (store.pins / first).touch()
    for cents in range(101, 103 + KEPT_SNAPSHOTS):
        load(tmp_path, lines(cents))
    kept = sorted(path.stem for path in store.snapshots.iterdir())
    assert kept[0] == first
    assert len(kept) == KEPT_SNAPSHOTS + 1
    frozen = open_snapshot(tmp_path, first, Configuration()).table("charges_daily")
    warehouse = open_snapshot(tmp_path, first, Configuration())
    assert warehouse.row(frozen.agg(total=frozen.billed.sum()))["total"] == Decimal(24)


def test_days_are_cut_in_the_reporting_zone_even_when_it_changes_after_the_load(tmp_path: Path) -> None:
    calls = [(f"chatcmpl-{n}", f"2026-03-01 {n:02d}:30:00", "a", "0.01") for n in range(24)]
    load(tmp_path, call_rows(calls))

    def days(configuration: Configuration) -> dict[str, int]:
        warehouse = open_current(tmp_path, configuration)
        table = warehouse.table("calls_daily")
        rows = warehouse.arrow(table.group_by("date").agg(calls=table.calls.sum())).to_pylist()
        return {str(row["date"]): row["calls"] for row in rows}

    assert days(Configuration()) == {"2026-03-01": 24}
    # UTC+7: a call at 17:30 UTC is one of the next day (00:30), one at 16:30 is not (23:30).
    zoned = Configuration(reporting_time_zone="Asia/Ho_Chi_Minh")
    assert days(zoned) == {"2026-03-01": 17, "2026-03-02": 7}
    # India is at a half hour, which cannot be cut from UTC hours: 18:30 UTC is midnight.
    assert days(Configuration(reporting_time_zone="Asia/Kolkata")) == {"2026-03-01": 18, "2026-03-02": 6}
    load(tmp_path, call_rows([("chatcmpl-99", "2026-03-01 17:30:00", "a", "0.01")], file="more.jsonl"), zoned)
    assert days(zoned) == {"2026-03-01": 17, "2026-03-02": 8}
    assert days(Configuration()) == {"2026-03-01": 25}


def test_a_load_with_another_zone_cuts_the_other_months_again_too(tmp_path: Path) -> None:
    load(tmp_path, call_rows([("chatcmpl-1", "2026-03-05 20:00:00", "a", "0.01")]))
    zoned = Configuration(reporting_time_zone="Asia/Ho_Chi_Minh")
    load(tmp_path, call_rows([("chatcmpl-2", "2026-04-05 20:00:00", "a", "0.01")], file="april.jsonl"), zoned)
    warehouse = open_current(tmp_path, zoned)
    dates = warehouse.arrow(warehouse.table("calls_daily").select("date").order_by("date")).to_pylist()
    assert [str(row["date"]) for row in dates] == ["2026-03-06", "2026-04-06"]


def test_days_of_a_daylight_saving_change_sum_to_the_range(tmp_path: Path) -> None:
    calls = [(f"chatcmpl-{n}", f"2026-03-{8 + n // 24:02d} {n % 24:02d}:15:00", "a", "0.01") for n in range(48)]
    load(tmp_path, call_rows(calls))
    warehouse = open_current(tmp_path, Configuration(reporting_time_zone="America/New_York"))
    table = warehouse.table("calls_daily")
    rows = warehouse.arrow(table.group_by("date").agg(calls=table.calls.sum()).order_by("date")).to_pylist()
    # 8 March 2026 has 23 hours in New York: it starts at 05:00 UTC and ends at 04:00 UTC.
    assert [row["calls"] for row in rows] == [5, 23, 20]


def test_a_store_may_lie_in_a_folder_whose_name_has_a_quote(tmp_path: Path) -> None:
    path = tmp_path / "the team's store"
    load(path, lines(100))
    table = open_current(path, Configuration()).table("charges_daily")
    assert open_current(path, Configuration()).row(table.agg(total=table.billed.sum()))["total"] == Decimal(24)

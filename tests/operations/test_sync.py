"""`percall sync`: several sources, one that fails, two at once, killed at any moment, on a schedule."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.live import objects
from connectors.live.sync_records import SyncRecords
from connectors.live.syncing import SyncIsRunning, is_running, only_sync
from operations.sync_command import next_time, read_interval, read_since
from tests.connectors.live.aws_server import KEY_ID, SECRET, TOKEN, Aws, aws_server, bucket_section, configured
from tests.connectors.live.test_aws_exports import deliver, finished, lines, sync, totals
from tests.operations.command import PERCALL, percall
from warehouse.errors import InputError
from warehouse.store import Store


@pytest.fixture(scope="module")
def server() -> Iterator[Aws]:
    with aws_server() as aws:
        yield aws


@pytest.fixture
def aws(server: Aws, monkeypatch: pytest.MonkeyPatch) -> Aws:
    server.reset()
    server.client("s3").create_bucket(Bucket="bills")
    for name, value in (("ID", KEY_ID), ("SECRET", SECRET), ("TOKEN", TOKEN)):
        monkeypatch.setenv(f"PERCALL_TEST_{name}", value)
    monkeypatch.setattr(objects.Bucket.__init__, "__defaults__", (None, lambda _seconds: None))
    return server


def command_line(store: Path, config: Path) -> list[str]:
    return [str(PERCALL), "--store", str(store), "--config", str(config), "sync", "--format", "json"]


def started(store: Path, config: Path, *more: str, errors: int = subprocess.PIPE) -> subprocess.Popen[str]:
    words = [*command_line(store, config), *more]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors, text=True)


def test_one_that_fails_does_not_keep_the_others(aws: Aws, tmp_path: Path) -> None:
    deliver(aws, "2026-01", {"cur-1.csv.gz": lines("2026-01", "1.00")})
    config = configured(
        tmp_path,
        bucket_section(aws, "gone", bucket="no-such-bucket"),
        bucket_section(aws, "no secret", access_key_id_env="PERCALL_TEST_UNSET"),
        'name = "typo"\nkind = "aws-exprot"',
        bucket_section(aws, "good"),
    )
    store = tmp_path / "store"
    answer = sync(store, config)
    assert answer.code == 2
    states = {line["source"]: line["state"] for line in answer.lines if line["event"] == "finished"}
    assert states == {"typo": "failed", "gone": "failed", "no secret": "failed", "good": "fine"}
    assert "PERCALL_TEST_UNSET" in answer.err
    assert "unknown kind of source 'aws-exprot'" in answer.err
    assert totals(store)["billed"] == "1.000000000000"
    only = percall("sync", "good", "--format", "json", store=store, config=config)
    assert only.code == 0
    assert [line["source"] for line in only.lines if line["event"] == "finished"] == ["good"]


def test_unknown_names_and_no_sources_are_told(tmp_path: Path, aws: Aws) -> None:
    nothing = percall("sync", store=tmp_path / "store", config=configured(tmp_path))
    assert nothing.code == 2
    assert "[[source]]" in nothing.err
    config = configured(tmp_path, bucket_section(aws))
    answer = percall("sync", "aws-prod", store=tmp_path / "store", config=config)
    assert answer.code == 2
    assert "there is no source 'aws-prod'; configured are aws" in answer.err


def test_a_second_sync_says_so_and_ends(aws: Aws, tmp_path: Path) -> None:
    deliver(aws, "2026-01", {"cur-1.csv.gz": lines("2026-01", "1.00")})
    config, store = configured(tmp_path, bucket_section(aws)), tmp_path / "store"
    with only_sync(Store(store)):
        assert is_running(Store(store))
        with pytest.raises(SyncIsRunning), only_sync(Store(store), wait_seconds=0):
            pass
        answer = sync(store, config)
        assert answer.code == 0
        assert [line["event"] for line in answer.lines] == ["skipped"]
        assert "another sync is running" in answer.err
    assert not is_running(Store(store))
    assert sync(store, config).code == 0


def test_killed_at_any_moment_it_goes_on_from_there(aws: Aws, tmp_path: Path) -> None:
    for month in range(1, 5):
        deliver(aws, f"2026-{month:02d}", {"cur-1.csv.gz": lines(f"2026-{month:02d}", f"{month}.00")})
    config, store = configured(tmp_path, bucket_section(aws)), tmp_path / "store"
    running: list[subprocess.Popen[str]] = []

    def kill_when_second_file_is_fetched(method: str, path: str) -> None:
        if method == "GET" and path.endswith("2026-02/cur-1.csv.gz"):
            running[0].kill()

    seen = []
    for moment in ("fetching", "loading", "loaded", "never"):
        aws.fault = kill_when_second_file_is_fetched if moment == "fetching" else None
        process = started(store, config, errors=subprocess.DEVNULL)
        running[:] = [process]
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            if (moment == "loaded" and event["event"] == "loaded") or (
                moment == "loading" and event["event"] == "progress" and "loading" in event["message"]
            ):
                process.kill()
        process.wait()
        process.stdout.close()
        answer = percall(
            "export", "totals", "--format", "json", "--from", "2026-01-01", "--to", "2026-12-31", store=store
        )
        seen.append(answer.json["billed"] if answer.code == 0 else None)
    # What is there is always a number of whole months, and in the end all of them once.
    whole = [None, "1.000000000000", "3.000000000000", "6.000000000000", "10.000000000000"]
    assert [whole.index(one) for one in seen] == sorted(whole.index(one) for one in seen)
    assert seen[-1] == "10.000000000000"
    assert not (store / "fetched").exists()
    states = {run.state for run in SyncRecords(store).runs("aws")}
    assert states == {"interrupted", "fine"}


def test_a_machine_that_runs_short_keeps_what_was_loaded(aws: Aws, tmp_path: Path) -> None:
    deliver(aws, "2026-01", {"cur-1.csv.gz": lines("2026-01", "1.00")})
    config, store = configured(tmp_path, bucket_section(aws)), tmp_path / "store"
    assert sync(store, config).code == 0
    noise = os.urandom(3_000_000)
    deliver(aws, "2026-02", {"cur-1.csv.gz": noise})
    script = subprocess.run(
        command_line(store, config), capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000)),
    )  # fmt: skip
    assert script.returncode == 2
    assert "File too large" in script.stderr
    assert "Traceback" not in script.stderr
    assert not (store / "fetched").exists()
    assert totals(store)["billed"] == "1.000000000000"
    deliver(aws, "2026-02", {"cur-1.csv.gz": lines("2026-02", "2.00")})
    assert sync(store, config).code == 0
    assert totals(store)["billed"] == "3.000000000000"


def test_every_keeps_its_grid_and_ends_cleanly_on_sigterm(aws: Aws, tmp_path: Path) -> None:
    deliver(aws, "2026-01", {"cur-1.csv.gz": lines("2026-01", "1.00")})
    config, store = configured(tmp_path, bucket_section(aws)), tmp_path / "store"
    process = started(store, config, "--every", "1h")
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == "finished":
            break
    process.send_signal(signal.SIGTERM)
    _out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "stopped" in err
    run = SyncRecords(store).latest()["aws"]
    assert run.state == "fine"
    assert run.next_at is not None
    assert timedelta(minutes=55) < run.next_at - run.started_at <= timedelta(minutes=60, seconds=1)


def test_sigterm_in_the_middle_of_a_source_ends_it_as_stopped(aws: Aws, tmp_path: Path) -> None:
    deliver(aws, "2026-01", {"cur-1.csv.gz": lines("2026-01", "1.00")})
    deliver(aws, "2026-02", {"cur-1.csv.gz": lines("2026-02", "1.00")})
    config, store = configured(tmp_path, bucket_section(aws)), tmp_path / "store"
    running: list[subprocess.Popen[str]] = []
    ended = threading.Event()

    def end(method: str, path: str) -> None:
        if method == "GET" and path.endswith("2026-02/cur-1.csv.gz") and not ended.is_set():
            ended.set()
            running[0].send_signal(signal.SIGTERM)
            time.sleep(0.3)

    aws.fault = end
    running.append(started(store, config))
    _out, err = running[0].communicate(timeout=60)
    assert running[0].returncode == 2
    assert "stopped before its end" in err
    assert "Traceback" not in err
    assert SyncRecords(store).latest()["aws"].state == "stopped"
    assert totals(store)["billed"] == "1.000000000000"
    assert sync(store, config).code == 0
    assert totals(store)["billed"] == "2.000000000000"


def test_the_record_of_a_run_and_the_audit_log(aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deliver(aws, "2026-01", {"cur-1.csv.gz": lines("2026-01", "1.00", "x")})
    config, store = configured(tmp_path, bucket_section(aws)), tmp_path / "store"
    monkeypatch.setenv("PERCALL_ACTOR", "anna@example.com")
    answer = sync(store, config)
    assert finished(answer)["rows_rejected"] == 1
    run = SyncRecords(store).latest()["aws"]
    assert (run.rows_kept, run.rows_rejected, run.batches, run.state) == (1, 1, 1, "fine")
    audit = percall("export", "audit", "--format", "json", store=store).json
    (entry,) = [row for row in audit if row["action"] == "source synced"]
    assert entry["who"] == "anna@example.com"
    assert {"state: fine", "rows: 1", "rejected: 1", "batches: 1"} <= set(entry["detail"].split(", "))


def test_doctor_tells_problems_with_exit_code_1(aws: Aws, tmp_path: Path) -> None:
    deliver(aws, "2026-01", {"cur-1.csv.gz": lines("2026-01", "1.00")})
    store = tmp_path / "store"
    config = configured(tmp_path, bucket_section(aws), bucket_section(aws, "gone", bucket="no-such-bucket"))
    assert sync(store, config).code == 2
    answer = percall("doctor", "--wait", 120, "--format", "json", store=store, config=config)
    assert answer.code == 1
    found = {(one["section"], one["subject"]): one for one in answer.json}
    assert found["source", "aws: s3://bills/team/cur/"]["level"] == "fine"
    assert found["source", "gone: s3://no-such-bucket/team/cur/"]["level"] == "problem"
    assert "failed at" in found["source", "gone: last sync"]["message"]
    # January ended long ago: a source whose newest day is then is late.
    assert found["freshness", "aws-cur"]["level"] == "problem"
    said, _, age = str(found["freshness", "aws-cur"]["message"]).partition(": nothing newer came, ")
    assert said.startswith("charges to 2026-01-")
    assert int(age.removesuffix(" days later")) > 200
    alone = percall("doctor", "aws", "--wait", 120, store=store, config=config)
    assert alone.code == 0, alone.out
    assert "0 problems" in alone.out.decode()


NOW = datetime(2026, 3, 5, 12, 30)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01", datetime(2026, 3, 1)),
        ("2026-03-01T06:00", datetime(2026, 3, 1, 6)),
        ("2026-03-01T06:00+07:00", datetime(2026, 2, 28, 23)),
        ("30d", NOW - timedelta(days=30)),
        ("12h", NOW - timedelta(hours=12)),
    ],
    ids=["day", "time", "zone", "days", "hours"],
)
def test_since(text: str, moment: datetime) -> None:
    assert read_since(text, NOW) == moment


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "2027-01-01", "0d"])
def test_since_that_cannot_be(text: str) -> None:
    with pytest.raises(InputError):
        read_since(text, NOW)


@pytest.mark.parametrize("text", ["", "1", "h", "5s", "1w", "-1h", "1.5h"])
def test_intervals_that_cannot_be(text: str) -> None:
    with pytest.raises(InputError, match="15m, 1h or 1d"):
        read_interval(text)


@given(st.integers(10, 10**6), st.integers(0, 10**8))
def test_the_next_run_lies_on_the_grid_and_ahead(every: int, passed: int) -> None:
    interval, now = timedelta(seconds=every), NOW + timedelta(seconds=passed)
    at = next_time(NOW, interval, now)
    assert now < at <= now + interval
    assert (at - NOW) % interval == timedelta(0)

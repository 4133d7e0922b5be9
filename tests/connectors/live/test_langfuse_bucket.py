"""Langfuse's blob-storage export: pulled from moto's real S3 server by its manifests."""

from __future__ import annotations

import gzip
import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.live import langfuse_bucket
from connectors.live.source import Window
from tests.connectors.live.aws_server import BROKEN, DENIED, EXPIRED, KEY_ID, SECRET, Aws
from tests.connectors.live.pulled import Pull
from tests.connectors.live.stored import Sync, rows, settings_of
from warehouse.errors import SourceError

DATA = Path(__file__).resolve().parents[2] / "data" / "langfuse"
EXPORT = DATA / "blob_observations_v2.parquet"
NOW = datetime(2026, 11, 24, 9)
BUCKET = "langfuse-exports"


@pytest.fixture
def sync(bucket: Aws, tmp_path: Path) -> Sync:
    keys = {"access_key_id_env": "ID", "secret_access_key_env": "KEY"}
    settings = settings_of(
        "langfuse-export-bucket", {"ID": KEY_ID, "KEY": SECRET}, bucket=BUCKET, prefix="exports/", endpoint_url=bucket.url, **keys
    )  # fmt: skip
    return Sync(tmp_path / "store", settings, tmp_path / "fetched")


def run(
    bucket: Aws, stem: str, *, project: str = "proj1", integration: str = "", manifest: bool = True, **tables: bytes
) -> str:
    """What one export run leaves: table files, then the manifest. Returns its key."""
    root = f"exports/{project}/{integration}"
    files = []
    for name, body in tables.items():
        suffix = "parquet" if body.startswith(b"PAR1") else "jsonl.gz" if body.startswith(b"\x1f\x8b") else "jsonl"
        key = f"{root}{name}/{stem}.{suffix}"
        bucket.put(BUCKET, key, body)
        files.append({
            "key": key, "table": name, "fileType": suffix[:5].upper(), "format": suffix, "compressed": suffix.endswith("gz"), "contentType": "x",
            "sizeBytes": len(body), "rowCount": None,
        })  # fmt: skip
    key = f"{root}manifests/{stem}.json"
    if manifest:
        end = stem[:10] + stem[10:].replace("-", ":") + ".000Z"
        document = {
            "version": 1, "projectId": project, "exportSource": "EVENTS", "window": {"minTimestamp": end, "maxTimestamp": end},
            "maxTimestamp": end, "createdAt": end, "tables": list(tables), "files": files,
        }  # fmt: skip
        bucket.put(BUCKET, key, json.dumps(document).encode())
    return key


def lines(*ids: str, **changes: Any) -> bytes:
    """Exported observations of a second each, gzipped lines."""
    base: dict[str, Any] = {
        "trace_id": "t", "start_time": "2026-11-23 20:00:00.000000", "end_time": "2026-11-23 20:00:01.500000", "type": "GENERATION",
        "parent_observation_id": "", "provided_model_name": "gpt-4o", "usage_details": {"input": 100, "output": 20, "total": 120},
        "cost_details": {"total": 0.00045}, "total_cost": 0.00045, "latency": 1.5, "metadata": {}, "tags": [], "level": "DEFAULT",
    }  # fmt: skip
    return gzip.compress("".join(json.dumps(base | {"id": id} | changes) + "\n" for id in ids).encode())


def test_only_what_a_manifest_names_and_every_manifest_once(bucket: Aws, sync: Sync) -> None:
    run(bucket, "2026-11-23T21-00-00", observations_v2=EXPORT.read_bytes())
    run(bucket, "2026-11-23T22-00-00", manifest=False, observations_v2=lines("unfinished"))
    sync.run(NOW)
    calls = rows(sync.store, "calls")
    assert len(calls) == 18
    assert sum(row["reported_cost"] for row in calls if isinstance(row["reported_cost"], Decimal)) == Decimal(
        "0.08212694"
    )
    bucket.asked.clear()
    assert sync.run(NOW) == []
    assert bucket.read("observations_v2") == []
    run(bucket, "2026-11-23T22-00-00", observations_v2=lines("unfinished"))
    sync.run(NOW)
    assert len(rows(sync.store, "calls")) == 19


def test_a_row_on_the_edge_of_two_windows_counts_once(bucket: Aws, sync: Sync) -> None:
    run(bucket, "2026-11-23T20-00-00", observations_v2=lines("a", "edge"))
    run(bucket, "2026-11-23T21-00-00", observations_v2=lines("edge", "b"))
    sync.run(NOW)
    assert sorted(row["call_id"] for row in rows(sync.store, "calls")) == ["a", "b", "edge"]


def test_seconds_and_milliseconds(bucket: Aws, sync: Sync) -> None:
    run(
        bucket,
        "2026-11-23T20-00-00",
        observations_v2=lines("new", end_time="", time_to_first_token=0.3) + lines("n2", time_to_first_token=0.3),
    )
    run(
        bucket,
        "2026-11-23T21-00-00",
        project="old",
        observations_v2=lines("old", latency=1500, time_to_first_token=300),
    )
    sync.run(NOW)
    told = {row["call_id"]: (row["latency_ms"], row["time_to_first_token_ms"]) for row in rows(sync.store, "calls")}
    assert told == {"new": (1500, 300), "n2": (1500, 300), "old": (1500, 300)}


def test_scores_of_a_later_run_find_their_calls(bucket: Aws, sync: Sync) -> None:
    run(bucket, "2026-11-23T20-00-00", integration="i1/", observations_v2=lines("a", "b"))
    sync.run(NOW)
    score = {
        "id": "s",
        "timestamp": "2026-11-23 22:00:00.000000",
        "trace_id": "t",
        "observation_id": "",
        "session_id": "",
        "name": "revenue_usd",
    }
    body = json.dumps(score | {"value": 2.5, "data_type": "NUMERIC", "string_value": ""}).encode() + b"\n"
    run(bucket, "2026-11-23T22-00-00", integration="i1/", scores=body)
    sync.run(NOW)
    assert [row["revenue"] for row in rows(sync.store, "calls") if isinstance(row["revenue"], Decimal)] == [
        Decimal("2.5")
    ]


def test_a_manifest_that_comes_late_and_one_that_is_written_anew(bucket: Aws, pull: Pull) -> None:
    run(bucket, "2026-11-23T20-00-00", observations_v2=lines("a"))
    pull.run(NOW)
    run(bucket, "2026-11-22T20-00-00", observations_v2=lines("late"))
    run(bucket, "2026-11-23T20-00-00", observations_v2=lines("a", "more"))
    run(bucket, "2026-11-10T20-00-00", observations_v2=lines("long-ago"))
    pull.run(NOW)
    assert sorted(pull.rows) == ["a", "late", "more"]
    pull.run(NOW, since=datetime(2026, 11, 1))
    assert sorted(pull.rows) == ["a", "late", "long-ago", "more"]


def test_killed_between_runs_and_resumed(bucket: Aws, pull: Pull) -> None:
    for hour in ("20", "21", "22"):
        run(bucket, f"2026-11-23T{hour}-00-00", observations_v2=lines(f"o{hour}"))
    pull.run(NOW, most=2)
    pull.run(NOW)
    assert [batch.what[-5:] for batch in pull.batches] == ["21:00", "22:00"]
    assert sorted(pull.rows) == ["o20", "o21", "o22"]


def test_faults_of_the_store(bucket: Aws, pull: Pull) -> None:
    run(bucket, "2026-11-23T20-00-00", observations_v2=lines("a"))
    failures = iter([BROKEN, "truncated", None])
    bucket.fault = lambda method, path: next(failures, None) if "observations_v2/" in path else None
    pull.run(NOW)
    assert list(pull.rows) == ["a"]
    for answer, words in ((EXPIRED, "the credentials have expired"), (DENIED, "not allowed")):
        bucket.fault = lambda method, path, answer=answer: answer
        with pytest.raises(SourceError, match=words) as failed:
            pull.run(NOW)
        assert SECRET not in str(failed.value)


def test_files_that_are_gone_or_not_whole(bucket: Aws, pull: Pull) -> None:
    run(bucket, "2026-11-23T20-00-00", observations_v2=lines("gone"), scores=b"")
    bucket.client("s3").delete_object(Bucket=BUCKET, Key="exports/proj1/observations_v2/2026-11-23T20-00-00.jsonl.gz")
    bucket.client("s3").delete_object(Bucket=BUCKET, Key="exports/proj1/scores/2026-11-23T20-00-00.jsonl")
    run(bucket, "2026-11-23T21-00-00", observations_v2=lines("there"))
    pull.run(NOW)
    assert list(pull.rows) == ["there"]
    assert "is not there any more" in pull.batches[0].notes[0]
    run(bucket, "2026-11-23T22-00-00", observations_v2=lines("whole"))
    bucket.put(BUCKET, "exports/proj1/observations_v2/2026-11-23T22-00-00.jsonl.gz", lines("whole", "and", "more"))
    with pytest.raises(SourceError, match="bytes where its manifest says"):
        pull.run(NOW)


def test_check_and_plan(bucket: Aws, sync: Sync) -> None:
    (nothing,) = langfuse_bucket.check(sync.settings)
    assert (nothing.level, nothing.message) == ("problem", "no manifest lies there")
    run(bucket, "2026-11-23T20-00-00", traces=b"{}\n", observations=b"{}\n")
    (older,) = langfuse_bucket.check(sync.settings)
    assert older.level == "problem"
    assert "not observations_v2" in older.message
    body = lines("a")
    run(bucket, "2026-11-23T21-00-00", observations_v2=body)
    (fine,) = langfuse_bucket.check(sync.settings)
    assert fine.level == "fine"
    planned = list(langfuse_bucket.plan(sync.settings, {}, Window(NOW)))
    assert [item.bytes for item in planned] == [0, len(body)]
    assert '"s3:GetObject"' in langfuse_bucket.permissions(sync.settings)

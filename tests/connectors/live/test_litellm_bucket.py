"""LiteLLM's log objects: from moto's real S3 server and from a folder, as the proxy's `s3_v2` logger names them."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors import litellm
from connectors.live import litellm_bucket
from connectors.live.litellm_rows import kept, lines, payloads
from connectors.live.source import Window
from tests.connectors.extracted import DATA, extracted
from tests.connectors.live.aws_server import BROKEN, DENIED, EXPIRED, KEY_ID, SECRET, Aws
from tests.connectors.live.pulled import Pull
from tests.connectors.live.stored import Sync, rows, settings_of
from warehouse.errors import InputError, SourceError

PAYLOADS = DATA / "litellm" / "standard_logging_payload.jsonl.gz"
SPEND_LOGS = DATA / "litellm" / "spend_logs_rows.jsonl.gz"
COST = Decimal("0.08212694")  # published with the sample
NOW = datetime(2026, 11, 24, 9)
BUCKET = "litellm-logs"


@pytest.fixture
def sync(bucket: Aws, tmp_path: Path) -> Sync:
    keys = {"access_key_id_env": "ID", "secret_access_key_env": "KEY"}
    settings = settings_of(
        "litellm-bucket", {"ID": KEY_ID, "KEY": SECRET}, bucket=BUCKET, prefix="spend", endpoint_url=bucket.url, **keys
    )
    return Sync(tmp_path / "store", settings, tmp_path / "fetched")


def sample() -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(PAYLOADS.read_bytes()).splitlines()]


def key(payload: dict[str, Any], folder: str = "spend") -> str:
    """The name that the proxy gives an object."""
    started = datetime.fromtimestamp(payload["startTime"], UTC)
    return f"{folder}/{started:%Y-%m-%d}/time-{started:%H-%M-%S-%f}_{payload['id']}.json"


def put(bucket: Aws, *items: dict[str, Any], folder: str = "spend") -> None:
    for item in items:
        bucket.put(BUCKET, key(item, folder), json.dumps(item).encode())


def test_one_object_per_call(bucket: Aws, sync: Sync) -> None:
    put(bucket, *sample())
    sync.run(NOW)
    calls = rows(sync.store, "calls")
    assert len(calls) == 16
    assert sum(row["reported_cost"] for row in calls if isinstance(row["reported_cost"], Decimal)) == COST
    assert {row["feature"] for row in calls} >= {"search", "support_bot"}
    bucket.asked.clear()
    assert sync.run(NOW) == []
    assert bucket.read("time-") == []


def test_what_was_written_since_the_last_sync(bucket: Aws, pull: Pull) -> None:
    items = sample()
    put(bucket, *items[:10])
    pull.run(NOW)
    put(bucket, *items[10:14])
    bucket.put(
        BUCKET,
        "spend/team-ai/2026-11-23/20-00-00_batch.jsonl",
        "".join(json.dumps(item) + "\n" for item in items[14:]).encode(),
    )
    pull.run(NOW)
    assert len(pull.rows) == 16
    pull.run(NOW)
    assert pull.batches == []


def test_neither_prompts_nor_answers_lie_on_the_disk(bucket: Aws, sync: Sync) -> None:
    item = sample()[0]
    item["messages"] = [{"role": "user", "content": "a very private question " * 200}]
    item["response"]["choices"][0]["message"] = {"content": "a very private answer"}
    item["metadata"]["requester_metadata"]["note"] = "a very private note " * 50
    item["metadata"]["user_api_key_user_email"] = "person@acme.test"
    put(bucket, item)
    sync.run(NOW)
    held = [path for folder in (sync.folder, sync.store) for path in folder.rglob("*") if path.is_file()]
    assert any(path.suffix == ".jsonl" for path in held)
    for path in held:
        content = path.read_bytes()
        for text in (
            b"very private",
            b"person@acme.test",
            item["metadata"]["user_api_key_hash"].encode(),
            SECRET.encode(),
        ):
            assert text not in content, path
    (call,) = rows(sync.store, "calls")
    assert len(call["input_hash"]) == 64
    assert len(call["prefix_blocks"]) == 4  # 4,800 characters and what is around them: four full blocks of 1,024


@pytest.mark.parametrize("path", [PAYLOADS, SPEND_LOGS], ids=lambda path: path.name)
def test_short_rows_tell_what_whole_rows_tell(path: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.jsonl"
    short.write_text(lines(kept(payloads(path.read_bytes()))), encoding="utf-8")
    assert extracted(litellm, short, tmp_path) == extracted(litellm, path, tmp_path)
    assert short.stat().st_size < len(gzip.decompress(path.read_bytes())) / 4


def test_many_objects_become_few_files(bucket: Aws, pull: Pull, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litellm_bucket, "AT_ONCE", 6)
    put(bucket, *sample())
    pull.run(NOW, most=2)
    assert len(pull.rows) == 12
    pull.run(NOW)  # killed before the second batch was remembered: it is read again, and the third
    assert [len(batch.paths) for batch in pull.batches] in ([1, 1], [1, 1, 1])
    assert len(pull.rows) == 16


def test_objects_that_are_cut_or_no_json(bucket: Aws, pull: Pull) -> None:
    items = sample()
    put(bucket, *items[:2])
    bucket.put(BUCKET, key(items[2]), json.dumps(items[2]).encode()[:500])
    bucket.put(BUCKET, key(items[3]), b"")
    bucket.put(BUCKET, "spend/2026-11-23/README.txt", b"not a log")
    pull.run(NOW)
    assert len(pull.rows) == 2
    (note,) = pull.batches[0].notes
    assert "1 objects are no whole JSON" in note
    assert items[2]["id"] in note


def test_faults_of_the_store(bucket: Aws, pull: Pull) -> None:
    put(bucket, *sample()[:3])
    failures = iter([BROKEN, "truncated"])
    bucket.fault = lambda method, path: next(failures, None) if "time-" in path else None
    pull.run(NOW)
    assert len(pull.rows) == 3
    put(bucket, sample()[5])
    for answer, words in (
        (EXPIRED, "the credentials have expired"),
        (DENIED, "s3:GetObject on arn:aws:s3:::litellm-logs/spend/"),
    ):
        bucket.fault = lambda method, path, answer=answer: answer if "time-" in path else None
        with pytest.raises(SourceError, match=words) as failed:
            pull.run(NOW)
        assert SECRET not in str(failed.value)
    bucket.fault = None
    pull.run(NOW)
    assert len(pull.rows) == 4


def test_days_that_are_over_are_not_listed_again(bucket: Aws, pull: Pull) -> None:
    old, new = sample()[:2]
    bucket.put(BUCKET, "spend/2026-11-01/time-1.json", json.dumps(old).encode())
    put(bucket, new)
    pull.run(NOW)
    bucket.put(BUCKET, "spend/2026-11-01/time-2.json", json.dumps(sample()[2]).encode())
    bucket.asked.clear()
    pull.run(NOW)
    assert not [path for _method, path in bucket.asked if "2026-11-01" in path]
    assert len(pull.rows) == 2
    pull.run(NOW, since=datetime(2026, 11, 1))
    assert len(pull.rows) == 3


def test_a_local_folder(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    for item in sample():
        path = logs / key(item)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(item))
    sync = Sync(tmp_path / "store", settings_of("litellm-bucket", folder=str(logs)), tmp_path / "fetched")
    sync.run(NOW)
    calls = rows(sync.store, "calls")
    assert (len(calls), sum(row["reported_cost"] for row in calls if isinstance(row["reported_cost"], Decimal))) == (
        16,
        COST,
    )
    assert sync.run(NOW) == []
    flat = tmp_path / "flat"
    flat.mkdir()
    (flat / "calls.jsonl").write_text("".join(json.dumps(item) + "\n" for item in sample()[:4]))
    other = Sync(tmp_path / "other", settings_of("litellm-bucket", folder=str(flat)), tmp_path / "fetched-too")
    other.run(NOW)
    assert len(rows(other.store, "calls")) == 4
    (flat / "more.jsonl").write_text(json.dumps(sample()[7]) + "\n")
    other.run(NOW)
    assert len(rows(other.store, "calls")) == 5


def test_check_plan_and_settings(bucket: Aws, sync: Sync, tmp_path: Path) -> None:
    (nothing,) = litellm_bucket.check(sync.settings)
    assert (nothing.level, nothing.message) == ("problem", "no logs lie there")
    bucket.put(BUCKET, "spend/2026-11-23/a.json", b'{"x": 1}')
    (other,) = litellm_bucket.check(sync.settings)
    assert "is no log of LiteLLM's calls" in other.message
    bucket.client("s3").delete_object(Bucket=BUCKET, Key="spend/2026-11-23/a.json")
    put(bucket, *sample())
    (fine,) = litellm_bucket.check(sync.settings)
    assert fine.level == "fine"
    (planned,) = litellm_bucket.plan(sync.settings, {}, Window(NOW))
    assert planned.what == "16 objects"
    assert planned.bytes == sum(len(json.dumps(item)) for item in sample())
    assert "arn:aws:s3:::litellm-logs/spend/*" in litellm_bucket.permissions(sync.settings)
    with pytest.raises(InputError, match="either a bucket or a folder"):
        list(litellm_bucket.plan(settings_of("litellm-bucket"), {}, Window(NOW)))

"""The proxy's spend logs over HTTP: a stand-in that pages as the proxy does, over the captured rows."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.live import litellm_api
from connectors.live.source import Window
from tests.connectors.live.loopback import Asked, Loopback, Reply, loopback
from tests.connectors.live.pulled import Pull
from tests.connectors.live.stored import Sync, rows, settings_of
from warehouse.errors import SourceError

DATA = Path(__file__).resolve().parents[2] / "data" / "litellm"
KEY = "sk-admin-for-tests"
NOW = datetime(2026, 11, 24, 9)
SAMPLE_COST = Decimal("0.08212694")  # published with the sample


def sample() -> list[dict[str, Any]]:
    """The captured rows as the proxy answers them: without messages and answers, metadata as objects."""
    lines = gzip.decompress((DATA / "spend_logs_rows.jsonl.gz").read_bytes()).splitlines()
    dropped = ("messages", "response", "proxy_server_request")
    found = [{key: value for key, value in json.loads(line).items() if key not in dropped} for line in lines]
    return [
        row | {"metadata": json.loads(row["metadata"]), "request_tags": json.loads(row["request_tags"])}
        for row in found
    ]


def made(count: int, start: datetime, step: timedelta) -> list[dict[str, Any]]:
    return [
        {
            "request_id": f"chatcmpl-made-{n:05}", "call_type": "acompletion", "spend": 0.001, "prompt_tokens": 100, "completion_tokens": 20,
            "total_tokens": 120, "startTime": (start + n * step).isoformat() + "Z", "endTime": (start + n * step).isoformat() + "Z",
            "model": "openai/gpt-4o-mini", "custom_llm_provider": "openai", "status": "success", "cache_hit": "False", "metadata": {},
        }
        for n in range(count)
    ]  # fmt: skip


@dataclass
class Proxy:
    """The proxy's endpoint. `before` is called with each request: it may change the rows, or answer in the proxy's place."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    before: Callable[[Asked], Reply | None] = lambda _asked: None

    def answer(self, asked: Asked) -> Reply:
        if (reply := self.before(asked)) is not None:
            return reply
        if asked.headers.get("authorization") != f"Bearer {KEY}":
            return Reply(
                {"error": {"message": "Authentication Error, Invalid proxy server token passed", "code": "401"}}, 401
            )
        if asked.path != "/spend/logs/v2":
            return Reply({"detail": "Not Found"}, 404)
        size, page = int(asked.one("page_size") or 50), int(asked.one("page") or 1)
        if size > 1000:
            return Reply({"detail": [{"msg": "Input should be less than or equal to 1000"}]}, 422)
        first, last = (
            datetime.strptime(asked.one(name) or "", "%Y-%m-%d %H:%M:%S") for name in ("start_date", "end_date")
        )
        found = [
            row for row in self.rows if first <= datetime.fromisoformat(row["startTime"]).replace(tzinfo=None) <= last
        ]
        found.sort(key=lambda row: row["startTime"])
        body = {"data": found[(page - 1) * size : page * size], "total": len(found), "page": page, "page_size": size}
        return Reply(body | {"total_pages": -(-len(found) // size)})


@pytest.fixture
def proxy() -> Proxy:
    return Proxy()


@pytest.fixture
def service(proxy: Proxy) -> Iterator[Loopback]:
    with loopback(proxy.answer) as running:
        yield running


def make_sync(service: Loopback, folder: Path, **options: Any) -> Sync:
    given = {"host": service.url, "key_env": "K", "history_days": 1} | options
    return Sync(folder / "store", settings_of("litellm-api", {"K": KEY}, **given), folder / "fetched")


def make_pull(service: Loopback, folder: Path, **options: Any) -> Pull:
    sync = make_sync(service, folder, **options)
    return Pull(sync.settings, sync.folder)


def test_the_captured_rows(proxy: Proxy, service: Loopback, tmp_path: Path) -> None:
    proxy.rows = sample()
    sync = make_sync(service, tmp_path)
    sync.run(NOW)
    calls = rows(sync.store, "calls")
    assert len(calls) == 15
    assert sum(row["reported_cost"] for row in calls if isinstance(row["reported_cost"], Decimal)) == SAMPLE_COST
    assert {row["feature"] for row in calls} >= {"search", "support_bot"}
    for path in (*sync.folder.rglob("*"), *sync.store.rglob("*")):
        assert not path.is_file() or proxy.rows[0]["api_key"].encode() not in path.read_bytes()
        assert not path.is_file() or KEY.encode() not in path.read_bytes()


def test_pages_of_windows_that_are_over(
    proxy: Proxy, service: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(litellm_api, "MOST_ROWS", 700)
    proxy.rows = made(1000, datetime(2026, 11, 23, 20), timedelta(seconds=40))
    proxy.rows.append(made(1, datetime(2026, 11, 24, 8, 55), timedelta())[0] | {"request_id": "chatcmpl-running"})
    pull = make_pull(service, tmp_path, page_size=100)
    pull.run(NOW)
    assert len(pull.batches) >= 2
    assert len(pull.rows) == 1000
    assert "chatcmpl-running" not in pull.rows
    assert max(asked.one("end_date") or "" for asked in service.asked) == "2026-11-24 08:50:00"
    pull.run(NOW + timedelta(hours=1))
    assert len(pull.rows) == 1001


def test_a_row_that_arrives_while_pages_are_read(proxy: Proxy, service: Loopback, tmp_path: Path) -> None:
    proxy.rows = made(25, datetime(2026, 11, 23, 20), timedelta(minutes=1))

    def arrive(asked: Asked) -> None:
        if asked.one("page") == "2" and len(proxy.rows) == 25:
            proxy.rows.append(made(1, datetime(2026, 11, 23, 19), timedelta())[0] | {"request_id": "chatcmpl-late"})

    proxy.before = arrive
    pull = make_pull(service, tmp_path, page_size=10)
    pull.run(NOW)
    assert len(pull.rows) == 26


def test_rows_that_never_come_are_told(proxy: Proxy, service: Loopback, tmp_path: Path) -> None:
    proxy.rows = made(5, datetime(2026, 11, 23, 20), timedelta(minutes=1))
    body = {"data": proxy.rows, "total": 7, "page": 1, "page_size": 1000, "total_pages": 1}
    proxy.before = lambda _asked: Reply(body)
    pull = make_pull(service, tmp_path)
    pull.run(NOW)
    assert len(pull.rows) == 5
    assert "the proxy counts 7 spend logs" in pull.batches[0].notes[0]


def test_faults(proxy: Proxy, service: Loopback, tmp_path: Path) -> None:
    proxy.rows = sample()
    again = {"Retry-After": "0"}
    cut = json.dumps({"data": proxy.rows, "total": 15}).encode()
    answers = iter(
        [
            Reply({"error": "busy"}, 429, again),
            Reply({"error": "x"}, 500, again),
            Reply(b"", 503, again),
            Reply(cut, 200, cut=5000),
        ]
    )
    proxy.before = lambda _asked: next(answers, None)
    pull = make_pull(service, tmp_path)
    pull.run(NOW)
    assert len(pull.rows) == 15
    assert any("too many requests" in message for message in pull.messages)
    proxy.before = lambda _asked: Reply({"error": {"message": f"expired {KEY}"}}, 401)
    with pytest.raises(SourceError, match="proxy_admin_viewer") as failed:
        pull.run(NOW)
    assert KEY not in str(failed.value)
    proxy.before = lambda _asked: Reply({"rows": []})
    with pytest.raises(SourceError, match="without data and total"):
        pull.run(NOW)


def test_check_and_plan(proxy: Proxy, service: Loopback, tmp_path: Path) -> None:
    settings = make_sync(service, tmp_path).settings
    (empty,) = litellm_api.check(settings)
    assert empty.level == "warning"
    proxy.rows = made(3, datetime.now(UTC).replace(tzinfo=None), timedelta(seconds=1))
    (fine,) = litellm_api.check(settings)
    assert (fine.level, "3 spend logs" in fine.message) == ("fine", True)
    with loopback(lambda _asked: Reply({"error": {"message": "Database not connected"}}, 400)) as other:
        (problem,) = litellm_api.check(make_sync(other, tmp_path).settings)
        assert "Database not connected" in problem.message
    (planned,) = litellm_api.plan(settings, {}, Window(NOW))
    assert planned.partition == "2026-11-23 09:00 to 2026-11-24 08:50 UTC"
    assert "proxy_admin_viewer" in litellm_api.permissions(settings)

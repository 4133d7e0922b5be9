"""Live Langfuse when something is in the way: what passes, what stays away, credentials that expire, a process that is killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from connectors.live.langfuse_pages import CurrentApi
from tests.connectors.live.langfuse_source import NOW, make_pull, make_sync
from tests.connectors.live.loopback import Asked, Loopback, Reply, loopback
from tests.connectors.live.pulled import Pull
from tests.connectors.live.stored import rows
from tests.fakes.langfuse_server import PUBLIC, SECRET, LangfuseServer, observation
from warehouse.errors import SourceError


@pytest.fixture
def server() -> LangfuseServer:
    return LangfuseServer()


@pytest.fixture
def service(server: LangfuseServer) -> Iterator[Loopback]:
    with loopback(server.answer) as running:
        yield running


@pytest.fixture
def pull(service: Loopback, tmp_path: Path) -> Pull:
    return make_pull(service, tmp_path)


@pytest.mark.parametrize(
    "fault",
    [
        Reply({"message": "Rate limit exceeded"}, 429, {"Retry-After": "0"}),
        Reply({"message": "Rate limit exceeded"}, 429, {"Retry-After": format_datetime(datetime(2026, 1, 1))}),
        Reply({"message": "oops"}, 500, {"Retry-After": "0"}),
        Reply({"message": "gateway"}, 502, {"Retry-After": "0"}),
        Reply(b"<html>bad gateway</html>", 503, {"Retry-After": "0"}),
    ],
    ids=["429-seconds", "429-date", "500", "502", "503-html"],
)
def test_what_passes_is_waited_for(fault: Reply, server: LangfuseServer, pull: Pull) -> None:
    server.observations = [observation("a", "2026-11-23T10:00:00.000Z")]
    server.faults = [fault, fault]
    pull.run(NOW)
    assert len(pull.rows) == 1
    assert any("waiting 0 s" in message for message in pull.messages)


def test_cut_answers_are_asked_for_again(server: LangfuseServer, service: Loopback) -> None:
    server.observations = [observation("a", "2026-11-23T10:00:00.000Z")]
    whole = json.dumps({"data": [{"id": "x" * 500}], "meta": {}}).encode()
    server.faults = [Reply(whole, cut=200), Reply(whole[:300])]
    waits: list[float] = []
    api = CurrentApi(make_sync(service, Path("unused")).settings, lambda _message, _share: None, waits.append)
    pages = list(api.observations(datetime(2026, 11, 23), NOW))
    api.close()
    assert [row["id"] for page in pages for row in page] == ["a"]
    assert waits == [1.0, 2.0]


def test_a_service_that_stays_away_ends_in_a_sentence(server: LangfuseServer, service: Loopback) -> None:
    waits: list[float] = []
    api = CurrentApi(make_sync(service, Path("unused")).settings, lambda _message, _share: None, waits.append)
    server.faults = [Reply({"message": "down"}, 500)] * 6
    with pytest.raises(SourceError, match=r"live: observations: the service fails \(500: down\), 6 times") as failed:
        list(api.observations(datetime(2026, 11, 23), NOW))
    assert failed.value.retry
    server.faults = [Reply({"message": "daily limit"}, 429, {"Retry-After": "3600"})]
    with pytest.raises(SourceError, match="asks to wait 3,600 s") as failed:
        list(api.observations(datetime(2026, 11, 23), NOW))
    assert failed.value.retry
    api.close()
    assert waits == [1, 2, 4, 8, 16]


def test_no_answer_in_time(service: Loopback, server: LangfuseServer, tmp_path: Path) -> None:
    def slow(asked: Asked) -> None:
        import time

        time.sleep(1.5)

    server.faults = [slow]
    server.observations = [observation("a", "2026-11-23T10:00:00.000Z")]
    waits: list[float] = []
    settings = make_sync(service, tmp_path, timeout_seconds=1.0).settings
    api = CurrentApi(settings, lambda _message, _share: None, waits.append)
    assert [row["id"] for page in api.observations(datetime(2026, 11, 23), NOW) for row in page] == ["a"]
    api.close()
    assert waits == [1.0]


def test_credentials_that_expire_in_the_middle(server: LangfuseServer, service: Loopback, tmp_path: Path) -> None:
    begin = datetime(2026, 11, 21, 10)
    server.observations = [observation(f"o{n}", (begin + timedelta(days=n)).isoformat() + ".000Z") for n in range(3)]

    def expire(asked: Asked) -> Reply | None:
        return Reply({"message": f"key {SECRET} was revoked"}, 401) if len(server.faults) == 0 else None

    # asked: which API; then observations, what follows, and scores of the first window; then the second window
    server.faults = [lambda _: None, lambda _: None, lambda _: None, lambda _: None, expire]
    pull = make_pull(service, tmp_path)
    with pytest.raises(SourceError, match="does not accept the keys") as failed:
        pull.run(NOW)
    assert SECRET not in str(failed.value)
    assert list(pull.rows) == ["o0"]
    assert pull.position["read_until"] == "2026-11-22T09:00:00"
    pull.run(NOW)
    assert sorted(pull.rows) == ["o0", "o1", "o2"]


def test_killed_between_batches_and_resumed(server: LangfuseServer, service: Loopback, tmp_path: Path) -> None:
    """A process that is killed after its first batch was loaded reads that window again, and every call is there once."""
    begin = datetime(2026, 11, 21, 10)
    server.observations = [
        observation(f"o{n}", (begin + timedelta(hours=2 * n)).isoformat() + ".000Z") for n in range(35)
    ]
    sync = make_sync(service, tmp_path)
    program = textwrap.dedent(
        """
        import os, signal, sys
        from datetime import datetime
        from pathlib import Path
        from tests.connectors.live.stored import Sync, settings_of
        from connectors.live import langfuse
        host, folder = sys.argv[1], Path(sys.argv[2])
        keys = {"LF_PUBLIC": sys.argv[3], "LF_SECRET": sys.argv[4]}
        settings = settings_of("langfuse", keys, host=host, history_days=3, public_key_env="LF_PUBLIC", secret_key_env="LF_SECRET")
        sync = Sync(folder / "store", settings, folder / "fetched")
        sync.run(datetime(2026, 11, 24, 9), most=1)
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, service.url, str(tmp_path), PUBLIC, SECRET],
        cwd=Path.cwd(),
        timeout=60,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL
    assert 0 < len(rows(sync.store, "calls")) < 35
    sync.run(NOW)
    assert len(rows(sync.store, "calls")) == 35

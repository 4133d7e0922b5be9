"""Asking a web service: against a real server on loopback that fails as services fail."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.live.requests import Service, retry_after
from connectors.live.secrets import Secrets
from connectors.live.source import Patience, SourceSettings
from warehouse.errors import SourceError

KEY = "sk-very-secret-value"
Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def serving(*answers: Answer) -> Iterator[tuple[str, list[str]]]:
    """A server that gives these answers one after another (the last for ever), and the paths that it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            answers[min(len(asked), len(answers)) - 1](self)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answer(status: int, body: str = "{}", length: int | None = None, **headers: str) -> Answer:
    def give(handler: BaseHTTPRequestHandler) -> None:
        raw = body.encode()
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("content-length", str(len(raw) if length is None else length))
        handler.end_headers()
        handler.wfile.write(raw)
        handler.close_connection = True

    return give


def ask(
    base: str,
    waits: list[float] | None = None,
    told: list[str] | None = None,
    attempts: int = Patience().attempts,
    **options: object,
) -> Service:
    secrets = Secrets({"KEY": KEY}, files=())
    settings = SourceSettings("my-source", "test", {"key_env": "KEY"}, secrets, Patience(attempts))
    key = settings.secret("key_env")
    return Service(
        settings,
        base,
        headers={"authorization": f"Bearer {key}"},
        grant="a key with the scope usage:read",
        progress=lambda message, _share: None if told is None else told.append(message),
        pause=lambda seconds: None if waits is None else waits.append(seconds),
        **options,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 529])
def test_what_passes_is_asked_again(status: int) -> None:
    waits: list[float] = []
    with (
        serving(answer(status), answer(status), answer(200, '{"rows": [1]}')) as (base, asked),
        ask(base, waits) as service,
    ):
        assert service.json("/usage", {"page": "a b"}) == {"rows": [1]}
        assert service.requests == 3
    assert asked == ["/usage?page=a+b"] * 3
    assert waits == [1.0, 2.0]


def test_it_waits_as_long_as_the_service_asks_and_says_so() -> None:
    waits: list[float] = []
    told: list[str] = []
    with serving(answer(429, retry_after="7"), answer(200, "[]")) as (base, _), ask(base, waits, told) as service:
        assert service.json("/usage") == []
    assert waits == [7.0]
    assert "too many requests (429); waiting 7 s" in told[0]


def test_a_service_that_asks_for_an_hour_is_left_for_the_next_sync() -> None:
    with serving(answer(429, retry_after="3600")) as (base, asked), ask(base) as service:
        with pytest.raises(SourceError, match="asks to wait 3,600 s") as raised:
            service.json("/usage")
        assert len(asked) == 1
    assert raised.value.retry


def test_attempts_are_bounded() -> None:
    waits: list[float] = []
    with serving(answer(503)) as (base, asked), ask(base, waits, attempts=4) as service:
        with pytest.raises(SourceError, match=r"\(503\), 4 times") as raised:
            service.json("/usage")
        assert len(asked) == 4
    assert raised.value.retry
    assert waits == [1.0, 2.0, 4.0]


def test_bodies_that_end_early_are_read_again(tmp_path: Path) -> None:
    whole = '{"cost": "1.20"}'
    broken = (answer(200, whole[:5], length=len(whole)), answer(200, whole[:5]), answer(200, whole))
    with serving(*broken) as (base, asked), ask(base) as service:
        assert service.json("/costs") == {"cost": "1.20"}
        assert len(asked) == 3
    with serving(*(broken[0], broken[2])) as (base, _), ask(base) as service:
        service.download("/file", tmp_path / "file.json")
    assert [path.name for path in tmp_path.iterdir()] == ["file.json"]
    assert (tmp_path / "file.json").read_text() == whole


def test_no_file_is_left_when_a_download_fails(tmp_path: Path) -> None:
    with (
        serving(answer(200, "abc", length=100)) as (base, _),
        ask(base, attempts=2) as service,
        pytest.raises(SourceError),
    ):
        service.download("/file", tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("status", "words"), [(401, "does not accept the credentials"), (403, "does not allow this")])
def test_what_a_person_must_mend_is_told_at_once_without_the_secret(status: int, words: str) -> None:
    body = json.dumps({"error": {"message": f"the key {KEY} is not good"}})
    with serving(answer(status, body)) as (base, asked), ask(base) as service:
        with pytest.raises(SourceError, match=words) as raised:
            service.json("/usage", {"key": KEY})
        assert len(asked) == 1
    assert not raised.value.retry
    assert "needed is a key with the scope usage:read" in str(raised.value)
    assert KEY not in str(raised.value)
    assert "<KEY>" in str(raised.value)


def test_redirects_do_not_carry_the_key_elsewhere() -> None:
    with (
        serving(answer(200)) as (other, visited),
        serving(answer(302, location=other)) as (base, _),
        ask(base) as service,
    ):
        with pytest.raises(SourceError, match="redirects to"):
            service.json("/usage")
    assert visited == []


def test_a_sign_in_page_is_named_as_one() -> None:
    with serving(answer(200, "<!doctype html><title>Sign in</title>")) as (base, _), ask(base) as service:
        with pytest.raises(SourceError, match="web page"):
            service.json("/usage")


def test_silence_ends() -> None:
    silent = threading.Event()
    with serving(lambda _handler: silent.wait(5) and None) as (base, _), ask(base, timeout=0.1, attempts=2) as service:
        with pytest.raises(SourceError, match="no answer in time, 2 times"):
            service.json("/usage")
        silent.set()


def test_nobody_there() -> None:
    with serving(answer(200)) as (base, _):
        pass
    with ask(base, attempts=1) as service, pytest.raises(SourceError, match="the connection failed") as raised:
        service.json("/usage")
    assert raised.value.retry


@given(st.text(max_size=320), st.text(max_size=320), st.sampled_from([KEY, "two\nlines of a key"]))
def test_no_part_of_a_secret_is_left_where_a_message_is_cut(before: str, after: str, key: str) -> None:
    secrets = Secrets({"KEY": key}, files=())
    secrets.value("KEY", "my-source")
    told = secrets.line(f"{before}{key}{after}")
    assert told == " ".join(f"{before}<KEY>{after}".split())[:300]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 59.0),
        ("Fri, 31 Dec 1999 23:00:00 GMT", 0.0),
        ("soon", None),
        ("nan", None),
        (None, None),
    ],
    ids=str,
)
def test_retry_after_holds_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, datetime(1999, 12, 31, 23, 59, 0, tzinfo=UTC)) == seconds

"""`percall doctor`: what it finds in the configuration, in prices, and at sources that do not answer."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.connectors.live.aws_server import configured
from tests.operations.command import percall, percall_process


@contextlib.contextmanager
def answering(before: threading.Barrier | threading.Event) -> Iterator[str]:
    """A LiteLLM proxy without calls, which answers a request when `before` lets it through."""

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            before.wait(60)
            body = b'{"data": [], "total": 0, "page": 1, "page_size": 1, "total_pages": 0}'
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # who asked has gone
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        if isinstance(before, threading.Event):
            before.set()
        server.shutdown()
        thread.join()
        server.server_close()


def proxy_section(name: str, url: str) -> str:
    return f'name = "{name}"\nkind = "litellm-api"\nhost = "{url}"\nkey_env = "PERCALL_TEST_KEY"'


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERCALL_TEST_KEY", "sk-of-the-test")
    monkeypatch.setenv("PERCALL_TEST_DATABASE", f"postgresql://reader:secret-word@127.0.0.1:{closed_port()}/product")


def test_sources_are_asked_at_the_same_time(tmp_path: Path) -> None:
    """The proxies answer only when all three have been asked: one after another would never be answered."""
    names = ["one", "two", "three"]
    with answering(threading.Barrier(3)) as url:
        config = configured(tmp_path, *(proxy_section(name, url) for name in names))
        answer = percall("doctor", "--wait", 50, "--format", "json", store=tmp_path / "store", config=config)
    told = [one for one in answer.json if one["section"] == "source" and "last sync" not in one["subject"]]
    assert [one["subject"] for one in told] == [f"{name}: {url}" for name in names]
    assert {one["message"] for one in told} == {"there are no spend logs of the last two days"}


def test_a_source_that_is_silent_is_one_problem_and_keeps_neither_the_others_nor_the_end(tmp_path: Path) -> None:
    config = tmp_path / "percall.toml"
    with answering(threading.Event()) as url:
        config.write_text(
            f"[[source]]\n{proxy_section('silent', url)}\n[[source]]\nname = 'folder'\nkind = 'files'\nfolder = '{tmp_path}'\n"
        )
        words = ("--store", tmp_path / "store", "--config", config, "doctor", "--wait", 5, "--format", "json")
        answer = percall_process(*words, folder=tmp_path, variables={"PERCALL_TEST_KEY": "sk-of-the-test"})
    assert answer.code == 1, answer.err
    told = {one["subject"]: one for one in answer.json if one["section"] == "source"}
    assert told["silent"]["message"] == "no answer within 5 s"
    assert "percall doctor 'silent' --wait 60" in told["silent"]["remedy"]
    assert told[f"folder: {tmp_path}"]["message"] == "0 data files, 0.0 MB"


def test_closed_ports_are_one_sentence_each(tmp_path: Path) -> None:
    nobody = f"http://127.0.0.1:{closed_port()}"
    sections = {
        "proxy": proxy_section("proxy", nobody),
        "traces": f'name = "traces"\nkind = "langfuse"\nhost = "{nobody}"\npublic_key_env = "PERCALL_TEST_KEY"\nsecret_key_env = "PERCALL_TEST_KEY"',
        "gpus": f'name = "gpus"\nkind = "prometheus"\nurl = "{nobody}"',
        "invoices": f'name = "invoices"\nkind = "stripe"\nkey_env = "PERCALL_TEST_KEY"\nhost = "{nobody}"',
        "openai": f'name = "openai"\nkind = "openai-admin"\nkey_env = "PERCALL_TEST_KEY"\nhost = "{nobody}"',
        "logs": 'name = "logs"\nkind = "litellm-database"\nurl_env = "PERCALL_TEST_DATABASE"',
        "product": 'name = "product"\nkind = "sql"\nurl_env = "PERCALL_TEST_DATABASE"\ntable = "activity"\n'
        'query = "SELECT day AS date, user_id FROM logins WHERE day >= :since AND day < :until"',
    }
    config = configured(tmp_path, *sections.values())
    answer = percall("doctor", "--wait", 120, "--format", "json", store=tmp_path / "store", config=config)
    assert answer.code == 1
    told = [one for one in answer.json if one["section"] == "source" and "last sync" not in one["subject"]]
    assert [one["subject"].partition(":")[0] for one in told] == list(sections)
    for one in told:
        assert one["level"] == "problem", one
        assert "refused" in one["message"].lower(), one
        assert "whether this machine reaches it" in one["remedy"], one
    assert b"secret-word" not in answer.out
    assert b"sk-of-the-test" not in answer.out


def test_doctor_reads_every_section_of_the_configuration(tmp_path: Path) -> None:
    config = tmp_path / "percall.toml"
    config.write_text(
        '[percall]\nprice_overrides = "gone.csv"\n[people]\nadmin = "ann"\n[alerts]\nminimum = "much"\n'
        '[[budget]]\nname = "a"\namount = "lots"\n[[allocation]]\nname = "x"\nselect = { category = "(" }\ndriver = "calls"\n'
    )
    answer = percall("doctor", "--format", "json", store=tmp_path / "store", config=config)
    problems = {one["subject"] for one in answer.json if one["section"] == "configuration"}
    assert problems == {"price_overrides", "people", "alerts", "budget", "allocation"}
    assert answer.code == 1


def test_doctor_of_an_empty_installation_has_no_problem(tmp_path: Path) -> None:
    answer = percall("doctor", "--format", "json", store=tmp_path / "store", config=configured(tmp_path))
    assert answer.code == 0
    assert {one["level"] for one in answer.json} <= {"fine", "warning"}


def test_doctor_tells_models_without_a_price(tmp_path: Path) -> None:
    calls = tmp_path / "calls.csv"
    day = datetime.now(UTC).date()
    calls.write_text(
        "call_id,started_at,provider,model,input_tokens,output_tokens\n"
        f"a,{day}T00:00:00Z,openai,gpt-4o,10,10\nb,{day}T00:00:00Z,acme,made-up-model,10,10\n"
    )
    store = tmp_path / "store"
    assert percall("load", calls, store=store).code == 0
    answer = percall("doctor", "--format", "json", store=store, config=configured(tmp_path))
    (prices,) = [one for one in answer.json if one["section"] == "prices"]
    assert prices["level"] == "problem"
    assert "1 of 2 calls" in prices["message"]
    assert "acme/made-up-model (1 calls)" in prices["message"]
    assert answer.code == 1

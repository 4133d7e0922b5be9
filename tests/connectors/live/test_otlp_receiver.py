"""The receiver of spans over HTTP: what it refuses and how, who may send, the exporter of OpenTelemetry itself, and the command."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from google.rpc.status_pb2 import Status

from connectors.live.otlp_inbox import Inbox
from operations.otlp_receiver import is_loopback, serving
from tests.connectors.live.spans import BINARY, NOW, TEXT, Client, binary, call, make_sync, request
from tests.connectors.live.stored import rows
from tests.operations.command import percall
from warehouse.errors import InputError

TOKEN = "token-of-the-receiver-tests"


@pytest.mark.parametrize(
    ("body", "kind", "headers", "status"),
    [
        (b"\x0a\xff\xff", BINARY, {}, 400),
        (b'{"resourceSpans": [', TEXT, {}, 400),
        (b'{"resourceSpans": "none"}', TEXT, {}, 400),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [1]}]}]}', TEXT, {}, 400),
        (b"[]", TEXT, {}, 400),
        (b"[" * 200_000, TEXT, {}, 400),
        (b"\xff\xfe", TEXT, {}, 400),
        (b"not gzip", BINARY, {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(b"x" * 1000)[:-9], BINARY, {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(b"\0" * (2**20 + 1)), BINARY, {"Content-Encoding": "gzip"}, 413),
        (b"x" * (2**20 + 1), BINARY, {}, 413),
        (b"", "text/plain", {}, 415),
        (b"", BINARY, {"Content-Encoding": "br"}, 415),
    ],
    ids=[
        "binary", "cut-json", "no-list", "no-span", "list", "deep", "not-utf8", "no-gzip", "cut-gzip", "bomb", "large", "kind", "brotli",
    ],
)  # fmt: skip
def test_requests_that_cannot_be_read(
    body: bytes, kind: str, headers: dict[str, str], status: int, client: Client
) -> None:
    answer = client.post(body, kind, **headers)
    assert answer.status == status
    told = Status.FromString(answer.body).message if kind == BINARY else json.loads(answer.body)["message"]
    assert told
    assert Inbox(client.folder).waiting() == []
    assert client.post(json.dumps(request(call(1))).encode(), TEXT).status == 200


def test_an_empty_request_is_fine_and_other_signals_are_not(client: Client) -> None:
    assert client.post(b"", BINARY).status == 200
    assert client.post(b"{}", TEXT).status == 200
    assert client.post(b"", BINARY, path="/v1/metrics").status == 404
    assert Inbox(client.folder).waiting() == []


def test_a_body_that_is_shorter_than_it_says(client: Client) -> None:
    import socket

    with socket.create_connection(("127.0.0.1", client.server.port), timeout=5) as connection:
        connection.sendall(
            b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{}"
        )
        connection.shutdown(socket.SHUT_WR)
        assert b" 400 " in connection.recv(4096).splitlines()[0]


def test_a_full_inbox_asks_to_come_back(tmp_path: Path) -> None:
    with serving("127.0.0.1", 0, Inbox(tmp_path, most_bytes=1500), None, 2**20) as server:
        client = Client(server, tmp_path)
        body = json.dumps(request(call(1))).encode()
        answers = [client.post(body, TEXT) for _ in range(4)]
    assert answers[0].status == 200
    assert answers[-1].status == 503
    assert answers[-1].headers["retry-after"] == "30"
    assert len(Inbox(tmp_path).waiting()) == [answer.status for answer in answers].count(200)


def test_a_token_is_asked_for(tmp_path: Path) -> None:
    body = json.dumps(request(call(1))).encode()
    with serving("127.0.0.1", 0, Inbox(tmp_path), TOKEN, 2**20) as server:
        client = Client(server, tmp_path)
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": TOKEN},
            {"Authorization": "Bearer \xff"},
        ):
            refused = client.post(body, TEXT, **headers)
            assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert client.post(body, TEXT, Authorization=f"Bearer {TOKEN}").status == 200
        # A sender that is still sending when it is refused must get to reading why.
        assert client.post(b" " * 2**24, TEXT).status == 401
        assert client.post(b" " * 2**24, TEXT, Authorization=f"Bearer {TOKEN}").status == 413
    assert len(Inbox(tmp_path).waiting()) == 1
    with pytest.raises(InputError, match="needs a token"), serving("0.0.0.0", 0, Inbox(tmp_path), None, 1):
        pass
    assert [is_loopback(address) for address in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "::", "10.0.0.1")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip


def test_the_exporter_of_opentelemetry_itself(tmp_path: Path) -> None:
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    inbox = tmp_path / "inbox"
    with serving("127.0.0.1", 0, Inbox(inbox), TOKEN, 2**20) as server:
        exporter = OTLPSpanExporter(
            endpoint=f"http://127.0.0.1:{server.port}/v1/traces",
            headers={"authorization": f"Bearer {TOKEN}"},
            compression=Compression.Gzip,
        )
        provider = TracerProvider(
            resource=Resource.create({"service.name": "shop", "deployment.environment.name": "prod"})
        )
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        tracer = provider.get_tracer("tests")
        with tracer.start_as_current_span("request"), tracer.start_as_current_span("chat gpt-4o") as inner:
            inner.set_attribute("gen_ai.operation.name", "chat")
            inner.set_attribute("gen_ai.provider.name", "openai")
            inner.set_attribute("gen_ai.response.model", "gpt-4o-2024-08-06")
            inner.set_attribute("gen_ai.response.id", "chatcmpl-real")
            inner.set_attribute("gen_ai.usage.input_tokens", 2006)
            inner.set_attribute("gen_ai.usage.cache_read.input_tokens", 1920)
            inner.set_attribute("gen_ai.usage.output_tokens", 300)
            inner.set_attribute("gen_ai.response.finish_reasons", ["stop"])
            inner.set_attribute("metadata.feature", "search")
        assert provider.force_flush()
        provider.shutdown()
    sync = make_sync(tmp_path, inbox)
    sync.run(datetime.now(UTC).replace(tzinfo=None))
    (stored,) = rows(sync.store, "calls")
    names = (
        "call_id",
        "feature",
        "env",
        "model_raw",
        "uncached_input_tokens",
        "cache_read_tokens",
        "output_tokens",
        "finish_reason",
    )
    assert [stored[name] for name in names] == [
        "chatcmpl-real",
        "search",
        "prod",
        "gpt-4o-2024-08-06",
        86,
        1920,
        300,
        "stop",
    ]


def test_the_command_takes_spans_until_it_is_stopped(tmp_path: Path) -> None:
    store = tmp_path / "store"
    command = [
        sys.executable,
        "-c",
        "from operations.cli import main; main()",
        "--store",
        str(store),
        "receive",
        "--port",
        "0",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        port = int(first.split("http://127.0.0.1:")[1].split("/")[0])
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("POST", "/v1/traces", binary(request(call(1))), {"Content-Type": BINARY})
            assert connection.getresponse().status == 200
            connection.close()
        finally:
            process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
        assert process.wait(timeout=20) == 0
    assert "stopped; 1 requests were taken" in rest
    sync = make_sync(tmp_path, store / "inbox")
    sync.run(NOW)
    assert len(rows(sync.store, "calls")) == 1


def test_the_command_refuses_an_open_door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = percall("receive", "--address", "0.0.0.0", store=tmp_path / "store")
    assert answer.code == 2
    assert "can be reached from other machines" in answer.err
    monkeypatch.setenv("PERCALL_TEST_TOKEN", "short")
    answer = percall("receive", "--address", "0.0.0.0", "--token-env", "PERCALL_TEST_TOKEN", store=tmp_path / "store")
    assert answer.code == 2
    assert "too short" in answer.err
    answer = percall("receive", "--token-env", "PERCALL_TEST_NOWHERE", store=tmp_path / "store")
    assert answer.code == 2
    assert "PERCALL_TEST_NOWHERE" in answer.err

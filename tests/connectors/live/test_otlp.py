"""Spans over HTTP: from senders to the receiver, its inbox, and by the source `otlp` into a store; and OTLP files in binary."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import Parse
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from connectors import otel
from connectors.live import otlp_spool
from connectors.live.otlp_inbox import Inbox
from connectors.live.otlp_texts import without_texts
from connectors.live.source import Window
from connectors.otlp_messages import from_binary, spans_of
from operations.otlp_receiver import Receiver, is_loopback, serving
from tests.connectors.extracted import DATA, extracted
from tests.connectors.live.stored import Sync, rows, settings_of
from tests.operations.command import percall
from warehouse.errors import InputError

CAPTURED = [
    DATA / "litellm" / "langfuse_otel_callback_otlp.json.gz",
    DATA / "litellm" / "otel_callback_otlp.json.gz",
    DATA / "langfuse" / "sdk5_otlp.json.gz",
]
NOW = datetime(2026, 11, 24, 9)
START = 1_795_467_150_000_000_000  # 2026-11-23 20:52:30 UTC
BINARY, TEXT = "application/x-protobuf", "application/json"
TOKEN = "token-of-the-receiver-tests"


def captured(path: Path) -> list[dict[str, Any]]:
    """The export requests of a capture, as JSON."""
    held = json.loads(gzip.decompress(path.read_bytes()))
    return [item.get("body", item) for item in (held if isinstance(held, list) else [held])]


def binary(request: dict[str, Any]) -> bytes:
    """An export request as protobuf, made by protobuf's own reader of JSON (which takes ids in base64)."""
    copy = json.loads(json.dumps(request))
    for span in spans_of(copy):
        for name in ("traceId", "spanId", "parentSpanId"):
            if span.get(name):
                span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
    return bytes(Parse(json.dumps(copy), ExportTraceServiceRequest(), ignore_unknown_fields=True).SerializeToString())


def attributes(**told: object) -> list[dict[str, Any]]:
    def value(held: object) -> dict[str, Any]:
        return {"intValue": str(held)} if isinstance(held, int) else {"stringValue": held}

    return [{"key": key.replace("__", "."), "value": value(held)} for key, held in told.items()]


def span(id: int, *, parent: int = 0, seconds: int = 0, trace: int = 7, **told: object) -> dict[str, Any]:
    """A span of a second; without attributes it is a plain one."""
    start = START + seconds * 10**9
    held: dict[str, Any] = {
        "traceId": f"{trace:032x}",
        "spanId": f"{id:016x}",
        "name": "span",
        "startTimeUnixNano": str(start),
    }
    held |= {"endTimeUnixNano": str(start + 10**9), "attributes": attributes(**told)}
    return held | ({"parentSpanId": f"{parent:016x}"} if parent else {})


def call(id: int, **told: Any) -> dict[str, Any]:
    """A span of a model call: 100 input and 20 output tokens of gpt-4o."""
    usage = {"gen_ai__usage__input_tokens": 100, "gen_ai__usage__output_tokens": 20, "gen_ai__request__model": "gpt-4o"}
    return span(id, **({"gen_ai__operation__name": "chat", "gen_ai__provider__name": "openai"} | usage | told))


def request(*spans: dict[str, Any]) -> dict[str, Any]:
    resource = {"attributes": attributes(service__name="shop", feature="search")}
    return {
        "resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "test"}, "spans": list(spans)}]}]
    }


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Client:
    server: Receiver
    folder: Path

    def post(self, body: bytes, kind: str = BINARY, path: str = "/v1/traces", **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        connection.request("POST", path, body, {"Content-Type": kind} | named)
        reply = connection.getresponse()
        answer = Answer(reply.status, {key.lower(): value for key, value in reply.getheaders()}, reply.read())
        connection.close()
        return answer


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    folder = tmp_path / "store" / "inbox"
    with serving("127.0.0.1", 0, Inbox(folder), None, 2**20) as server:
        yield Client(server, folder)


def make_sync(folder: Path, inbox: Path) -> Sync:
    return Sync(folder / "store", settings_of("otlp", folder=str(inbox)), folder / "fetched")


def by_id(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["call_id"]: {key: value for key, value in row.items() if key != "_row"} for row in found}


@pytest.mark.parametrize("path", CAPTURED, ids=lambda path: path.name)
def test_binary_files_tell_what_json_tells(path: Path, tmp_path: Path) -> None:
    told = by_id(extracted(otel, path, tmp_path)[0])
    bodies = [binary(item) for item in captured(path)]
    delimited = b"".join(len(body).to_bytes(4, "big") + body for body in bodies)
    for name, content in (("one.binpb", gzip.compress(bodies[0])), ("many.bin", delimited)):
        file = tmp_path / name
        file.write_bytes(content)
        found = by_id(extracted(otel, file, tmp_path)[0])
        assert found == (told if name == "many.bin" or len(bodies) == 1 else {key: told[key] for key in found})
        assert found


def test_binary_files_that_are_cut_are_refused_in_words(tmp_path: Path) -> None:
    body = binary(captured(CAPTURED[0])[0])
    file = tmp_path / "cut.bin"
    file.write_bytes(body[: len(body) // 2])
    answer = percall("load", str(file), store=tmp_path / "store")
    assert answer.code == 2
    assert "cut.bin" in answer.err


@pytest.mark.parametrize(
    ("path", "kind"),
    list(zip(CAPTURED, [BINARY, TEXT, BINARY], strict=True)),
    ids=lambda value: getattr(value, "name", value),
)
def test_what_is_sent_is_what_a_file_of_it_holds(path: Path, kind: str, client: Client, tmp_path: Path) -> None:
    for item in captured(path):
        body = binary(item) if kind == BINARY else json.dumps(item).encode()
        if len(body) > 2**20:
            pytest.fail("the capture is larger than the receiver of the tests takes")
        answer = client.post(gzip.compress(body), kind, Content_Encoding="gzip")
        assert (answer.status, answer.headers["content-type"]) == (200, kind)
        assert answer.body == (b"" if kind == BINARY else b"{}")
    sync = make_sync(tmp_path, client.folder)
    assert [item.what for item in otlp_spool.plan(sync.settings, {}, Window(NOW))] == [
        f"{len(captured(path)):,} requests"
    ]
    fetched = []
    for batch in otlp_spool.pull(sync.settings, {}, Window(NOW), tmp_path, lambda _message, _share: None):
        fetched += batch.paths
    told = by_id(extracted(otel, path, tmp_path)[0])
    found = by_id(extracted(otel, fetched[0], tmp_path)[0])
    assert found == told
    assert Inbox(client.folder).waiting() == []


def test_neither_prompts_nor_answers_are_kept(client: Client, tmp_path: Path) -> None:
    messages = json.dumps([{"role": "user", "content": "a very private question " * 200}])
    item = call(
        1, gen_ai__input__messages=messages, gen_ai__output__messages="a very private answer", user__email="a@acme.test"
    )
    item["events"] = [{"name": "gen_ai.user.message", "attributes": attributes(content="a very private event")}]
    item["attributes"] += attributes(note="a very private note " * 30, http__url="http://very-private.example")
    assert client.post(json.dumps(request(item)).encode(), TEXT).status == 200
    sync = make_sync(tmp_path, client.folder)
    held = [path for path in client.folder.rglob("*") if path.is_file()]
    sync.run(NOW)
    held += [path for folder in (sync.folder, sync.store) for path in folder.rglob("*") if path.is_file()]
    for path in held:
        if path.exists():
            assert b"very private" not in path.read_bytes(), path
            assert b"very-private" not in path.read_bytes(), path
            assert b"a@acme.test" not in path.read_bytes(), path
    (stored,) = rows(sync.store, "calls")
    direct = tmp_path / "direct.json"
    direct.write_text(json.dumps(request(item)))
    (told,) = extracted(otel, direct, tmp_path)[0]
    assert stored["input_hash"] == told["input_hash"]
    assert list(stored["prefix_blocks"]) == told["prefix_blocks"]
    assert len(told["prefix_blocks"]) == 4
    assert stored["feature"] == "search"


def test_spans_that_cannot_be_used_are_counted(client: Client, tmp_path: Path) -> None:
    bad = [
        call(2) | {"traceId": ""},
        call(3) | {"spanId": "0000000000000000"},
        call(4) | {"startTimeUnixNano": "0"},
        call(5) | {"spanId": "xyz"},
    ]
    answer = client.post(json.dumps(request(call(1), *bad)).encode(), TEXT)
    assert answer.status == 200
    told = json.loads(answer.body)["partialSuccess"]
    assert told["rejectedSpans"] == "4"
    assert "2 spans: the span id is missing" in told["errorMessage"]
    item = request(call(1), call(4) | {"startTimeUnixNano": "0"})
    answer = client.post(binary(item))
    response = ExportTraceServiceResponse.FromString(answer.body)
    assert response.partial_success.rejected_spans == 1
    sync = make_sync(tmp_path, client.folder)
    sync.run(NOW)
    assert len(rows(sync.store, "calls")) == 1


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


def test_a_wrapper_that_is_sent_after_its_call_was_loaded(client: Client, tmp_path: Path) -> None:
    usage = {"gen_ai__usage__input_tokens": 100, "gen_ai__usage__output_tokens": 20}
    sync = make_sync(tmp_path, client.folder)
    client.post(binary(request(call(2, parent=3), span(3, parent=1))))
    sync.run(NOW)
    client.post(binary(request(span(1, gen_ai__operation__name="invoke_agent", **usage), call(9, seconds=5, trace=8))))
    sync.run(NOW)
    calls = rows(sync.store, "calls")
    assert sorted(row["call_id"] for row in calls) == [f"{2:016x}", f"{9:016x}"]
    assert sync.position == {"requests": 2}


def test_what_was_not_loaded_stays(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp_spool, "AT_ONCE", 2)
    for number in range(1, 6):
        client.post(binary(request(call(number, seconds=number))))
    sync = make_sync(tmp_path, client.folder)
    sync.run(NOW, most=2)  # killed after the second batch was loaded, before it was remembered
    assert len(Inbox(client.folder).waiting()) == 3
    sync.run(NOW)
    assert len(rows(sync.store, "calls")) == 5
    assert Inbox(client.folder).waiting() == []


def test_many_senders_at_once(client: Client, tmp_path: Path) -> None:
    statuses: list[int] = []

    def send(number: int) -> None:
        statuses.extend(client.post(binary(request(call(number * 10 + part)))).status for part in range(1, 6))

    threads = [threading.Thread(target=send, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 60
    assert client.server.accepted == 60
    sync = make_sync(tmp_path, client.folder)
    sync.run(NOW)
    assert len(rows(sync.store, "calls")) == 60


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


def test_ids_come_through_binary_and_back() -> None:
    item = request(call(1, parent=5), call(2))
    told = list(spans_of(from_binary(binary(item))))
    assert [(entry["traceId"], entry["spanId"], entry.get("parentSpanId")) for entry in told] == [
        (f"{7:032x}", f"{1:016x}", f"{5:016x}"), (f"{7:032x}", f"{2:016x}", None),
    ]  # fmt: skip
    kept, reasons = without_texts(item)
    assert reasons == []
    assert len(list(spans_of(kept))) == 2


def test_cost_and_tokens_arrive_exactly(client: Client, tmp_path: Path) -> None:
    item = call(1)
    item["attributes"] += [{"key": "gen_ai.cost.total_cost", "value": {"doubleValue": 0.0056150001}}]
    client.post(binary(request(item)))
    sync = make_sync(tmp_path, client.folder)
    sync.run(NOW)
    (stored,) = rows(sync.store, "calls")
    assert stored["reported_cost"] == Decimal("0.0056150001")
    assert (stored["uncached_input_tokens"], stored["output_tokens"]) == (100, 20)


def test_check(client: Client, tmp_path: Path) -> None:
    (missing,) = otlp_spool.check(settings_of("otlp", folder=str(tmp_path / "nowhere")))
    assert missing.level == "problem"
    client.post(binary(request(call(1))))
    (fine,) = otlp_spool.check(settings_of("otlp", folder=str(client.folder)))
    assert (fine.level, "1 requests wait" in fine.message) == ("fine", True)

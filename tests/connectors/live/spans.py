"""Spans made for tests, and a receiver to send them to."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import Parse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)

from connectors.live.otlp_inbox import Inbox
from connectors.otlp_messages import spans_of
from operations.otlp_receiver import Receiver, serving
from tests.connectors.live.stored import Sync, settings_of

NOW = datetime(2026, 11, 24, 9)

START = 1_795_467_150_000_000_000  # 2026-11-23 20:52:30 UTC

BINARY, TEXT = "application/x-protobuf", "application/json"


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

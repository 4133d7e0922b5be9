"""OTLP trace exports on the wire: binary protobuf and JSON, made into the JSON that `connectors.otel` reads, and what is wrong with them.

A binary file holds one export request, or many, each after its length in four bytes (as the Collector's file exporter writes them). In
JSON, OTLP writes ids in hexadecimal and 64-bit numbers as texts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

LARGEST = 512 * 1024 * 1024
"""Bytes of the longest binary file that is read: it is held in memory."""

_TRACE_ID = re.compile(r"[0-9a-fA-F]{32}")
_SPAN_ID = re.compile(r"[0-9a-fA-F]{16}")


def may_be_binary(head: bytes) -> bool:
    """Whether a file that is no text begins as an export request does, or as the length of one and then the request."""
    return _begins(head) or (len(head) > 5 and _begins(head[4:]))


def _begins(head: bytes) -> bool:
    """Field 1 (resource spans), of some length, beginning with a field of its own (resource, scope spans or schema address)."""
    if head[:1] != b"\x0a":
        return False
    at = 1
    while at < min(len(head), 6) and head[at] & 0x80:
        at += 1
    return head[at + 1 : at + 2] in (b"\x0a", b"\x12", b"\x1a")


def binary_to_lines(chunks: Iterable[bytes], target: Path) -> bool:
    """Write the export requests of a binary file as lines of JSON; False (and no file) when it holds none."""
    raw = b"".join(_bounded(chunks))
    try:
        requests = list(_requests(raw))
    except ValueError:
        return False
    if not any(request.get("resourceSpans") for request in requests):
        return False
    with target.open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(request, ensure_ascii=False) + "\n" for request in requests)
    return True


def _bounded(chunks: Iterable[bytes]) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > LARGEST:
            return
        yield chunk


def _requests(raw: bytes) -> Iterator[dict[str, Any]]:
    if raw[:1] == b"\x0a":
        yield from_binary(raw)
        return
    at = 0
    while at < len(raw):
        size = int.from_bytes(raw[at : at + 4], "big")
        body = raw[at + 4 : at + 4 + size]
        if len(body) != size:
            raise ValueError("the last request is not whole")
        yield from_binary(body)
        at += 4 + size


def from_binary(raw: bytes) -> dict[str, Any]:
    """An export request as OTLP's JSON has it. Raises ValueError when the bytes are none."""
    # only who has such a file waits for protobuf to be imported
    from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]  # noqa: PLC0415
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # noqa: PLC0415
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest  # noqa: PLC0415

    message = ExportTraceServiceRequest()
    try:
        message.ParseFromString(raw)
    except DecodeError as error:
        raise ValueError("not an export request in protobuf") from error
    told = MessageToDict(message, use_integers_for_enums=True)
    spans = (span for resource in message.resource_spans for scope in resource.scope_spans for span in scope.spans)
    for span, held in zip(spans, spans_of(told), strict=True):
        held["traceId"], held["spanId"] = span.trace_id.hex(), span.span_id.hex()
        if span.parent_span_id:
            held["parentSpanId"] = span.parent_span_id.hex()
        for link in held.get("links", ()):
            link.pop("traceId", None)
            link.pop("spanId", None)
    return told


def from_json(raw: bytes) -> dict[str, Any]:
    """An export request from its JSON. Raises ValueError when it is none, also where parts have another shape."""
    told = json.loads(raw.decode("utf-8"))
    if not isinstance(told, dict) or not isinstance(told.get("resourceSpans", []), list):
        raise ValueError("not an export request: resourceSpans is missing")
    for resource in told.get("resourceSpans", []):
        if not isinstance(resource, dict) or not isinstance(resource.get("scopeSpans", []), list):
            raise ValueError("resourceSpans holds something else")
        for scope in resource.get("scopeSpans", []):
            spans = scope.get("spans", []) if isinstance(scope, dict) else None
            if not isinstance(spans, list) or not all(isinstance(span, dict) for span in spans):
                raise ValueError("scopeSpans holds something else")
            for span in spans:
                attributes = span.get("attributes", [])
                if not isinstance(attributes, list) or not all(isinstance(item, dict) for item in attributes):
                    raise ValueError("attributes of a span are no list of objects")
    return told


def spans_of(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every span of an export request."""
    for resource in request.get("resourceSpans", []):
        for scope in resource.get("scopeSpans", []):
            yield from scope.get("spans", [])


def wrong(span: dict[str, Any]) -> str | None:
    """What makes a span unusable; None for a good one."""
    if not _TRACE_ID.fullmatch(str(span.get("traceId", ""))) or not str(span["traceId"]).strip("0"):
        return "the trace id is missing or is not 16 bytes"
    if not _SPAN_ID.fullmatch(str(span.get("spanId", ""))) or not str(span["spanId"]).strip("0"):
        return "the span id is missing or is not 8 bytes"
    try:
        start = int(span.get("startTimeUnixNano") or 0)
    except (TypeError, ValueError):
        start = 0
    return "the start time is missing" if start <= 0 else None

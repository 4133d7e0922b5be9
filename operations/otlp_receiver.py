"""The HTTP server behind `percall receive`: OTLP/HTTP for traces, as its specification says (opentelemetry.io/docs/specs/otlp, 1.x).

A request is answered with 200 only when its spans lie on the disk. Spans that cannot be used are counted in `partial_success`; a request that cannot
be read gets 400, which senders do not repeat; a full inbox gets 503 with Retry-After, which they do. Answers are in the sender's encoding.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import socket
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from connectors.live.otlp_inbox import Inbox, InboxFull
from connectors.live.otlp_texts import without_texts
from connectors.otlp_messages import from_binary, from_json, spans_of
from warehouse.errors import InputError

BINARY, TEXT = "application/x-protobuf", "application/json"
AT_ONCE = 32
"""Requests that are worked on at the same time; more are told to come back."""

PATIENCE = 30.0
"""Seconds that a sender may be silent."""

DISCARDED_AT_MOST = 256 * 2**20
"""Bytes of a refused body that are read and thrown away, so that its sender gets to reading why."""

RETRY_SECONDS = 30


class Refused(Exception):  # noqa: N818 - an answer
    """A request that is answered with another status than 200."""

    def __init__(self, status: HTTPStatus, message: str, *, later: bool = False) -> None:
        self.status, self.later = status, later
        super().__init__(message)


class Receiver(ThreadingHTTPServer):
    """The listening server; `accepted` requests so far, `port` it listens on."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: str, port: int, inbox: Inbox, token: str | None, most_bytes: int) -> None:
        self.inbox, self.token, self.most_bytes = inbox, token, most_bytes
        self.accepted = 0
        self.turns = threading.BoundedSemaphore(AT_ONCE)
        self.counting = threading.Lock()
        if ":" in address:
            self.address_family = socket.AF_INET6
        super().__init__((address, port), _Handler)

    @property
    def port(self) -> int:
        """The port, also where any free one was asked for."""
        return int(self.server_address[1])


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


@contextmanager
def serving(address: str, port: int, inbox: Inbox, token: str | None, most_bytes: int) -> Iterator[Receiver]:
    """A receiver that serves until the block ends. Raises InputError when the address cannot be listened on, or is open and has no token."""
    if token is None and not is_loopback(address):
        raise InputError(f"{address} can be reached from other machines: it needs a token")
    try:
        server = Receiver(address, port, inbox, token, most_bytes)
    except OSError as error:
        raise InputError(
            f"cannot listen on {address}:{port} ({error.strerror or error}): choose another with --port"
        ) from error
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Receiver
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "percall", ""
    timeout = PATIENCE

    def do_GET(self) -> None:
        """Whether the receiver is up."""
        found = self.path == "/health"
        status = (
            HTTPStatus.OK
            if found
            else HTTPStatus.METHOD_NOT_ALLOWED
            if self.path == "/v1/traces"
            else HTTPStatus.NOT_FOUND
        )
        self._answer(status, TEXT, b'{"status": "up"}' if found else b"{}")

    def do_POST(self) -> None:
        """An export request."""
        kind = (self.headers.get("content-type") or "").split(";")[0].strip().lower()
        encoding = kind if kind in (BINARY, TEXT) else TEXT
        self._unread = True
        try:
            body = self._export(kind)
        except Refused as refused:
            self.close_connection = True
            self._let_finish()
            headers = {"Retry-After": str(RETRY_SECONDS)} if refused.later else {}
            if refused.status == HTTPStatus.UNAUTHORIZED:
                headers["WWW-Authenticate"] = "Bearer"
            self._answer(refused.status, encoding, _status(str(refused), encoding), headers)
            return
        self._answer(HTTPStatus.OK, encoding, body)

    def _export(self, kind: str) -> bytes:
        if self.path.split("?")[0] != "/v1/traces":
            raise Refused(
                HTTPStatus.NOT_FOUND,
                "only /v1/traces is taken here; switch metrics and logs off, or send them elsewhere",
            )
        if self.server.token is not None:
            given = self.headers.get("authorization") or ""
            if not hmac.compare_digest(given.encode(), f"Bearer {self.server.token}".encode()):
                raise Refused(
                    HTTPStatus.UNAUTHORIZED, "the header authorization: Bearer TOKEN is missing or holds another token"
                )
        if kind not in (BINARY, TEXT):
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send {BINARY} or {TEXT}")
        if not self.server.turns.acquire(timeout=5):
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "too many requests at once", later=True)
        try:
            raw = self._body()
            try:
                request = from_binary(raw) if kind == BINARY else from_json(raw)
                kept, reasons = without_texts(request)
            except (ValueError, RecursionError, TypeError, AttributeError) as error:
                raise Refused(HTTPStatus.BAD_REQUEST, f"not an OTLP export request: {error}") from error
            if any(True for _span in spans_of(kept)):
                try:
                    self.server.inbox.add(kept)
                except InboxFull as error:
                    raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, str(error), later=True) from error
        finally:
            self.server.turns.release()
        with self.server.counting:
            self.server.accepted += 1
        return _answered(reasons, kind)

    def _let_finish(self) -> None:
        """Take a refused body off the line unkept, up to a bound: who still sends when the line is closed never reads the answer."""
        length = self.headers.get("content-length") or ""
        left = min(int(length), DISCARDED_AT_MOST) if self._unread and length.isdigit() else 0
        try:
            while left > 0 and (piece := self.rfile.read(min(left, 2**16))):
                left -= len(piece)
        except OSError:
            return

    def _body(self) -> bytes:
        """The body, unpacked. Raises Refused when it is too large, cut, or packed in an unknown way."""
        length = self.headers.get("content-length")
        most = self.server.most_bytes
        if length is None or not length.isdigit():
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "send the length of the body")
        if int(length) > most:
            raise Refused(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {most // 2**20} MB; send smaller batches"
            )
        self._unread = False
        try:
            raw = self.rfile.read(int(length))
        except OSError as error:
            raise Refused(HTTPStatus.REQUEST_TIMEOUT, "the body did not come in time") from error
        if len(raw) != int(length):
            raise Refused(HTTPStatus.BAD_REQUEST, "the body ended before its length")
        packed = (self.headers.get("content-encoding") or "identity").strip().lower()
        if packed == "identity":
            return raw
        if packed != "gzip":
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send the body plain or with gzip")
        return _unpacked(raw, most)

    def _answer(self, status: HTTPStatus, kind: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Requests are counted, not logged: their headers may hold a token."""


def _unpacked(raw: bytes, most: int) -> bytes:
    """A gzip body, never more than may be held."""
    unpack = zlib.decompressobj(wbits=31)
    try:
        body = unpack.decompress(raw, most + 1)
    except zlib.error as error:
        raise Refused(HTTPStatus.BAD_REQUEST, "the body is not whole gzip") from error
    if len(body) > most:
        raise Refused(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"unpacked, the body is larger than {most // 2**20} MB; send smaller batches",
        )
    if not unpack.eof:
        raise Refused(HTTPStatus.BAD_REQUEST, "the body is not whole gzip")
    return body


def _answered(reasons: list[str], kind: str) -> bytes:
    """ExportTraceServiceResponse: empty, or with the number of spans that were left out and why."""
    words = "; ".join(f"{reasons.count(reason)} spans: {reason}" for reason in dict.fromkeys(reasons))
    if kind == TEXT:
        told = {"partialSuccess": {"rejectedSpans": str(len(reasons)), "errorMessage": words}} if reasons else {}
        return json.dumps(told).encode()
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    answer = ExportTraceServiceResponse()
    if reasons:
        answer.partial_success.rejected_spans = len(reasons)
        answer.partial_success.error_message = words
    return bytes(answer.SerializeToString())


def _status(message: str, kind: str) -> bytes:
    """google.rpc.Status with a message, as the specification asks for."""
    if kind == TEXT:
        return json.dumps({"message": message}).encode()
    from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

    return bytes(Status(message=message).SerializeToString())

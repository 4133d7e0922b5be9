"""ClickHouse's HTTP interface, as far as Percall uses it, answered by ClickHouse's real engine in this process."""

from __future__ import annotations

import gzip
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

from warehouse.engines.clickhouse_connections import InProcess
from warehouse.errors import StoreError

USER, PASSWORD = "reader", "of tea leaves"
_NO_SETTINGS = ("query", "database", "default_format", "wait_end_of_query", "enable_http_compression")


class _Server(ThreadingHTTPServer):
    """Ends its connections when it ends: kept alive, they would be answered on and on."""

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address, _Handler)
        self.connections: list[socket.socket] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: who does not speak TLS, or does not trust the certificate, is told so on the other side."""

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self.connections.append(connection)
        return connection, address

    def server_close(self) -> None:
        super().server_close()
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self._body()
        told = {name: values[0] for name, values in parse_qs(urlparse(self.path).query).items()}
        if (self.headers["X-ClickHouse-User"], self.headers["X-ClickHouse-Key"]) != (USER, PASSWORD):
            self._answer(403, b"Code: 516. DB::Exception: Authentication failed")
            return
        settings = {name: value for name, value in told.items() if name not in _NO_SETTINGS}
        engine = InProcess("", told.get("database", "default"), settings)
        try:
            with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
                sql = body.decode() if "query" not in told else told["query"]
                if "query" in told:
                    file.write(body)
                    file.flush()
                    sql = sql.replace("input('", f"file('{Path(file.name)}', Parquet, '").removesuffix("FORMAT Parquet")
                content = bytes(engine._query(sql, told.get("default_format", "TSV")).bytes() or b"")
                self._answer(200, content, compressed=told.get("enable_http_compression") == "1")
        except StoreError as error:
            self._answer(400, str(error).encode())

    def _body(self) -> bytes:
        if "Content-Length" in self.headers:
            return self.rfile.read(int(self.headers["Content-Length"]))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, status: int, content: bytes, *, compressed: bool = False) -> None:
        self.send_response(status)
        if compressed and "gzip" in self.headers["Accept-Encoding"]:
            content = gzip.compress(content)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@contextmanager
def serving(port: int = 0, certificate: Path | None = None) -> Iterator[str]:
    """The address at which it answers; `port` 0 takes a free one. Over TLS with a file of a certificate and its key."""
    server = _Server(("127.0.0.1", port))
    if certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

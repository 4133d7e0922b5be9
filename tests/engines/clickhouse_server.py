"""ClickHouse's HTTP interface, as far as Percall uses it, answered by ClickHouse's real engine in this process.

As strict as a server: what follows the address and is no parameter of the interface is a setting, which the engine has to know; an error has its code
in a header and the status that goes with it; answers are sent in chunks, and kept back until they are whole only where that is asked for.
"""

from __future__ import annotations

import gzip
import json
import re
import socket
import ssl
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

from warehouse.engines.clickhouse_connections import InProcess
from warehouse.errors import StoreError

USER, PASSWORD = "reader", "of tea leaves"

BreaksOff = Literal["in words", "in words with a tag", "without a word"]
"""How an answer ends in which an error strikes after its beginning was sent: servers before 25.11, servers since then, and what just hangs up."""

_NO_SETTINGS = ("query", "database", "default_format", "wait_end_of_query")
_LONGEST_ADDRESS, _LONGEST_VALUE = 1_048_576, 131_072
"""Characters: a server's http_max_uri_size and http_max_field_value_size."""

_STATUS = {
    400: (6, 27, 36, 38, 41, 43, 53, 62, 69, 70, 72),
    403: (192, 193, 194, 497, 516),
    404: (16, 46, 47, 50, 60, 73, 81, 115),
    501: (48,),
}
"""Status of an error by its code (syntax, types and arguments; rights; unknown names; not implemented); 500 of any other."""


class _Server(ThreadingHTTPServer):
    """Ends its connections when it ends: kept alive, they would be answered on and on."""

    def __init__(self, address: tuple[str, int], breaks_off: BreaksOff | None) -> None:
        super().__init__(address, _Handler)
        self.breaks_off = breaks_off
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
    server: _Server

    def do_POST(self) -> None:
        body, told = self._body(), dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        if len(self.path) > _LONGEST_ADDRESS or any(len(value) > _LONGEST_VALUE for value in told.values()):
            self._refuse("Code: 1000. DB::Exception: URI or field value is too long", 400)
        elif (self.headers["X-ClickHouse-User"], self.headers["X-ClickHouse-Key"]) != (USER, PASSWORD):
            self._refuse(
                "Code: 516. DB::Exception: reader: Authentication failed: password is incorrect, or there is no user with "
                "such name. (AUTHENTICATION_FAILED)"
            )
        else:
            self._work(body, told)

    def _work(self, body: bytes, told: dict[str, str]) -> None:
        settings = {name: value for name, value in told.items() if name not in _NO_SETTINGS}
        engine = InProcess("", told.get("database", "default"), settings)
        form = told.get("default_format", "TabSeparated")
        try:
            with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
                sql = body.decode() if "query" not in told else told["query"]
                if "query" in told:
                    # The data of an INSERT: they follow the statement, whose last words name their format.
                    assert sql.startswith("INSERT INTO ")
                    assert sql.endswith("') FORMAT Parquet")
                    file.write(body)
                    file.flush()
                    sql = sql.replace("input('", f"file('{Path(file.name)}', Parquet, '").removesuffix("FORMAT Parquet")
                content = bytes(engine._query(sql, form).bytes() or b"")
        except StoreError as error:
            message = str(error).partition("refused: ")[2]
            if self.server.breaks_off is None and told.get("wait_end_of_query") == "1":
                self._refuse(message)
            else:
                self._begin(form)
                self._break_off(message, self.server.breaks_off or "in words with a tag")
            return
        self._begin(form, compressed=told.get("enable_http_compression") == "1")
        if self._compressed:
            content = gzip.compress(content)
        for start in range(0, len(content), 65_536):
            self._chunk(content[start : start + 65_536])
        self.wfile.write(b"0\r\n\r\n")

    def _body(self) -> bytes:
        if "Content-Length" in self.headers:
            return self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Transfer-Encoding"] == "chunked"
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _begin(self, form: str, *, compressed: bool = False) -> None:
        self._compressed = compressed and "gzip" in self.headers["Accept-Encoding"]
        self._tag = uuid.uuid4().hex[:16]
        self.send_response(200)
        self.send_header("Connection", "Keep-Alive")
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("X-ClickHouse-Format", form)
        self.send_header("X-ClickHouse-Query-Id", str(uuid.uuid4()))
        self.send_header("X-ClickHouse-Summary", json.dumps({"read_rows": "0", "written_rows": "0"}))
        if self.server.breaks_off != "in words":
            self.send_header("X-ClickHouse-Exception-Tag", self._tag)
        if self._compressed:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()

    def _chunk(self, content: bytes) -> None:
        self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")

    def _break_off(self, message: str, how: BreaksOff) -> None:
        self._chunk(b"ARROW1\x00\x00" + bytes(4096))
        if how == "in words":
            self._chunk(message.encode() + b"\n")
            self.wfile.write(b"0\r\n\r\n")
            return
        if how == "in words with a tag":
            mark = b"__exception__"
            told = f"\r\n{self._tag}\r\n{message}\r\n{len(message)} {self._tag}\r\n".encode()
            self._chunk(b"\r\n" + mark + told + mark + b"\r\n")
        self.close_connection = True

    def _refuse(self, message: str, status: int | None = None) -> None:
        found = re.match(r"Code: (\d+)\.", message)
        assert found, message
        code, content = int(found.group(1)), message.encode()
        self.send_response(status or next((known for known, codes in _STATUS.items() if code in codes), 500))
        self.send_header("X-ClickHouse-Exception-Code", str(code))
        self.send_header("Content-Type", "text/plain; charset=UTF-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@contextmanager
def serving(port: int = 0, certificate: Path | None = None, breaks_off: BreaksOff | None = None) -> Iterator[str]:
    """The address at which it answers; `port` 0 takes a free one. Over TLS with a file of a certificate and its key.

    breaks_off: it sends answers before it knows their end, whatever is asked, as behind a proxy of its own mind; and how it ends those that fail.
    """
    server = _Server(("127.0.0.1", port), breaks_off)
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

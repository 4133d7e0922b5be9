"""AWS on loopback: moto's real server, and a way through which faults are put between it and whoever asks."""

from __future__ import annotations

import http.client
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

KEY_ID, SECRET, TOKEN = "AKIAPERCALLTEST00001", "sEcReT/of+the/tests0000000000000000000000", "t0ken-of-the-tests-000000"
EXPIRED = (
    400,
    b'<?xml version="1.0"?><Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>',
)
DENIED = (403, b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>')
BROKEN = (
    500,
    b'<?xml version="1.0"?><Error><Code>InternalError</Code><Message>We encountered an error.</Message></Error>',
)
Fault = Callable[[str, str], "tuple[int, bytes] | str | None"]
"""Asked with method and path before a request goes on; answers with a status and body in its place, "truncated", or None: let it pass."""


@dataclass
class Aws:
    """The server: `url` leads through the faults, `direct` past them. `asked` are the requests so far (method, path)."""

    url: str
    direct: str
    fault: Fault | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)

    def client(self, service: str) -> Any:
        return boto3.client(
            service, endpoint_url=self.direct, region_name="us-east-1", aws_access_key_id=KEY_ID, aws_secret_access_key=SECRET
        )  # fmt: skip

    def reset(self) -> None:
        """Forget everything that was put there."""
        with urllib.request.urlopen(urllib.request.Request(f"{self.direct}/moto-api/reset", method="POST")):
            self.fault = None
            self.asked.clear()

    def put(self, bucket: str, key: str, body: bytes) -> None:
        self.client("s3").put_object(Bucket=bucket, Key=key, Body=body)

    def read(self, *words: str) -> list[str]:
        """Paths of the GET requests so far that hold all of these words."""
        return [path for method, path in self.asked if method == "GET" and all(word in path for word in words)]


@contextmanager
def aws_server() -> Iterator[Aws]:
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    aws = Aws("", f"http://{host}:{port}")

    class Between(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            aws.asked.append((self.command, self.path))
            verdict = aws.fault(self.command, self.path) if aws.fault else None
            if isinstance(verdict, tuple):
                self._answer(verdict[0], {"content-type": "application/xml"}, verdict[1])
                return
            connection = http.client.HTTPConnection(host, port, timeout=30)
            connection.request(
                self.command, self.path, body, {k: v for k, v in self.headers.items() if k.lower() != "expect"}
            )
            response = connection.getresponse()
            content = response.read()
            kept = {
                k: v
                for k, v in response.getheaders()
                if k.lower() not in ("transfer-encoding", "connection", "server", "date")
            }
            connection.close()
            self._answer(response.status, kept, content, cut=verdict == "truncated")

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass

        def _answer(self, status: int, headers: dict[str, str], content: bytes, *, cut: bool = False) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() != "content-length":
                    self.send_header(name, value)
            length = headers.get("Content-Length") or headers.get("content-length") or str(len(content))
            self.send_header("content-length", length)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content[: len(content) // 2] if cut else content)
            self.close_connection = self.close_connection or cut

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Between)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    aws.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield aws
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        moto.stop()


def configured(folder: Path, *sections: str) -> Path:
    """A percall.toml with these sections."""
    path = folder / "percall.toml"
    path.write_text("".join(f"[[source]]\n{section}\n" for section in sections), encoding="utf-8")
    return path


def bucket_section(aws: Aws, name: str = "aws", **options: str) -> str:
    """A section [[source]] of kind aws-export that reads moto with the tests' credentials."""
    values = {
        "name": name, "kind": "aws-export", "bucket": "bills", "export": "cur", "prefix": "team", "endpoint_url": aws.url,
        "access_key_id_env": "PERCALL_TEST_ID", "secret_access_key_env": "PERCALL_TEST_SECRET", "session_token_env": "PERCALL_TEST_TOKEN",
    } | options  # fmt: skip
    return "\n".join(f'{key} = "{value}"' for key, value in values.items())

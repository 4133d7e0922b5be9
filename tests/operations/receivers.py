"""Receivers of alerts on this machine: a webhook that fails as often as it is told to, and a mail server."""

from __future__ import annotations

import contextlib
import email
import http.server
import json
import random
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default as email_policy
from typing import Any


@dataclass
class Webhook:
    """A webhook: its address, the bodies it has taken by delivery id, and everything that was asked of it."""

    url: str = ""
    taken: dict[str, Any] = field(default_factory=dict)
    repeated: int = 0
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    failures: float = 0.0
    chance: random.Random = field(default_factory=lambda: random.Random(7))
    faults: tuple[str, ...] = ("500", "429", "reset", "taken, then reset")


@contextlib.contextmanager
def webhook() -> Iterator[Webhook]:
    """Serve a webhook that remembers delivery ids, as a careful receiver does."""
    state = Webhook()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            state.requests.append((dict(self.headers), body))
            fault = state.chance.choice(state.faults) if state.chance.random() < state.failures else None
            if fault in (None, "taken, then reset"):
                key = self.headers["idempotency-key"]
                state.repeated += key in state.taken
                state.taken.setdefault(key, json.loads(body))
            if fault is None:
                self.send_response(200)
                self.end_headers()
            elif fault.endswith("reset"):
                # Linger 0: the connection ends with a reset, as when a proxy dies.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
            else:
                self.send_response(int(fault))
                if fault == "429":
                    self.send_header("Retry-After", "90")
                self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_address[1]}/hook/secret-path-42"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield state
        server.shutdown()
        thread.join()


@dataclass
class MailServer:
    """A mail server: its port and the mails that it has taken."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    refuse: str = ""


@contextlib.contextmanager
def mail_server() -> Iterator[MailServer]:
    """Serve SMTP without encryption; `refuse` is an answer to RCPT instead of taking it."""
    state = MailServer()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.say("220 ready")
            while line := self.rfile.readline().decode().strip():
                verb = line.split(" ")[0].split(":")[0].upper()
                if verb == "EHLO":
                    self.say("250-here", "250 8BITMIME")
                elif verb == "RCPT" and state.refuse:
                    self.say(state.refuse)
                elif verb == "DATA":
                    self.say("354 go on")
                    lines = []
                    while (text := self.rfile.readline()) != b".\r\n":
                        lines.append(text.removeprefix(b"."))
                    mail = email.message_from_bytes(b"".join(lines), policy=email_policy)
                    assert isinstance(mail, EmailMessage)
                    state.mails.append(mail)
                    self.say("250 taken")
                elif verb == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 fine")

        def say(self, *lines: str) -> None:
            self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        state.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield state
        server.shutdown()
        thread.join()

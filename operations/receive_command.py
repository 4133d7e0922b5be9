"""`percall receive`: takes OpenTelemetry spans from applications over HTTP, for the live source `otlp`."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from operations.terminal import say


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("receive")(receive)


def receive(
    context: typer.Context,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 4318,
    address: Annotated[
        str, typer.Option(help="Address to listen on; anything but loopback needs --token-env.")
    ] = "127.0.0.1",
    token_env: Annotated[
        str | None, typer.Option(help="Variable with the bearer token that senders must give.")
    ] = None,
    max_request_mb: Annotated[int, typer.Option(min=1, max=512, help="Largest request, unpacked.")] = 64,
    max_inbox_gb: Annotated[float, typer.Option(min=0.001, help="What may wait to be loaded.")] = 10.0,
) -> None:
    """Take spans (OTLP over HTTP, /v1/traces) until stopped. Prompts and answers are not kept; `percall sync` loads the calls.

    Senders: OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://127.0.0.1:4318/v1/traces, and with a token
    OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20...". Exit code 2 when the address cannot be used.
    """
    from connectors.live.otlp_inbox import Inbox
    from connectors.live.secrets import Secrets
    from operations.otlp_receiver import is_loopback, serving
    from warehouse.errors import InputError

    token = Secrets().value(token_env, "receive") if token_env else None
    if token is None and not is_loopback(address):
        raise InputError(
            f"{address} can be reached from other machines: name the variable with a token that senders must give, --token-env PERCALL_RECEIVE_TOKEN"
        )
    if token is not None and len(token) < 16:
        raise InputError(
            f"the token in {token_env} is too short: give at least 16 characters, `openssl rand -hex 24` makes one"
        )
    inbox = Inbox(Path(context.obj.store) / "inbox", int(max_inbox_gb * 2**30))
    try:
        inbox.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{inbox.folder} cannot be made: {error.strerror}") from error
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    with serving(address, port, inbox, token, max_request_mb * 2**20) as server:
        host = f"[{address}]" if ":" in address else address
        say(f"Spans are taken at http://{host}:{server.port}/v1/traces and wait in {inbox.folder}")
        say(
            f'To load them, write into percall.toml: [[source]] name = "otlp", kind = "otlp", folder = "{inbox.folder}"'
        )
        if token is not None and not is_loopback(address):
            say("The token travels as it is: put a proxy with TLS in front where the network is not your own.")
        stop.wait()
        say(f"stopped; {server.accepted:,} requests were taken")
    os.sync()

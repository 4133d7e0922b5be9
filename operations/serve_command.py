"""`percall serve`: the dashboard."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from operations.terminal import say
from warehouse.errors import InputError


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("serve")(serve)


def serve(
    context: typer.Context,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8501,
    address: Annotated[
        str, typer.Option(help="Address to listen on; beyond loopback the dashboard opens for people who sign in.")
    ] = "127.0.0.1",
    processes: Annotated[
        int,
        typer.Option(
            min=1,
            max=64,
            help="So many server processes, on the port and those after it, for a proxy that keeps each visitor on one; as many as there are cores.",
        ),
    ] = 1,
) -> None:
    """Run the dashboard and print its address."""
    from warehouse.configuration import REPOSITORY
    from warehouse.store import Store

    settings = context.obj
    current = Store(settings.store).current()
    if current is None or not current.has_facts:
        say(
            "The store is empty: `percall load PATH...` fills it with your files, `percall demo` with the demo company."
        )
    if port + processes - 1 > 65535:
        raise InputError(f"there are no {processes} ports from {port} on: choose a lower one with --port")
    for number in range(processes):
        _probe(address, port + number)
    os.environ["PERCALL_STORE"] = str(Path(settings.store).resolve())
    config = settings.config_path or Path("percall.toml")
    if config.exists():
        os.environ["PERCALL_CONFIG"] = str(config.resolve())
    shown = "localhost" if address in ("127.0.0.1", "::1", "0.0.0.0") else address  # noqa: S104 - shown, not bound
    say(f"Percall is at http://{shown}:{port}")

    def command(number: int) -> list[str]:
        return [
            sys.executable, "-m", "streamlit", "run", str(REPOSITORY / "app.py"), "--server.port", str(port + number - 1),
            "--server.address", address, "--server.headless", "true",
        ]  # fmt: skip

    from operations.serve_processes import MEMORY_SETTINGS, serve_processes

    for name, value in MEMORY_SETTINGS.items():
        os.environ.setdefault(name, value)
    os.chdir(REPOSITORY)
    if processes == 1:
        os.execv(sys.executable, command(1))  # noqa: S606 - our own interpreter, no shell
    last = port + processes - 1
    say(
        f"{processes} processes, to port {last}: the proxy before them keeps each visitor on one, see docs/how-to-deploy.md."
    )
    serve_processes(command, processes)


def _probe(address: str, port: int) -> None:
    """Raises InputError when nothing can listen there."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise InputError(
                f"cannot listen on {address}:{port} ({error.strerror}): choose another with --port (make run PORT={port + 1})"
            ) from error

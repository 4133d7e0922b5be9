"""The app under test, in a process of its own on a free port, with a store of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.operations.command import PERCALL
from tests.operations.command import environment as strangers_environment

REPOSITORY = Path(__file__).resolve().parents[2]
APP = REPOSITORY / "app.py"
SAMPLE_APP = REPOSITORY / "tests" / "pages" / "sample" / "app.py"
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class Server:
    """A running app: its address, its port, and the file that its output goes to."""

    url: str
    port: int
    log: Path

    def output(self) -> str:
        """What the server has written so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    app: Path,
    store: Path,
    folder: Path,
    *,
    options: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
    wait: bool = True,
) -> Iterator[Server]:
    """Start `streamlit run app` from `folder` (not the repository: it must work from anywhere) and stop it at the end.

    The product's own .streamlit/config.toml lies beside app.py; for another app it is copied to `folder`. `options` are
    further `--name=value` flags. With `wait` the server answers its health check before this goes on.
    """
    if app != APP:
        (folder / ".streamlit").mkdir(exist_ok=True)
        shutil.copy(REPOSITORY / ".streamlit" / "config.toml", folder / ".streamlit" / "config.toml")
    port = _free_port()
    log = folder / f"server-{port}.log"
    variables = {**os.environ, "PERCALL_STORE": str(store), **(environment or {})}
    variables.pop("PERCALL_CONFIG", None)
    variables["PYTHONPATH"] = str(REPOSITORY)
    variables.update(environment or {})
    command = [sys.executable, "-m", "streamlit", "run", str(app), f"--server.port={port}", *options]
    with log.open("wb") as stream:
        process = subprocess.Popen(command, cwd=folder, env=variables, stdout=stream, stderr=subprocess.STDOUT)
    server = Server(f"http://127.0.0.1:{port}", port, log)
    try:
        if wait:
            _wait_until_healthy(server, process)
        yield server
    finally:
        _stop(process)


@contextmanager
def serving(store: Path, folder: Path) -> Iterator[Server]:
    """Start `percall serve` as a stranger does, from `folder`, on a free port, and stop it at the end."""
    port = _free_port()
    log = folder / f"serve-{port}.log"
    command = [str(PERCALL), "--store", str(store), "serve", "--port", str(port)]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, cwd=folder, env=strangers_environment(), stdout=stream, stderr=subprocess.STDOUT
        )
    server = Server(f"http://127.0.0.1:{port}", port, log)
    try:
        _wait_until_healthy(server, process)
        yield server
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_until_healthy(server: Server, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the app stopped at once:\n{server.output()}")
        try:
            with urllib.request.urlopen(f"{server.url}/_stcore/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"the app did not answer within {PATIENCE_SECONDS:.0f} seconds:\n{server.output()}")

"""Several server processes for one dashboard: started together, started again when one ends by itself, ended together.

Python runs one thread at a time, so that one process answers on one core. Each process is a whole server on a port of its own, with its own cache; a
visitor's session, the files that it offers and a sign-in under way live in one of them. So a proxy before them keeps visitors where they are: each
process says its number in a cookie (`operations.web_guard`), see docs/how-to-deploy.md.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType

from operations.terminal import say
from operations.web_guard import PROCESS_VARIABLE
from warehouse.errors import PercallError

Command = Callable[[int], Sequence[str]]
"""The command line of the process of this number, from 1 on."""

MEMORY_SETTINGS = {"MALLOC_ARENA_MAX": "2"}
"""Environment of every server process. Each run of a page is a thread of its own, and glibc gives threads up to eight heaps per core, each of which
keeps what it once had: with two in all, 40 people's 6,000 actions took a process to 816 MiB instead of 1,040, at the same speed."""

LOOKS_EVERY_SECONDS = 0.5
SHORT_LIFE_SECONDS = 20.0
MOST_SHORT_LIVES = 3
ENDS_WITHIN_SECONDS = 15.0


class ServerEnded(PercallError):  # noqa: N818 - what happened, as the others say it
    """A server process ends again and again."""


@dataclass
class _Server:
    """One process: its number, since when it runs, and how often in a row it ended soon."""

    number: int
    process: subprocess.Popen[bytes]
    started: float
    short_lives: int = 0


def serve_processes(command: Command, count: int) -> None:
    """Run `count` processes until this one is told to end (SIGTERM, SIGINT); one that ends by itself is started again.

    Raises ServerEnded, after ending the others, when one has ended soon after its start three times in a row.
    """
    told_to_end = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        told_to_end.set()

    before = {kind: signal.signal(kind, end) for kind in (signal.SIGTERM, signal.SIGINT)}
    servers = [_started(command, number) for number in range(1, count + 1)]
    try:
        while not told_to_end.wait(LOOKS_EVERY_SECONDS):
            servers = [_kept_up(server, command) for server in servers]
    finally:
        _end(servers)
        for kind, handler in before.items():
            signal.signal(kind, handler)


def _started(command: Command, number: int, short_lives: int = 0) -> _Server:
    process = subprocess.Popen(command(number), env=os.environ | {PROCESS_VARIABLE: str(number)})  # noqa: S603 - our own command
    return _Server(number, process, time.monotonic(), short_lives)


def _kept_up(server: _Server, command: Command) -> _Server:
    code = server.process.poll()
    if code is None:
        return server
    is_short = time.monotonic() - server.started < SHORT_LIFE_SECONDS
    short_lives = server.short_lives + 1 if is_short else 0
    if short_lives >= MOST_SHORT_LIVES:
        raise ServerEnded(
            f"server process {server.number} has ended {short_lives} times soon after its start (the last time with code {code}): what it said "
            "stands above; `percall doctor` looks at the store"
        )
    say(f"Server process {server.number} has ended with code {code}, and is started again.")
    return _started(command, server.number, short_lives)


def _end(servers: Sequence[_Server]) -> None:
    for server in servers:
        if server.process.poll() is None:
            server.process.terminate()
    deadline = time.monotonic() + ENDS_WITHIN_SECONDS
    for server in servers:
        try:
            server.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            server.process.kill()
            server.process.wait()

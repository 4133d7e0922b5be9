"""Killed at any moment, a load leaves a store that opens and holds exactly the old or the new data."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path

from tests.warehouse.rows import call_rows, charge_lines
from warehouse.configuration import Configuration
from warehouse.loading import Loading
from warehouse.reader import open_current
from warehouse.store import Store

KILLS = 20
LINES = 3_000


def month(version: int) -> tuple[list[tuple[str, str, str, str]], list[tuple[str, str, str | None, str | None]]]:
    """Version n of a month: every line and every call costs n cents, so that sums tell the versions apart."""
    lines = [
        (f"2026-03-{1 + n % 28:02d} {n % 24:02d}:00", "EC2", f"i-{n}", f"{version / 100:.2f}") for n in range(LINES)
    ]
    calls: list[tuple[str, str, str | None, str | None]] = [
        (f"chatcmpl-{n}", f"2026-03-{1 + n % 28:02d} 12:00:00", "search", f"{version / 100:.2f}") for n in range(LINES)
    ]
    return lines, calls


def load(path: Path, version: int) -> None:
    lines, calls = month(version)
    with Loading(Store(path), Configuration(), on_overlap="replace") as loading:
        loading.add(charge_lines(lines, file=f"v{version}.csv"))
        loading.add(call_rows(calls, file=f"v{version}.jsonl"))
        loading.commit()


def sums(path: Path) -> tuple[Decimal, Decimal, int, int]:
    cursor = open_current(path, Configuration()).connection.cursor()
    row = cursor.execute(
        """SELECT (SELECT sum(BilledCost) FROM charges), (SELECT sum(cost) FROM calls),
                  (SELECT count(*) FROM charges), (SELECT count(*) FROM calls)"""
    ).fetchone()
    assert row is not None
    return row


def expected(version: int) -> tuple[Decimal, Decimal, int, int]:
    return Decimal(version * LINES) / 100, Decimal(version * LINES) / 100, LINES, LINES


@contextmanager
def loader(store: Path) -> Iterator[tuple[Callable[[int], int], Callable[[], None]]]:
    """Begin to load a version in a process of its own, which is told by its number, and wait until that has ended in whatever way."""
    command = [sys.executable, "-m", "tests.warehouse.test_killed_load", str(store)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, bufsize=1, **pipes) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        ask, answers = parent.stdin, parent.stdout

        def begin(version: int) -> int:
            ask.write(f"{version}\n")
            return int(answers.readline())

        def wait() -> None:
            assert answers.readline() == "over\n"

        yield begin, wait
        ask.close()
    assert parent.returncode == 0


def _load_as_told(path: Path) -> None:
    """In a process that has imported everything once: each load is a fork of it, so that twenty do not import twenty times."""
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            load(path, int(line))
            os._exit(0)
        print(pid, flush=True)  # noqa: T201 - tells the test whom to kill
        os.waitpid(pid, 0)
        print("over", flush=True)  # noqa: T201


def test_twenty_kills_leave_old_or_new_and_never_a_mix(tmp_path: Path) -> None:
    store = tmp_path / "store"
    load(store, 1)
    started = time.monotonic()
    load(store, 2)
    usual = time.monotonic() - started
    at = 2
    chance = random.Random(7)
    with loader(store) as (begin, wait):
        for _ in range(KILLS):
            pid = begin(at + 1)
            time.sleep(chance.uniform(0.0, usual * 1.2))
            with suppress(ProcessLookupError):  # it may be done already
                os.kill(pid, signal.SIGKILL)
            wait()
            found = sums(store)
            assert found in (expected(at), expected(at + 1))
            at = at + 1 if found == expected(at + 1) else at
        begin(at + 1)
        wait()  # this one is left alone
    assert sums(store) == expected(at + 1)
    facts = {path.name for path in (store / "facts").iterdir()}
    named = {file.name for path in (store / "snapshots").iterdir() for file in Store(store).snapshot(path.stem).files}
    assert facts == named, "files of killed loads are removed by the next writer"
    assert not (store / "scratch").exists()


if __name__ == "__main__":
    _load_as_told(Path(sys.argv[1]))

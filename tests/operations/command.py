"""The command `percall` as its users run it: in this process for speed, or as a process of its own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch

from operations import cli

REPOSITORY = Path(__file__).resolve().parents[2]
PERCALL = Path(sys.executable).with_name("percall")


@dataclass(frozen=True)
class Answer:
    """What a command left behind: its exit code, data and messages."""

    code: int
    out: bytes
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The JSON lines of `percall load`."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def json(self) -> Any:
        """The JSON document of `percall export`."""
        return json.loads(self.out)


class _Stream(io.TextIOWrapper):
    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", errors="backslashreplace", newline="", write_through=True)

    def content(self) -> bytes:
        self.flush()
        buffer = self.buffer
        assert isinstance(buffer, io.BytesIO)
        return buffer.getvalue()


def percall(*arguments: object, store: Path | None = None, config: Path | None = None) -> Answer:
    """Run the command in this process. Anything but an exit code goes on as the exception that it is."""
    words = ["percall"]
    words += ["--store", str(store)] if store else []
    words += ["--config", str(config)] if config else []
    words += [str(argument) for argument in arguments]
    out, err = _Stream(), _Stream()
    code = 0
    with patch.object(sys, "argv", words), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return Answer(code, out.content(), err.content().decode())


def environment() -> dict[str, str]:
    """This process's environment without settings of ours, which a stranger does not have."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PERCALL_", "STREAMLIT_"))}


def percall_process(
    *arguments: object, folder: Path, timeout: float = 120, variables: Mapping[str, str] | None = None
) -> Answer:
    """Run the installed command as a process of its own, in a folder that is not the repository, with further `variables` in its environment."""
    done = subprocess.run(
        [str(PERCALL), *map(str, arguments)],
        check=False,
        cwd=folder,
        env=environment() | dict(variables or {}),
        capture_output=True,
        timeout=timeout,
    )
    return Answer(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))


_MEASURED = """
import atexit, os, pathlib, sys
def note():
    status = pathlib.Path("/proc/self/status").read_text()
    peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    pathlib.Path(os.environ["PEAK_NOTE"]).write_text(peak)
atexit.register(note)
from operations.cli import main
main()
"""


def percall_measured(*arguments: object, folder: Path, timeout: float = 300) -> tuple[Answer, float]:
    """The same, and the largest resident memory of the process in megabytes (as Linux tells it)."""
    note = folder / "peak"
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, *map(str, arguments)],
        check=False,
        cwd=folder,
        env=environment() | {"PYTHONPATH": str(REPOSITORY), "PEAK_NOTE": str(note)},
        capture_output=True,
        timeout=timeout,
    )
    answer = Answer(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))
    return answer, int(note.read_text()) / 1024


def totals(store: Path, *options: object, config: Path | None = None) -> dict[str, Any]:
    """`percall export totals --format json` of a store."""
    answer = percall("export", "totals", "--format", "json", *options, store=store, config=config)
    assert answer.code == 0, answer.err
    return answer.json


def billed(store: Path, account: str | None = None) -> Decimal:
    """Exact sum of what a store's billing lines (of an account) bill."""
    answer = percall("export", "charges", "--format", "json", store=store)
    assert answer.code == 0, answer.err
    return sum((money(row["billed"]) for row in answer.json if account in (None, row["account"])), Decimal(0))


def money(value: str | None) -> Decimal:
    """An amount of an export; nothing known counts as nothing here."""
    return Decimal(value or 0)


def snapshot(store: Path) -> str:
    """Name of the store's current snapshot; "" when nothing was ever loaded."""
    pointer = store / "current"
    return pointer.read_text().strip() if pointer.exists() else ""


@contextlib.contextmanager
def within(folder: Path) -> Iterator[None]:
    """Work in this folder for a while."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)

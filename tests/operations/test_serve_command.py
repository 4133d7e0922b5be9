"""`percall serve`: the real dashboard in a process of its own."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.operations.bills import line, write
from tests.operations.command import PERCALL, environment, percall, percall_process

PATIENCE_SECONDS = 90.0


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answer_of(url: str) -> str:
    """The body of a page, "" while nothing answers."""
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.read().decode()
    except (urllib.error.URLError, OSError):
        return ""


@contextlib.contextmanager
def serving(store: Path, folder: Path) -> Iterator[tuple[int, Path]]:
    """The dashboard on a free port, once it is healthy: its port and the file with what it said."""
    port = free_port()
    said = folder / "said"
    with said.open("wb") as stream:
        process = subprocess.Popen(
            [str(PERCALL), "--store", str(store), "serve", "--port", str(port)],
            cwd=folder, env=environment() | {"HOME": str(folder)}, stdout=stream, stderr=stream,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while answer_of(f"http://127.0.0.1:{port}/_stcore/health") != "ok":
            assert process.poll() is None, said.read_text()
            assert time.monotonic() < deadline, said.read_text()
            time.sleep(0.1)
        yield port, said
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """A dashboard over a small store."""
    folder = tmp_path_factory.mktemp("served")
    assert percall("load", write(folder / "bill.csv", [line()]), store=folder / "store").code == 0
    with serving(folder / "store", folder) as running:
        yield running


def test_it_prints_its_address_and_answers_there(served: tuple[int, Path]) -> None:
    port, said = served
    assert f"Percall is at http://localhost:{port}" in said.read_text()
    assert answer_of(f"http://localhost:{port}/_stcore/health") == "ok"
    assert "<html" in answer_of(f"http://127.0.0.1:{port}/")


def test_it_sends_nothing_home(served: tuple[int, Path]) -> None:
    _port, said = served
    text = said.read_text()
    assert "Traceback" not in text
    assert "usage statistics" not in text
    assert "External URL" not in text  # Streamlit asks a web service for it
    settings = (Path(__file__).resolve().parents[2] / ".streamlit" / "config.toml").read_text()
    assert re.search(r"^gatherUsageStats\s*=\s*false", settings, re.MULTILINE)


def test_it_listens_to_this_machine_only(served: tuple[int, Path]) -> None:
    port, _said = served
    with socket.socket() as probe:
        probe.settimeout(5)
        # Every address of 127/8 is this machine, so that only a server bound to all of them would answer on another.
        assert probe.connect_ex(("127.0.0.2", port)) != 0


def test_a_taken_port_is_said_with_the_way_out(served: tuple[int, Path], tmp_path: Path) -> None:
    port, _said = served
    answer = percall_process("--store", tmp_path / "store", "serve", "--port", port, folder=tmp_path)
    assert (answer.code, answer.out) == (2, b"")
    sentence = answer.err.splitlines()[-1]
    assert sentence.startswith(f"percall: cannot listen on 127.0.0.1:{port}")
    assert "--port" in sentence
    assert "Traceback" not in answer.err


def test_an_address_that_is_none_is_said(tmp_path: Path) -> None:
    answer = percall("serve", "--address", "no such host", "--port", free_port(), store=tmp_path / "store")
    assert answer.code == 2
    assert "cannot listen on no such host" in answer.err


def test_an_empty_store_is_said_with_what_fills_it(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        answer = percall("serve", "--port", taken.getsockname()[1], store=tmp_path / "store")
    assert answer.code == 2
    assert "`percall load PATH...`" in answer.err
    assert "`percall demo`" in answer.err

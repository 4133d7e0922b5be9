"""`percall serve --processes`: each process is a whole server that says its number, is started again when it ends, and ends with the others."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from operations.serve_processes import ServerEnded, serve_processes
from tests.operations.bills import line, write
from tests.operations.command import PERCALL, environment, percall
from tests.operations.test_serve_command import PATIENCE_SECONDS, answer_of, free_port


def free_ports() -> int:
    """A port that nothing listens on, as on the one after it."""
    while True:
        port = free_port()
        if answer_of(f"http://127.0.0.1:{port + 1}/") == "":
            return port


def until(holds: Callable[[], object], process: subprocess.Popen[bytes], said: Path) -> None:
    """Wait until something holds, while the process runs."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert process.poll() is None, said.read_text()
        assert time.monotonic() < deadline, said.read_text()
        time.sleep(0.1)


def is_healthy(port: int) -> bool:
    return answer_of(f"http://127.0.0.1:{port}/_stcore/health") == "ok"


def cookies_of(port: int, path: str = "/") -> list[str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
        return [cookie for cookie in answer.headers.get_all("Set-Cookie", []) if cookie.startswith("percall_")]


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, subprocess.Popen[bytes], Path]]:
    """Two processes over a small store: the first port, the process that watches over them, and what it said."""
    folder = tmp_path_factory.mktemp("two")
    assert percall("load", write(folder / "bill.csv", [line()]), store=folder / "store").code == 0
    port, said = free_ports(), folder / "said"
    with said.open("wb") as stream:
        process = subprocess.Popen(
            [str(PERCALL), "--store", str(folder / "store"), "serve", "--port", str(port), "--processes", "2"],
            cwd=folder, env=environment() | {"HOME": str(folder)}, stdout=stream, stderr=stream,
        )  # fmt: skip
    try:
        until(lambda: is_healthy(port) and is_healthy(port + 1), process, said)
        yield port, process, said
    finally:
        process.terminate()
        process.wait(30)


def test_each_process_says_its_number_with_the_page_and_with_nothing_else(
    two: tuple[int, subprocess.Popen[bytes], Path],
) -> None:
    port, _process, said = two
    for number in (1, 2):
        assert cookies_of(port + number - 1) == [f"percall_process={number}; Path=/; HttpOnly; SameSite=Lax"]
        assert cookies_of(port + number - 1, "/_stcore/health") == []
    assert "docs/how-to-deploy.md" in said.read_text()


def test_one_that_ends_is_started_again_and_all_end_together(two: tuple[int, subprocess.Popen[bytes], Path]) -> None:
    port, process, said = two
    before = children_of(process.pid)
    assert len(before) == 2
    os.kill(before[1], signal.SIGKILL)
    until(lambda: f"has ended with code {-signal.SIGKILL}" in said.read_text(), process, said)
    # It is said first, and done then.
    until(lambda: len(children_of(process.pid)) == 2, process, said)
    after = children_of(process.pid)
    assert after[0] == before[0]
    assert before[1] not in after
    process.terminate()
    assert process.wait(30) == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in after)
    assert not is_healthy(port)


def test_one_that_ends_again_and_again_ends_all(tmp_path: Path) -> None:
    """The first would run for ever; the second ends at once, each time."""
    marks = tmp_path / "marks"
    count = f"import os; open({str(marks)!r}, 'a').write('x'); raise SystemExit(7)"
    commands = {1: [sys.executable, "-c", "import time; time.sleep(600)"], 2: [sys.executable, "-c", count]}
    with pytest.raises(ServerEnded, match=r"server process 2 has ended 3 times .* with code 7"):
        serve_processes(lambda number: commands[number], 2)
    assert marks.read_text() == "xxx"
    assert children_of(os.getpid()) == [] or not any(
        b"time.sleep(600)" in Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children_of(os.getpid())
    )


def test_a_taken_port_among_them_is_said(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        answer = percall("serve", "--port", port - 1, "--processes", 2, store=tmp_path / "store")
    assert answer.code == 2
    assert f"127.0.0.1:{port}" in answer.err
    answer = percall("serve", "--port", 65535, "--processes", 2, store=tmp_path / "store")
    assert answer.code == 2
    assert "no 2 ports from 65535 on" in answer.err

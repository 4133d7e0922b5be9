"""Measuring: child processes with their time and memory, medians, and on what machine all that was."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("duckdb", "ibis-framework", "pandas", "numpy", "pyarrow", "streamlit")


@dataclass(frozen=True)
class Child:
    """What a child process took: wall and CPU seconds, its peak resident memory in bytes, and what it printed."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    output: str


def run_child(command: Sequence[str], cwd: Path | None = None) -> Child:
    """Run a command to its end. Raises RuntimeError with what it wrote to stderr when it fails."""
    started = time.perf_counter()
    with subprocess.Popen(list(command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd) as process:
        # `communicate` would reap the child without telling its memory: read both pipes, then wait for its usage.
        assert process.stdout is not None
        assert process.stderr is not None
        output, errors = _drain(process.stdout, process.stderr)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    if process.returncode:
        raise RuntimeError(f"{' '.join(command[:6])} ended with {process.returncode}: {errors[-2000:]}")
    unit = 1 if platform.system() == "Darwin" else 1024
    return Child(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit, output)


def _drain(out: Any, err: Any) -> tuple[str, str]:
    """Everything from two pipes, read at once so that neither fills up."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.submit(out.read), pool.submit(err.read)
        return first.result(), second.result()


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that an action takes, and its answer."""
    started = time.perf_counter()
    answer = action()
    return time.perf_counter() - started, answer


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return statistics.median(values)


def machine() -> dict[str, str]:
    """Processor, cores, memory, load of the last minute, system and versions."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{memory:.0f} GiB",
        "load of the last minute": f"{os.getloadavg()[0]:.1f}",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()

"""Measuring: child processes with their time and memory, medians, and on what machine all that was."""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
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


@dataclass(frozen=True)
class Usage:
    """What something took: wall and CPU seconds, and the most memory that was resident meanwhile, in bytes."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int


def measured(action: Callable[[], Any], others: Callable[[], Usage | None] = lambda: None) -> tuple[Usage, Any]:
    """What an action took, and its answer.

    `others` tells CPU seconds and resident memory, so far and now, of processes that work for this one: they are added.
    """
    before = others()
    forget_peak()
    with _watched(others) as most:
        cpu, started = _own_cpu(), time.perf_counter()
        answer = action()
        seconds, own = time.perf_counter() - started, _own_cpu() - cpu
    after = others()
    if before is not None and after is not None:
        own += after.cpu_seconds - before.cpu_seconds
    return Usage(seconds, own, peak_bytes() + most()), answer


def _own_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class _watched:  # noqa: N801 - reads as a phrase
    """Looks at the memory of other processes twenty times a second, if there are any."""

    def __init__(self, others: Callable[[], Usage | None]) -> None:
        self._others, self._most, self._end = others, 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Callable[[], int]:
        if self._others() is not None:
            self._thread.start()
        return lambda: self._most

    def __exit__(self, *_: object) -> None:
        self._end.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _watch(self) -> None:
        while True:
            usage = self._others()
            if usage is not None:
                self._most = max(self._most, usage.peak_bytes)
            if self._end.wait(0.05):
                return


def forget_peak() -> None:
    """Count this process's peak memory anew from now on, where the system can."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_bytes() -> int:
    """The most memory of this process that was resident since `forget_peak`; where that cannot be, since its start."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def available_bytes() -> int:
    """Memory that new processes can take without swapping; where the system does not say, all of it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return statistics.median(values)


def machine() -> dict[str, str]:
    """Day, processor, cores, memory, load of the last minute, system and versions."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "day": date.today().isoformat(),
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

"""Where the files of a whole run lie: in memory if there is plenty, on the disk otherwise.

Stores are written to outlast a power cut, which nothing here tries: a disk takes 5 ms over each of the thousands of files that tests bring to it,
a seventh of the time of those that load.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")
NEEDED = 4 * 2**30
"""Bytes: a run writes less than one gigabyte."""


def use_memory(config: pytest.Config) -> None:
    """For a run on several workers whose folder nobody has named. The folder is removed at the end; a test alone leaves its files on the disk."""
    several = getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput")
    if several and config.option.basetemp is None and _is_plenty():
        folder = tempfile.mkdtemp(prefix="percall-tests-", dir=MEMORY)
        config.option.basetemp = folder
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def _is_plenty() -> bool:
    try:
        told = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
        available = int(told["MemAvailable"].split()[0]) * 1024
        return available >= 2 * NEEDED and shutil.disk_usage(MEMORY).free >= NEEDED
    except (OSError, KeyError, ValueError):
        return False

"""Stores that many tests read and none writes: the demo company's, loaded once per test run, and one that nothing was loaded into."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from tests.operations.command import percall
from warehouse.configuration import Configuration
from warehouse.reader import Warehouse, open_current
from warehouse.store import Store

MADE_BEFORE = "PERCALL_TEST_DEMO_STORE"
"""Environment variable: a folder with the demo company already loaded by this version, to save the half minute of loading it."""


@pytest.fixture(scope="session")
def demo_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a store that holds the demo company."""
    if os.environ.get(MADE_BEFORE):
        return Path(os.environ[MADE_BEFORE])
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    path = shared / "demo" / "store"
    # The workers of one run share the store: the first makes it, the others wait for it.
    with (shared / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if Store(path).current_id() is None:
            answer = percall("demo", store=path)
            assert answer.code == 0, answer.err
            assert sum(line["rows_rejected"] for line in answer.lines) == 0
            assert "synthetic" in answer.err
    return path


@pytest.fixture(scope="session")
def demo_warehouse(demo_store: Path) -> Warehouse:
    """The demo company, open for questions."""
    return open_current(demo_store, Configuration())


@pytest.fixture
def empty_store(tmp_path: Path) -> Path:
    """Folder of a store that nothing was ever loaded into."""
    return tmp_path / "empty"

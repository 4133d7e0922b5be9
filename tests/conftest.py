"""For the whole test run: where its files lie, who gets which, and that browser tests are left out without a Chromium, which one line says."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from hypothesis import settings

from tests.browser import chromium
from tests.in_memory import use_memory
from tests.stores import demo_store, demo_warehouse, empty_store

__all__ = ["demo_store", "demo_warehouse", "empty_store"]

# A busy machine is no defect: no example fails for the time it took.
settings.register_profile("percall", deadline=None)
settings.load_profile("percall")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Files of a whole run lie in memory where there is plenty."""
    use_memory(config)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """`--dist loadfile` hands the longest files out first."""
    from tests.longest_first import LongestFirst

    return LongestFirst(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what is marked `browser` where there is no browser."""
    if chromium.find() is not None:
        return
    left_out = [item for item in items if item.get_closest_marker("browser")]
    if left_out:
        items[:] = [item for item in items if not item.get_closest_marker("browser")]
        config.hook.pytest_deselected(items=left_out)
        config.stash[_LEFT_OUT] = len(left_out)


def pytest_collection_finish() -> None:
    """What was imported stays: looking through it again and again for what nobody needs any more took one second of twenty."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    """At the end it may go like all else."""
    gc.unfreeze()


_LEFT_OUT = pytest.StashKey[int]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say in one line that browser tests were left out, and how to run them."""
    if config.stash.get(_LEFT_OUT, 0):
        terminalreporter.write_line(f"{config.stash[_LEFT_OUT]} browser tests left out. {chromium.NOTICE}")

"""One Chromium for all browser tests, and the app in a process of its own. Without a Chromium the tests are left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser import chromium, screen
from tests.browser.server import SAMPLE_APP, Server, running, serving
from tests.pages import small_store


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A running Chromium. Every test opens a context of its own in it (`tests.browser.screen.opened`)."""
    executable = chromium.find()
    assert executable is not None, chromium.NOTICE
    expect.set_options(timeout=screen.PATIENCE_MS)
    with sync_playwright() as playwright:
        running_browser = playwright.chromium.launch(executable_path=str(executable), args=list(chromium.FLAGS))
        yield running_browser
        running_browser.close()


@pytest.fixture(scope="session")
def small_store_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small store of `tests.pages.small_store`; tests only read it."""
    path = tmp_path_factory.mktemp("browser") / "store"
    small_store.build(path)
    return path


@pytest.fixture(scope="session")
def sample_server(small_store_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The real shell over the sample pages and the small store."""
    with running(SAMPLE_APP, small_store_path, tmp_path_factory.mktemp("sample")) as server:
        yield server


@pytest.fixture(scope="session")
def demo_server(demo_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`percall serve` over the demo company."""
    with serving(demo_store, tmp_path_factory.mktemp("demo-server")) as server:
        yield server

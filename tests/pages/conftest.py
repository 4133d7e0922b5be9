"""Running the shell without a browser: Streamlit's AppTest over the sample pages and a small store."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit import config
from streamlit.testing.v1 import AppTest

from pages import _data
from tests.pages import small_store
from tests.pages.signing_in import PEOPLE

SAMPLE = Path(__file__).resolve().parent / "sample"

OpenShell = Callable[..., AppTest]


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small store; tests only read it."""
    path = tmp_path_factory.mktemp("small") / "store"
    small_store.build(path)
    return path


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch, small: Path) -> Iterator[None]:
    """Every test starts as a server does: the small store named by the environment, and nothing cached."""
    monkeypatch.setenv(_data.STORE_VARIABLE, str(small))
    monkeypatch.delenv(_data.CONFIG_VARIABLE, raising=False)
    config.set_option("server.address", "127.0.0.1")
    _data.configuration.cache_clear()
    _data.forget()
    st.cache_data.clear()
    st.cache_resource.clear()
    yield
    config.set_option("server.address", "127.0.0.1")


@pytest.fixture
def store_with_roles(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the small store to write in, named by the environment, with an administrator and an analyst; all others may look."""
    shutil.copytree(small, tmp_path / "store")
    (tmp_path / "percall.toml").write_text(PEOPLE)
    monkeypatch.setenv(_data.STORE_VARIABLE, str(tmp_path / "store"))
    monkeypatch.setenv(_data.CONFIG_VARIABLE, str(tmp_path / "percall.toml"))
    return tmp_path / "store"


@pytest.fixture
def open_shell() -> OpenShell:
    """Open a session at an address: `open_shell("inform/features.py", feature=["search"])`, drawn."""

    def open_at(page: str | None = None, **query: str | list[str]) -> AppTest:
        app = AppTest.from_file(str(SAMPLE / "_shell.py"), default_timeout=300)
        for name, value in query.items():
            app.query_params[name] = value
        app.run()
        if page:
            app.switch_page(page).run()
        return app

    return open_at

"""The product's own pages without a browser: its shell, its registry, a store of the test's choice."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages import _data

SHELL = Path(_data.__file__).with_name("_shell.py")


def open_product(monkeypatch: pytest.MonkeyPatch, store: Path, page: str, **query: str | list[str]) -> AppTest:
    """A fresh session at this page ("inform/features.py") of the product, over this store, with this address, drawn."""
    monkeypatch.setenv(_data.STORE_VARIABLE, str(store))
    app = AppTest.from_file(str(SHELL), default_timeout=300)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    app.switch_page(page).run()
    assert not app.exception
    return app


def words(app: AppTest) -> str:
    """All text of the main part: headline, captions, sections, messages."""
    parts = [*app.main.markdown, *app.main.caption, *app.main.info, *app.main.error, *app.main.warning]
    return "\n".join(str(part.value).replace("\\", "") for part in parts)

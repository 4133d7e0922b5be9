"""Pages of the product drawn without a browser, as lists of what they say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import streamlit as st
from streamlit import config
from streamlit.testing.v1 import AppTest

from pages import _data
from pages._registry import REGISTRY
from tests.pages.product import open_product, words

SCRIPTS = [f"{entry.phase.lower()}/{entry.script.name}" for entry in REGISTRY]

Drawn = dict[str, list[str]]
_ERROR = "Error: "


def drawn(store: Path, configured: Path | None, scripts: Sequence[str] = SCRIPTS) -> Drawn:
    """These pages' words and figures, by script."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(_data.CONFIG_VARIABLE, raising=False)
        if configured:
            patch.setenv(_data.CONFIG_VARIABLE, str(configured))
        config.set_option("server.address", "127.0.0.1")
        forget()
        try:
            return {script: _told(open_product(patch, store, script)) for script in scripts}
        finally:
            forget()


def is_the_same(script: str, there: Drawn, at_home: Drawn) -> None:
    """The page was drawn on both sides, without an error, with the same words and figures."""
    for one in (there[script], at_home[script]):
        assert [line for line in one if line.startswith(_ERROR)] == []
        assert sum(map(len, one)) > 200
    assert there[script] == at_home[script]


def _told(app: AppTest) -> list[str]:
    # One page's error is that page's, and leaves the others to be compared.
    errors = [f"{_ERROR}{error.value}" for error in app.error]
    figures = [f"{metric.label}: {metric.value} {metric.delta}" for metric in app.metric]
    # Sums of binary fractions depend on the order of adding, and the clock goes on between two drawings.
    tables = [table.value.to_csv(float_format="%.12g") for table in app.dataframe]
    days = "|".join(f"{datetime.now(UTC) - timedelta(days=ago):%Y-%m-%d}" for ago in (0, 1))
    now = f"({days}) [0-9:]+ UTC"
    return [re.sub(now, "now", line) for line in [*errors, *words(app).splitlines(), *figures, *tables]]


def forget() -> None:
    """As if the process had just started."""
    _data.configuration.cache_clear()
    _data.forget()
    st.cache_data.clear()
    st.cache_resource.clear()

"""Over HTTP, as with a server: publish, read, and errors in words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from analytics.filters import Filters
from analytics.views import VIEWS
from tests.engines.clickhouse_server import PASSWORD, USER, serving
from tests.engines.small import differences
from tests.engines.test_publishing import two_months
from warehouse.configuration import Configuration
from warehouse.engines.publishing import publish
from warehouse.errors import InputError, StoreError
from warehouse.reader import open_current

SECRET = "TEST_CLICKHOUSE_PASSWORD"
MONTHS = Filters(date(2026, 4, 1), date(2026, 5, 31), grain="month")


@pytest.fixture
def address(on_clickhouse: Configuration) -> Iterator[str]:
    """Where the server answers."""
    assert on_clickhouse
    with serving() as url:
        yield url


def engine(url: str) -> Configuration:
    """A configuration as an owner writes it."""
    return Configuration(
        engine={"kind": "clickhouse", "url": url, "user": USER, "password_env": SECRET, "database": "over_http"}
    )


def test_publishing_and_reading(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET, PASSWORD)
    store = two_months(tmp_path / "store")
    publish(store, engine(address))
    there, here = open_current(tmp_path / "nowhere", engine(address)), open_current(store, Configuration())
    for view in ("costs", "charges", "loads"):
        assert differences(VIEWS[view].answer(here, MONTHS), VIEWS[view].answer(there, MONTHS)) == []


def test_a_wrong_password_is_said(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET, "coffee grounds")
    with pytest.raises(StoreError, match="Authentication failed"):
        open_current(tmp_path, engine(address))
    monkeypatch.delenv(SECRET)
    with pytest.raises(InputError, match=f"{SECRET}, which is not set"):
        open_current(tmp_path, engine(address))

"""Over HTTP, as with a server: publish, read, and errors in words."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import ibis
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


def engine(url: str, **options: str) -> Configuration:
    """A configuration as an owner writes it."""
    entries = {"kind": "clickhouse", "url": url, "user": USER, "password_env": SECRET, "database": "over_http"}
    return Configuration(engine={**entries, "options": options})


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


def test_settings_reach_the_server(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that it does not know is refused in its words; one that compresses answers changes none."""
    monkeypatch.setenv(SECRET, PASSWORD)
    publish(two_months(tmp_path / "store"), engine(address))
    plain, compressed = (
        open_current(tmp_path, configured)
        for configured in (engine(address), engine(address, enable_http_compression="1"))
    )
    for view in ("costs", "charges"):
        assert differences(VIEWS[view].answer(plain, MONTHS), VIEWS[view].answer(compressed, MONTHS)) == []
    with pytest.raises(StoreError, match=r"refused: .*no_such_setting"):
        open_current(tmp_path, engine(address, no_such_setting="1"))


def test_several_ask_at_once(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET, PASSWORD)
    publish(two_months(tmp_path / "store"), engine(address))
    there = open_current(tmp_path, engine(address))
    expected = VIEWS["charges"].answer(there, MONTHS)
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: VIEWS["charges"].answer(there, MONTHS), range(12)))
    assert [differences(expected, answer) for answer in answers] == [[]] * 12


def test_a_question_that_the_server_cannot_answer(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECRET, PASSWORD)
    publish(two_months(tmp_path / "store"), engine(address))
    there = open_current(tmp_path, engine(address))
    missing = ibis.table({"a": "int64"}, name="no_such_table")
    with pytest.raises(StoreError, match=f"ClickHouse at {address} refused: .*no_such_table"):
        there.arrow(missing)

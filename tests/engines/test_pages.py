"""The product's pages with an engine: every page is drawn, with the words and figures that it has without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engines.drawing import SCRIPTS, Drawn, drawn, is_the_same
from tests.engines.test_exports import ENGINE
from warehouse.reader import Warehouse


@pytest.fixture(scope="module")
def pages_at_home(store: Path) -> Drawn:
    """The pages as DuckDB on this machine has them."""
    return drawn(store, None)


@pytest.fixture(scope="module")
def there(store: Path, clickhouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    """The pages as ClickHouse's engine has them."""
    assert clickhouse
    path = tmp_path_factory.mktemp("pages") / "percall.toml"
    path.write_text(ENGINE)
    return drawn(store, path)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_page_says_the_same(script: str, pages_at_home: Drawn, there: Drawn) -> None:
    is_the_same(script, there, pages_at_home)

"""What commands write with an engine: the same bytes as without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from analytics.provenance import provenance
from analytics.views import VIEWS
from tests.engines.commands import (
    a_report_is_the_same_file,
    a_scenario_is_the_same,
    a_view_is_the_same_file,
    costs_are_the_same_file,
)
from tests.engines.same import APRIL
from warehouse.reader import Warehouse

ENGINE = '[engine]\nkind = "clickhouse"\nurl = "chdb:"\n'


@pytest.fixture(scope="session")
def there(clickhouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration file whose engine holds the small store."""
    assert clickhouse
    path = tmp_path_factory.mktemp("configured") / "percall.toml"
    path.write_text(ENGINE)
    return path


@pytest.mark.parametrize("view", list(VIEWS))
def test_every_view_is_the_same_file(view: str, store: Path, there: Path) -> None:
    a_view_is_the_same_file(view, store, there)


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize("by", ["", "feature,model"])
def test_costs_in_every_format(form: str, by: str, store: Path, there: Path) -> None:
    costs_are_the_same_file(form, by, store, there)


def test_a_scenario(store: Path, there: Path, tmp_path: Path) -> None:
    a_scenario_is_the_same(store, there, tmp_path)


def test_a_report_in_one_file(store: Path, there: Path, tmp_path: Path) -> None:
    a_report_is_the_same_file(store, there, tmp_path)


def test_how_a_number_was_obtained(at_home: Warehouse, clickhouse: Warehouse) -> None:
    """The same sentences; and the statements are those that the engine was asked."""
    here, elsewhere = (provenance(warehouse, "costs", APRIL) for warehouse in (at_home, clickhouse))
    assert (elsewhere.sentence, elsewhere.rules, elsewhere.snapshot_id) == (here.sentence, here.rules, here.snapshot_id)
    assert [what for what, _ in elsewhere.statements] == [what for what, _ in here.statements]
    assert all("__snapshot_" in statement for _, statement in elsewhere.statements)

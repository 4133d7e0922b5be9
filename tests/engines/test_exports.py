"""`percall export` and `percall simulate` with an engine: the same bytes as without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from analytics.views import VIEWS
from tests.operations.command import percall
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
    asked = ("export", view, "--from", "2026-04-10", "--to", "2026-05-09", "--format", "json")
    here, elsewhere = percall(*asked, store=store), percall(*asked, store=store, config=there)
    assert (here.code, elsewhere.code) == (0, 0), here.err + elsewhere.err
    assert elsewhere.out == here.out


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize("by", ["", "feature,model"])
def test_costs_in_every_format(form: str, by: str, store: Path, there: Path) -> None:
    asked = ("export", "costs", "--by", by, "--format", form)
    here, elsewhere = percall(*asked, store=store), percall(*asked, store=store, config=there)
    assert (here.code, elsewhere.code) == (0, 0), here.err + elsewhere.err
    assert len(here.out) > 1000
    assert elsewhere.out == here.out

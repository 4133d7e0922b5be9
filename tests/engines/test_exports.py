"""What commands write with an engine: the same bytes as without one."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

from analytics.provenance import provenance
from analytics.views import VIEWS
from tests.engines.same import APRIL, MAY_BE_EMPTY
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
    assert here.json or view in MAY_BE_EMPTY


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize("by", ["", "feature,model"])
def test_costs_in_every_format(form: str, by: str, store: Path, there: Path) -> None:
    asked = ("export", "costs", "--by", by, "--format", form)
    here, elsewhere = percall(*asked, store=store), percall(*asked, store=store, config=there)
    assert (here.code, elsewhere.code) == (0, 0), here.err + elsewhere.err
    assert len(here.out) > 1000
    assert elsewhere.out == here.out


def test_a_scenario(store: Path, there: Path, tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.toml"
    scenario.write_text('name = "Everything can wait"\n[[lever]]\nkind = "batch"\nshare = 1.0\nwith_users = true\n')
    asked = ("simulate", scenario, "--format", "json")
    here, elsewhere = percall(*asked, store=store), percall(*asked, store=store, config=there)
    assert (here.code, elsewhere.code) == (0, 0), here.err + elsewhere.err
    assert Decimal(here.json["saving"]) > 0
    assert elsewhere.out == here.out


def test_a_report_in_one_file(store: Path, there: Path, tmp_path: Path) -> None:
    files = [tmp_path / "here.html", tmp_path / "there.html"]
    for file, config in zip(files, (None, there), strict=True):
        answer = percall("share", "file", "features", "-o", file, store=store, config=config)
        assert answer.code == 0, answer.err
    (here, made_here), (elsewhere, made_elsewhere) = (
        re.subn(r"Made \d{1,2} \w+ \d{4}, \d\d:\d\d UTC from", "Made now from", file.read_text()) for file in files
    )
    assert (made_here, made_elsewhere) == (1, 1)
    assert len(here) > 10_000
    assert elsewhere == here


def test_how_a_number_was_obtained(at_home: Warehouse, clickhouse: Warehouse) -> None:
    """The same sentences; and the statements are those that the engine was asked."""
    here, elsewhere = (provenance(warehouse, "costs", APRIL) for warehouse in (at_home, clickhouse))
    assert (elsewhere.sentence, elsewhere.rules, elsewhere.snapshot_id) == (here.sentence, here.rules, here.snapshot_id)
    assert [what for what, _ in elsewhere.statements] == [what for what, _ in here.statements]
    assert all("__snapshot_" in statement for _, statement in elsewhere.statements)

"""`percall demo`: into an empty store only, and gone as soon as a person's own data are there."""

from __future__ import annotations

import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from tests.operations.bills import line, write
from tests.operations.command import money, percall, snapshot, totals
from warehouse.configuration import Configuration
from warehouse.errors import StoreError
from warehouse.loading import Loading
from warehouse.reader import open_current
from warehouse.store import Store


def is_demo(store: Path) -> bool:
    """Whether the store says of itself that it holds the demo company."""
    return open_current(store, Configuration()).is_demo


def test_a_store_with_data_is_refused_and_left_alone(tmp_path: Path) -> None:
    store = tmp_path / "store"
    assert percall("load", write(tmp_path / "bill.csv", [line(cost="3.00")]), store=store).code == 0
    before, name = totals(store), snapshot(store)
    answer = percall("demo", store=store)
    assert (answer.code, answer.out) == (2, b"")
    assert answer.err.startswith("percall: ")
    assert "already holds data" in answer.err
    assert "--store PATH" in answer.err
    quiet = percall("demo", "--if-empty", store=store)
    assert (quiet.code, quiet.out, quiet.err) == (0, b"", "")
    assert (totals(store), snapshot(store)) == (before, name)


def test_files_that_were_refused_leave_room_for_the_demo(tmp_path: Path) -> None:
    store = tmp_path / "store"
    (tmp_path / "notes.txt").write_text("hello")
    assert percall("load", tmp_path / "notes.txt", store=store).code == 2
    current = Store(store).current()
    assert current is not None
    assert not current.has_facts
    with Loading(Store(store), Configuration(), demo=True) as loading:
        assert loading.base == current
    assert percall("load", write(tmp_path / "bill.csv", [line()]), store=store).code == 0
    current = Store(store).current()
    assert current is not None
    assert current.has_facts


def test_own_prices_are_data_that_the_demo_leaves_alone(tmp_path: Path) -> None:
    """They would price the demo company's calls, and go with it when one's own calls come."""
    store, prices = tmp_path / "store", tmp_path / "prices.csv"
    prices.write_text(
        "book,provider,model,token_class,amount,valid_from\ncontract,openai,gpt-4o,input,1.25,2026-01-01\n"
    )
    assert percall("load", prices, store=store).code == 0
    name = snapshot(store)
    quiet = percall("demo", "--if-empty", store=store)
    assert (quiet.code, quiet.out, quiet.err) == (0, b"", "")
    assert percall("demo", store=store).code == 2
    with pytest.raises(StoreError, match="data of your own"), Loading(Store(store), Configuration(), demo=True):
        pass
    assert snapshot(store) == name


def test_the_demo_itself_is_not_filled_twice(demo_store: Path) -> None:
    name = snapshot(demo_store)
    assert percall("demo", store=demo_store).code == 2
    assert percall("demo", "--if-empty", store=demo_store).code == 0
    assert snapshot(demo_store) == name
    assert is_demo(demo_store)


def test_own_data_make_the_demo_disappear(demo_store: Path, tmp_path: Path) -> None:
    store = Path(shutil.copytree(demo_store, tmp_path / "store"))
    answer = percall("load", write(tmp_path / "bill.csv", [line(cost="3.00")]), store=store)
    assert answer.code == 0
    assert "The demo company made room for your data." in answer.err
    now = totals(store)
    assert (now["rows"], now["calls"], money(now["billed"])) == (1, 0, Decimal("3.00"))
    assert not is_demo(store)
    for view in ("features", "anomalies", "loads"):
        body = percall("export", view, "--format", "csv", store=store).out.decode()
        assert "summarize" not in body
        assert "demo" not in body
    assert percall("export", "loads", "--format", "json", store=store).json[0]["file"] == "bill.csv"


def test_a_load_in_which_everything_is_refused_leaves_the_demo_as_it_was(demo_store: Path, tmp_path: Path) -> None:
    store = Path(shutil.copytree(demo_store, tmp_path / "store"))
    name, before = snapshot(store), totals(store)
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    bad = write(tmp_path / "bad.csv", [line(cost="x")])
    answer = percall("load", empty, bad, store=store)
    assert answer.code == 2
    assert "made room" not in answer.err
    assert (snapshot(store), totals(store)) == (name, before)
    assert is_demo(store)

"""Managed against own vector databases."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.simulators.infrastructure import CostLine
from analytics.simulators.vector_database import (
    ManagedPrice,
    Node,
    Prices,
    VectorDatabase,
    managed_cost,
    memory_gb,
    own_cost,
    read_prices,
    vector_bytes,
)
from tests.analytics.simulators.made import call, situation_of
from warehouse.errors import InputError

PRICE = ManagedPrice("managed", 0.33, 16, 4, 50, "")
PRICES = Prices((PRICE,), (Node("small", 32, 0.2, ""), Node("large", 128, 0.7, "")), 0.1)


def test_ten_million_vectors() -> None:
    assert vector_bytes(10_000_000, 1536) / 1e9 == pytest.approx(61.4, abs=0.05)
    assert memory_gb(10_000_000, 1536) == pytest.approx(92, abs=0.2)
    assert memory_gb(10_000_000, 1536, 1) == pytest.approx(92.16 / 4)


def test_three_million_queries_of_ten_gigabytes() -> None:
    assert managed_cost(PRICE, stored_gb=10, queries=3_000_000) == pytest.approx(480 + 3.30)
    # A small namespace costs a quarter of a unit per query; little use costs the minimum.
    assert managed_cost(PRICE, stored_gb=10, queries=40_000_000, namespace_gb=0.01) == pytest.approx(160 + 3.30)
    assert managed_cost(PRICE, stored_gb=1, queries=0, writes=1_000_000) == 50


def test_the_price_file_has_the_price_that_was_read() -> None:
    found = read_prices().managed[0]
    assert (found.per_gb_month, found.per_million_reads, found.per_million_writes, found.minimum) == (0.33, 16, 4, 50)
    assert all(node.source for node in read_prices().nodes)


@given(st.floats(0, 500), st.floats(0, 1e8), st.floats(0, 1e8), st.floats(0, 100))
def test_more_never_costs_less(stored: float, queries: float, writes: float, more: float) -> None:
    here = managed_cost(PRICE, stored_gb=stored, queries=queries, writes=writes)
    assert here >= 50
    assert managed_cost(PRICE, stored_gb=stored + more, queries=queries, writes=writes) >= here
    assert managed_cost(PRICE, stored_gb=stored, queries=queries * 2, writes=writes + more) >= here
    few = own_cost(PRICES, needed_gb=stored, stored_gb=stored).total
    assert own_cost(PRICES, needed_gb=stored + more, stored_gb=stored).total >= few
    assert own_cost(PRICES, needed_gb=stored, stored_gb=stored, copies=3).total >= few


def test_the_cheapest_nodes_that_hold_it() -> None:
    # 92 GB: three small ones at 0.2 or one large one at 0.7.
    found = own_cost(PRICES, needed_gb=92, stored_gb=60, copies=2, hours_of_work=8, usd_per_hour_of_work=50)
    assert (found.nodes, found.node) == (6, "small")
    assert found.total == pytest.approx(6 * 0.2 * 730 + 60 * 3 * 0.1 + 400)
    large = own_cost(PRICES, needed_gb=92, stored_gb=60, copies=3, node="large", price_ratio=0.5)
    assert (large.nodes, large.node_cost) == (3, pytest.approx(3 * 0.35 * 730))
    with pytest.raises(InputError, match="'huge'; choose small, large"):
        own_cost(PRICES, needed_gb=1, stored_gb=1, node="huge")


def test_the_lever_puts_one_cost_in_place_of_the_other() -> None:
    lines = [
        CostLine("Vector database", "Managed", "index", np.full(28, 100.0)),
        CostLine("Storage and transfer", "Disk", None, np.full(28, 1.0)),
    ]
    situation = situation_of([call()], lines=lines)
    assert VectorDatabase.neutral().apply(situation) is situation
    for to in ("own", "managed"):
        setting = VectorDatabase(to=to)
        after = setting.apply(situation)
        assert after.monthly()["Vector database"] == pytest.approx(setting.cost_per_month()[to])
        assert after.costs()["Storage and transfer"] == 28
        assert after.workload is situation.workload
    with pytest.raises(InputError, match="no vector database"):
        VectorDatabase(to="own").apply(situation_of([call()]))


def test_three_copies_on_large_spot_nodes() -> None:
    setting = VectorDatabase(to="own", copies=3, node="r6g.4xlarge", price_ratio=0.45)
    assert setting.own().nodes == 3
    assert setting.own().node_cost == pytest.approx(3 * 0.8064 * 0.45 * 730)
    assert "not reckoned" in " ".join(setting.assumptions())
    assert "not reckoned" not in " ".join(replace(setting, usd_per_hour_of_work=60).assumptions())


@pytest.mark.parametrize(
    "wrong", [{"to": "rented"}, {"bytes_each": 3}, {"vectors": -1}, {"copies": 0}, {"price_ratio": 2}, {"queries": -1}]
)
def test_wrong_settings_are_told(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError):
        VectorDatabase(**wrong)  # type: ignore[arg-type]


def test_unreadable_price_is_named(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_text("kind,name,usd_per_gb_month\nmanaged,x,cheap\n")
    with pytest.raises(InputError) as caught:
        read_prices(file)
    assert (caught.value.file, caught.value.row) == ("prices.csv", 2)

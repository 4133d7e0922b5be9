"""Cost by tag: what lacks one is a row of its own, and every tag sums to the ledger."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from analytics.filters import Filters
from analytics.tags import tags
from tests.analytics.facts import call, charge, warehouse_of
from warehouse.errors import InputError
from warehouse.reader import Warehouse

D = Decimal
REQUIRED = ("team", "project", "env", "feature")
MAY = Filters(date(2026, 5, 1), date(2026, 5, 31))


def test_an_empty_store_has_no_rows() -> None:
    assert tags(warehouse_of(), MAY).empty


def test_values_the_dearest_first_and_the_untagged_last() -> None:
    facts = warehouse_of(
        [call("2026-05-01", "3", team="ai", feature=None), call("2026-05-01", "5", team="data", feature=None)],
        [charge("2026-05-01", "32", x_CostCategory="GPU inference")],
    )
    frame = tags(facts, MAY)
    team = frame[frame.tag == "team"]
    assert team.value.tolist() == ["data", "ai", None]
    assert team.cost.tolist() == [D(5), D(3), D(32)]
    assert team.share.tolist() == pytest.approx([0.125, 0.075, 0.8])
    assert team.tagged.tolist() == [True, True, False]
    feature = frame[frame.tag == "feature"]
    assert (feature.value.tolist(), feature.cost.tolist()) == ([None], [D(40)])


def test_an_unknown_cost_is_none_and_takes_no_share() -> None:
    facts = warehouse_of([call("2026-05-01", None, team="ai"), call("2026-05-01", "2", team="data")])
    frame = tags(facts, MAY)
    team = frame[frame.tag == "team"]
    assert team.cost.tolist() == [D(2), None]
    assert team.share.tolist() == [1.0, None]
    assert team.calls.tolist() == [1, 1]


def test_several_currencies_are_refused() -> None:
    lines = [charge("2026-05-01", "1"), charge("2026-05-01", "1", BillingCurrency="EUR")]
    with pytest.raises(InputError, match="EUR and USD"):
        tags(warehouse_of(charges=lines), MAY)


def test_every_tag_sums_to_the_demo_companys_bill(demo_warehouse: Warehouse) -> None:
    frame = tags(demo_warehouse, Filters(date(2026, 3, 1), date(2026, 3, 31)))
    assert list(dict.fromkeys(frame.tag)) == list(REQUIRED)
    for tag in REQUIRED:
        rows = frame[frame.tag == tag]
        assert sum(rows.cost.dropna(), D(0)) == D(47231)
        assert sum(rows.share.dropna()) == pytest.approx(1)
        assert rows.tagged.tolist().count(False) == 1

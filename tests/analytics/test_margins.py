"""Margins by feature and tier against figures computed by hand; parts always sum to the ledger."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.filters import Filters
from analytics.margins import margins, summary
from tests.analytics.facts import call, charge, warehouse_of
from tests.analytics.test_unit_economics import sale
from warehouse.reader import Warehouse

D = Decimal
MAY = Filters(date(2026, 5, 1), date(2026, 5, 31))


def pair(warehouse: Warehouse, feature: str | None, tier: str | None, kind: str = "feature") -> dict[str, Any]:
    frame = margins(warehouse, MAY)
    found = [
        row
        for row in frame.to_dict("records")
        if (row["feature"], row["user_tier"], row["kind"]) == (feature, tier, kind)
    ]
    assert len(found) == 1, frame
    return found[0]


def test_an_empty_store_has_no_rows() -> None:
    assert margins(warehouse_of(), MAY).empty


def test_a_loss_making_pair_says_what_it_would_save() -> None:
    """0.043 spent and 0.031 earned per request: a margin of -38.7 %, and 1.2 cents less per request when it is off."""
    facts = warehouse_of(
        [call("2026-05-01", "0.043", user_tier="free") for _ in range(10)],
        revenue=[sale("2026-05-01", "0.31", user_tier="free")],
    )
    row = pair(facts, "search", "free")
    assert (row["cost"], row["revenue"], row["calls"]) == (D("0.43"), D("0.31"), 10)
    assert row["gross_margin"] == pytest.approx(-0.12 / 0.31)
    assert row["profitable"] is False
    assert row["saving_if_off"] == D("0.12")
    assert (row["cost_per_call"], row["revenue_per_call"]) == (D("0.043"), D("0.031"))
    assert row["note"] is None


def test_a_profitable_pair_saves_nothing_when_off() -> None:
    facts = warehouse_of([call("2026-05-01", "1", user_tier="pro")], revenue=[sale("2026-05-01", "4", user_tier="pro")])
    row = pair(facts, "search", "pro")
    assert (row["profitable"], row["gross_margin"], row["saving_if_off"]) == (True, 0.75, None)


def test_unknown_revenue_is_no_verdict_and_no_revenue_is_one() -> None:
    facts = warehouse_of(
        [
            call("2026-05-01", "1", feature="ask"),
            call("2026-05-01", "1", user_tier="free"),
            call("2026-05-01", "1", user_tier="pro"),
        ],
        revenue=[sale("2026-05-01", "4", user_tier="pro")],
    )
    unknown, nothing = pair(facts, "ask", None), pair(facts, "search", "free")
    assert (unknown["revenue"], unknown["profitable"], unknown["note"]) == (None, None, "revenue not tracked")
    assert unknown["saving_if_off"] is None
    assert (nothing["revenue"], nothing["gross_margin"], nothing["profitable"]) == (D(0), None, False)
    assert (nothing["note"], nothing["saving_if_off"]) == ("no revenue", D(1))


def test_revenue_of_calls_counts_where_no_table_tells_it() -> None:
    row = pair(warehouse_of([call("2026-05-01", "1", user_tier="pro", revenue=D(3))]), "search", "pro")
    assert row["revenue"] == D(3)


def test_unpriced_calls_are_said_and_a_cost_that_is_not_known_is_no_verdict() -> None:
    facts = warehouse_of(
        [call("2026-05-01", "1"), call("2026-05-01", None), call("2026-05-01", None, feature="ask")],
        revenue=[sale("2026-05-01", "4"), sale("2026-05-01", "4", feature="ask")],
    )
    assert pair(facts, "search", None)["note"] == "1 calls without a price"
    unknown = pair(facts, "ask", None)
    assert (unknown["cost"], unknown["profitable"], unknown["note"]) == (None, None, "cost not known")


def test_a_features_gpu_is_shared_by_its_tiers_calls_to_the_last_digit() -> None:
    facts = warehouse_of(
        [call("2026-05-01", "0", user_tier=tier, provider="self-hosted") for tier in ("free", "free", "pro")],
        [charge("2026-05-01", "100", x_CostCategory="GPU inference", Tags='{"feature": "search"}')],
    )
    free, pro = pair(facts, "search", "free"), pair(facts, "search", "pro")
    assert (free["cost"], pro["cost"]) == (D("66.666666666667"), D("33.333333333333"))
    assert free["shared_by_calls"] + pro["shared_by_calls"] == D(100)


def test_revenue_by_tier_meets_costs_without_tier_in_one_row() -> None:
    facts = warehouse_of(
        [call("2026-05-01", "1")],
        revenue=[sale("2026-05-01", "2", user_tier="free"), sale("2026-05-01", "3", user_tier="pro")],
    )
    row = pair(facts, "search", None)
    assert (row["revenue"], row["profitable"]) == (D(5), True)
    assert len(margins(facts, MAY)) == 1


def test_what_no_feature_owes_is_shown_by_kind() -> None:
    facts = warehouse_of(
        [call("2026-05-01", "1", feature=None, provider="acme")],
        [charge("2026-05-01", "10"), charge("2026-05-01", "20", x_CostCategory="GPU inference")],
        revenue=[sale("2026-05-01", "7", feature=None)],
    )
    assert pair(facts, None, None, "untagged")["cost"] == D(1)
    assert pair(facts, None, None, "not traced")["cost"] == D(10)
    assert pair(facts, None, None, "shared")["cost"] == D(20)
    alone = pair(facts, None, None, "revenue alone")
    assert (alone["cost"], alone["revenue"], alone["profitable"]) == (None, D(7), None)


tiers = st.sampled_from([None, "free", "pro"])
features = st.sampled_from([None, "search", "ask"])
amounts = st.decimals("0", "9", places=6)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(features, tiers, st.none() | amounts), max_size=8),
    st.lists(st.tuples(features, amounts), max_size=4),
    st.lists(st.tuples(features, tiers, amounts), max_size=5),
)
def test_costs_sum_to_the_ledger_and_revenues_to_the_revenue(
    calls: list[tuple[str | None, str | None, Decimal | None]],
    lines: list[tuple[str | None, Decimal]],
    sales: list[tuple[str | None, str | None, Decimal]],
) -> None:
    facts = warehouse_of(
        [call("2026-05-01", None if cost is None else str(cost), feature=f, user_tier=t) for f, t, cost in calls],
        [
            charge("2026-05-01", str(cost), x_CostCategory="GPU inference", Tags=f'{{"feature": "{f}"}}' if f else None)
            for f, cost in lines
        ],
        revenue=[sale("2026-05-01", str(amount), feature=f, user_tier=t) for f, t, amount in sales],
    )
    frame = margins(facts, MAY)
    expected = sum([cost for _f, _t, cost in calls if cost is not None] + [cost for _f, cost in lines], D(0))
    assert sum(frame.cost.dropna(), D(0)) == expected
    assert sum(frame.revenue.dropna(), D(0)) == sum((amount for _f, _t, amount in sales), D(0))
    assert frame.calls.sum() == len(calls)
    assert not frame.duplicated(["feature", "user_tier", "kind"]).any()


def test_the_demo_company_loses_on_free_product_descriptions(demo_warehouse: Warehouse) -> None:
    march = Filters(date(2026, 3, 1), date(2026, 3, 31))
    frame = margins(demo_warehouse, march)
    assert sum(frame.cost.dropna(), D(0)) == D(47231)
    descriptions = frame[frame.feature == "product_description"]
    per_call = sum(descriptions.cost, D(0)) / int(descriptions.calls.sum())
    assert round(per_call, 3) == D("0.043")
    assert round(sum(descriptions.revenue, D(0)) / int(descriptions.calls.sum()), 3) == D("0.031")
    free = descriptions[descriptions.user_tier == "free"].iloc[0]
    assert free["cost"] == pytest.approx(D(2100), rel=D("0.02"))
    assert free["profitable"] is False
    assert set(descriptions.profitable) == {True, False}


def test_the_summary_adds_up_what_loses_money() -> None:
    facts = warehouse_of(
        [
            call("2026-05-01", "9", feature="ask", user_tier="free"),
            call("2026-05-01", "5", user_tier="free"),
            call("2026-05-01", "1", user_tier="pro"),
            call("2026-05-01", "2", feature=None),
        ],
        revenue=[
            sale("2026-05-01", "4", user_tier="free"),
            sale("2026-05-01", "4", user_tier="pro"),
            sale("2026-05-01", "0", feature="ask", user_tier="free"),
        ],
    )
    short = summary(facts, MAY)
    assert (short.pairs, short.loss_makers, short.saving, short.unattributed) == (3, 2, D(10), D(2))
    assert short.worst is not None
    assert (short.worst["feature"], short.worst["user_tier"], short.worst["saving_if_off"]) == ("search", "free", D(1))
    assert summary(warehouse_of(), MAY).worst is None

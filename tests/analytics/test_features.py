"""Features beside their calls, the detail of one, and its dearest calls: by hand, by identity, and on the demo company."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.allocation_summary import headline as allocation_headline
from analytics.costs import costs
from analytics.feature_detail import FROM_CALLS, FROM_LEDGER, dearest_calls, feature_detail
from analytics.features import features, headline, outside_features, outside_sentence
from analytics.filters import Filters
from analytics.overview import overview
from tests.analytics.facts import call, charge, warehouse_of
from tests.analytics.test_ledger import CALLS, CHARGES
from warehouse.configuration import Configuration
from warehouse.errors import InputError
from warehouse.reader import Warehouse

D = Decimal
MAY = Filters(date(2026, 5, 1), date(2026, 5, 31))
MARCH = Filters(date(2026, 3, 1), date(2026, 3, 31))


def by_name(frame: pd.DataFrame) -> dict[Any, dict[str, Any]]:
    records = [{str(name): frame[name].iloc[at] for name in frame} for at in range(len(frame))]
    return {row["feature"] or row["kind"]: row for row in records}


def known(values: pd.Series) -> Decimal:
    return sum((value for value in values if value is not None), D(0))


def test_an_empty_store_has_no_features() -> None:
    assert features(warehouse_of(), MAY).empty
    assert outside_features(warehouse_of(), MAY).empty


def test_cost_and_calls_of_features_untagged_calls_and_the_untraced_rest() -> None:
    calls = [call("2026-05-02", "3", feature="summarize"), *(call("2026-05-02", "0.5") for _ in range(2))]
    calls += [call("2026-05-02", None), call("2026-05-02", "4", feature=None)]
    lines = [charge("2026-05-02", "16", x_Model="gpt-4o"), charge("2026-05-02", "4", x_Model="gpt-5")]
    frame = features(warehouse_of(calls, lines), MAY)
    assert frame["kind"].tolist() == ["feature", "feature", "untagged", "not traced"]
    rows = by_name(frame)
    assert (rows["summarize"]["cost"], rows["search"]["cost"]) == (D(6), D(2))
    assert (rows["untagged"]["cost"], rows["not traced"]["cost"]) == (D(8), D(4))
    assert rows["summarize"]["cost_share"] == 0.3
    assert rows["summarize"]["call_share"] == 0.2
    assert (rows["search"]["calls"], rows["search"]["unpriced_calls"]) == (3, 1)
    assert rows["search"]["cost_per_call"] == D("0.666666666667")
    assert (rows["not traced"]["calls"], rows["not traced"]["cost_per_call"]) == (0, None)


def test_tagged_infrastructure_stands_beside_the_cost_of_calls_and_takes_no_share_of_it() -> None:
    gpu = charge("2026-05-02", "30", x_CostCategory="GPU inference", Tags='{"feature": "search"}')
    shared = charge("2026-05-02", "50", x_CostCategory="Vector database")
    warehouse = warehouse_of([call("2026-05-02", "1"), call("2026-05-02", "3", feature="ask")], [gpu, shared])
    rows = by_name(features(warehouse, MAY))
    assert (rows["search"]["cost"], rows["search"]["infrastructure_cost"], rows["search"]["total_cost"]) == (1, 30, 31)
    assert (rows["search"]["cost_share"], rows["search"]["total_per_call"]) == (0.25, D(31))
    assert outside_features(warehouse, MAY).to_dict("records") == [
        {"category": "Vector database", "cost": D(50), "currency": "USD"}
    ]

    assert outside_sentence(warehouse, MAY) == (
        "$50.00 lies outside this table, because its billing lines name no feature: Vector database $50.00."
    )
    assert headline(warehouse, MAY) == "ask is 75% of the cost of model calls on 50% of the calls"
    assert outside_sentence(warehouse_of(), MAY) is None
    assert headline(warehouse_of([call("2026-05-02", None)]), MAY) is None
    billed = charge("2026-05-02", "8", ServiceProviderName="OpenAI", Tags='{"feature": "search"}')
    assert headline(warehouse_of(charges=[billed]), MAY) == "search cost $8.00 in model calls"


def test_one_feature_chosen_is_told_by_its_cost_and_change() -> None:
    """summarize: 4 in April, 3 in May. Chosen alone, its share of itself says nothing."""
    warehouse = warehouse_of(
        [
            call("2026-04-01", "4", feature="summarize"),
            call("2026-05-02", "3", feature="summarize"),
            call("2026-05-02", "1"),
        ]
    )
    assert headline(warehouse, MAY) == "summarize is 75% of the cost of model calls on 50% of the calls"
    chosen = MAY.only("feature", "summarize")
    assert headline(warehouse, chosen) == "summarize cost $3.00 in model calls, 25% less than in April 2026"
    assert overview(warehouse, chosen).headline == "May 2026 cost $3.00, 25% less than in April 2026"


@pytest.mark.parametrize("credit", ["-6", "-12", "-20"])
def test_where_a_credit_makes_the_whole_less_than_a_feature_its_cost_is_told_and_no_share(credit: str) -> None:
    """8 and 4 of traces, and a credit of a day without any: 8 is 133% of 6, no part of nothing, and -100% of -8."""
    calls = [call("2026-05-02", "8"), call("2026-05-02", "4", feature="ask")]
    warehouse = warehouse_of(calls, [charge("2026-05-20", credit, ChargeCategory="Credit")])
    assert headline(warehouse, MAY) == "search cost $8.00 in model calls"
    assert "%" not in overview(warehouse, MAY).headline
    assert "%" not in allocation_headline(warehouse, MAY)
    assert headline(warehouse_of(calls), MAY) == "search is 67% of the cost of model calls on 50% of the calls"


def test_cost_per_call_is_taken_before_credits() -> None:
    lines = [charge("2026-05-02", "500"), charge("2026-05-02", "-500", ChargeCategory="Credit")]
    row = by_name(features(warehouse_of([call("2026-05-02", "1"), call("2026-05-02", "1")], lines), MAY))["search"]
    assert (row["cost"], row["credits"], row["cost_per_call"]) == (D(0), D(-500), D(250))


def test_a_cost_that_is_not_known_is_no_zero() -> None:
    row = by_name(features(warehouse_of([call("2026-05-02", None)]), MAY))["search"]
    assert (row["cost"], row["cost_share"], row["cost_per_call"], row["unpriced_calls"]) == (None, None, None, 1)


def test_tokens_per_call_counts_the_calls_that_report_them() -> None:
    silent = call("2026-05-02", "1", uncached_input_tokens=None, output_tokens=None)
    cached = call("2026-05-02", "1", cache_read_tokens=400, reasoning_tokens=50)
    row = by_name(features(warehouse_of([silent, cached]), MAY))["search"]
    assert (row["tokens"], row["tokens_per_call"]) == (1550, 1550.0)


def test_the_change_is_against_the_month_before_and_unknown_before_the_data_start() -> None:
    calls = [call("2026-04-01", "4"), call("2026-05-02", "1"), call("2026-05-02", "1", feature="new")]
    rows = by_name(features(warehouse_of(calls), MAY))
    assert (rows["search"]["previous_cost"], rows["search"]["change"]) == (D(4), -0.75)
    assert (rows["new"]["previous_cost"], rows["new"]["change"]) == (D(0), None)
    alone = by_name(features(warehouse_of(calls[1:]), MAY))
    assert (alone["search"]["previous_cost"], alone["search"]["change"]) == (None, None)


def test_the_trend_has_one_cost_per_day_of_the_data() -> None:
    calls = [call("2026-05-02", "4"), call("2026-05-05", "1", feature="ask")]
    rows = by_name(features(warehouse_of(calls), MAY))
    assert rows["search"]["trend"] == [D(4), D(0), D(0), D(0)]
    assert rows["ask"]["trend"] == [D(0), D(0), D(0), D(1)]


def test_a_day_whose_costs_are_all_unknown_is_no_zero_in_the_trend() -> None:
    gpu = charge("2026-05-04", "30", x_CostCategory="GPU inference", Tags='{"feature": "search"}')
    calls = [call("2026-05-02", None), call("2026-05-03", None), call("2026-05-03", "2"), call("2026-05-05", "1")]
    row = by_name(features(warehouse_of(calls, [gpu]), MAY))["search"]
    assert row["trend"] == [None, D(2), D(0), D(1)]


@settings(max_examples=15, deadline=None)
@given(st.lists(CALLS, max_size=8), st.lists(CHARGES, max_size=6))
def test_features_and_what_lies_outside_are_the_ledger(
    calls: list[dict[str, Any]], charges: list[dict[str, Any]]
) -> None:
    dollars = [line | {"BillingCurrency": "USD"} for line in charges]
    warehouse = warehouse_of(calls, dollars)
    frame, outside = features(warehouse, MAY), outside_features(warehouse, MAY)
    by_category = costs(warehouse, Filters(MAY.start, MAY.end, grain="month"), ("category",))
    model_use = by_category[by_category["category"].isin(["LLM API", "Embedding"])]
    assert known(frame["cost"]) == known(model_use["cost"])
    assert known(frame["total_cost"]) + known(outside["cost"]) == known(by_category["cost"])
    assert frame["calls"].sum() == len(calls)
    for trend, cost in zip(frame["trend"], frame["cost"], strict=True):
        assert known(trend) == (cost or 0)


def test_on_the_demo_one_feature_is_61_percent_of_the_cost_on_8_percent_of_the_calls(demo_warehouse: Warehouse) -> None:
    frame = features(demo_warehouse, MARCH)
    first = by_name(frame)[frame["feature"].iloc[0]]
    assert first["feature"] == "summarize"
    assert round(first["cost_share"], 2) == 0.61
    assert round(first["call_share"], 2) == 0.08
    assert known(frame["cost"]) == D(32400)
    assert known(frame["total_cost"]) + known(outside_features(demo_warehouse, MARCH)["cost"]) == D(47231)
    assert round(by_name(frame)["product_description"]["cost_per_call"], 3) == D("0.043")
    assert [sum(frame["cost_share"]), sum(frame["call_share"])] == pytest.approx([1, 1])


@pytest.mark.parametrize("by", sorted(FROM_LEDGER))
def test_the_detail_of_a_feature_sums_to_its_cost(demo_warehouse: Warehouse, by: str) -> None:
    for name in ("summarize", "classify", None):
        whole = by_name(features(demo_warehouse, MAY))["untagged" if name is None else name]
        detail = feature_detail(demo_warehouse, MAY, name, by)
        outside = known(outside_features(demo_warehouse, MAY)["cost"]) if name is None else D(0)
        assert known(detail["cost"]) == whole["total_cost"] + outside
        assert detail["calls"].sum() == whole["calls"]


def test_the_demo_companys_invoice_tag_takes_no_teams_cost(demo_warehouse: Warehouse) -> None:
    """Its model invoice is tagged with one team as a whole; each feature's cost is still its own team's, where its calls are."""
    for name, team in (("summarize", "ai"), ("search", "data"), ("ask", "product")):
        detail = feature_detail(demo_warehouse, MAY, name, "team")
        assert detail["team"].tolist() == [team]
        assert detail["cost"].iloc[0] > 0


@pytest.mark.parametrize("by", sorted(FROM_CALLS))
def test_the_detail_that_only_calls_know_says_so(by: str) -> None:
    calls = [
        call("2026-05-02", "3", prompt_name="p1", user_id="u1"),
        call("2026-05-02", None, prompt_name="p1", user_id="u1"),
        call("2026-05-02", "1"),
        call("2026-05-02", "9", feature="ask", prompt_name="p1", user_id="u1"),
    ]
    frame = feature_detail(warehouse_of(calls, [charge("2026-05-02", "80")]), MAY, "search", by)
    assert frame["cost"].tolist() == [D(3), D(1)]
    assert frame[by].tolist() == ["p1" if by == "prompt" else "u1", None]
    assert frame["unpriced_calls"].tolist() == [1, 0]
    assert set(frame["basis"]) == {"as traced"}


def test_a_feature_has_no_detail_by_anything_else() -> None:
    with pytest.raises(InputError, match=r"colour.*model, user_tier"):
        feature_detail(warehouse_of(), MAY, "search", "colour")


def test_the_dearest_calls_come_first_the_unknown_last_and_no_text_with_them() -> None:
    calls = [call("2026-05-02", cost, call_id=name) for name, cost in (("a", "1"), ("b", "3"), ("c", None), ("d", "3"))]
    frame = dearest_calls(warehouse_of([*calls, call("2026-05-02", "9", feature="ask")]), MAY, "search")
    assert frame["call_id"].tolist() == ["b", "d", "a", "c"]
    assert frame["cost"].tolist() == [D(3), D(3), D(1), None]
    assert not [name for name in frame if "text" in name or "hash" in name or "prefix" in name or name == "labels"]
    assert len(dearest_calls(warehouse_of(calls), MAY, "search", 2)) == 2
    assert dearest_calls(warehouse_of([call("2026-05-02", "1", feature=None)]), MAY, None)["cost"].tolist() == [D(1)]


def test_the_dearest_calls_lie_in_days_of_the_reporting_time_zone() -> None:
    calls = [
        call("2026-04-30", "1", clock="17:00"),
        call("2026-05-31", "2", clock="17:00"),
        call("2026-05-31", "3", clock="16:59"),
    ]
    configuration = Configuration(reporting_time_zone="Asia/Ho_Chi_Minh")
    frame = dearest_calls(warehouse_of(calls, configuration=configuration), MAY, "search")
    assert frame["started_at"].tolist() == [datetime(2026, 5, 31, 16, 59), datetime(2026, 4, 30, 17)]


def test_dearest_calls_pass_the_filters() -> None:
    calls = [call("2026-05-02", "1", user_tier="pro"), call("2026-05-02", "2", user_tier="free")]
    chosen = Filters(MAY.start, MAY.end, where=(("user_tier", ("pro",)),))
    assert dearest_calls(warehouse_of(calls), chosen, "search")["cost"].tolist() == [D(1)]

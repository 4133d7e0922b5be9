"""Models: tokens by class, cost per million tokens, and what is billed without being traced."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

from analytics.costs import costs
from analytics.filters import Filters
from analytics.models import INPUT_CLASSES, headline, models, tokens_over_time
from analytics.totals import totals
from tests.analytics.facts import call, charge, day, warehouse_of
from warehouse.reader import Warehouse
from warehouse.schema import TOKEN_CLASSES

D = Decimal
MAY = Filters(date(2026, 5, 1), date(2026, 5, 31))


def by_model(frame: pd.DataFrame) -> dict[Any, dict[str, Any]]:
    return {frame["model"].iloc[at]: {str(name): frame[name].iloc[at] for name in frame} for at in range(len(frame))}


def test_an_empty_store_has_no_models_and_no_tokens() -> None:
    assert models(warehouse_of(), MAY).empty
    assert tokens_over_time(warehouse_of(), MAY).empty


def test_a_provider_s_own_token_arithmetic_is_kept() -> None:
    """5 uncached, 128,955 read and 1,253 written are 130,213 tokens of input, not twice as many."""
    usage = {"uncached_input_tokens": 5, "cache_read_tokens": 128955, "cache_write_5m_tokens": 1253, "output_tokens": 0}
    row = by_model(models(warehouse_of([call("2026-05-02", "1", **usage)]), MAY))["gpt-4o"]
    assert sum(row[name] or 0 for name in INPUT_CLASSES) == row["total_tokens"] == 130213
    assert row["cache_read_share"] == pytest.approx(128955 / 130213)


def test_cost_per_million_tokens_and_per_call() -> None:
    calls = [call("2026-05-02", "0.01"), call("2026-05-02", "0.012", reasoning_tokens=100)]
    row = by_model(models(warehouse_of(calls), MAY))["gpt-4o"]
    assert (row["total_tokens"], row["calls"]) == (2300, 2)
    assert row["cost_per_million_tokens"] == D("9.565217391304")
    assert row["cost_per_call"] == D("0.011")
    assert (row["reasoning_tokens"], row["audio_input_tokens"], row["cache_read_share"]) == (100, None, 0.0)


def test_a_model_without_usage_or_price_is_unknown_and_counted() -> None:
    silent = call("2026-05-02", None, model="m", operation="rerank", uncached_input_tokens=None, output_tokens=None)
    row = by_model(models(warehouse_of([silent]), MAY))["m"]
    assert (row["cost"], row["total_tokens"], row["cost_per_million_tokens"], row["cache_read_share"]) == (None,) * 4
    assert (row["unpriced_calls"], row["calls_without_usage"], row["operations"]) == (1, 1, "rerank")


def test_a_model_that_is_billed_and_never_traced_is_shown() -> None:
    rows = by_model(models(warehouse_of([call("2026-05-02", "1")], [charge("2026-05-02", "7", x_Model="gpt-5")]), MAY))
    assert (rows["gpt-5"]["cost"], rows["gpt-5"]["calls"], rows["gpt-5"]["cost_per_call"]) == (D(7), 0, None)
    assert rows["gpt-4o"]["cost"] is None


def test_operations_are_listed_the_most_used_first() -> None:
    calls = [call("2026-05-02", "1", operation=name) for name in ("rerank", "chat", "chat", None)]
    assert models(warehouse_of(calls), MAY)["operations"].tolist() == ["chat, rerank"]


def test_tokens_over_time_are_disjoint_and_leave_out_unused_classes() -> None:
    calls = [call("2026-05-02", "1"), call("2026-05-03", "1", cache_read_tokens=7)]
    frame = tokens_over_time(warehouse_of(calls), MAY)
    assert [tuple(row) for row in frame.itertuples(index=False)] == [
        (day("2026-05-02"), "uncached_input_tokens", 1000),
        (day("2026-05-02"), "cache_read_tokens", 0),
        (day("2026-05-02"), "output_tokens", 100),
        (day("2026-05-03"), "uncached_input_tokens", 1000),
        (day("2026-05-03"), "cache_read_tokens", 7),
        (day("2026-05-03"), "output_tokens", 100),
    ]


def test_the_headline_compares_cost_and_calls_of_the_dearest_model() -> None:
    calls = [call("2026-05-02", "0.0033"), *(call("2026-05-02", "0.0011", model="mini") for _ in range(3))]
    assert headline(warehouse_of(calls), MAY) == (
        "gpt-4o is 50% of the cost of models on 25% of the calls; a million tokens cost $1.50 on average"
    )
    assert headline(warehouse_of([call("2026-05-02", None)]), MAY) == "1 call of models without a known cost"
    # Half of the cost is given back on a day without calls: 0.0033 is all of what is left.
    credit = charge("2026-05-20", "-0.0044", ChargeCategory="Credit")
    assert headline(warehouse_of(calls, [credit]), MAY).startswith("gpt-4o cost $0.0033 on 25% of the calls; ")


@pytest.mark.parametrize("month", [3, 4, 5])
def test_the_demo_companys_models_sum_to_calls_tokens_and_ledger(demo_warehouse: Warehouse, month: int) -> None:
    filters = Filters(date(2026, month, 1), date(2026, month, 30 if month == 4 else 31), grain="month")
    frame, found = models(demo_warehouse, filters), totals(demo_warehouse, filters)
    by_category = costs(demo_warehouse, filters, ("category",))
    model_use = by_category[by_category["category"].isin(["LLM API", "Embedding"])]
    assert sum(cost for cost in frame["cost"] if cost is not None) == sum(model_use["cost"])
    assert frame["calls"].sum() == found["calls"].iloc[0]
    assert frame["unpriced_calls"].sum() == found["unpriced_calls"].iloc[0]
    tokens = tokens_over_time(demo_warehouse, filters)["tokens"].sum()
    assert tokens == sum(total for total in frame["total_tokens"] if total is not None)
    for _, row in frame[frame["total_tokens"].notna()].iterrows():
        assert row["total_tokens"] == sum(row[name] or 0 for name in TOKEN_CLASSES)

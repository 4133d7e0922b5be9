"""Each cause of a gap by a case where the answer is known beforehand; days sum to months; causes sum to the gap whatever the data."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.filters import Filters
from analytics.reconciliation import CAUSES, reconciliation
from analytics.reconciliation_sides import tokens_per_unit, whole_months
from tests.analytics.facts import Fact, call, charge, warehouse_of
from warehouse.reader import Warehouse

D = Decimal
MAY = Filters(date(2026, 5, 1), date(2026, 5, 31), grain="month")
M = 1_000_000

INPUT, CACHE_READ, OUTPUT = D(2), D("0.5"), D(8)
"""USD per million tokens from 2026-01-01 on; batch costs half; before, everything cost twice as much."""


def price(kind: str, amount: Decimal, processing: str = "standard", start: int = 2026) -> dict[str, Any]:
    return {
        "book": "contract", "provider": "openai", "model": "gpt-4o", "token_class": kind, "processing": processing, "context_from": 0,
        "amount": amount, "currency": "USD", "valid_from": datetime(start, 1, 1), "valid_to": datetime(9999, 12, 31),
    }  # fmt: skip


PRICES = [
    price(kind, amount * factor, processing, start)
    for kind, amount in (("input", INPUT), ("cache_read", CACHE_READ), ("output", OUTPUT))
    for processing, share in (("standard", D(1)), ("batch", D("0.5")))
    for start, factor in ((2026, share), (2025, share * 2))
]


def traced(day: str, cost: str | None, uncached: int = 0, read: int = 0, output: int = 0, **columns: Any) -> Fact:
    tokens = {"uncached_input_tokens": uncached, "cache_read_tokens": read, "output_tokens": output}
    return call(day, cost, **tokens, **columns)


def billed(day: str, cost: str, tokens: int | None, kind: str = "input", **columns: Any) -> Fact:
    direction, action = ("output", None) if kind == "output" else ("input", "read" if kind == "cache_read" else None)
    quantity = {} if tokens is None else {"ConsumedQuantity": D(tokens), "ConsumedUnit": "Tokens"}
    return charge(day, cost, x_Model="gpt-4o", x_TokenDirection=direction, x_CacheAction=action, **quantity, **columns)


def store(calls: Iterable[Fact], lines: Iterable[Fact]) -> Warehouse:
    return warehouse_of(calls, lines, prices=PRICES)


def only(calls: Iterable[Fact], lines: Iterable[Fact], filters: Filters = MAY) -> dict[str, Decimal]:
    frame = reconciliation(store(calls, lines), filters)
    assert len(frame) == 1, frame
    row = dict(frame.iloc[0])
    assert row["gap"] == row["billed"] - (row["estimated"] or 0) == sum((row[name] for name in CAUSES), D(0))
    return {name: row[name] for name in CAUSES if row[name]}


def test_tokens_that_were_never_traced_are_missing_calls_at_the_bills_price() -> None:
    assert only([traced("2026-05-04", "2", M)], [billed("2026-05-04", "3", M * 3 // 2)]) == {"missing_calls": D(1)}


def test_a_bill_without_quantities_is_told_in_tokens_by_the_books_price() -> None:
    assert only([traced("2026-05-04", "2", M)], [billed("2026-05-04", "5", None)]) == {"missing_calls": D(3)}


def test_a_usage_report_says_the_tokens_of_a_bill_without_quantities() -> None:
    """The bill charges 1.1 times the price for exactly the traced tokens: a price of no book, not missing calls."""
    report = charge(
        "2026-05-04", None, x_Model="gpt-4o", x_TokenDirection="input", ServiceProviderName="OpenAI", x_Source="openai-usage",
        x_Excluded=True, ConsumedQuantity=D(M), ConsumedUnit="Tokens", x_CostCategory=None,
    )  # fmt: skip
    lines = [billed("2026-05-04", "2.2", None)]
    assert only([traced("2026-05-04", "2", M)], lines) == {"missing_calls": D("0.2")}
    assert only([traced("2026-05-04", "2", M)], [*lines, report]) == {"unexplained": D("0.2")}


def test_tokens_in_another_class_are_a_token_class() -> None:
    """The traces counted 1M cached tokens as plain input: 2.00 instead of 0.50."""
    calls = [traced("2026-05-04", "4", 2 * M)]
    lines = [billed("2026-05-04", "2", M), billed("2026-05-04", "0.5", M, "cache_read")]
    assert only(calls, lines) == {"token_class": D("-1.5")}


def test_tokens_in_another_processing_are_batch_or_tier() -> None:
    calls = [traced("2026-05-04", "4", 2 * M)]
    lines = [billed("2026-05-04", "2", M), billed("2026-05-04", "1", M, x_UsageType="batch")]
    assert only(calls, lines) == {"batch_or_tier": D(-1)}


def test_calls_costed_at_the_price_of_another_processing_are_batch_or_tier() -> None:
    """Batch calls that the gateway costed at the standard price."""
    calls = [traced("2026-05-04", "2", M, processing="batch")]
    assert only(calls, [billed("2026-05-04", "1", M, x_UsageType="batch")]) == {"batch_or_tier": D(-1)}


def test_calls_costed_at_the_price_of_another_time_are_price_date() -> None:
    """The gateway still has last year's price, twice this year's, for input and output."""
    calls = [traced("2026-05-04", "20", M, output=M)]
    lines = [billed("2026-05-04", "2", M), billed("2026-05-04", "8", M, "output")]
    assert only(calls, lines) == {"price_date": D(-10)}


def test_a_bill_at_the_price_of_another_time_is_price_date() -> None:
    assert only([traced("2026-05-04", "2", M)], [billed("2026-05-04", "4", M)]) == {"price_date": D(2)}


def test_a_discount_that_no_book_tells_is_unexplained() -> None:
    assert only([traced("2026-05-04", "2", M)], [billed("2026-05-04", "1.4", M)]) == {"unexplained": D("-0.6")}


def test_tokens_on_the_day_before_or_after_are_a_day_boundary() -> None:
    calls = [traced("2026-05-04", "6", 3 * M), traced("2026-05-05", "2", M)]
    lines = [billed("2026-05-04", "4", 2 * M), billed("2026-05-05", "4", 2 * M)]
    daily = Filters(date(2026, 5, 4), date(2026, 5, 5))
    frame = reconciliation(store(calls, lines), daily)
    assert [(row["gap"], row["day_boundary"], row["missing_calls"]) for row in frame.to_dict("records")] == [
        (D(-2), D(-2), D(0)),
        (D(2), D(2), D(0)),
    ]
    assert only(calls, lines) == {}


def test_a_months_edge_is_a_day_boundary_of_both_months() -> None:
    calls = [traced("2026-04-30", "4", 2 * M), traced("2026-05-01", "2", M)]
    lines = [billed("2026-04-30", "2", M), billed("2026-05-01", "4", 2 * M)]
    assert only(calls, lines) == {"day_boundary": D(2)}
    assert only(calls, lines, Filters(date(2026, 4, 1), date(2026, 4, 30), grain="month")) == {"day_boundary": D(-2)}


def test_failed_calls_that_cost_in_the_traces_and_not_on_the_bill_are_retries_and_failures() -> None:
    calls = [traced("2026-05-04", "2", M), traced("2026-05-04", "2", M, status="failure")]
    assert only(calls, [billed("2026-05-04", "2", M)]) == {"retries_failures": D(-2)}


def test_failed_calls_that_are_billed_are_no_gap() -> None:
    calls = [traced("2026-05-04", "2", M), traced("2026-05-04", "2", M, status="failure")]
    assert only(calls, [billed("2026-05-04", "4", 2 * M)]) == {}


def test_calls_without_a_price_beside_others_are_unpriced_up_to_what_the_bill_has_more() -> None:
    calls = [traced("2026-05-04", "2", M), traced("2026-05-04", None, M)]
    assert only(calls, [billed("2026-05-04", "6", 3 * M)]) == {"unpriced": D(2), "missing_calls": D(2)}


def test_answers_of_a_gateways_cache_are_no_tokens_of_the_provider() -> None:
    calls = [traced("2026-05-04", "2", M), traced("2026-05-04", "0", M, cache_hit=True)]
    assert only(calls, [billed("2026-05-04", "2", M)]) == {}


def test_tokens_that_were_traced_and_never_billed_are_unexplained() -> None:
    assert only([traced("2026-05-04", "4", 2 * M)], [billed("2026-05-04", "2", M)]) == {"unexplained": D(-2)}


def test_several_causes_of_one_day_are_told_apart() -> None:
    calls = [
        traced("2026-05-04", "10", M, output=M),
        traced("2026-05-04", "2", M, status="failure"),
    ]
    lines = [
        billed("2026-05-04", "1", M // 2),
        billed("2026-05-04", "0.25", M // 2, "cache_read"),
        billed("2026-05-04", "12", M * 3 // 2, "output"),
        charge("2026-05-04", "-3", x_Model="gpt-4o", ChargeCategory="Credit"),
    ]
    # Plain input: 2M traced, 0.5M billed. The failed million goes first, the half million that is left was billed as cached.
    assert only(calls, lines) == {
        "retries_failures": D(-2),
        "token_class": D("-0.75"),
        "missing_calls": D(4),
        "credits": D(-3),
    }


@pytest.mark.parametrize(
    ("unit", "size"),
    [("Tokens", 1), ("1K tokens", 1000), ("1000000 Tokens", M), ("1M tokens", M), ("1,000 tokens", 1000), ("Hours", None), (None, None)],
)  # fmt: skip
def test_units_of_consumption(unit: str | None, size: int | None) -> None:
    assert tokens_per_unit(unit) == size


def test_whole_months_and_one_on_either_side() -> None:
    assert whole_months(Filters(date(2026, 1, 31), date(2026, 1, 31))) == (date(2025, 12, 1), date(2026, 2, 28))
    assert whole_months(Filters(date(2025, 11, 30), date(2026, 1, 1))) == (date(2025, 10, 1), date(2026, 2, 28))


days = st.dates(date(2026, 4, 28), date(2026, 5, 4))
counts = st.integers(0, 3).map(lambda n: n * M)
amounts = st.decimals("0", "9", places=3)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(days, st.none() | amounts, counts, counts, st.booleans(), st.sampled_from(["standard", "batch"])), max_size=8
    ),
    st.lists(
        st.tuples(days, amounts, st.none() | counts, st.sampled_from(["input", "cache_read", "output"]), st.sampled_from(["", "batch"])),
        max_size=8,
    ),
)  # fmt: skip
def test_causes_sum_to_the_gap_and_days_to_any_range(calls: list[Any], lines: list[Any]) -> None:
    facts = store(
        [
            traced(day.isoformat(), None if cost is None else str(cost), uncached, read,
                   status="failure" if failed else "success", processing=processing)
            for day, cost, uncached, read, failed, processing in calls
        ],
        [billed(day.isoformat(), str(cost), tokens, kind, x_UsageType=usage) for day, cost, tokens, kind, usage in lines],
    )  # fmt: skip
    whole = Filters(date(2026, 4, 1), date(2026, 5, 31))
    daily = reconciliation(facts, whole).to_dict("records")
    for row in daily:
        if row["gap"] is not None:
            assert row["gap"] == row["billed"] - (row["estimated"] or 0) == sum((row[name] for name in CAUSES), D(0))
    names_a_model = {row["period"] for row in daily if row["billed"]}
    for start, end in ((date(2026, 4, 1), date(2026, 4, 30)), (date(2026, 5, 1), date(2026, 5, 31))):
        part = [row for row in daily if start <= row["period"] <= end and row["gap"] is not None]
        monthly = reconciliation(facts, Filters(start, end, grain="month"))
        if not any(start <= day <= end for day in names_a_model):
            continue  # a month whose bill names no model is compared without models
        for name in CAUSES:
            assert sum((row[name] for row in part), D(0)) == sum(monthly[name].dropna(), D(0))

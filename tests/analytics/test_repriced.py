"""Calls at other prices: by hand, per tier, and with what cannot be compared left out."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from analytics.filters import Filters
from analytics.repriced import TODAY, books, repriced, repriced_report
from tests.analytics.facts import call, warehouse_of
from warehouse.errors import InputError
from warehouse.reader import Warehouse

D = Decimal
M = 1_000_000
MAY = Filters(date(2026, 5, 1), date(2026, 5, 31))


def price(
    kind: str, amount: str, *, book: str = "percall", tier: int = 0, start: str = "2026-01-01", end: str = "9999-12-31"
) -> Any:
    return {
        "book": book, "provider": "openai", "model": "gpt-4o", "token_class": kind, "processing": "standard", "context_from": tier,
        "amount": D(amount), "currency": "USD", "valid_from": datetime.fromisoformat(start), "valid_to": datetime.fromisoformat(end),
    }  # fmt: skip


PRICES = [
    price("input", "2"),
    price("input", "4", tier=200_000),
    price("output", "8"),
    price("input", "1", start="2026-05-20"),
    price("output", "5", start="2026-05-20"),
    price("input", "7", book="offer"),
    price("output", "7", book="offer"),
]


def traced(day: str, cost: str | None, tokens: int | None, output: int | None = 0, **columns: Any) -> dict[str, Any]:
    return call(day, cost, uncached_input_tokens=tokens, output_tokens=output, **columns)


def store(*calls: dict[str, Any]) -> Warehouse:
    return warehouse_of(calls, prices=PRICES)


def only(warehouse: Warehouse, *arguments: Any) -> dict[str, Any]:
    frame = repriced(warehouse, MAY, *arguments)
    assert len(frame) == 1, frame
    return dict(frame.iloc[0])


def test_at_the_time_each_call_has_the_price_of_its_own_moment() -> None:
    facts = store(traced("2026-05-04", "0.3", 100_000), traced("2026-05-20", "0.2", 100_000, clock="00:00"))
    row = only(facts)
    assert (row["cost"], row["repriced"], row["difference"]) == (D("0.5"), D("0.3"), D("-0.2"))
    assert row["change"] == pytest.approx(-0.4)


def test_today_all_calls_have_the_prices_of_one_day() -> None:
    facts = store(traced("2026-05-04", "0.2", 100_000), traced("2026-05-20", "0.1", 100_000))
    assert only(facts, TODAY)["repriced"] == D("0.2")
    assert only(facts, TODAY, datetime(2026, 5, 1))["repriced"] == D("0.4")


def test_a_named_book() -> None:
    facts = store(traced("2026-05-04", "1", M // 10, M // 10))
    assert only(facts, "offer")["repriced"] == D("1.4")
    assert books(facts) == ["offer", "percall"]
    with pytest.raises(InputError, match=r"no price book 'wish'; choose at the time, today, offer, percall"):
        repriced(facts, MAY, "wish")


def test_a_long_request_has_the_price_of_its_own_tier() -> None:
    """Summed first, 150k + 150k would be a long request; apart, neither is."""
    short = store(traced("2026-05-04", "0.3", 150_000), traced("2026-05-04", "0.3", 150_000))
    assert only(short)["repriced"] == D("0.6")
    assert only(store(traced("2026-05-04", "0.6", 300_000)))["repriced"] == D("1.2")


def test_what_is_not_known_is_not_compared() -> None:
    facts = store(
        traced("2026-05-04", "0.2", 100_000),
        traced("2026-05-04", None, 100_000),
        traced("2026-05-04", "9", None, None),
        traced("2026-05-04", "9", 100_000, None),
    )
    row = only(facts)
    assert (row["calls"], row["compared_calls"], row["not_compared_calls"]) == (4, 1, 3)
    assert (row["cost"], row["repriced"]) == (D("0.2"), D("0.2"))
    other = only(store(traced("2026-05-04", "1", 1000, model="gpt-unheard-of")))
    assert (other["cost"], other["repriced"], other["difference"]) == (None, None, None)


def test_answers_of_a_gateways_cache_stay_free() -> None:
    assert only(store(traced("2026-05-04", "0", 100_000, cache_hit=True)))["repriced"] == D(0)


def test_filters_apply_and_models_sum_to_the_whole() -> None:
    facts = store(
        traced("2026-05-04", "0.5", 100_000),
        traced("2026-05-04", "0.3", 100_000, feature="chat"),
        traced("2026-04-30", "9", 1),
    )
    assert only(facts)["cost"] == D("0.8")
    whole = repriced_report(facts, MAY.only("feature", "chat")).whole
    assert (whole.cost, whole.repriced, whole.difference) == (D("0.3"), D("0.2"), D("-0.1"))


def headline(*arguments: Any) -> str:
    return repriced_report(*arguments).headline


def test_sentences() -> None:
    facts = store(traced("2026-05-04", "40", 10 * M))
    assert headline(facts, MAY) == "The traced calls cost $40.00, and the same at the books' prices of their day"
    assert headline(facts, MAY, "offer") == "The traced calls cost $40.00; at the prices of offer $70.00 (+75%)"
    same = headline(facts, MAY, TODAY, datetime(2026, 6, 1))
    assert same == "The traced calls cost $40.00, and the same at the prices of 1 June 2026"
    half = store(traced("2026-05-04", "40", 10 * M), traced("2026-05-04", None, 10 * M))
    assert headline(half, MAY, "offer").startswith(
        "50% of the traced calls can be compared: they cost $40.00; at the prices"
    )
    assert headline(store(), MAY) == "No traced call of this period can be priced by this book"


def test_an_empty_store_has_no_rows() -> None:
    assert repriced(store(), MAY).empty


def test_a_call_with_tokens_that_a_book_has_no_price_for_is_left_out_alone() -> None:
    # Alike in everything else and of the same hour: the book prices input and output, and no reads from a cache.
    facts = store(traced("2026-05-04", "1", M // 10), traced("2026-05-04", "3", M // 10, cache_read_tokens=10))
    row = only(facts, "offer")
    assert (row["compared_calls"], row["not_compared_calls"]) == (1, 1)
    assert (row["cost"], row["repriced"]) == (D("1"), D("0.7"))

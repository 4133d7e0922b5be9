"""Which price holds, what it replaced, and what is an agreement."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from analytics.filters import Filters
from analytics.price_history import FUTURE, IN_FORCE, OTHER_BOOK, PAST, price_changes, price_history, price_summary
from tests.analytics.facts import call, warehouse_of
from warehouse.reader import Warehouse

D = Decimal
MAY = Filters(date(2026, 5, 1), date(2026, 5, 31))


def price(
    amount: str, start: str, *, book: str = "percall", model: str = "gpt-4o", end: str = "9999-12-31", **columns: Any
) -> Any:
    return {
        "book": book, "provider": "openai", "model": model, "token_class": "input", "processing": "standard", "context_from": 0,
        "amount": D(amount), "currency": "USD", "valid_from": datetime.fromisoformat(start), "valid_to": datetime.fromisoformat(end),
        "source": "test", **columns,
    }  # fmt: skip


def store(*prices: Any) -> Warehouse:
    return warehouse_of([call("2026-05-04", "1"), call("2026-05-04", None, model="unheard-of")], prices=prices)


def states(facts: Warehouse, scope: str = "used") -> list[tuple[str, Decimal, str, Decimal | None]]:
    frame = price_history(facts, MAY, scope)
    return list(zip(frame["book"], frame["amount"], frame["state"], frame["previous"], strict=True))


def test_a_price_replaces_the_one_before_it_in_its_book() -> None:
    facts = store(price("4", "2025-01-01"), price("3", "2026-05-20"), price("2", "2026-06-01"))
    assert states(facts) == [
        ("percall", D(2), FUTURE, D(3)),
        ("percall", D(3), IN_FORCE, D(4)),
        ("percall", D(4), PAST, None),
    ]
    changes = price_changes(facts, MAY)
    assert list(changes["valid_from"]) == [datetime(2026, 6, 1), datetime(2026, 5, 20)]
    assert changes["change"].iloc[1] == -0.25
    assert price_summary(facts, MAY).last_change == date(2026, 5, 20)


def test_the_earlier_book_of_the_order_decides() -> None:
    facts = store(
        price("4", "2025-01-01"),
        price("3", "2026-01-01", book="contract", end="2026-05-15"),
        price("9", "1970-01-01", book="offer"),
    )
    assert {(book, state) for book, _, state, _ in states(facts)} == {
        ("percall", IN_FORCE),
        ("contract", PAST),
        ("offer", OTHER_BOOK),
    }
    running = store(price("4", "2025-01-01"), price("3", "2026-01-01", book="contract"))
    assert {(book, state) for book, _, state, _ in states(running)} == {("percall", OTHER_BOOK), ("contract", IN_FORCE)}


def test_a_contract_for_all_models_of_a_provider_decides_too() -> None:
    facts = store(price("4", "2025-01-01"), price("3", "2026-01-01", book="contract", model="*"))
    assert {(book, state) for book, _, state, _ in states(facts)} == {("percall", OTHER_BOOK), ("contract", IN_FORCE)}


def test_scopes() -> None:
    facts = store(
        price("4", "2025-01-01"),
        price("5", "2025-01-01", model="gpt-other"),
        price("3", "2026-01-01", book="contract"),
        price("6", "2026-01-01", model="gpt-loaded", load_id=7),
    )
    assert [amount for _, amount, _, _ in states(facts, "contract")] == [D(3), D(6)]
    assert len(states(facts, "all")) == 4
    assert len(states(facts)) == 2
    summary = price_summary(facts, MAY)
    assert (summary.models, summary.without_price, summary.books, summary.agreements) == (
        2,
        ("unheard-of",),
        ("contract",),
        2,
    )


def test_a_price_that_always_held_has_no_first_day() -> None:
    assert list(price_history(store(price("4", "1970-01-01")), MAY)["valid_from"]) == [None]


def test_an_open_end_is_no_date_and_filters_on_models_apply() -> None:
    facts = store(price("4", "2025-01-01"), price("5", "2025-01-01", model="gpt-other", end="2027-01-01"))
    assert list(price_history(facts, MAY, "all")["valid_to"]) == [None, datetime(2027, 1, 1)]
    assert list(price_history(facts, MAY.only("model", "gpt-other"), "all")["model"]) == ["gpt-other"]


def test_a_store_without_calls_or_prices_has_no_rows() -> None:
    facts = warehouse_of()
    assert price_history(facts, MAY).empty
    assert price_changes(facts, MAY).empty
    assert price_summary(facts, MAY).models == 0

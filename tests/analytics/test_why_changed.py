"""Why cost changed: parts against cases by hand, and that they always sum to the difference."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.anomalies_drivers import drivers, explained_by
from analytics.decomposition import FACTORS, Side, decompose
from analytics.filters import Filters
from analytics.totals import totals
from analytics.why_changed import by_feature, change, why_changed
from tests.analytics.facts import call, charge, warehouse_of
from warehouse.errors import InputError
from warehouse.reader import Warehouse

D = Decimal
MAY = Filters(date(2026, 5, 1), date(2026, 5, 31))
MARCH = Filters(date(2026, 3, 1), date(2026, 3, 31))


def parts_of(calls: list[dict[str, Any]], filters: Filters, earlier: Filters, **others: Any) -> dict[str, Decimal]:
    found = change(warehouse_of(calls, **others), filters, earlier)
    assert sum((amount for _driver, amount in found.parts), D(0)) == found.difference == found.after - found.before
    return dict(found.parts)


def one_day(day: str) -> Filters:
    return Filters(date.fromisoformat(day), date.fromisoformat(day))


def test_one_driver_alone_gets_the_whole_difference() -> None:
    """2 calls of $1 become 3: volume. The same call with twice the tokens at twice the cost: tokens. At twice the cost alone: price."""
    before = [call("2026-05-01", "1")] * 2
    twice = {"uncached_input_tokens": 2000, "output_tokens": 200}
    first, second = one_day("2026-05-02"), one_day("2026-05-01")
    assert parts_of([*before, *[call("2026-05-02", "1")] * 3], first, second) == {"calls": D(1)}
    assert parts_of([*before, *[call("2026-05-02", "2", **twice)] * 2], first, second) == {
        "tokens per call": pytest.approx(D(2))
    }
    assert parts_of([*before, *[call("2026-05-02", "2")] * 2], first, second) == {"price": D(2)}


def test_calls_that_go_to_a_cheaper_model_are_model_mix() -> None:
    calls = [call("2026-05-01", "1")] * 4
    calls += [call("2026-05-02", "1"), *[call("2026-05-02", "0.1", model="gpt-4o-mini")] * 3]
    parts = parts_of(calls, one_day("2026-05-02"), one_day("2026-05-01"))
    assert parts["model mix"] == pytest.approx(D("-2.7"), abs=D("1e-9"))
    assert abs(sum(amount for name, amount in parts.items() if name != "model mix")) < D("1e-9")


def test_calls_of_a_dearer_feature_are_feature_mix() -> None:
    calls = [call("2026-05-01", "1"), call("2026-05-01", "5", feature="summarize")]
    calls += [call("2026-05-02", "5", feature="summarize")] * 2
    parts = parts_of(calls, one_day("2026-05-02"), one_day("2026-05-01"))
    assert parts == {"feature mix": pytest.approx(D(4))}


def test_a_warm_cache_is_a_cache_rate() -> None:
    """Cache reads of gpt-4o cost half of fresh input: 1,000 of them at $2.5 and $1.25 per million."""
    prices = [
        {"book": "percall", "provider": "openai", "model": "gpt-4o", "token_class": kind, "processing": "standard", "context_from": 0,
         "amount": D(amount), "currency": "USD", "valid_from": date(2025, 1, 1), "valid_to": date(9999, 12, 31)}
        for kind, amount in (("input", "2.5"), ("cache_read", "1.25"), ("output", "10"))
    ]  # fmt: skip
    calls = [
        call("2026-05-01", "0.0025", output_tokens=0),
        call("2026-05-02", "0.00125", uncached_input_tokens=0, cache_read_tokens=1000, output_tokens=0),
    ]
    parts = parts_of(calls, one_day("2026-05-02"), one_day("2026-05-01"), prices=prices)
    assert parts["cache rate"] == pytest.approx(D("-0.00125"), abs=D("1e-12"))


def test_longer_periods_are_days() -> None:
    calls = [call(f"2026-05-0{day}", "1") for day in range(1, 7)]
    parts = parts_of(calls, Filters(date(2026, 5, 3), date(2026, 5, 6)), Filters(date(2026, 5, 1), date(2026, 5, 2)))
    assert parts["days"] == pytest.approx(D(2), abs=D("1e-9"))


def test_everything_else_has_a_place() -> None:
    lines = [
        charge("2026-05-01", "10", x_CostCategory="GPU inference", ServiceName="EC2", ServiceProviderName="AWS"),
        charge("2026-05-02", "4", x_CostCategory="GPU inference", ServiceName="EC2", ServiceProviderName="AWS"),
        charge("2026-05-02", "7"),
        charge("2026-05-02", "-2", ChargeCategory="Credit"),
    ]
    assert parts_of([], one_day("2026-05-02"), one_day("2026-05-01"), charges=lines) == {
        "infrastructure": D(-6), "billed, not traced": D(7), "credits": D(-2),
    }  # fmt: skip


def test_a_feature_that_is_new_is_told_by_its_calls() -> None:
    assert parts_of([call("2026-05-02", "3")], one_day("2026-05-02"), one_day("2026-05-01")) == {"calls": D(3)}


def test_march_to_may_of_the_demo_company(demo_warehouse: Warehouse) -> None:
    found = change(demo_warehouse, MAY, MARCH)
    assert (found.before, found.after) == (D(47231), D(9200))
    parts = dict(found.parts)
    assert sum(parts.values()) == D(-38031)
    assert parts["infrastructure"] == D(-11731)
    assert min(parts, key=lambda driver: parts[driver]) == "model mix"
    frame = why_changed(demo_warehouse, MAY, MARCH)
    assert sum(frame["amount"]) == D(-38031)
    table = by_feature(frame)
    drivers_of = [column for column in table.columns if column not in ("feature", "kind", "difference", "currency")]
    for row in table.to_dict("records"):
        assert sum(row[driver] for driver in drivers_of) == row["difference"]
    costs = [totals(demo_warehouse, one.only("feature", "summarize")).ledger_cost[0] for one in (MAY, MARCH)]
    assert table[table.feature == "summarize"].difference.tolist() == [costs[0] - costs[1]]


def test_several_currencies_are_refused() -> None:
    lines = [charge("2026-05-01", "1"), charge("2026-05-02", "1", BillingCurrency="EUR")]
    with pytest.raises(InputError, match="EUR and USD"):
        change(warehouse_of(charges=lines), one_day("2026-05-02"), one_day("2026-05-01"))


@st.composite
def a_side(draw: st.DrawFn, cells: int) -> Side:
    calls = np.array(draw(st.lists(st.integers(0, 1000), min_size=cells, max_size=cells)), dtype=float)
    tokens = np.array(
        draw(st.lists(st.lists(st.integers(0, 5000), min_size=8, max_size=8), min_size=cells, max_size=cells)),
        dtype=float,
    )
    units = np.where(np.arange(8) < 4, 1e-6, 4e-6) * np.ones((cells, 1))
    units[0] = np.nan
    money = st.decimals(0, 10**6, places=12, allow_nan=False)
    costs = tuple(draw(money) if calls[cell] else D(0) for cell in range(cells))
    return Side(draw(st.integers(1, 31)), np.arange(cells) % 2, calls, tokens * (calls[:, None] > 0), units, costs)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_parts_sum_to_the_last_digit_and_swap_their_sign(data: st.DataObject) -> None:
    cells = data.draw(st.integers(1, 4))
    before, after = data.draw(a_side(cells)), data.draw(a_side(cells))
    forward, backward = decompose(before, after), decompose(after, before)
    for cell in range(cells):
        difference = after.cost[cell] - before.cost[cell]
        assert sum(forward[cell].values()) == difference
        assert set(forward[cell]) <= set(FACTORS)
        for driver, amount in forward[cell].items():
            assert float(amount) == pytest.approx(-float(backward[cell][driver]), rel=1e-6, abs=1e-3)


def test_the_published_drill_down() -> None:
    """A 50, B 30, C 20 expected; B becomes 80: it explains all, with the largest surprise."""
    expected, actual = {"A": D(50), "B": D(30), "C": D(20)}, {"A": D(50), "B": D(80), "C": D(20)}
    found = drivers("feature", expected, actual)
    assert [(one.value, one.power, round(one.surprise, 5)) for one in found] == [
        ("A", 0, 0.00839),
        ("B", 1, 0.01655),
        ("C", 0, 0.00336),
    ]
    assert [one.value for one in explained_by("feature", expected, actual).drivers] == ["B"]

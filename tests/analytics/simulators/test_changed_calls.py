"""What a changed call costs: by hand, and what must hold for any call."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.simulators.rates_table import rates_from_rows, with_price
from tests.analytics.simulators.made import (
    BIG,
    OTHER,
    PRICES,
    SMALL,
    call,
    changed,
    rates_of,
    workload_of,
)
from warehouse.errors import InputError
from warehouse.rates import BEGINNING, OPEN_END, PriceRow
from warehouse.schema import TOKEN_CLASSES


def test_a_call_at_list_price_goes_to_another_model_at_its_list_price() -> None:
    workload = workload_of([call()])
    assert workload.cost[0] == pytest.approx(0.008)
    after = changed(workload, model=workload.model_code("small"))
    assert after.cost[0] == pytest.approx(0.00048)  # 2,000 x 0.15 + 300 x 0.6 per million


def test_a_discount_stays_with_its_provider_only() -> None:
    """Logged at 20 % below list."""
    workload = workload_of([call(cost=0.0064)])
    assert changed(workload, output_tokens=0).cost[0] == pytest.approx(0.8 * 0.005)
    assert changed(workload, model=workload.model_code("small")).cost[0] == pytest.approx(0.8 * 0.00048)
    batch = workload.code("processing", "batch")
    assert changed(workload, processing=batch).cost[0] == pytest.approx(0.8 * 0.004)
    assert changed(workload, model=workload.model_code("other")).cost[0] == pytest.approx(0.0105)


def test_two_changes_cost_what_one_would() -> None:
    workload = workload_of([call(cost=0.0064)])
    small = workload.model_code("small")
    at_once = changed(workload, model=small, output_tokens=100)
    in_turn = changed(changed(workload, output_tokens=100), model=small)
    assert at_once.cost[0] == pytest.approx(in_turn.cost[0], rel=1e-14)


def test_what_is_not_known_is_not_made_up() -> None:
    workload = workload_of(
        [
            call(cost=None),
            call(cost=0.0, is_cache_hit=True),
            call(cost=0.3, has_usage=False),
            call(cost=0.4, model=("acme", "nameless")),
        ]
    )
    after = changed(workload, output_tokens=100)
    assert np.isnan(after.cost[0])
    assert after.cost[1:].tolist() == [0, 0.3, 0.4]
    assert after.kept_calls == 1  # the model without a price: its logged cost stays
    moved = changed(
        workload_of([call(cost=None), call(cost=0.0, is_cache_hit=True)]), model=workload.model_code("other")
    )
    assert np.isnan(moved.cost[0])
    assert moved.cost[1] == 0


def test_a_call_without_list_price_costs_the_new_models_list_price() -> None:
    workload = workload_of([call(cost=0.4, model=("acme", "nameless"))])
    assert changed(workload, model=workload.model_code("small")).cost[0] == pytest.approx(0.00048)


def test_a_model_without_a_price_is_refused_in_words() -> None:
    workload = workload_of([call(), call(cost=0.4, model=("acme", "nameless"))])
    with pytest.raises(InputError, match="nameless of acme has no standard price"):
        changed(workload, model=workload.model_code("nameless"))
    with pytest.raises(InputError, match="other of anthropic has no batch price"):
        changed(workload, model=workload.model_code("other"), processing=workload.code("processing", "batch"))
    with pytest.raises(InputError, match="must not become negative"):
        changed(workload, output_tokens=-1)
    with pytest.raises(InputError, match="no token class"):
        changed(workload, tokens=1)


def test_cached_tokens_cost_plain_input_where_a_model_has_no_price_for_them() -> None:
    workload = workload_of([call(model=SMALL, cache_read_tokens=1000)])
    batch = changed(workload, processing=workload.code("processing", "batch"))
    assert batch.cost[0] == pytest.approx((2000 * 0.075 + 1000 * 0.075 + 300 * 0.3) / 1e6)


def test_a_whole_call_costs_the_price_of_its_context_tier() -> None:
    rows = [
        PriceRow("percall", *BIG, kind, "standard", tier, Decimal(amount), "USD", BEGINNING, OPEN_END)
        for kind, tier, amount in (
            ("input", 0, "1"),
            ("output", 0, "10"),
            ("input", 200_000, "2"),
            ("output", 200_000, "15"),
        )
    ]
    workload = workload_of([call(uncached_input_tokens=size) for size in (200_000, 200_001)])
    rates = rates_of(workload, rows)
    listed = rates.priced(workload)
    assert listed.tolist() == pytest.approx([0.2 + 0.003, 0.400002 + 0.0045])
    # From above the tier to below it: the whole call is cheaper, output too.
    workload = replace(workload, cost=listed)
    after = workload.change(np.array([False, True]), rates, uncached_input_tokens=100_000)
    assert after.cost.tolist() == pytest.approx([0.203, 0.103])


def test_prices_are_those_of_the_calls_own_time_and_the_first_one_before_it() -> None:
    middle = datetime(2026, 3, 10)
    rows = [
        PriceRow("percall", *BIG, "input", "standard", 0, Decimal(4), "USD", BEGINNING, middle),
        PriceRow("percall", *BIG, "input", "standard", 0, Decimal(2), "USD", middle, OPEN_END),
        PriceRow("percall", *SMALL, "input", "standard", 0, Decimal(1), "USD", middle, datetime(2026, 3, 20)),
    ]
    made = [
        call(day, uncached_input_tokens=10**6, output_tokens=0, model=model)
        for day in (0, 10, 25)
        for model in (BIG, SMALL)
    ]
    workload = workload_of(made)
    assert rates_of(workload, rows).priced(workload).tolist() == pytest.approx([4, 1, 2, 1, 2, np.nan], nan_ok=True)


def test_prices_can_be_asked_for_and_made_up() -> None:
    workload = workload_of([call()])
    rates = rates_of(workload)
    units = rates.units_at(0, at=datetime(2026, 3, 2)) * 1e6
    assert units[:2].tolist() == pytest.approx([2.5, 1.25])
    assert rates.table(at=datetime(2026, 3, 2)).shape == (3, 9)
    cheaper = with_price(rates, BIG, input=1.0, output=2.0)
    assert workload.change(np.array([True]), cheaper, output_tokens=0).cost[0] == pytest.approx(0.008 * 2000 / 2600)
    with pytest.raises(InputError, match="not negative"):
        with_price(rates, BIG, input=-1.0)


def test_prices_of_nothing() -> None:
    workload = workload_of([call(cost=0.5)])
    rates = rates_from_rows([], workload.models, workload.names["processing"])
    assert np.isnan(rates.priced(workload)).all()
    assert workload.change(np.array([True]), rates, output_tokens=0).cost.tolist() == [0.5]


tokens = st.integers(0, 10**6)
made_calls = st.lists(
    st.fixed_dictionaries(
        {
            "day": st.integers(0, 27),
            "model": st.sampled_from([BIG, SMALL, OTHER]),
            "cost": st.one_of(st.just("list"), st.none(), st.floats(0, 10)),
            "uncached_input_tokens": tokens,
            "cache_read_tokens": tokens,
            "output_tokens": tokens,
            "is_cache_hit": st.just(False),
        }
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=80, deadline=None)
@given(made_calls)
def test_the_same_values_change_no_bit(made: list[dict[str, Any]]) -> None:
    workload = workload_of(made)
    same = {name: getattr(workload, name) for name in (*TOKEN_CLASSES, "model", "processing")}
    assert changed(workload, **same) is workload
    assert workload.vanish(np.zeros(len(workload), dtype=bool)) is workload
    assert workload.add_overhead("nothing", "LLM API", 0.0) is workload


@settings(max_examples=80, deadline=None)
@given(made_calls, st.floats(0, 1))
def test_fewer_tokens_never_cost_more(made: list[dict[str, Any]], part: float) -> None:
    workload = workload_of(made)
    after = changed(workload, output_tokens=np.floor(workload.output_tokens * part))
    known = ~np.isnan(workload.cost)
    assert (after.cost[known] <= workload.cost[known] * (1 + 1e-12)).all()
    assert (np.isnan(after.cost) == np.isnan(workload.cost)).all()


def test_our_prices_are_those_of_the_store() -> None:
    """Priced with arrays, calls cost what the made price list says, by hand."""
    one = workload_of([call(uncached_input_tokens=7, cache_read_tokens=11, output_tokens=13, model=OTHER)])
    assert rates_of(one).priced(one)[0] == pytest.approx((7 * 3 + 11 * 0.3 + 13 * 15) / 1e6)
    assert PRICES[(*OTHER, "standard")]["cache_write_5m"] == "3.75"

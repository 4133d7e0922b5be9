"""Interruptions and checkpoints: published formulas, a simulation, and a trace by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.simulators.infrastructure import CostLine
from analytics.simulators.spot import (
    Spot,
    best_interval,
    daly,
    first_order_overhead,
    replay,
    serving_cost,
    time_per_work,
    young,
)
from tests.analytics.simulators.made import call, situation_of
from warehouse.errors import InputError

CHECKPOINT, MEAN = 60.0, 6 * 3600.0


def test_intervals() -> None:
    assert young(CHECKPOINT, MEAN) == pytest.approx(1610, abs=0.5)
    assert daly(CHECKPOINT, MEAN) == pytest.approx(1570, abs=0.5)
    assert best_interval(CHECKPOINT, MEAN) == pytest.approx(daly(CHECKPOINT, MEAN), rel=1e-3)


def test_overheads() -> None:
    every = young(CHECKPOINT, MEAN)
    assert first_order_overhead(every, CHECKPOINT, MEAN) == pytest.approx(0.0745, abs=5e-5)
    assert time_per_work(every, CHECKPOINT, MEAN) - 1 == pytest.approx(0.0784, abs=5e-5)
    assert time_per_work(every, CHECKPOINT, MEAN, 300) - 1 == pytest.approx(0.0935, abs=5e-5)
    assert 0.35 * time_per_work(every, CHECKPOINT, MEAN, 300) == pytest.approx(0.383, abs=5e-4)


def test_the_formula_is_what_random_interruptions_do() -> None:
    random, every, checkpoint, mean, restart = np.random.default_rng(3), 1000.0, 100.0, 2000.0, 50.0
    spent, segments = 0.0, 20_000
    for _ in range(segments):
        until, needed = random.exponential(mean), every + checkpoint
        while until < needed:
            spent += until
            until, needed = random.exponential(mean), every + checkpoint + restart
        spent += needed
    assert spent / (segments * every) == pytest.approx(time_per_work(every, checkpoint, mean, restart), rel=0.02)


@given(st.floats(10, 1e5), st.floats(1, 1000), st.floats(100, 1e6), st.floats(0, 1000))
def test_work_never_takes_less_time_than_it_takes(every: float, checkpoint: float, mean: float, restart: float) -> None:
    assert time_per_work(every, checkpoint, mean, restart) >= 1
    assert time_per_work(best_interval(checkpoint, mean), checkpoint, mean, restart) <= time_per_work(
        every, checkpoint, mean, restart
    ) * (1 + 1e-9)


def test_a_trace_by_hand() -> None:
    # Run 1: 0.5 restart, 2.5 of work, 2 of it saved. Run 2: 0.5 and 3 of work to the end of 5.
    found = replay([(0, 3), (5, 20)], 5, every=1, restart=0.5)
    assert (found.billed, found.finished, found.interruptions) == (6.5, 8.5, 1)
    assert replay([(0, 3)], 5, every=1).finished is None
    assert replay([(0, 9)], 5, every=1).billed == 5


def test_serving_with_a_floor() -> None:
    load = np.array([1.0, 3.0, 5.0])
    assert serving_cost(load, 2.0, 0.5, floor=2) == pytest.approx(5 * 2 + 4 * 1)
    assert serving_cost(load, 2.0, 1.0) == pytest.approx(18)


def _lines() -> list[CostLine]:
    return [
        CostLine("GPU inference", "GPU", "gpu-1", np.full(28, 10.0)),
        CostLine("GPU inference", "GPU", "gpu-2", np.full(28, 5.0)),
        CostLine("Storage", "Disk", None, np.full(28, 1.0)),
    ]


def test_the_lever_moves_what_is_named() -> None:
    situation = situation_of([call()], lines=_lines())
    assert Spot.neutral().apply(situation) is situation
    setting = Spot(price_ratio=0.35, resources=("gpu-1",), every_seconds=young(CHECKPOINT, MEAN))
    after = setting.apply(situation)
    assert after.costs()["GPU inference"] == pytest.approx(280 * 0.38273 + 140, abs=0.01)
    assert after.costs()["Storage"] == 28
    assert after.workload is situation.workload


@given(st.floats(0, 0.99), st.floats(0, 1))
def test_a_higher_price_saves_less(ratio: float, floor: float) -> None:
    assert (
        Spot(price_ratio=ratio, on_demand_share=floor).cost_ratio
        <= Spot(price_ratio=1, on_demand_share=floor).cost_ratio
    )
    assert Spot(price_ratio=ratio, on_demand_share=floor).cost_ratio >= floor


def test_wrong_settings_are_told() -> None:
    with pytest.raises(InputError, match="price of spot"):
        Spot(price_ratio=1.5)
    with pytest.raises(InputError, match="no resource"):
        Spot(price_ratio=0.5, category="Nothing").apply(situation_of([call()], lines=_lines()))
    with pytest.raises(InputError, match="never ends"):
        Spot(price_ratio=0.5, hours_between=0.01, every_seconds=1e6).apply(situation_of([call()], lines=_lines()))

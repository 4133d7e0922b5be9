"""Draws of calls, and samples of more calls than fit."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from analytics.filters import Filters
from analytics.simulators.build_workload import build_workload
from analytics.simulators.workload import Workload
from tests.analytics import facts
from tests.analytics.simulators.made import (
    call,
    changed,
    workload_of,
)
from warehouse.rollups import ROLLUPS


def test_draws_are_even_and_belong_to_the_call() -> None:
    workload = workload_of([call(n % 28, second=n) for n in range(20_000)])
    draws = workload.draws()
    assert draws.min() >= 0
    assert draws.max() < 1
    counts = np.bincount((draws * 20).astype(int), minlength=20)
    # Chi-square with 19 degrees of freedom stays below 43.8 in 99.9 % of cases.
    assert ((counts - 1000) ** 2 / 1000).sum() < 43.8
    assert abs(np.corrcoef(draws, workload.draws(1))[0, 1]) < 0.03
    half = workload_of([call(n % 28, second=n) for n in range(0, 20_000, 2)])
    assert set(half.draws().tolist()) <= set(draws.tolist())
    assert changed(half, output_tokens=1, uncached_input_tokens=5).draws().tolist() == half.draws().tolist()


def test_calls_of_the_same_moment_have_draws_of_their_own() -> None:
    draws = workload_of([call(0, second=n // 100) for n in range(1000)]).draws()
    assert len(set(draws.tolist())) == 1000
    assert 0.45 < draws.mean() < 0.55


def sampled(limit: int) -> tuple[Workload, Workload]:
    random = np.random.default_rng(5)
    size = 30_000
    house = facts.warehouse_of([], [])
    frame = {
        "n": np.arange(size), "day": random.integers(0, 31, size), "big": random.random(size) < 0.3,
        "tokens": random.lognormal(7, 1, size).astype(int) + 1, "rare": random.random(size) < 0.001,
    }  # fmt: skip

    rows = pd.DataFrame(frame)
    connection = house.connection
    connection.register("made_rows", rows)
    connection.execute(
        """INSERT INTO calls BY NAME SELECT 'c' || n AS call_id, 'calls' AS source,
               TIMESTAMP '2026-03-01' + to_days(day::INT) + to_seconds(n) AS started_at,
               'openai' AS provider, CASE WHEN big THEN 'big' ELSE 'small' END AS model, 'chat' AS operation, 'standard' AS processing,
               'success' AS status, CASE WHEN rare THEN 'rare' ELSE 'usual' END AS feature, tokens AS uncached_input_tokens, 10 AS output_tokens,
               (tokens * CASE WHEN big THEN 2.5 ELSE 0.15 END / 1e6)::DECIMAL(18,10) AS cost
           FROM made_rows"""
    )
    for name, select in ROLLUPS["calls"].items():
        connection.execute(f"CREATE OR REPLACE TABLE {name} AS {select(house.configuration, 'calls')}")
    april = Filters(date(2026, 3, 1), date(2026, 4, 1))
    return build_workload(house, april), build_workload(house, april, limit=limit)


def test_a_sample_counts_and_costs_the_whole_and_knows_its_error() -> None:
    whole, sample = sampled(limit=6000)
    assert not whole.is_sample
    assert sample.is_sample
    assert 5000 < len(sample) < 7000
    assert sample.population == 30_000
    assert sample.calls == pytest.approx(30_000)
    assert sample.total() == pytest.approx(whole.total(), rel=1e-12)
    for column in ("feature",):
        truth = whole.by_code(column, whole.spent())
        assert sample.by_code(column, sample.spent()) == pytest.approx(truth)
    assert sample.by_day(sample.spent()) == pytest.approx(whole.by_day(whole.spent()), rel=1e-9)

    def saved(workload: Workload) -> np.ndarray:
        """What a limit of the input would save: not proportional to cost."""
        after = changed(workload, uncached_input_tokens=np.minimum(1000, workload.uncached_input_tokens))
        return workload.spent() - after.spent()

    truth, estimate = saved(whole).sum(), saved(sample).sum()
    error = sample.sampling_error(saved(sample))
    assert 0 < error < 0.05 * truth
    assert abs(estimate - truth) < 4 * error
    assert whole.sampling_error(saved(whole)) == 0
    assert sample.sampling_error(sample.spent()) == pytest.approx(0, abs=1e-9)

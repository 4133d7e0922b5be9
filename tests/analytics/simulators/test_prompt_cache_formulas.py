"""Prompt caching by hand, by closed forms, and against a cache that is replayed request by request."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.simulators.prompt_cache import PromptCache
from analytics.simulators.prompt_cache_formulas import (
    break_even_rate,
    break_even_reads,
    break_even_share,
    hit_share,
    relative_cost,
    stored_break_even,
    stored_cost,
)
from analytics.simulators.prompt_cache_gaps import prefix_gaps
from analytics.simulators.prompt_cache_rules import cacheable
from analytics.simulators.situation import Situation
from tests.analytics.simulators.made import call, price_rows, rates_of, workload_of
from tests.analytics.simulators.prefixes import CLAUDE, lists
from warehouse.errors import InputError


def p1(ttl: float | None, **more: Any) -> Situation:
    """Oracle P1: a prefix of 10,000 tokens and 500 of one's own, six calls."""
    times = (0, 200, 480, 900, 1100, 5000)
    made = [
        call(0, second=second, model=CLAUDE, uncached_input_tokens=more.get("input", 10_500), output_tokens=0)
        for second in times
    ]
    workload = workload_of(made, prefix_blocks=lists([[1, 2]] * 6))
    prices = {
        (*CLAUDE, "standard"): {
            "input": "3", "output": "15", "cache_read": "0.3", "cache_write_5m": "3.75", "cache_write_1h": "6",
        }
    }  # fmt: skip
    rates = rates_of(workload, price_rows(prices))
    before = Situation(replace(workload, cost=rates.priced(workload)), rates)
    return PromptCache(ttl=ttl, block_tokens=more.get("block", 5000)).apply(before)


def test_one_prefix_under_both_lives() -> None:
    assert p1(None).total() == pytest.approx(0.189)
    assert p1(0).total() == pytest.approx(0.189)
    five_minutes = p1(300)
    assert five_minutes.total() == pytest.approx(0.1305)
    assert five_minutes.workload.cache_read_tokens.tolist() == [0, 10_000, 10_000, 0, 10_000, 0]
    assert five_minutes.workload.cache_write_5m_tokens.tolist() == [10_000, 0, 0, 10_000, 0, 10_000]
    hour = p1(3600)
    assert hour.total() == pytest.approx(0.1410)
    assert hour.workload.cache_write_1h_tokens.tolist() == [10_000, 0, 0, 0, 0, 10_000]
    assert (
        p1(600).workload.cost.tolist() == hour.workload.cost.tolist()
    )  # the shortest life on offer that is long enough
    assert p1(300, input=1_400, block=450).workload.cache_write_5m_tokens.sum() == 0  # 900 tokens: below the minimum


def test_a_prefix_counts_in_whole_grains_from_the_minimum_on() -> None:
    assert cacheable([1000, 1024, 1151, 1152, 1300, 10_000], 1024, 128).tolist() == [0, 1024, 1024, 1152, 1280, 9984]


def test_closed_forms() -> None:
    assert break_even_reads(1.25, 0.1) == pytest.approx(0.278, abs=5e-4)
    assert break_even_reads(2, 0.1) == pytest.approx(1.111, abs=5e-4)
    assert break_even_reads(1.25, 0.05) == pytest.approx(0.263, abs=5e-4)
    assert break_even_reads(1, 0.5) == 0
    assert break_even_reads(1.25, 1) == math.inf
    assert break_even_share(1.25, 0.1) == pytest.approx(0.217, abs=5e-4)
    assert break_even_share(2, 0.1) == pytest.approx(0.526, abs=5e-4)
    assert break_even_rate(1.25, 0.1, 300) == pytest.approx(2.94, abs=5e-3)
    assert break_even_rate(2, 0.1, 3600) == pytest.approx(0.75, abs=5e-3)
    per_hour = (1, 4, 12, 60)
    assert [round(relative_cost(rate, 300, 1.25, 0.1), 3) for rate in per_hour] == [1.158, 0.924, 0.523, 0.108]
    assert [round(relative_cost(rate, 3600, 2, 0.1), 3) for rate in per_hour] == [0.799, 0.135, 0.1, 0.1]
    assert hit_share(5, math.inf) == 1
    with pytest.raises(InputError):
        hit_share(-1, 300)


def test_a_stored_cache_pays_from_the_sixth_call() -> None:
    """Oracle P3: 100,000 tokens for an hour."""
    prices = {"price": 1.25, "read_price": 0.125, "storage_price": 4.5}
    assert stored_cost(100_000, 0, 1, **prices) == pytest.approx(0.575)
    assert stored_cost(100_000, 3, 1, **prices) == pytest.approx(0.575 + 3 * 0.0125)
    assert stored_break_even(1, **prices) == 6
    assert stored_break_even(1, price=1, read_price=1, storage_price=0) is None


def test_random_calls_hit_as_often_as_the_formula_says() -> None:
    random = np.random.default_rng(3)
    times = np.sort(random.uniform(0, 1000 * 3600e6, 12_000)).astype(np.int64)
    runs = prefix_gaps(
        np.zeros(len(times), dtype=np.int32), times, lists([[7]] * len(times)), np.ones(len(times), dtype=np.int64)
    )
    for ttl in (60, 300, 900):
        assert (runs.gap <= ttl * 1e6).mean() == pytest.approx(hit_share(12, ttl), abs=0.015)


trees = st.lists(
    st.tuples(
        st.integers(-1, 2),
        st.integers(0, 40),
        st.lists(st.integers(0, 2), max_size=5),
    ),
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(trees, st.integers(0, 20))
def test_gaps_are_those_of_a_cache_in_order(made: list[tuple[int, int, list[int]]], ttl: int) -> None:
    made = sorted(made, key=lambda each: each[1])
    names: dict[tuple[int, ...], int] = {}
    chains = [[names.setdefault(tuple(path[: n + 1]), len(names) + 1) for n in range(len(path))] for _, _, path in made]
    runs = prefix_gaps(
        np.array([group for group, _, _ in made], dtype=np.int32),
        np.array([time for _, time, _ in made], dtype=np.int64),
        lists(chains),
        np.array([len(chain) for chain in chains], dtype=np.int64),
    )
    found = np.zeros(len(made), dtype=np.int64)
    hit = runs.gap <= ttl
    np.add.at(found, runs.call[hit], runs.count[hit])
    last: dict[tuple[int, int], int] = {}
    expected = []
    for (group, time, _), chain in zip(made, chains, strict=True):
        length = 0
        if group >= 0:
            while length < len(chain) and time - last.get((group, chain[length]), -1000) <= ttl:
                length += 1
            last.update({(group, block): time for block in chain})
        expected.append(length)
    assert found.tolist() == expected
    whole = np.zeros(len(made), dtype=np.int64)
    np.add.at(whole, runs.call, runs.count)
    assert whole.tolist() == [
        len(chain) if group >= 0 else 0 for (group, _, _), chain in zip(made, chains, strict=True)
    ]

"""Ranges: against closed forms of the variance, and against what must hold for any money."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.simulators.bootstrap import (
    GROUPS,
    day_weights,
    interval,
    user_groups,
    user_weights,
)
from warehouse.errors import InputError

amounts = st.floats(min_value=-1e6, max_value=1e6, allow_nan=False)


def test_every_draw_has_as_many_days_as_there_were() -> None:
    for days in (1, 3, 7, 28, 31):
        assert (day_weights(days, 50).sum(axis=1) == days).all()


def test_days_that_follow_each_other_are_drawn_together() -> None:
    weights = day_weights(28, 200)
    # Four blocks of seven: the number of days where a draw's count changes is at most two per block.
    changes = (weights != np.roll(weights, 1, axis=1)).sum(axis=1)
    assert changes.max() <= 8


def test_a_weekly_rhythm_is_no_uncertainty() -> None:
    """Four same weeks: every block of seven days sums to the same, however different the days are."""
    daily = np.tile([100.0, 90, 95, 110, 105, 20, 10], 4)
    assert interval(daily).width == 0
    assert interval(daily).point == pytest.approx(4 * 530)


def test_days_without_rhythm_spread_as_independent_draws_do() -> None:
    """With blocks of one day the variance of the sum is n times the variance of a day (closed form of the bootstrap)."""
    daily = np.random.default_rng(1).gamma(2, 50, 300)
    sums = day_weights(300, 20_000, block=1) @ daily
    assert sums.std() == pytest.approx(np.sqrt(300) * daily.std(), rel=0.02)
    assert sums.mean() == pytest.approx(daily.sum(), rel=0.002)


def test_users_spread_as_independent_draws_do() -> None:
    money = np.random.default_rng(2).pareto(3, 400) * 10
    sums = user_weights(400, 20_000) @ money
    assert sums.std() == pytest.approx(np.sqrt(400) * money.std(), rel=0.02)


def test_one_heavy_user_makes_the_range_wide() -> None:
    daily = np.full(28, 10.0)
    by_user = np.array([180.0, *[1.0] * 100])
    found = interval(daily, by_user)
    assert found.by == "users"
    assert found.low < 110  # without the heavy user: about 101
    assert found.high > 450  # with him three times
    assert found.low <= found.point <= found.high


def test_money_that_no_user_stands_behind_is_not_resampled_by_user() -> None:
    alone = interval(np.full(7, 20.0), np.array([100.0, 0.0]), fixed=40.0)
    assert alone.point == 140
    assert alone.low == pytest.approx(40)
    assert alone.high == pytest.approx(240)


def test_many_users_spread_as_much_in_groups() -> None:
    random = np.random.default_rng(3)
    money = random.lognormal(0, 1, 50_000)
    groups, number = user_groups(np.arange(50_000, dtype=np.int32))
    assert number == GROUPS
    in_groups = np.bincount(groups, weights=money, minlength=number)
    spread = (user_weights(number, 4000) @ in_groups).std()
    assert spread == pytest.approx(np.sqrt(50_000) * money.std(), rel=0.06)


def test_calls_without_user_are_in_no_group() -> None:
    groups, number = user_groups(np.array([0, -1, 1, -1], dtype=np.int32))
    assert groups.tolist() == [0, -1, 1, -1]
    assert number == 2


@settings(max_examples=60, deadline=None)
@given(st.lists(amounts, min_size=1, max_size=40), st.lists(amounts, min_size=1, max_size=20))
def test_the_range_contains_the_point(daily: list[float], users: list[float]) -> None:
    by_user = np.array(users)
    days = np.array(daily)
    found = interval(days, by_user, fixed=float(days.sum() - by_user.sum()), draws=100)
    assert found.low <= found.point <= found.high
    assert found.point == days.sum()


@settings(max_examples=40, deadline=None)
@given(amounts, st.integers(1, 60), st.integers(1, 60))
def test_money_without_variance_has_no_width(amount: float, days: int, users: int) -> None:
    daily = np.full(days, amount)
    by_user = np.full(users, daily.sum() / users)
    assert interval(daily, by_user, draws=100).width == 0


def test_the_same_seed_gives_the_same_range_and_a_higher_confidence_a_wider_one() -> None:
    daily = np.random.default_rng(4).normal(100, 30, 31)
    assert interval(daily, seed=5) == interval(daily, seed=5)
    assert interval(daily, confidence=0.8).width < interval(daily, confidence=0.99).width


def test_what_cannot_be_a_range_is_refused_in_words() -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        interval(np.ones(3), confidence=1.0)
    with pytest.raises(InputError, match="at least one day"):
        day_weights(0)

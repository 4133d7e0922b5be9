"""Parts are the whole, to the last digit."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.splitting import split

D = Decimal


def test_a_hundred_dollars_over_three_equal_features() -> None:
    assert split(D("100.00"), [1, 1, 1], places=2) == [D("33.34"), D("33.33"), D("33.33")]


def test_a_credit_is_split_like_a_cost() -> None:
    assert split(D("-100.00"), [1, 1, 1], places=2) == [D("-33.34"), D("-33.33"), D("-33.33")]


def test_the_largest_remainder_takes_the_digit() -> None:
    assert split(D("0.10"), [1, 2], places=1) == [D("0.0"), D("0.1")]


@given(
    st.decimals("-1e9", "1e9", places=12),
    st.lists(st.integers(0, 10**9), min_size=1, max_size=9).filter(any),
)
def test_parts_sum_to_the_whole_and_stay_within_a_digit_of_their_share(amount: Decimal, weights: list[int]) -> None:
    parts = split(amount, weights)
    assert sum(parts, D(0)) == amount
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - amount * weight / sum(weights)) <= D("0.000000000002")
        assert weight or part == 0


@pytest.mark.parametrize("weights", [[], [0, 0], [1, -1]])
def test_weights_that_say_nothing_are_refused(weights: list[int]) -> None:
    with pytest.raises(ValueError, match="weights"):
        split(D(1), weights)

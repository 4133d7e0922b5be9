"""Billed time of a replica that stops when idle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.simulators.scale_to_zero import scale_to_zero
from warehouse.errors import InputError

ARRIVALS = np.array([0.0, 3, 9, 40, 41, 120])


def test_six_requests_by_hand() -> None:
    found = scale_to_zero(ARRIVALS, 0.5, idle=10, cold=2)
    # 0 to 19.5, 40 to 53 (the request at 41 waits until 42.5), 120 to 132.5.
    assert (found.billed, found.cold_starts, found.busy) == (45.0, 3, 3.0)
    assert found.waits.tolist() == [2, 0, 0, 2, 1.5, 2]
    assert found.share_waiting == pytest.approx(4 / 6)


def test_nothing_comes() -> None:
    found = scale_to_zero(np.array([]), 0.5, idle=10, cold=2)
    assert (found.billed, found.cold_starts, found.share_waiting) == (0, 0, 0)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=30), st.floats(0, 30), st.floats(0, 5), st.floats(0.1, 20))
def test_identities(gaps: list[int], idle: float, cold: float, more: float) -> None:
    arrivals = np.cumsum(gaps).astype(float)
    found = scale_to_zero(arrivals, 0.5, idle=idle, cold=cold)
    longer = scale_to_zero(arrivals, 0.5, idle=idle + more, cold=cold)
    assert longer.cold_starts <= found.cold_starts
    assert found.billed >= found.busy + found.cold_starts * (cold + idle) - 1e-9
    always = scale_to_zero(arrivals, 0.5, idle=1e9, cold=cold)
    assert always.cold_starts == 1
    assert found.billed - found.cold_starts * (cold + idle) <= always.billed


def test_wrong_times_are_told() -> None:
    with pytest.raises(InputError, match="order of time"):
        scale_to_zero(np.array([2.0, 1.0]), 1.0, idle=1, cold=1)
    with pytest.raises(InputError, match="idle"):
        scale_to_zero(ARRIVALS, 1.0, idle=-1, cold=1)

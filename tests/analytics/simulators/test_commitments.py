"""Commitments against the hours that use them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.simulators.commitments import (
    CommittedUse,
    best_level,
    commitment,
    commitment_curve,
    commitment_options,
    hourly_use,
    provisioned,
)
from analytics.simulators.infrastructure import CostLine
from analytics.simulators.lever import Selection
from tests.analytics.simulators.made import call, situation_of
from warehouse.errors import InputError

PROFILE = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
profiles = st.lists(st.floats(0, 1000), min_size=1, max_size=60).map(np.array)


def test_five_hours_by_hand() -> None:
    found = commitment(PROFILE, 2.0, 0.4)
    # Covered 0+1+2+2+2 of 10 committed, whose fee is 6; 1 + 2 are paid beyond.
    assert (found.covered, found.beyond, found.on_demand) == (7, 3, 10)
    assert found.fee == pytest.approx(6)
    assert found.cost == pytest.approx(9)
    assert found.saving == pytest.approx(1)
    assert found.wasted == pytest.approx(3 * 0.6)
    assert found.utilization == pytest.approx(0.7)
    assert found.break_even == pytest.approx(0.6)


@given(profiles, st.floats(0, 1500), st.floats(0, 1))
def test_identities(hourly: np.ndarray, level: float, discount: float) -> None:
    found = commitment(hourly, level, discount)
    close = 1e-6 * (1 + found.on_demand + level * len(hourly))
    assert found.saving <= found.covered <= found.on_demand + close
    assert found.on_demand - found.cost == pytest.approx(found.saving, abs=close)
    assert commitment(hourly, level, 0.0).saving <= close
    if found.utilization is not None and found.utilization >= found.break_even + 1e-9:
        assert found.saving >= -close
    assert commitment(hourly, 0.0, discount).cost == pytest.approx(found.on_demand, abs=close)


@given(profiles, st.floats(0, 1500), st.floats(0, 0.99))
def test_no_level_beats_the_best(hourly: np.ndarray, level: float, discount: float) -> None:
    best = commitment(hourly, best_level(hourly, discount), discount).cost
    assert best <= commitment(hourly, level, discount).cost + 1e-6 * (1 + best)


@given(profiles, st.floats(0, 1))
def test_the_curve_is_its_points(hourly: np.ndarray, discount: float) -> None:
    levels = np.array([0.0, 1.0, 50.0, 2000.0])
    curve = commitment_curve(hourly, levels, discount)
    for level, row in zip(levels, curve.itertuples(), strict=True):
        found = commitment(hourly, level, discount)
        assert (row.cost, row.saving, row.wasted) == pytest.approx(
            (found.cost, found.saving, found.wasted), abs=1e-6 * (1 + found.on_demand + found.fee)
        )


def test_reserved_throughput_spills_over() -> None:
    found = provisioned(
        np.array([100.0, 300.0]), np.array([1.0, 3.0]), units=2, unit_tokens_per_hour=100, unit_usd_per_hour=0.4
    )
    assert (found.fee, found.beyond, found.served) == pytest.approx((1.6, 1.0, 0.75))
    nothing = provisioned(
        np.array([100.0, 300.0]), np.array([1.0, 3.0]), units=0, unit_tokens_per_hour=100, unit_usd_per_hour=0.4
    )
    assert (nothing.cost, nothing.served) == (4.0, 0.0)


LINES = [CostLine("GPU inference", "GPU", "gpu-1", np.array([48.0, 24.0]))]


def test_the_lever_on_resources() -> None:
    situation = situation_of([call()], 2, LINES)
    assert CommittedUse.neutral().apply(situation) is situation
    # 2 USD an hour, then 1; 1.5 committed at 40 % less is 0.9 an hour; 0.5 an hour is left over on the first day.
    after = CommittedUse(usd_per_hour=1.5, discount=0.4).apply(situation)
    assert after.costs()["GPU inference"] == pytest.approx(48 * 0.9 + 24 * 0.5)
    assert after.infrastructure.lines[-1].daily.tolist() == pytest.approx([24 * (0.9 - 1.5), 24 * (0.9 - 1.0)])


def test_a_commitment_is_owed_by_whose_resources_it_covers() -> None:
    """Two features of 48 and 24 USD a day, the second from the second day on, and a third resource of nobody's."""
    lines = [
        CostLine("GPU inference", "Machines", "gpu-1", np.array([48.0, 48.0]), feature="ask"),
        CostLine("GPU inference", "Machines", "gpu-2", np.array([0.0, 24.0]), feature="report"),
        CostLine("Vector database", "Machines", "vectors", np.array([9.0, 9.0])),
    ]
    situation = situation_of([call(feature="ask"), call(feature="report")], days=2, lines=lines)
    after = CommittedUse(usd_per_hour=1.5, discount=0.3).apply(situation)
    found = {line.feature: line.daily.tolist() for line in after.infrastructure.lines if line.kind == "what-if"}
    # 30 % of 36 USD a day: the first day all ask's, the second by 48 to 24.
    assert found == {"ask": pytest.approx([-10.8, -7.2]), "report": pytest.approx([0.0, -3.6])}


def test_the_lever_on_calls() -> None:
    situation = situation_of([call(feature="ask", cost="3"), call(feature="search", cost="5", second=3600)], 1)
    hourly, _day = hourly_use(situation, "LLM API")
    assert hourly.tolist() == [3.0, 5.0] + [0.0] * 22
    assert hourly_use(situation, "LLM API", Selection(feature=("ask",)))[0].sum() == 3
    after = CommittedUse(usd_per_hour=4, discount=0.5, category="LLM API").apply(situation)
    assert after.total() == pytest.approx(24 * 2 + 1)


def test_options_end_at_the_best() -> None:
    frame = commitment_options(CommittedUse(discount=0.6), situation_of([call()], 2, LINES), steps=5)
    assert frame["is_best"].sum() == 1
    assert frame.loc[frame["is_best"], "saving"].item() == max(frame["saving"])
    assert frame["level"].tolist() == pytest.approx([0, 0.5, 1, 1.5, 2])


def test_wrong_settings_are_told() -> None:
    with pytest.raises(InputError, match="discount"):
        CommittedUse(discount=1.2)
    with pytest.raises(InputError, match="not negative"):
        commitment(np.array([-1.0]), 1.0, 0.3)
    with pytest.raises(InputError, match="nothing of the category"):
        CommittedUse(usd_per_hour=1, category="Nothing").apply(situation_of([call()]))

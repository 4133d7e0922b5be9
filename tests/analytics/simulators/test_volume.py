"""More or fewer of the same calls."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.simulators.gpu_rightsizing import GpuRightsizing
from analytics.simulators.infrastructure import CostLine
from analytics.simulators.lever import Selection
from analytics.simulators.scenario import Scenario, read_scenario
from analytics.simulators.situation import Situation
from analytics.simulators.tier_switch import SwitchOff
from analytics.simulators.volume import Volume
from tests.analytics.simulators.made import FIRST, call, situation_of
from warehouse.errors import InputError

LARGE = "A100-40GB"


def _situation() -> Situation:
    """Calls of 2, 3 and 10 USD, one of no feature (5 USD) and one without a known cost; a GPU of each of two features, busy for half a day."""
    calls = [
        call(feature="ask", cost="2"),
        call(feature="search", cost="3", second=1),
        call(feature="reviews", cost="10", second=2),
        call(cost="5", second=3),
        call(feature="ask", cost=None, second=4),
    ]
    lines = [
        CostLine("GPU inference", "GPU", f"gpu-{name}", np.array([100.0]), 24.0, "google", name)
        for name in ("ask", "reviews")
    ]
    load = pd.concat(
        pd.DataFrame(
            {
                "hour": pd.date_range(FIRST, periods=24, freq="h"), "resource": f"gpu-{name}", "gpu": LARGE, "gpu_count": 1,
                "gpu_utilization": 0.5, "requests": 10, "tokens_per_second": 60.0, "model": "llama-3.1-8b-instruct", "feature": name,
            }
        )
        for name in ("ask", "reviews")
    )  # fmt: skip
    return replace(situation_of(calls, 1, lines), utilization=load.reset_index(drop=True))


def test_neutral_changes_nothing() -> None:
    situation = _situation()
    assert Volume.neutral().apply(situation) is situation


def test_all_calls_but_the_steady_ones_grow_those_without_a_feature_too() -> None:
    situation = _situation()
    after = Volume(1.5, steady_features=("reviews",)).apply(situation)
    assert after.costs()["LLM API"] == pytest.approx(1.5 * (2 + 3 + 5) + 10)
    assert after.workload.calls == pytest.approx(1.5 * 4 + 1)
    assert after.workload.unknown_calls == pytest.approx(1.5)
    assert after.costs()["GPU inference"] == situation.costs()["GPU inference"]
    assert list(after.workload.changed_since(situation.workload)) == [True, True, False, True, True]


def test_chosen_features_alone() -> None:
    after = Volume(3.0, Selection(feature=("search",))).apply(_situation())
    assert after.costs()["LLM API"] == pytest.approx(2 + 3 * 3 + 10 + 5)


@given(st.floats(0, 20), st.floats(0, 20))
def test_more_calls_cost_more_in_proportion(one: float, other: float) -> None:
    situation = situation_of([call(second=n, cost=str(n)) for n in range(6)])
    low, high = sorted((one, other))
    totals = [Volume(times).apply(situation).total() for times in (low, high)]
    assert totals == pytest.approx([15 * low, 15 * high])
    assert totals[0] <= totals[1]


def test_levers_after_it_act_on_the_grown_calls_and_what_they_add_grows_too() -> None:
    situation = _situation()
    ask = Selection(feature=("ask",))
    gone = Scenario(levers=(Volume(2.0), SwitchOff(ask, share=1.0))).run(situation)
    assert float(gone.steps[1].added) == pytest.approx(2 * 2 * situation.window.scale_to_month, abs=0.01)
    fee = Volume(2.0).apply(situation).workload.add_overhead("fee", "LLM API", 0.25)
    assert fee.total() == pytest.approx(2 * 20 + 2 * 0.25 * 5)


def test_gpus_that_follow_the_load_cost_more_for_the_growing_feature() -> None:
    follow = GpuRightsizing(gpu=LARGE, usd_per_hour=2.0, target_utilization=1.0, cold_start_seconds=0, context=1)
    situation = _situation()
    # 12 busy hours each at 2 USD; the reviews' stay as they are.
    assert follow.apply(situation).costs()["GPU inference"] == pytest.approx(48)
    grown = Volume(1.5, steady_features=("reviews",)).apply(situation)
    assert follow.apply(grown).costs()["GPU inference"] == pytest.approx(24 * 1.5 + 24)
    # A choice that GPUs do not log leaves their load alone.
    tier = Volume(1.5, Selection(operation=("chat",))).apply(situation)
    assert tier.utilization is situation.utilization


def test_a_file_says_it_and_nonsense_is_refused() -> None:
    lever = Volume(1.24, steady_features=("reviews",))
    assert read_scenario(Scenario("Growth", (lever,)).toml()).levers == (lever,)
    for times in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="times as often"):
            Volume(times)
    with pytest.raises(InputError, match="'nobody'"):
        Volume(2.0, steady_features=("nobody",)).apply(_situation())

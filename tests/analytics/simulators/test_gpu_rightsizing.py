"""Other GPUs for the load that was logged, and own GPUs for calls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.simulators.drawn_effects import own_model_work, self_host_effect
from analytics.simulators.effect import cost
from analytics.simulators.gpu_rightsizing import (
    GpuRightsizing,
    gpu_hours,
    gpu_load,
    gpu_options,
    price_of,
    speeds,
)
from analytics.simulators.infrastructure import CostLine
from analytics.simulators.lever import Selection
from analytics.simulators.self_host import (
    SelfHost,
    break_even,
    replicas_for_latency,
    tokens_per_second,
)
from analytics.simulators.self_host_evidence import replicas_words
from analytics.simulators.situation import Situation
from tests.analytics.simulators.made import FIRST, SMALL, call, situation_of
from warehouse.errors import InputError

DAYS = 2
LARGE = "A100-40GB"


def _situation(shares: Sequence[Sequence[float]] = ((0.5, 0.3),), speed: float = 60.0, **other: Any) -> Situation:
    """GPUs that each cost 100 USD a day; `shares`: how busy each is on the first and on the second day."""
    lines = [
        CostLine("GPU inference", "GPU", f"gpu-{number}", np.full(DAYS, 100.0), 48.0, "google", f"feature-{number}")
        for number in range(len(shares))
    ]
    hours = pd.date_range(FIRST, periods=24 * DAYS, freq="h")
    rows = [
        pd.DataFrame(
            {
                "hour": hours, "resource": f"gpu-{number}", "gpu": LARGE, "gpu_count": 1,
                "gpu_utilization": np.repeat(busy, 24), "tokens_per_second": speed, "model": "llama-3.1-8b-instruct",
            }
        ).assign(**other)
        for number, busy in enumerate(shares)
    ]  # fmt: skip
    other_line = CostLine("GPU inference", "GPU", "not-logged", np.full(DAYS, 7.0))
    situation = situation_of([call(feature="ask"), call(day=1, feature="search")], DAYS, [*lines, other_line])
    return replace(situation, utilization=pd.concat(rows, ignore_index=True))


PLAIN = GpuRightsizing(gpu=LARGE, usd_per_hour=2.0, target_utilization=1.0, cold_start_seconds=0, context=1)


def test_neutral_changes_nothing() -> None:
    situation = _situation()
    assert GpuRightsizing.neutral().apply(situation) is situation
    assert not GpuRightsizing(gpu="L4").touches(situation).any()


def test_the_same_gpu_is_paid_for_when_busy() -> None:
    after = PLAIN.apply(_situation())
    moved, stays = after.infrastructure.lines
    assert moved.daily.tolist() == pytest.approx([24 * 0.5 * 2, 24 * 0.3 * 2])
    assert moved.hours == pytest.approx(24 * 0.8)
    assert stays.cost == 14
    assert moved.feature == "feature-0"


def test_a_gpu_that_ran_for_a_part_of_each_hour_carried_less() -> None:
    situation = _situation()
    first, *others = situation.infrastructure.lines
    lines = (replace(first, hours=12.0), *others)
    after = PLAIN.apply(situation.with_infrastructure(replace(situation.infrastructure, lines=lines)))
    assert after.infrastructure.lines[0].hours == pytest.approx(24 * 0.8 * 12 / 48)


def test_room_whole_hours_starts_and_replicas_that_always_run() -> None:
    situation = _situation([(0.5, 0.0), (0.7, 0.0)])
    hours = gpu_hours(replace(PLAIN, target_utilization=0.5), situation)["running"]
    assert hours.tolist() == pytest.approx([2.4] * 24 + [0.0] * 24)
    whole = gpu_hours(replace(PLAIN, whole_hours=True, cold_start_seconds=360), situation)["running"]
    # Two replicas start in the first hour, a tenth of an hour each.
    assert whole.tolist() == pytest.approx([2.2] + [2.0] * 23 + [0.0] * 24)
    always = gpu_hours(replace(PLAIN, min_replicas=1), situation)["running"]
    assert always.tolist() == pytest.approx([1.2] * 24 + [1.0] * 24)


def test_each_resource_bears_what_it_carried() -> None:
    after = PLAIN.apply(_situation([(0.6, 0.0), (0.2, 0.0)])).infrastructure.lines
    assert [line.cost for line in after] == pytest.approx([24 * 0.6 * 2, 24 * 0.2 * 2, 14])
    one = replace(PLAIN, resources=("gpu-1",)).apply(_situation([(0.6, 0.0), (0.2, 0.0)])).infrastructure.lines
    assert [line.cost for line in one] == pytest.approx([200, 24 * 0.2 * 2, 14])


def test_another_gpu_takes_as_much_longer_as_its_roofline_says() -> None:
    situation = _situation()
    setting = replace(PLAIN, gpu="L4", bits=4)
    # Batch 1 is bound by bandwidth: 16.06 GB at 1,555 GB/s against 4.015 GB at 300 GB/s, and a little cache.
    ratio = ((4_015_130_624 + 131_072) / 300e9) / ((16_060_522_496 + 131_072) / 1555e9)
    found = speeds(setting, situation, gpu_load(situation))
    assert found.today / found.then == pytest.approx(ratio)
    assert (found.today, found.is_measured) == (pytest.approx(60), False)
    assert found.efficiency == pytest.approx(60 / (1555e9 / (16_060_522_496 + 131_072)))
    assert setting.apply(situation).infrastructure.lines[0].cost == pytest.approx(24 * 0.8 * ratio * 2)


def test_measured_speeds_decide_where_both_are_logged() -> None:
    situation = _situation()
    logged = situation.utilization.iloc[:3].assign(resource="trial", gpu="L4", tokens_per_second=40.0)
    situation = replace(situation, utilization=pd.concat([situation.utilization, logged], ignore_index=True))
    setting = replace(PLAIN, gpu="L4", bits=4)
    assert speeds(setting, situation, gpu_load(situation)).is_measured
    assert setting.apply(situation).infrastructure.lines[0].cost == pytest.approx(24 * 0.8 * 60 / 40 * 2)
    assert not speeds(replace(setting, measured=False), situation, gpu_load(situation)).is_measured


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=3),
    st.floats(0.1, 0.9),
    st.floats(0.01, 0.1),
    st.booleans(),
)
def test_busier_replicas_cost_no_more_and_savings_stay_below_what_is_paid(
    shares: list[tuple[float, float]], target: float, more: float, whole: bool
) -> None:
    situation = _situation(shares)
    setting = replace(PLAIN, target_utilization=target, whole_hours=whole)
    here = setting.apply(situation).infrastructure.cost()
    assert replace(setting, target_utilization=target + more).apply(situation).infrastructure.cost() <= here + 1e-9
    assert here >= 14


def test_options_list_what_fits_the_cheapest_first() -> None:
    situation = _situation()
    options = gpu_options(GpuRightsizing(bits=16, context=8192, batch=8), situation)
    fits = options[options["fits"].astype(bool)]
    assert "L4" not in set(fits["gpu"])
    assert "H200" in set(fits["gpu"])
    assert fits["cost"].tolist() == sorted(fits["cost"])
    assert options[options["gpu"] == "L4"]["cost"].tolist() == [None]
    before = Decimal("214") * Decimal(repr(situation.window.scale_to_month))
    assert all(abs(total - before) < Decimal("0.01") for total in fits["cost"] + fits["saving"])


def test_prices_are_today_s_and_the_reference_case_s_only_where_there_is_no_other() -> None:
    frame = pd.DataFrame(
        {
            "gpu": ["a", "a", "a", "b"],
            "on_demand_usd_per_gpu_hour": [Decimal(3), Decimal(2), Decimal(1), Decimal(4)],
            "source": ["list", "list", "article-2026-05", "article-2026-05"],
        }
    )
    assert (price_of("a", frame), price_of("b", frame)) == (2, 4)
    with pytest.raises(InputError, match="no price"):
        price_of("c", frame)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        (GpuRightsizing(gpu="T4"), r"needs 19\.\d GB"),
        (GpuRightsizing(gpu="abacus"), "no GPU 'abacus'"),
        (GpuRightsizing(gpu="L4", model="nobody"), "'nobody'"),
        (GpuRightsizing(gpu="L4", resources=("gpu-9",)), "among gpu-9"),
    ],
)
def test_what_cannot_be_is_told(setting: GpuRightsizing, words: str) -> None:
    with pytest.raises(InputError, match=words):
        setting.apply(_situation())


def test_a_log_that_does_not_say_enough_is_told() -> None:
    with pytest.raises(InputError, match="how busy"):
        PLAIN.apply(_situation(gpu_utilization=None))
    with pytest.raises(InputError, match="names no model"):
        PLAIN.apply(_situation(model=None))
    with pytest.raises(InputError, match="has both a bill and a log"):
        PLAIN.apply(situation_of([call()]))
    with pytest.raises(InputError, match="utilization that is aimed at"):
        GpuRightsizing(target_utilization=0)


# Own GPUs instead of an interface.


def test_break_even_of_an_l4() -> None:
    price = 0.75 * 0.15 + 0.25 * 0.60
    found = break_even(0.8048 * 730, price, tokens_per_second=389)
    assert found.tokens_per_month == pytest.approx(2238e6, rel=1e-3)
    assert found.tokens_per_second == pytest.approx(852, abs=0.5)
    assert found.feasible is False
    assert break_even(0.8048 * 730, price, tokens_per_second=900).feasible is True
    with pytest.raises(InputError, match="more than 0"):
        break_even(100, 0)


OWN = SelfHost(share=1.0, usd_per_hour=0.5, gpu="A100-80GB")


def test_own_gpus_are_paid_instead_of_calls() -> None:
    situation = situation_of([call(feature="ask"), call(day=1, feature="ask"), call(feature="search")], DAYS)
    assert SelfHost.neutral().apply(situation) is situation
    after = replace(OWN, calls=Selection(feature=("ask",)), other_usd_per_month=30.4375).apply(situation)
    assert after.costs()["LLM API"] == pytest.approx(2000 * 2.5e-6 + 300 * 10e-6)
    # One replica runs all 48 hours; the rest of a month's 30.4375 USD is one a day.
    assert after.costs()["GPU inference"] == pytest.approx(48 * 0.5 + 2)
    assert after.workload.calls == 3


def test_busy_hours_need_more_replicas() -> None:
    calls = [call(output_tokens=40_000_000 if day else 300, day=day, feature="ask") for day in (0, 1)]
    situation = situation_of(calls, DAYS)
    work = own_model_work(OWN, situation, (0.0, 1.0))
    assert int((replace(OWN, min_replicas=0).replicas(work) > 0).sum()) == 2
    # 40 million tokens at 0.6 x 896 per second take 20.7 hours of a replica; kept 70 % busy: 30 of them in that hour.
    assert OWN.replicas(work).max() == 30
    assert (replace(OWN, fixed=True).replicas(work) == 30).all()
    # 47 hours of one replica, and one of thirty.
    assert OWN.apply(situation).costs()["GPU inference"] == pytest.approx((47 + 30) * 0.5)
    assert (
        replicas_words(OWN, situation)
        == "30 replicas in the busiest hour of the period, 1 in the quietest, 1.6 on average."
    )
    assert replicas_words(replace(OWN, fixed=True), situation).startswith("30 replicas in every hour")
    assert replicas_words(replace(OWN, share=0.0), situation) == "None: no call is moved."


def test_where_no_call_is_moved_no_replica_is_told_of() -> None:
    """Embeddings are for no own chat model: nothing is rented, and nothing runs, however few replicas always run."""
    moved, left = call(feature="ask"), call(feature="docs", operation="embeddings")
    situation = situation_of([moved, left], DAYS)
    docs = replace(OWN, calls=Selection(feature=("docs",)))
    assert docs.apply(situation) is situation
    assert replicas_words(docs, situation) == "None: no call is moved."
    # One call keeps one replica busy for part of an hour, and none in the other 47.
    assert replicas_words(replace(OWN, min_replicas=0), situation) == (
        "1 replica in the busiest hour of the period, 0 in the quietest, 0.0 on average."
    )


def test_waiting_is_not_replayed_with_a_sample_of_the_calls() -> None:
    situation = situation_of([call(feature="ask")], DAYS)
    sample = situation.with_workload(replace(situation.workload, stratum=np.zeros(1, dtype=np.int32)))
    for setting in (OWN, replace(OWN, share=0.0)):
        with pytest.raises(InputError, match="only be replayed with all calls"):
            replicas_for_latency(setting, sample)


def test_unknown_costs_and_cached_answers_stay() -> None:
    situation = situation_of([call(cost=None), call(is_cache_hit=True, cost="0"), call(model=SMALL)], DAYS)
    assert OWN.touches(situation).tolist() == [False, False, True]
    assert OWN.apply(situation).workload.unknown_calls == 1


def test_a_share_of_the_calls_grows_monotonically() -> None:
    situation = situation_of([call(second=second) for second in range(50)], DAYS)
    costs = [replace(OWN, share=share).apply(situation).costs()["LLM API"] for share in (0.2, 0.5, 0.9, 1.0)]
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] == 0


@pytest.mark.parametrize("fixed", [False, True])
def test_the_slider_shows_what_the_lever_does(fixed: bool) -> None:
    calls = [
        call(second=second * 3000, output_tokens=2_000_000, cost=None if second == 3 else "list")
        for second in range(50)
    ]
    situation = situation_of(calls, DAYS)
    setting = replace(OWN, fixed=fixed, other_usd_per_month=100)
    shares = (0.0, 0.07, 0.29, 0.58, 1.0)
    for share in shares:
        one = replace(setting, share=share)
        found = self_host_effect(one, situation, shares)
        assert cost(situation, found) == pytest.approx(one.apply(situation).total())
    assert found.changed == 49


def test_calls_that_come_together_need_replicas_side_by_side() -> None:
    # Ten calls within ten seconds on the second day, each served in 4.2 s; one on the first.
    calls = [call(second=0), *(call(day=1, second=second) for second in range(10))]
    situation = situation_of(calls, DAYS)
    one_by_one = replace(OWN, batch=1)
    found = replicas_for_latency(one_by_one, situation, limit=0.5, target=0.0)
    single = tokens_per_second(one_by_one)
    service = 2000 / single[0] + 300 / single[1]
    assert found.offered_load == pytest.approx(10 * service / 9)
    # Every second one comes: four slots fall behind by a sixth of a second in each round, five do not.
    assert 4 < service < 4.5
    assert (found.replicas, found.share_waiting) == (4, 0.0)
    assert replicas_for_latency(one_by_one, situation, limit=0.0, target=0.0).replicas == 5
    with pytest.raises(InputError, match="no call is served"):
        replicas_for_latency(replace(OWN, share=0.0), situation)


def test_the_speed_that_a_trial_measured_counts_against_todays() -> None:
    """0.8 x 24 busy hours at 60 tokens per second need 1.5 times as many hours at 40."""
    trial = replace(PLAIN, gpu="L4", usd_per_hour=1.0, tokens_per_second=40.0, bits=8)
    situation = _situation()
    assert trial.apply(situation).costs()["GPU inference"] == pytest.approx(0.8 * 24 * 1.5 + 7 * DAYS)
    unmeasured = _situation(speed=math.nan)
    with pytest.raises(InputError, match="no tokens per second of today's GPUs"):
        trial.apply(unmeasured)
    with pytest.raises(InputError, match="tokens per second"):
        replace(PLAIN, tokens_per_second=0.0)
    # What was measured on one kind of GPU says nothing about the others.
    options, plain = (
        gpu_options(each, situation).set_index("gpu") for each in (trial, replace(trial, tokens_per_second=None))
    )
    others = options.index.drop("L4")
    assert options.loc["L4", "tokens_per_second"] == 40
    assert options.loc[others, "tokens_per_second"].equals(plain.loc[others, "tokens_per_second"])

"""Batch processing: the published sums, who can wait, and what must hold for any calls."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.simulators.batch import Batch, batch_candidates, can_wait, followed
from analytics.simulators.curve import curve
from analytics.simulators.drawn_effects import batch_effect
from analytics.simulators.effect import cost
from analytics.simulators.lever import Selection
from analytics.simulators.scenario import Scenario, read_scenario
from analytics.simulators.situation import Situation
from analytics.simulators.to_the_cent import cents
from tests.analytics.simulators.made import BIG, OTHER, SMALL, call, price_rows, rates_of, situation_of, workload_of
from warehouse.errors import InputError

MODEL = ("anthropic", "claude-sonnet-4-5")
PRICES = {
    (*MODEL, "standard"): {"input": "3", "output": "15", "cache_read": "0.3"},
    (*MODEL, "batch"): {"input": "1.5", "output": "7.5", "cache_read": "0.15"},
}


def thousand(**more: Any) -> Situation:
    """1,000 calls of 2,000 input and 500 output tokens at 3 and 15 per million; 400 of them are the night's."""
    made = [
        call(0, second=n, model=MODEL, output_tokens=500, feature="night" if n < 400 else "chat", **more)
        for n in range(1000)
    ]
    workload = workload_of(made)
    rates = rates_of(workload, price_rows(PRICES))
    return Situation(replace(workload, cost=rates.priced(workload)), rates)


def test_the_published_sums() -> None:
    situation = thousand()
    assert situation.total() == pytest.approx(13.5)
    night = Batch(share=1, calls=Selection(feature=("night",))).apply(situation)
    assert night.total() == pytest.approx(10.8)
    assert night.workload.by_code("processing", np.ones(1000)) == {"standard": 600, "batch": 400}
    assert Batch(share=1).apply(situation).total() == pytest.approx(6.75)
    table = batch_candidates(Batch(), situation).set_index("feature")
    assert table["saving"].to_dict() == {
        "night": Decimal("2.94"),
        "chat": Decimal("4.40"),
    }  # a month is 30.4375 days of 28
    assert table["looks_offline"].all()


def test_tokens_read_from_a_cache_are_best_effort_in_a_batch() -> None:
    """1,000 of 3,000 input tokens are cached: all kept, half kept, none kept."""
    made = [call(0, model=MODEL, cache_read_tokens=1000, output_tokens=0)]
    workload = workload_of(made)
    rates = rates_of(workload, price_rows(PRICES))
    situation = Situation(replace(workload, cost=rates.priced(workload)), rates)
    for share, micros in ((1, 2000 * 1.5 + 1000 * 0.15), (0.5, 2500 * 1.5 + 500 * 0.15), (0, 3000 * 1.5)):
        assert Batch(share=1, cache_share=share).apply(situation).total() == pytest.approx(micros / 1e6)


def test_who_can_wait() -> None:
    made = [
        call(0, second=0, session=1),
        call(0, second=100, session=1),
        call(0, second=200, user="u"),
        call(0, second=300),
        call(0, second=400, processing="batch"),
        call(0, second=500, has_usage=False),
        call(0, second=600),
    ]
    session = np.array([9, 9, 0, 0, 0, 0, 0], dtype=np.uint64)
    stream = np.array([0, 0, 0, 1, 0, 0, np.nan], dtype=np.float32)
    workload = workload_of(made, session=session, is_stream=stream)
    assert followed(workload, 24).tolist() == [True, *[False] * 6]
    assert followed(workload, 0.01).tolist() == [False] * 7
    assert can_wait(workload).tolist() == [False, True, False, False, False, False, True]
    assert can_wait(workload, with_users=True).tolist() == [False, True, True, False, False, False, True]
    row = batch_candidates(Batch(), Situation(workload, rates_of(workload))).iloc[0]
    assert (row["calls"], row["without_user"], row["followed_up"], row["streamed"]) == (5, 0.8, 0.2, 0.25)
    assert row["waiting"] == pytest.approx(0.4)
    assert not row["looks_offline"]


def test_models_without_a_batch_price_stay_and_are_named() -> None:
    situation = situation_of([call(model=OTHER), call(model=BIG)])
    after = Batch(share=1).apply(situation)
    assert after.workload.cost[0] == situation.workload.cost[0]
    assert after.workload.cost[1] == pytest.approx(situation.workload.cost[1] / 2)
    assert after.notes == ("other: the price books have no batch price for these calls, so they stay as they are.",)
    assert batch_candidates(Batch(), situation).iloc[0]["left_out"] == "other"


calls = st.lists(
    st.fixed_dictionaries(
        {
            "day": st.integers(0, 2),
            "model": st.sampled_from([BIG, SMALL, OTHER]),
            "feature": st.sampled_from(["ask", "search", None]),
            "processing": st.sampled_from(["standard", "batch", "flex"]),
            "user": st.sampled_from(["a", None]),
            "uncached_input_tokens": st.integers(0, 5000),
            "cache_read_tokens": st.integers(0, 3000),
            "cost": st.one_of(st.just("list"), st.none(), st.floats(0, 2, allow_nan=False)),
            "has_usage": st.sampled_from([True, True, False]),
            "session": st.integers(0, 3),
        }
    ),
    min_size=1,
    max_size=20,
)


def situation_from(made: list[dict[str, Any]]) -> Situation:
    made = sorted(made, key=lambda each: each["day"])
    return situation_of(made, session=np.array([each["session"] for each in made], dtype=np.uint64))


@settings(max_examples=80, deadline=None)
@given(calls)
def test_the_neutral_setting_changes_no_bit(made: list[dict[str, Any]]) -> None:
    situation = situation_from(made)
    assert Batch.neutral().apply(situation) is situation


@settings(max_examples=120, deadline=None)
@given(calls, st.floats(0, 1), st.floats(0, 1), st.booleans(), st.floats(0, 1))
def test_what_must_hold_for_any_calls(
    made: list[dict[str, Any]], share: float, more: float, users: bool, cache: float
) -> None:
    situation = situation_from(made)
    setting = Batch(share=share, with_users=users, cache_share=cache)
    after = setting.apply(situation)
    touched = setting.touches(situation)
    assert not after.workload.changed_since(situation.workload)[~touched].any()
    assert situation.total() - after.total() <= situation.workload.spent()[touched].sum() + 1e-12
    assert after.workload.input_tokens.tolist() == situation.workload.input_tokens.tolist()
    # A larger share keeps the calls of the smaller one.
    larger = replace(setting, share=max(share, more)).apply(situation).workload
    assert (larger.processing == 1)[after.workload.processing == 1].all()
    shares = tuple(sorted({0.0, share, 0.5, 1.0}))
    for value in shares:
        one = replace(setting, share=value)
        assert cost(situation, batch_effect(one, situation, shares)) == pytest.approx(
            one.apply(situation).total(), abs=1e-9
        )
    # Batches at half the price or less, with all that is cached kept, never cost more.
    kept = replace(setting, cache_share=1.0, calls=Selection(model=("big",)))
    assert kept.apply(situation).total() <= situation.total() + 1e-12


def test_the_curve_agrees_with_whole_replays() -> None:
    situation = thousand()
    situation = situation.with_workload(replace(situation.workload, money=np.full(1000, 1000.0)))
    shares = (0.0, 0.25, 0.5, 1.0)
    whole = curve(lambda share: Batch(share=share), shares, situation)
    quick = [batch_effect(Batch(share=share), situation, shares) for share in shares]
    scale = situation.window.scale_to_month
    assert [cents(cost(situation, each) * scale) for each in quick] == whole["cost"].tolist()
    assert [each.changed for each in quick] == whole["changed_calls"].tolist()
    assert [each.is_today for each in quick] == [True, False, False, False]


def test_settings_are_checked_and_kept_in_files() -> None:
    for wrong in ({"share": 1.1}, {"follow_up_hours": -1.0}, {"cache_share": 2.0}):
        with pytest.raises(InputError, match="must lie between"):
            Batch(**wrong)
    scenario = Scenario("x", (Batch(share=0.4, calls=Selection(feature=("night",)), with_users=True),))
    assert read_scenario(scenario.toml()) == scenario


def test_nothing_to_replay_is_no_error() -> None:
    nothing = situation_of([])
    assert Batch(share=1).apply(nothing) is nothing
    assert cost(nothing, batch_effect(Batch(share=1), nothing, (0.0, 1.0))) == 0
    assert batch_candidates(Batch(), nothing).empty

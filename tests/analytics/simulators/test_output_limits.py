"""Output limits: shares of a published trace, sums by hand, and what must hold for any calls."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.simulators.curve import curve
from analytics.simulators.effect import cost
from analytics.simulators.lever import Selection
from analytics.simulators.output_effects import output_effect
from analytics.simulators.output_limits import (
    OutputLimits,
    answer_lengths,
    repeated_questions,
)
from analytics.simulators.scenario import Scenario, read_scenario
from analytics.simulators.situation import Situation
from analytics.simulators.to_the_cent import cents
from tests.analytics.simulators.made import BIG, OTHER, SMALL, call, price_rows, rates_of, situation_of, workload_of
from warehouse.errors import InputError

AZURE = Path(__file__).parents[2] / "data" / "traces" / "azure_llm_2023_conv.parquet"


@pytest.fixture(scope="module")
def azure() -> Situation:
    table = pq.read_table(AZURE)
    sizes = zip(table["context_tokens"].to_pylist(), table["generated_tokens"].to_pylist(), strict=True)
    return situation_of(
        [call(0, second=n, uncached_input_tokens=context, output_tokens=out) for n, (context, out) in enumerate(sizes)]
    )


@pytest.mark.parametrize(("cap", "cut", "tokens"), [(256, 0.337, 0.270), (400, 0.198, 0.049), (512, 0.029, 0.013)])
def test_what_a_cap_cuts_of_the_published_trace(azure: Situation, cap: int, cut: float, tokens: float) -> None:
    setting = OutputLimits(cap=cap, retry_share=0)
    assert output_effect(setting, azure, (float(cap), math.inf)).risk == pytest.approx(cut, abs=5.1e-4)
    row = answer_lengths(setting, azure).iloc[0]
    assert row["above_cap"] == pytest.approx(cut, abs=5.1e-4)
    assert row["tokens_above_cap"] == pytest.approx(tokens, abs=5.1e-4)
    after = setting.apply(azure).workload.output_tokens.sum()
    assert 1 - after / 4_088_665 == pytest.approx(tokens, abs=5.1e-4)


def test_a_cap_by_hand() -> None:
    """Outputs of 100, 400 and 900 tokens at 10 per million, cut at 300: 700 tokens less."""
    made = [call(0, output_tokens=tokens, feature="ask") for tokens in (100, 400, 900)]
    situation = situation_of(made)
    assert situation.total() - OutputLimits(cap=300, retry_share=0).apply(situation).total() == pytest.approx(0.007)
    # Asked again at half the cuts: half of what the two calls cost, 0.009 and 0.014.
    assert situation.total() - OutputLimits(cap=300, retry_share=0.5).apply(situation).total() == pytest.approx(
        0.007 - 0.0115
    )
    row = answer_lengths(OutputLimits(cap=300), situation).iloc[0]
    assert (row["feature"], row["longest"], row["p50"], row["cut_today"]) == ("ask", 900, 400, None)
    assert row["above_cap"] == pytest.approx(2 / 3)


def test_reasoning_shares_the_limit_and_comes_first() -> None:
    situation = situation_of([call(0, output_tokens=200, reasoning_tokens=500)])
    after = OutputLimits(cap=600, retry_share=0).apply(situation).workload
    assert (after.reasoning_tokens[0], after.output_tokens[0]) == (500, 100)
    after = OutputLimits(cap=300, retry_share=0).apply(situation).workload
    assert (after.reasoning_tokens[0], after.output_tokens[0]) == (300, 0)


def test_answers_in_a_schema() -> None:
    """JSON only: 28 tokens instead of 1,000 and 20, and 50 tokens of instructions more."""
    situation = situation_of([call(0, output_tokens=1000), call(0, output_tokens=20)])
    setting = OutputLimits(cap=30, answer_tokens=28, schema_tokens=50)
    after = setting.apply(situation)
    assert after.workload.output_tokens.tolist() == [28, 20]
    assert situation.total() - after.total() == pytest.approx((972 * 10 - 100 * 2.5) / 1e6)
    assert output_effect(setting, situation, (30, math.inf)).risk == 0
    assert output_effect(replace(setting, cap=25), situation, (25, math.inf)).risk == 0.5
    spread = OutputLimits(answer_tokens=100, answer_spread=0.2).apply(
        situation_of([call(0, second=n, output_tokens=1000) for n in range(500)])
    )
    assert 80 <= spread.workload.output_tokens.min() < 85
    assert 115 < spread.workload.output_tokens.max() <= 120


def asked_again() -> Situation:
    """A question cut at 1,000 tokens and asked again a minute later; another, cut and asked again after an hour."""
    key = np.array([7, 7, 8, 8], dtype=np.uint64)
    was_cut = np.array([1, 0, 1, 0], dtype=np.float32)
    made = [
        call(0, second=second, output_tokens=tokens)
        for second, tokens in ((0, 1000), (60, 800), (100, 1000), (3700, 900))
    ]
    return situation_of(made, input_hash=key, was_cut=was_cut)


def test_questions_asked_again_end_with_complete_answers() -> None:
    situation = asked_again()
    repeats, before = repeated_questions(situation.workload, np.ones(4, dtype=bool))
    assert (repeats.tolist(), before.tolist()) == ([1], [0])
    setting = OutputLimits(cap=30, answer_tokens=28, end_repeats=True)
    after = setting.apply(situation)
    assert after.workload.active.tolist() == [True, False, True, True]
    assert after.total() == pytest.approx(3 * (2000 * 2.5 + 28 * 10) / 1e6)
    # Where the cap still cuts, people still ask again; cuts of today are in the log already and cost nothing more.
    still = replace(setting, cap=20).apply(situation)
    assert still.workload.active.all()
    assert len(still.workload.overheads[0].per_call[still.workload.overheads[0].per_call > 0]) == 2
    rows = answer_lengths(OutputLimits(), situation)
    assert rows.iloc[0]["cut_today"] == 0.5
    assert rows.iloc[0]["longest"] == 900
    with pytest.raises(InputError, match="complete answer"):
        OutputLimits(end_repeats=True)


calls = st.lists(
    st.fixed_dictionaries(
        {
            "day": st.integers(0, 2),
            "second": st.integers(0, 900),
            "model": st.sampled_from([BIG, SMALL, OTHER]),
            "feature": st.sampled_from(["ask", "search", None]),
            "operation": st.sampled_from(["chat", "chat", "embeddings"]),
            "output_tokens": st.integers(0, 2000),
            "reasoning_tokens": st.integers(0, 800),
            "cost": st.one_of(st.just("list"), st.none(), st.floats(0, 2, allow_nan=False)),
            "has_usage": st.sampled_from([True, True, False]),
            "key": st.integers(0, 4),
            "was_cut": st.sampled_from([0.0, 1.0, math.nan]),
        }
    ),
    min_size=1,
    max_size=20,
)
settings_of_levers = st.builds(
    OutputLimits,
    cap=st.one_of(st.floats(1, 2500), st.just(math.inf)),
    length=st.floats(0, 1),
    answer_tokens=st.floats(1, 600),
    answer_spread=st.floats(0, 1),
    schema_tokens=st.integers(0, 50),
    retry_share=st.sampled_from([0.0, 0.3, 1.0]),
    end_repeats=st.booleans(),
)


def situation_from(made: list[dict[str, Any]]) -> Situation:
    made = sorted(made, key=lambda each: (each["day"], each["second"]))
    workload = workload_of(
        made,
        input_hash=np.array([each["key"] for each in made], dtype=np.uint64),
        was_cut=np.array([each["was_cut"] for each in made], dtype=np.float32),
    )
    # Reasoning that is dearer than an answer, so that the two must be told apart.
    prices = price_rows() + price_rows({(*OTHER, "standard"): {"reasoning": "20"}})
    rates = rates_of(workload, prices)
    listed = rates.priced(workload)
    at_list = np.array([each["cost"] == "list" for each in made])
    return Situation(replace(workload, cost=np.where(at_list, listed, workload.cost)), rates)


@settings(max_examples=100, deadline=None)
@given(calls)
def test_neutral_settings_and_caps_above_everything_change_nothing(made: list[dict[str, Any]]) -> None:
    situation = situation_from(made)
    for setting in (OutputLimits.neutral(), OutputLimits(cap=2800)):
        assert setting.apply(situation).workload is situation.workload


@settings(max_examples=150, deadline=None)
@given(calls, settings_of_levers)
def test_what_must_hold_for_any_calls(made: list[dict[str, Any]], setting: OutputLimits) -> None:
    situation = situation_from(made)
    after = setting.apply(situation)
    before, workload = situation.workload, after.workload
    assert (np.isnan(workload.cost) <= np.isnan(before.cost)).all()
    assert (workload.output_tokens <= before.output_tokens).all()
    touched = setting.touches(situation)
    assert situation.total() - after.total() <= before.spent()[touched].sum() + 1e-9
    if setting.end_repeats:
        with pytest.raises(ValueError, match="replay this setting"):
            output_effect(setting, situation, (setting.cap,))
        return
    caps = tuple(sorted({1.0, 30.7, setting.cap, 500.0, math.inf}))
    for cap in caps:
        one = replace(setting, cap=cap)
        assert cost(situation, output_effect(one, situation, caps)) == pytest.approx(
            one.apply(situation).total(), abs=1e-9
        )


@settings(max_examples=80, deadline=None)
@given(calls, st.floats(1, 2000), st.floats(1, 2000))
def test_a_lower_cap_never_costs_more_when_nobody_asks_again(
    made: list[dict[str, Any]], one: float, two: float
) -> None:
    situation = situation_from(made)
    low, high = (OutputLimits(cap=cap, retry_share=0).apply(situation).total() for cap in sorted((one, two)))
    assert low <= high + 1e-12


def test_the_curve_agrees_with_whole_replays() -> None:
    situation = situation_of([call(0, second=n, output_tokens=17 * n, feature="ask") for n in range(60)])
    workload = situation.workload
    situation = situation.with_workload(replace(workload, money=workload.money * 1e5))
    caps = (1.0, 100.0, 500.0, 900.0, math.inf)
    calls_of = Selection(feature=("ask",))
    whole = curve(lambda cap: OutputLimits(cap=cap, retry_share=0.2, calls=calls_of), caps, situation)
    quick = [output_effect(OutputLimits(cap=cap, retry_share=0.2, calls=calls_of), situation, caps) for cap in caps]
    scale = situation.window.scale_to_month
    assert [cents(cost(situation, each) * scale) for each in quick] == whole["cost"].tolist()
    assert [each.changed for each in quick] == whole["changed_calls"].tolist()
    assert whole["saving"].iloc[-1] == Decimal("0.00")


def test_settings_are_checked_and_kept_in_files() -> None:
    for wrong in ({"cap": 0.5}, {"length": 1.1}, {"retry_share": -0.1}, {"answer_tokens": 0.0}, {"schema_tokens": -1}):
        with pytest.raises(InputError, match="must lie between"):
            OutputLimits(**wrong)
    scenario = Scenario("x", (OutputLimits(cap=400, calls=Selection(feature=("ask",)), answer_tokens=28),))
    assert read_scenario(scenario.toml()) == scenario
    with pytest.raises(InputError, match="no call of this period"):
        OutputLimits(cap=1, calls=Selection(feature=("none",))).apply(situation_of([call(feature="ask")]))


def test_nothing_to_replay_is_no_error() -> None:
    nothing = situation_of([])
    setting = OutputLimits(cap=30, answer_tokens=28, end_repeats=True)
    assert setting.apply(nothing) is nothing
    assert cost(nothing, output_effect(OutputLimits(cap=30, length=0.5), nothing, (30.0, math.inf))) == 0
    assert answer_lengths(setting, nothing).empty
    assert output_effect(OutputLimits(cap=30), nothing, (30.0, math.inf)).risk is None

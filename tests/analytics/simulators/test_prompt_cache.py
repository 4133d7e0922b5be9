"""Prompt caching as a lever on calls: the replay, its rules, and what it is held against."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.simulators.curve import curve
from analytics.simulators.effect import cost
from analytics.simulators.heavy_columns import Coded
from analytics.simulators.lever import Selection
from analytics.simulators.prompt_cache import PromptCache
from analytics.simulators.prompt_cache_effects import prompt_cache_effect
from analytics.simulators.prompt_cache_evidence import cache_models, calibration, prefixes_to_mark
from analytics.simulators.prompt_cache_rules import read_rules, rules_of
from analytics.simulators.scenario import Scenario, read_scenario
from analytics.simulators.situation import Situation
from analytics.simulators.to_the_cent import cents
from tests.analytics.simulators.made import OTHER, SMALL, call, price_rows, rates_of, situation_of, workload_of
from tests.analytics.simulators.prefixes import CLAUDE, lists
from warehouse.errors import InputError
from warehouse.rates import BEGINNING, OPEN_END, PriceRow

GPT = ("openai", "gpt-4o-mini")

GPT_PRICES = {(*GPT, "standard"): {"input": "0.15", "output": "0.6", "cache_read": "0.075"}}

CLAUDE_PRICES = {
    (*CLAUDE, "standard"): {
        "input": "3", "output": "15", "cache_read": "0.3", "cache_write_5m": "3.75", "cache_write_1h": "6",
    }
}  # fmt: skip

calls = st.lists(
    st.fixed_dictionaries(
        {
            "day": st.integers(0, 2),
            "second": st.integers(0, 4000),
            "model": st.sampled_from([CLAUDE, GPT, SMALL]),
            "feature": st.sampled_from(["ask", "search"]),
            "processing": st.sampled_from(["standard", "standard", "batch"]),
            "blocks": st.integers(0, 6),
            "tree": st.integers(0, 2),
            "uncached_input_tokens": st.integers(0, 4000),
            "cache_read_tokens": st.integers(0, 2000),
            "cost": st.one_of(st.just("list"), st.none(), st.floats(0, 2, allow_nan=False)),
            "is_cache_hit": st.booleans(),
            "has_usage": st.sampled_from([True, True, False]),
        }
    ),
    min_size=1,
    max_size=25,
)


def situation_with_prefixes(made: list[dict[str, Any]]) -> Situation:
    made = sorted(made, key=lambda each: (each["day"], each["second"]))
    for each in made:
        if each["is_cache_hit"]:
            each["cost"] = 0.0
    chains = [[1000 * (n + 1) + (each["tree"] if n > 2 else 0) for n in range(each["blocks"])] for each in made]
    workload = workload_of(made, prefix_blocks=lists(chains))
    rates = rates_of(workload, [*price_rows(), *price_rows(GPT_PRICES), *price_rows(CLAUDE_PRICES)])
    listed = rates.priced(workload)
    at_list = np.array([each["cost"] == "list" for each in made])
    return Situation(replace(workload, cost=np.where(at_list, listed, workload.cost)), rates)


@settings(max_examples=100, deadline=None)
@given(calls)
def test_the_neutral_setting_changes_no_bit(made: list[dict[str, Any]]) -> None:
    situation = situation_with_prefixes(made)
    assert PromptCache.neutral().apply(situation) is situation


@settings(max_examples=150, deadline=None)
@given(calls, st.one_of(st.floats(0, 5000), st.just(math.inf)), st.integers(1, 3000), st.booleans())
def test_what_must_hold_for_any_calls(made: list[dict[str, Any]], ttl: float, minimum: int, chosen: bool) -> None:
    situation = situation_with_prefixes(made)
    asks = {"calls": Selection(feature=("ask",))} if chosen and any(each["feature"] == "ask" for each in made) else {}
    setting = PromptCache(ttl=ttl, minimum_tokens=minimum, block_tokens=512, **asks)
    before, after = situation.workload, setting.apply(situation).workload
    assert after.input_tokens.tolist() == before.input_tokens.tolist()
    assert after.output_tokens.tolist() == before.output_tokens.tolist()
    assert (np.isnan(after.cost) == np.isnan(before.cost)).all()
    untouched = ~setting.touches(situation)
    assert not after.changed_since(before)[untouched].any()
    assert situation.total() - after.total() <= before.spent()[~untouched].sum() + 1e-9
    longer = replace(setting, ttl=ttl * 2 + 1).apply(situation).workload
    assert (longer.cache_read_tokens >= after.cache_read_tokens).all()
    # The curve is the replay, not an approximation of it.
    lives = tuple(sorted({0.0, 300.0, ttl, math.inf}))
    for value in lives:
        one = replace(setting, ttl=value)
        assert cost(situation, prompt_cache_effect(one, situation, lives)) == pytest.approx(
            one.apply(situation).total(), abs=1e-9
        )


def test_rules_decide_which_calls_take_part() -> None:
    """Bills by model: a model without a rule, a model without a price for reads, calls in batches and short prompts stay."""
    made = [
        {"day": 0, "second": n, "model": model, "feature": "ask", "processing": processing, "blocks": blocks, "tree": 0,
         "uncached_input_tokens": 3000, "cache_read_tokens": 0, "cost": "list", "is_cache_hit": False, "has_usage": True}
        for n, (model, processing, blocks) in enumerate(
            [(GPT, "standard", 5), (GPT, "standard", 5), (GPT, "batch", 5), (GPT, "standard", 1), (SMALL, "standard", 5), (OTHER, "standard", 5)]
        )
    ]  # fmt: skip
    situation = situation_with_prefixes(made)
    setting = PromptCache(ttl=300, block_tokens=512)
    assert setting.touches(situation).tolist() == [True, True, False, False, True, True]
    assert setting.apply(situation).workload.cache_read_tokens.tolist() == [0, 2560, 0, 0, 0, 0]
    table = cache_models(setting, situation).set_index("model")
    assert table.loc["gpt-4o-mini", "read_times"] == pytest.approx(0.5)
    assert table.loc["gpt-4o-mini", "left_out"] is None
    assert table.loc["other", "write_times"] == pytest.approx(1.25)


def test_the_replay_is_held_against_what_the_log_says() -> None:
    read = (0, 2560, 2560, 0)
    made = [
        call(0, second=second, model=GPT, uncached_input_tokens=3000 - cached, cache_read_tokens=cached)
        for second, cached in zip((0, 100, 350, 1000), read, strict=True)
    ]
    workload = workload_of(made, prefix_blocks=lists([[1, 2, 3, 4, 5]] * 4))
    rates = rates_of(workload, price_rows(GPT_PRICES))
    situation = Situation(replace(workload, cost=rates.priced(workload)), rates)
    exact = calibration(PromptCache(block_tokens=512), situation)
    assert (exact.error, exact.is_calibrated) == (0.0, True)
    assert exact.words.startswith("Calibrated within 0.0%")
    # Replayed with the life that the log shows, nothing changes: the bill today is the bill of the replay.
    after = PromptCache(ttl=300, block_tokens=512).apply(situation)
    assert after.workload.cost.tobytes() == situation.workload.cost.tobytes()
    wrong = calibration(PromptCache(block_tokens=512), situation, ttl=1000)
    assert wrong.error == 0.0  # after the last logged read nothing is compared
    smaller = calibration(PromptCache(block_tokens=256), situation)
    assert smaller.error == pytest.approx(-0.5)
    assert smaller.words.startswith("Not calibrated")
    none = calibration(PromptCache(), situation_of([call()]))
    assert none.error is None
    assert not none.is_calibrated


def test_the_prefix_that_many_share_is_marked_first() -> None:
    made = [call(0, second=10 * n, model=CLAUDE, uncached_input_tokens=12_000) for n in range(8)]
    chains = [[1, 2, 3, 100 + n] for n in range(6)] + [[50, 51, 52, 53]] * 2
    workload = workload_of(made, prefix_blocks=lists(chains), prompt_name=Coded(np.zeros(8, dtype=np.int32), ("bot",)))
    window = replace(workload.window, first=date(2026, 3, 1), last=date(2026, 3, 31))
    rates = rates_of(workload, price_rows(CLAUDE_PRICES))
    situation = Situation(
        replace(workload, cost=rates.priced(workload), money=np.full(8, 1000.0), window=window), rates
    )
    marks = prefixes_to_mark(PromptCache(ttl=300, block_tokens=2000), situation)
    first = marks.iloc[0]
    assert (first["tokens"], first["calls"], first["reads"], first["writes"]) == (6000, 6, 5, 1)
    # 5 reads at 2.7 less per million, one write at 0.75 more, of 6,000 tokens, each call standing for 1,000 dollars' worth.
    assert first["saving"] == Decimal("76.50")
    assert (first["prompt_name"], first["model"], first["prefix"]) == ("bot", "claude-sonnet-4-5", f"{3:016x}")
    assert marks.iloc[1]["tokens"] == 8000
    assert marks["saving"].tolist() == sorted(marks["saving"], reverse=True)


def test_calls_without_fingerprints_stay_unless_a_share_is_assumed() -> None:
    made = [call(0, second=60 * n, model=GPT, feature="ask", uncached_input_tokens=4000) for n in range(3)]
    workload = workload_of(made)
    rates = rates_of(workload, price_rows(GPT_PRICES))
    situation = Situation(replace(workload, cost=rates.priced(workload)), rates)
    assert PromptCache(ttl=300).apply(situation) is situation
    setting = PromptCache(ttl=300, stable_share=0.5)
    assert setting.apply(situation).workload.cache_read_tokens.tolist() == [0, 1920, 1920]
    assert any("50%" in sentence for sentence in setting.assumptions())


def test_a_block_is_as_many_tokens_as_the_calls_say() -> None:
    made = [call(0, second=n, model=GPT, uncached_input_tokens=512 * 6 + n * 5) for n in range(100)]
    workload = workload_of(made, prefix_blocks=lists([[1, 2, 3, 4, 5, 6]] * 100))
    situation = Situation(workload, rates_of(workload, price_rows(GPT_PRICES)))
    assert PromptCache(ttl=300).apply(situation).workload.cache_read_tokens.max() == 3072
    # 1,024 characters a block: 11 blocks and a half in 2,760 tokens make 240 each.
    made = [call(0, second=n, model=GPT, uncached_input_tokens=2760) for n in range(20)]
    workload = workload_of(made, prefix_blocks=lists([list(range(1, 12))] * 20))
    situation = Situation(workload, rates_of(workload, price_rows(GPT_PRICES)))
    assert PromptCache(ttl=300).apply(situation).workload.cache_read_tokens.max() == 2560  # 2,640 in steps of 128


def test_a_cache_that_is_paid_by_the_hour() -> None:
    """Two calls half an hour apart, kept for an hour after each use: an hour and a half of 100,000 tokens at 4.50."""
    gemini = ("google", "gemini-2.5-pro")
    made = [
        call(0, second=second, model=gemini, uncached_input_tokens=100_000, output_tokens=0) for second in (0, 1800)
    ]
    workload = workload_of(made, prefix_blocks=lists([[1]] * 2))
    rates = rates_of(
        workload,
        [
            PriceRow("percall", *gemini, kind, "standard", 0, Decimal(amount), "USD", BEGINNING, OPEN_END)
            for kind, amount in (("input", "1.25"), ("cache_read", "0.125"), ("output", "10"))
        ],
    )
    situation = Situation(replace(workload, cost=rates.priced(workload)), rates)
    setting = PromptCache(ttl=3600, objects=True, block_tokens=100_000)
    after = setting.apply(situation)
    assert after.total() == pytest.approx(0.125 + 0.0125 + 1.5 * 0.45)
    for lives in ((3600.0,), (0.0, 60.0, 3600.0, 86_400.0)):
        assert cost(situation, prompt_cache_effect(setting, situation, lives)) == pytest.approx(after.total())
    implicit = replace(setting, objects=False).apply(situation)
    assert implicit.total() == pytest.approx(0.125 + 0.0125)


def test_the_curve_agrees_with_whole_replays() -> None:
    made = [call(0, second=97 * n, model=GPT, uncached_input_tokens=3000) for n in range(30)]
    workload = workload_of(made, prefix_blocks=lists([[1, 2, 3, 4, 5]] * 30))
    rates = rates_of(workload, price_rows(GPT_PRICES))
    money = np.full(30, 1e6)
    situation = Situation(replace(workload, cost=rates.priced(workload), money=money), rates)
    values = (0.0, 60.0, 300.0, 3600.0, math.inf)
    whole = curve(lambda ttl: PromptCache(ttl=ttl, block_tokens=512), values, situation)
    quick = [prompt_cache_effect(PromptCache(ttl=ttl, block_tokens=512), situation, values) for ttl in values]
    scale = situation.window.scale_to_month
    assert [cents(cost(situation, each) * scale) for each in quick] == whole["cost"].tolist()
    assert whole["saving"].iloc[-1] > 0


def test_nothing_to_replay_is_no_error() -> None:
    nothing = situation_of([])
    setting = PromptCache(ttl=300, stable_share=0.5)
    assert setting.apply(nothing) is nothing
    assert cost(nothing, prompt_cache_effect(setting, nothing, (300.0,))) == 0
    assert cache_models(setting, nothing).empty
    assert prefixes_to_mark(setting, nothing).empty


def test_settings_are_checked_and_kept_in_files() -> None:
    for wrong in (
        {"ttl": -1.0},
        {"ttl": math.nan},
        {"stable_share": 0.96},
        {"minimum_tokens": 0},
        {"block_tokens": 0.0},
    ):
        with pytest.raises(InputError, match="must lie between"):
            PromptCache(**wrong)
    scenario = Scenario("x", (PromptCache(ttl=math.inf, calls=Selection(feature=("ask",)), minimum_tokens=2048),))
    assert read_scenario(scenario.toml()) == scenario


def test_wrong_rules_are_refused_in_words() -> None:
    good = {
        "provider": "p", "scheme": "marked", "minimum_tokens": 1, "grain_tokens": 1, "lives": [300], "writes": ["input"],
        "source": "s", "valid_from": date(2026, 1, 1),
    }  # fmt: skip
    assert rules_of([good])[0].life(10) == (300_000_000, "input")
    for wrong in (
        {"lives": []},
        {"scheme": "magic"},
        {"writes": ["output"]},
        {"grain_tokens": 0},
        {"models": "("},
        {"colour": 1},
    ):
        with pytest.raises(InputError, match="rule 1"):
            rules_of([good | wrong])
    assert all(rule.source for rule in read_rules())

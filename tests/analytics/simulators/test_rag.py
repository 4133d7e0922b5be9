"""Retrieval: the published sums, what was embedded twice, and what must hold for any calls."""

from __future__ import annotations

from dataclasses import replace
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
from analytics.simulators.rag import (
    Rag,
    embedded_before,
    embedding_waste,
)
from analytics.simulators.rag_effects import rag_effect
from analytics.simulators.scenario import Scenario, read_scenario
from analytics.simulators.situation import Situation
from analytics.simulators.to_the_cent import cents
from tests.analytics.simulators.made import BIG, OTHER, call, price_rows, rates_of, situation_of, workload_of
from warehouse.errors import InputError

EMBED = ("openai", "text-embedding-3-large")
SMALL_EMBED = ("openai", "text-embedding-3-small")
EMBED_PRICES = {(*EMBED, "standard"): {"input": "0.13"}, (*SMALL_EMBED, "standard"): {"input": "0.02"}}
SEARCH = Selection(feature=("search",))


def test_a_million_queries_with_larger_chunks() -> None:
    """2,910 tokens become 10,350 at 2.50 per million: 18,600 more for a million queries."""
    situation = situation_of([call(0, uncached_input_tokens=2910, output_tokens=0, feature="search")])
    million = situation.with_workload(replace(situation.workload, money=np.full(1, 1e6)))
    setting = Rag(chunk_tokens=1000, top_k=10, calls=SEARCH)
    after = setting.apply(million)
    assert after.workload.uncached_input_tokens.tolist() == [10_350]
    assert after.total() - million.total() == pytest.approx(18_600)
    assert cost(million, rag_effect(setting, million)) == pytest.approx(after.total())


def test_a_call_with_less_than_the_context_shrinks_in_proportion() -> None:
    made = [
        call(0, second=n, uncached_input_tokens=tokens, feature="search") for n, tokens in enumerate((10_385, 4000, 0))
    ]
    after = Rag(chunk_tokens=450, top_k=3, chunk_tokens_today=2000, top_k_today=5, calls=SEARCH).apply(
        situation_of(made)
    )
    assert after.workload.uncached_input_tokens.tolist() == [1735, 540, 0]


def embeddings() -> Situation:
    """Four inputs: one embedded three times by the same job, one by two models, one without a hash, one new."""
    rows = ((1, EMBED), (1, EMBED), (2, EMBED), (2, SMALL_EMBED), (0, EMBED), (0, EMBED), (1, EMBED))
    made = [
        call(n, model=model, operation="embeddings", uncached_input_tokens=1_000_000, output_tokens=0, feature="embed")
        for n, (_, model) in enumerate(rows)
    ]
    job = Coded(np.array([0, 0, -1, -1, -1, -1, 0], dtype=np.int32), ("nightly",))
    keys = np.array([key for key, _ in rows], dtype=np.uint64)
    workload = workload_of(made, input_hash=keys, **{"label:job": job})
    rates = rates_of(workload, price_rows(EMBED_PRICES))
    return Situation(replace(workload, cost=rates.priced(workload)), rates)


def test_what_did_not_change_is_not_embedded_again() -> None:
    situation = embeddings()
    assert embedded_before(situation.workload).tolist() == [False, True, False, False, False, False, True]
    after = Rag(only_changed=True).apply(situation)
    assert situation.total() - after.total() == pytest.approx(0.26)
    table = embedding_waste(situation)
    assert table.iloc[0]["job"] == "nightly"
    assert (table.iloc[0]["repeated_calls"], table.iloc[0]["tokens"]) == (2, 3e6)
    assert table.iloc[0]["waste_share"] == pytest.approx(2 / 3)
    assert table.iloc[0]["wasted"] == Decimal("0.28")  # of a month: 0.26 x 30.4375 / 28
    assert table["unknown_calls"].sum() == 2
    assert embedding_waste(situation_of([call()])).empty


def test_another_embedding_model_and_other_overlap() -> None:
    situation = embeddings()
    after = Rag(embedding_model="text-embedding-3-small").apply(situation)
    assert after.total() == pytest.approx(7 * 0.02)
    # No overlap instead of a half: half as many tokens.
    half = Rag(overlap=0.0, overlap_today=0.5).apply(situation)
    assert half.total() == pytest.approx(situation.total() / 2)


def test_a_reranker_costs_what_is_said() -> None:
    situation = situation_of([call(feature="search"), call(feature="ask")])
    after = Rag(rerank_cost=0.002, calls=SEARCH).apply(situation)
    assert after.total() - situation.total() == pytest.approx(0.002)


calls = st.lists(
    st.fixed_dictionaries(
        {
            "day": st.integers(0, 2),
            "model": st.sampled_from([BIG, OTHER]),
            "feature": st.sampled_from(["ask", "search", None]),
            "operation": st.sampled_from(["chat", "chat", "embeddings"]),
            "uncached_input_tokens": st.integers(0, 5000),
            "cost": st.one_of(st.just("list"), st.none(), st.floats(0, 2, allow_nan=False)),
            "has_usage": st.sampled_from([True, True, False]),
            "key": st.integers(0, 3),
        }
    ),
    min_size=1,
    max_size=20,
)


def situation_from(made: list[dict[str, Any]]) -> Situation:
    made = sorted([{**made[0], "feature": "search"}, *made], key=lambda each: each["day"])
    return situation_of(made, input_hash=np.array([each["key"] for each in made], dtype=np.uint64))


@settings(max_examples=80, deadline=None)
@given(calls)
def test_the_neutral_setting_changes_no_bit(made: list[dict[str, Any]]) -> None:
    situation = situation_from(made)
    assert Rag.neutral().apply(situation) is situation
    same = Rag(chunk_tokens=400, top_k=3, chunk_tokens_today=300, top_k_today=4, calls=SEARCH)
    assert same.apply(situation) is situation


@settings(max_examples=120, deadline=None)
@given(calls, st.integers(1, 2000), st.integers(1, 20), st.integers(1, 2000), st.integers(1, 20), st.booleans())
def test_what_must_hold_for_any_calls(
    made: list[dict[str, Any]], chunk: int, k: int, chunk_today: int, k_today: int, changed: bool
) -> None:
    situation = situation_from(made)
    setting = Rag(
        chunk_tokens=chunk,
        top_k=k,
        chunk_tokens_today=chunk_today,
        top_k_today=k_today,
        calls=SEARCH,
        only_changed=changed,
    )
    after = setting.apply(situation)
    touched = setting.touches(situation)
    assert not after.workload.changed_since(situation.workload)[~touched].any()
    assert situation.total() - after.total() <= situation.workload.spent()[touched].sum() + 1e-9
    if chunk * k <= chunk_today * k_today:
        assert after.total() <= situation.total() + 1e-12
    more = replace(setting, top_k=k + 1).apply(situation)
    assert more.total() >= after.total() - 1e-12


@settings(max_examples=60, deadline=None)
@given(calls, st.integers(0, 20))
def test_the_prepared_lengths_are_the_replay(made: list[dict[str, Any]], k: int) -> None:
    situation = situation_from([{**each, "cost": "list" if each["cost"] is not None else None} for each in made])
    setting = Rag(chunk_tokens=500, top_k=k, chunk_tokens_today=500, top_k_today=5, calls=SEARCH)
    assert cost(situation, rag_effect(setting, situation)) == pytest.approx(setting.apply(situation).total(), abs=1e-9)


def test_the_curve_agrees_with_whole_replays() -> None:
    made = [call(0, second=n, uncached_input_tokens=10_400, feature="search") for n in range(20)]
    situation = situation_of(made)
    situation = situation.with_workload(replace(situation.workload, money=np.full(20, 1000.0)))
    values = [1350, 5000, 10_000]
    today = {"chunk_tokens_today": 2000, "top_k_today": 5, "calls": SEARCH}
    whole = curve(lambda tokens: Rag(chunk_tokens=tokens, top_k=1, **today), values, situation)
    quick = [rag_effect(Rag(chunk_tokens=tokens, top_k=1, **today), situation) for tokens in values]
    scale = situation.window.scale_to_month
    assert [cents(cost(situation, each) * scale) for each in quick] == whole["cost"].tolist()
    assert [each.changed for each in quick] == whole["changed_calls"].tolist()
    assert [each.is_today for each in quick] == whole["is_today"].tolist()


def test_settings_are_checked_and_kept_in_files() -> None:
    for wrong in (
        {"chunk_tokens": 0.0}, {"overlap": 0.95}, {"top_k": -1}, {"rerank_cost": -1.0}, {"top_k": 3}, {"rerank_cost": 0.1}, {"top_k_today": 0},
    ):  # fmt: skip
        with pytest.raises(InputError):
            Rag(**wrong)
    scenario = Scenario("x", (Rag(chunk_tokens=450, top_k=3, calls=SEARCH, embedding_model="self-hosted/bge-m3"),))
    assert read_scenario(scenario.toml()) == scenario
    with pytest.raises(ValueError, match="replay this setting"):
        rag_effect(Rag(embedding_model="self-hosted/bge-m3"), situation_of([call()]))

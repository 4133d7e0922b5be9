"""What a page reads from its prepared tables is what the replay of the lever says: cost, range, breakdown and counts, at every step of a slider."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analytics.simulators.breakdown import Axes
from analytics.simulators.effect import sampling_error
from analytics.simulators.heavy_columns import Coded, Lists
from analytics.simulators.infrastructure import CostLine
from analytics.simulators.lever import Selection
from analytics.simulators.lever_pages import PAGES, defaults
from analytics.simulators.run_scenario import run
from analytics.simulators.situation import Memo, Situation
from analytics.simulators.tier_switch import SwitchOff
from analytics.simulators.waterfall import Waterfall
from tests.analytics.simulators.made import BIG, OTHER, SMALL, call, situation_of

CENT = Decimal("0.01")
CALLS, DAYS = 1500, 28


@pytest.fixture(scope="module")
def situation() -> Situation:
    """1,500 calls as various as a log can be: chats and embeddings of four features and none, of known and unknown users and tiers, at list price, at
    a discount and at no known cost, failed, answered by the gateway's cache, streamed, in sessions, with reasoning and cut answers, prefixes and
    inputs that come again. Each stands for a thousand dollars per dollar and more, as where a bill covers it, so that cents are tight. And a GPU, a
    vector database and a line that is a feature's own."""
    random = np.random.default_rng(7)
    rows: list[dict[str, Any]] = []
    moments = np.sort(random.integers(0, DAYS * 86_400, CALLS)).tolist()
    for n in range(CALLS):
        embeds = random.random() < 0.15
        rows.append(
            call(
                day=moments[n] // 86_400,
                second=moments[n] % 86_400,
                feature=[None, "ask", "report", "tag", "find"][random.integers(0, 5)],
                user=None if random.random() < 0.4 else f"user {random.integers(0, 40)}",
                user_tier=[None, "free", "pro"][random.integers(0, 3)],
                project=["one", "two"][random.integers(0, 2)],
                model=SMALL if embeds else [BIG, BIG, OTHER, SMALL][random.integers(0, 4)],
                operation="embeddings" if embeds else "chat",
                status="failure" if random.random() < 0.05 else "success",
                processing="batch" if not embeds and random.random() < 0.1 else "standard",
                is_cache_hit=random.random() < 0.03,
                has_usage=random.random() > 0.04,
                cost=None if random.random() < 0.05 else "list" if random.random() < 0.8 else "0.002",
                uncached_input_tokens=int(random.integers(0, 9000)),
                cache_read_tokens=0 if embeds else int(random.integers(0, 3) * 700),
                output_tokens=0 if embeds else int(random.integers(0, 3000)),
                reasoning_tokens=0 if embeds or random.random() < 0.6 else int(random.integers(0, 2000)),
            )
        )
    rows = [{**row, "model": BIG} if row["processing"] == "batch" else row for row in rows]
    lengths = random.integers(0, 6, CALLS)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    family = np.repeat(random.integers(0, 12, CALLS), lengths)
    level = np.concatenate([np.arange(length) for length in lengths])
    own = np.where(random.random(len(level)) < 0.1, random.integers(0, 1 << 40, len(level)), 0)
    found = situation_of(
        rows,
        days=DAYS,
        lines=[
            CostLine("GPU inference", "Machines", "gpu-1", random.random(DAYS) * 40, 672.0),
            CostLine("Vector database", "Machines", "vectors-1", np.full(DAYS, 9.6), 672.0, feature="find"),
            CostLine("Storage and transfer", "Disks", None, np.full(DAYS, 1.5)),
        ],
        input_hash=random.integers(1, 300, CALLS).astype(np.uint64),
        session=random.integers(0, 400, CALLS).astype(np.uint64),
        is_stream=np.where(random.random(CALLS) < 0.2, 1, 0).astype(np.float32),
        was_cut=np.where(random.random(CALLS) < 0.1, 1, 0).astype(np.float32),
        prefix_blocks=Lists(offsets, (family * 1000 + level + own).astype(np.uint64) + np.uint64(1)),
        answer=Coded(random.integers(-1, 30, CALLS).astype(np.int32), tuple(f"answer {n}" for n in range(30))),
    )
    workload = found.workload
    money = np.where(workload.model == workload.models.index(BIG), 1070.0, 1000.0)
    load = pd.DataFrame({"hour": pd.date_range("2026-03-02", periods=672, freq="h"), "resource": "gpu-1", "gpu": "L4"})
    load = load.assign(gpu_count=1, model="llama-3.1-8b-instruct", feature=None, requests=np.nan)
    return replace(
        found,
        workload=replace(workload, money=money),
        utilization=load.assign(gpu_utilization=random.random(672) * 0.6, tokens_per_second=np.nan),
    )


SETTINGS: dict[str, list[dict[str, Any]]] = {
    "model-routing": [
        {"to": "openai/small"},
        {"to": "openai/small", "features": ("ask", "tag"), "escalation": 12.0, "retries": 30.0, "fee": 0.0004, "output": 140.0},
        {"to": None},
    ],
    "semantic-cache": [{}, {"life": "7 days", "scope": "All users", "features": ("report",), "embedding": 4.0, "fee": 0.0003}],
    "prompt-cache": [{}, {"features": ("ask", "find")}, {"stable": 40.0, "features": ("tag",)}],
    "output-limit": [{}, {"length": 60.0, "schema": 150, "retry": 45.0, "features": ("ask", "report")}, {"retry": 0.0}],
    "batch": [{}, {"users": True, "cached": 75.0, "follow": 2.0}, {"users": True, "features": ("tag",)}],
    "rag": [
        {"features": ("ask", "find")},
        {"features": ("report",), "chunk": 450, "chunk_today": 700, "top_k_today": 7, "rerank": 0.0015, "only_changed": True},
        {"only_changed": True},
    ],
    "self-host": [{}, {"features": ("ask",), "batch": 2, "other": 350.0, "bits": "8"}],
    "switch-off": [{"features": ("ask", "find")}, {"features": ("tag",), "tiers": ("free",)}, {"tiers": ("pro",)}],
    "volume": [{}, {"features": ("ask", "tag")}, {"tiers": ("free",), "features": ("report",)}],
    "spot": [{}, {"category": "Vector database", "price": 55.0}],
    "committed-use": [{}, {"category": "LLM API", "discount": 20.0}],
}  # fmt: skip


def cases() -> list[tuple[str, int]]:
    return [(name, place) for name in PAGES for place in range(len(SETTINGS.get(name, [{}])))]


@pytest.mark.parametrize(("name", "place"), cases())
def test_every_step_is_the_replay(name: str, place: int, situation: Situation) -> None:
    page = PAGES[name]
    setting = {**defaults(page, situation), **SETTINGS.get(name, [{}])[place]}
    main = page.main(situation)
    for option in main.options:
        outcome = page.outcome(situation, {**setting, main.name: option})
        same(outcome.waterfall, run(situation, (outcome.lever,)))
        assert outcome.lever == page.build(situation, {**setting, main.name: option})


def same(found: Waterfall, replayed: Waterfall) -> None:
    """Costs to the cent by category; ranges to a thousandth of their width; the breakdown to the cent."""
    assert found.base == replayed.base
    for category in {*found.end_costs, *replayed.end_costs}:
        nothing = Decimal(0)
        assert abs(found.end_costs.get(category, nothing) - replayed.end_costs.get(category, nothing)) <= CENT, category
    for mine, theirs in ((found.saving_range, replayed.saving_range), (found.end_range, replayed.end_range)):
        assert abs(mine.point - theirs.point) < 0.01
        tolerance = 0.01 + RANGE_TOLERANCE.get(found.steps[0].lever.name, 1e-9) * theirs.width
        assert abs(mine.low - theirs.low) <= tolerance
        assert abs(mine.high - theirs.high) <= tolerance
    assert list(found.by_feature["feature"]) == list(replayed.by_feature["feature"])
    for column in ("cost", "cost_after", "saving", "calls", "calls_after"):
        pairs = zip(found.by_feature[column], replayed.by_feature[column], strict=True)
        assert all(abs(mine - theirs) <= (CENT if isinstance(mine, Decimal) else 1e-6) for mine, theirs in pairs), (
            column
        )
    assert set(found.notes) == set(replayed.notes)
    assert not replayed.steps[0].changed or found.steps[0].changed or found.saving


RANGE_TOLERANCE = {"rag": 0.02}
"""How chunks spread over days and users is taken to be proportional to their tokens."""


def test_evidence_is_the_replay_s(situation: Situation) -> None:
    page = PAGES["batch"]
    outcome = page.outcome(situation, {**defaults(page, situation), "users": True, "share": "50%"})
    replayed = run(situation, (outcome.lever,))
    pd.testing.assert_frame_equal(outcome.evidence(), replayed.evidence(0))


def test_a_step_between_two_prepared_ones_is_refused_in_words(situation: Situation) -> None:
    page = PAGES["batch"]
    with pytest.raises(Exception, match="no step of this slider"):
        page.outcome(situation, {**defaults(page, situation), "share": "51%"})


def test_sums_along_days_and_groups_are_the_same_money(situation: Situation) -> None:
    spent = situation.workload.spent()
    sums = Axes.of(situation).sums(spent)
    np.testing.assert_allclose(sums.by_day.sum(axis=1), sums.by_group.sum(axis=1))
    np.testing.assert_allclose(sums.by_day.sum(axis=0), situation.workload.by_day(spent))
    by_name = situation.workload.by_code("feature", spent)
    names = (None, *situation.workload.names["feature"])
    np.testing.assert_allclose(sums.by_feature, [by_name.get(name, 0.0) for name in names])
    place = np.flatnonzero(spent > np.median(spent))
    step = np.arange(len(place)) % 3
    apart = Axes.of(situation).sums(spent[place], place, step, 3)
    whole = Axes.of(situation).sums(spent[place], place)
    np.testing.assert_allclose(apart.by_group.sum(axis=0), whole.by_group)
    np.testing.assert_allclose(apart.cumulated()[2].by_day, whole.by_day)


def test_the_error_of_a_sample_is_the_replay_s(situation: Situation) -> None:
    """Every second call, each for two: the prepared sums do not know the error, a replay does."""
    assert sampling_error(situation, SwitchOff(Selection(feature=("ask",)), 0.5)) == 0
    workload = situation.workload
    two = np.full(len(workload), 2.0)
    strata = workload.feature.astype(np.int32) + 1
    held = replace(workload, weight=two, money=workload.money * two, stratum=strata, population=2 * len(workload))
    sampled = replace(situation, workload=held, memo=Memo())
    lever = SwitchOff(Selection(feature=("ask",)), 0.5)
    (step,) = run(sampled, (lever,)).steps
    assert step.sampling_error > 0
    assert sampling_error(sampled, lever) == pytest.approx(step.sampling_error)
    page = PAGES["switch-off"]
    setting = {**defaults(page, sampled), "features": ("ask",), "share": "50%"}
    same(page.outcome(sampled, setting).waterfall, run(sampled, (lever,)))
    assert np.isnan(page.outcome(sampled, setting).waterfall.steps[0].sampling_error)

"""What a plan realised: cases counted by hand, the account's identity, and nothing realised where nothing changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.filters import Filters
from analytics.simulators.adopted_plans import Plan, PlannedLever
from analytics.simulators.batch import Batch
from analytics.simulators.gpu_rightsizing import GpuRightsizing
from analytics.simulators.infrastructure import CostLine
from analytics.simulators.lever import Lever, Selection
from analytics.simulators.output_limits import OutputLimits
from analytics.simulators.prompt_cache import PromptCache
from analytics.simulators.rag import Rag
from analytics.simulators.realised import Realised, measure
from analytics.simulators.realised_cells import in_common
from analytics.simulators.realised_period import period_of
from analytics.simulators.routing import ModelRouting
from analytics.simulators.scenario import Scenario
from analytics.simulators.semantic_cache import SemanticCache
from analytics.simulators.situation import Situation
from analytics.simulators.spot import Spot
from analytics.simulators.tier_switch import SwitchOff
from analytics.simulators.vector_database import VectorDatabase
from analytics.simulators.volume import Volume
from tests.analytics.simulators.made import BIG, FIRST, SMALL, Call, call, situation_of

ASK = Selection(feature=("ask",))
MILLION = {"uncached_input_tokens": 2_000_000, "output_tokens": 300_000}
"""A call of 8.00 USD at the big model (2 x 2.50 + 0.3 x 10), of 0.48 USD at the small one (2 x 0.15 + 0.3 x 0.60)."""


def days(number: int, *each: dict[str, Any]) -> list[Call]:
    """The same calls on every day."""
    return [call(day=day, **MILLION | one) for day in range(number) for one in each]


def times(number: int, **values: Any) -> list[dict[str, Any]]:
    return [{"feature": "ask", **values}] * number


def plan_of(*levers: Lever, expected: Sequence[str] = (), base_days: int = 28) -> Plan:
    """A plan whose levers were to save these amounts per month; its month is as long as its baseline."""
    amounts = [Decimal(amount) for amount in expected] or [Decimal("100.00")] * len(levers)
    planned = tuple(
        PlannedLever(lever.name, lever.title, amount, amount, amount)
        for lever, amount in zip(levers, amounts, strict=True)
    )
    whole, moment = sum(amounts, Decimal(0)), pd.Timestamp("2026-03-30").to_pydatetime()
    return Plan(
        "Plan", Scenario("Plan", levers), Filters(FIRST, date(2026, 3, 29)), date(2026, 4, 1), None, "", "", "running",
        planned, {}, {}, whole, whole, whole, base_days, 1.0, "s", 0, moment, "me", moment, "me",
    )  # fmt: skip


def account(plan: Plan, base: Situation, actual: Situation, **more: Any) -> Realised:
    levers = plan.scenario.enabled
    common = in_common([base.workload, actual.workload])
    return measure(plan, period_of([base], levers, common), period_of([actual], levers, common), **more)


def is_exact(found: Realised) -> None:
    """Baseline less actual is what the account says, to the cent, in sum and by category."""
    for name in found.baseline:
        parts = [lever.by_category.get(name, Decimal(0)) for lever in found.levers]
        parts += [found.volume[name], found.prices[name], found.residual[name]]
        assert found.baseline[name] - found.actual[name] == sum(parts, Decimal(0)), name


def line(category: str, per_day: float, number: int) -> CostLine:
    return CostLine(category, category, category, np.full(number, per_day))


def test_routing_by_hand() -> None:
    """10 calls a day at 8.00; then 12 a day, 9 of them at 0.48: over 14 days 9 x 7.52 x 14 = 947.52 are saved, 2 x 8.00 x 14 = 224 more volume."""
    base = situation_of(days(28, *times(10, model=BIG)))
    actual = situation_of(days(14, *times(9, model=SMALL), *times(3, model=BIG)), days=14)
    plan = plan_of(ModelRouting(to="openai/small", threshold=0.5, calls=ASK), expected=["1600"])
    found = account(plan, base, actual)
    (row,) = found.levers
    assert sum(found.baseline.values()) == Decimal("1120.00")
    assert sum(found.actual.values()) == Decimal("396.48")
    assert row.realised == Decimal("947.52")
    assert sum(found.volume.values()) == Decimal("-224.00")
    assert sum(found.prices.values()) == sum(found.residual.values()) == 0
    # Planned 1,600 in 28 days: 800 in 14, and 960 at a fifth more requests. The days are all alike: there is nothing to doubt.
    assert (row.planned, row.expected, row.low, row.high) == tuple(
        map(Decimal, ("800.00", "960.00", "947.52", "947.52"))
    )
    assert (row.status, found.status) == ("on track", "on track")
    is_exact(found)


def test_a_share_that_the_baseline_had_is_not_realised() -> None:
    """Half of the calls were on the small model before: of 75 % then, a third is the lever's. 12 x 0.25 x 7.52 x 14 = 315.84."""
    base = situation_of(days(28, *times(6, model=BIG), *times(6, model=SMALL)))
    actual = situation_of(days(14, *times(3, model=BIG), *times(9, model=SMALL)), days=14)
    plan = plan_of(ModelRouting(to="small", threshold=0.5, calls=ASK))
    assert account(plan, base, actual).levers[0].realised == Decimal("315.84")
    # And the other way round: a share that fell is a loss of as much.
    back = account(plan, situation_of(days(28, *times(3, model=BIG), *times(9, model=SMALL))), situation_of(
        days(14, *times(6, model=BIG), *times(6, model=SMALL)), days=14))  # fmt: skip
    assert back.levers[0].realised == Decimal("-315.84")
    is_exact(back)


def test_levers_one_after_the_other_by_hand() -> None:
    """Cache, routing and batch, in this order in the plan; 10 requests a day, 4 answered by the cache, the others small and in batches.

    Taken back from the last: a batch costs half, 6 x 0.24; then 0.48 -> 8.00 for 6 calls; then 4 answers at 8.00. The answers name the small
    model, which the routing had given them.
    """
    base = situation_of(days(28, *times(10, model=BIG)))
    actual = situation_of(
        days(28, *times(6, model=SMALL, processing="batch"), *times(4, model=SMALL, is_cache_hit=True, cost=0))
    )
    plan = plan_of(
        SemanticCache(calls=ASK), ModelRouting(to="small", threshold=0.5, calls=ASK), Batch(share=1.0, calls=ASK)
    )
    found = account(plan, base, actual)
    assert [row.realised for row in found.levers] == [
        Decimal("896.00"),  # 4 x 8.00 x 28
        Decimal("1263.36"),  # 6 x 7.52 x 28
        Decimal("40.32"),  # 6 x 0.24 x 28
    ]
    assert sum(found.volume.values()) == sum(found.residual.values()) == 0
    assert found.realised == Decimal("2199.68")
    is_exact(found)


def test_prompt_caching_by_hand() -> None:
    """Half of 2,000,000 input tokens read at 1.25 instead of 2.50: 1.25 a call, 10 calls, 28 days."""
    base = situation_of(days(28, *times(10)))
    actual = situation_of(days(28, *times(10, uncached_input_tokens=1_000_000, cache_read_tokens=1_000_000)))
    found = account(plan_of(PromptCache(ttl=300, calls=ASK)), base, actual)
    assert found.levers[0].realised == Decimal("350.00")
    assert sum(found.residual.values()) == 0
    is_exact(found)


def test_shorter_answers_and_fewer_repeats_by_hand() -> None:
    """Every question was asked twice, because its answer of 300,000 tokens was cut; now once, with an answer of 30,000.

    Saved: (5.00 + 3.00) x 2 - (5.00 + 0.30) = 10.70 a question, on 4 questions a day.
    """
    two = [
        call(day=day, second=60 * number + 20 * again, feature="ask", **MILLION)
        for day in range(28)
        for number in range(4)
        for again in (0, 1)
    ]
    base = situation_of(
        two,
        was_cut=np.tile(np.array([1, 0], dtype=np.float32), 112),
        input_hash=np.repeat(np.arange(1, 113), 2).astype(np.uint64),
    )
    actual = situation_of(
        days(28, *times(4, output_tokens=30_000)),
        was_cut=np.zeros(112, np.float32),
        input_hash=np.arange(1, 113).astype(np.uint64),
    )
    found = account(plan_of(OutputLimits(cap=30_000, answer_tokens=30_000, end_repeats=True, calls=ASK)), base, actual)
    assert found.levers[0].realised == Decimal("1198.40")
    assert sum(found.volume.values()) == sum(found.residual.values()) == 0
    is_exact(found)


def test_retrieval_by_hand() -> None:
    """Prompts of 1,200,000 instead of 2,000,000 tokens: 2.00 a call, on 5 calls; and 3.00 of embedding a day that ended."""
    embedding = {
        "operation": "embeddings",
        "feature": "documents",
        "uncached_input_tokens": 1_200_000,
        "output_tokens": 0,
    }
    base = situation_of(days(28, *times(5), embedding))
    actual = situation_of(days(28, *times(5, uncached_input_tokens=1_200_000)))
    lever = Rag(chunk_tokens=300, top_k=4, chunk_tokens_today=400, top_k_today=5, calls=ASK, only_changed=True)
    found = account(plan_of(lever), base, actual)
    assert found.levers[0].by_category == {"LLM API": Decimal("280.00"), "Embedding": Decimal("84.00")}
    assert sum(found.volume.values()) == sum(found.residual.values()) == 0
    is_exact(found)


def test_switching_off_by_hand() -> None:
    """6 of 10 calls a day were free ones and are gone; the paying people's 4 became 5: 7.5 would have been made, for 8.00 each."""
    base = situation_of(days(28, *times(6, user_tier="free"), *times(4, user_tier="pro")))
    actual = situation_of(days(28, *times(5, user_tier="pro")))
    plan = plan_of(SwitchOff(share=1.0, calls=Selection(feature=("ask",), user_tier=("free",))))
    found = account(plan, base, actual)
    assert found.levers[0].realised == Decimal("1680.00")
    assert sum(found.volume.values()) == Decimal("-560.00")  # 12.5 requests instead of 10
    assert sum(found.residual.values()) == 0
    # Where active people are recorded, they are the measure: 10 % more of them, 6.6 calls.
    assert account(plan, base, actual, growth={0: np.full(28, 1.1)}).levers[0].realised == Decimal("1478.40")
    is_exact(found)


def test_resources_by_hand() -> None:
    """GPUs at 100 a day, the vector database at 20, storage at 7; then 30, 12 and 8."""
    calls = days(28, *times(1))
    base = situation_of(
        calls, lines=[line("GPU inference", 100, 28), line("Vector database", 20, 28), line("Storage", 7, 28)]
    )
    actual = situation_of(
        days(14, *times(1)),
        days=14,
        lines=[line("GPU inference", 30, 14), line("Vector database", 12, 14), line("Storage", 8, 14)],
    )
    plan = plan_of(GpuRightsizing(gpu="L4"), VectorDatabase(to="own"), expected=["2000", "500"])
    found = account(plan, base, actual)
    assert [row.realised for row in found.levers] == [Decimal("980.00"), Decimal("112.00")]
    assert [row.status for row in found.levers] == ["on track", "behind"]
    assert found.residual["Storage"] == Decimal("-14.00")
    is_exact(found)

    # Two levers on one bill share what it fell by as they were expected to save it, 3 : 1.
    shared = account(plan_of(GpuRightsizing(gpu="L4"), Spot(price_ratio=0.5), expected=["1500", "500"]), base, actual)
    assert [row.realised for row in shared.levers] == [Decimal("735.00"), Decimal("245.00")]
    assert any("divided as the plan expected" in note for note in shared.notes)
    is_exact(shared)


def test_gpus_take_more_load_until_they_are_full() -> None:
    def logged(situation: Situation, requests: float, busy: float) -> Situation:
        hours = pd.date_range(FIRST, periods=28, freq="D").astype("datetime64[us]")
        return replace(
            situation, utilization=pd.DataFrame({"hour": hours, "requests": requests, "gpu_utilization": busy})
        )

    base = logged(situation_of(days(28, *times(1)), lines=[line("GPU inference", 100, 28)]), 1000, 0.4)
    plan = plan_of(GpuRightsizing(gpu="L4"))
    for requests, volume, realised in ((2000, "0.00", "1960.00"), (5000, "-2800.00", "4760.00")):
        # 2.5 times the load fills them; 5 times takes twice as many.
        actual = logged(situation_of(days(28, *times(1)), lines=[line("GPU inference", 30, 28)]), requests, 0.9)
        found = account(plan, base, actual)
        assert (found.volume["GPU inference"], found.levers[0].realised) == (Decimal(volume), Decimal(realised))
        is_exact(found)


def test_growth_is_no_saving_and_widens_what_is_expected() -> None:
    """The plan reckoned with 1.5 times the calls; there were 1.2 times as many: what routing was to save is 0.8 of it."""
    base = situation_of(days(28, *times(10, model=BIG)))
    actual = situation_of(days(28, *times(12, model=SMALL)))
    plan = plan_of(Volume(times=1.5), ModelRouting(to="small", threshold=0.5, calls=ASK), expected=["-1120", "3158.40"])
    found = account(plan, base, actual)
    assert found.levers[0].status == "growth"
    assert found.levers[1].expected == Decimal("2526.72") == found.levers[1].realised
    assert found.planned == Decimal("3158.40")
    assert sum(found.volume.values()) == Decimal("-448.00")
    is_exact(found)


def test_too_early_and_no_evidence() -> None:
    base = situation_of(days(28, *times(10, model=BIG)))
    plan = plan_of(ModelRouting(to="small", threshold=0.5, calls=ASK), expected=["2000"])
    soon = account(plan, base, situation_of(days(6, *times(10, model=SMALL)), days=6))
    assert (soon.levers[0].status, soon.status) == ("too early", "too early")
    idle = account(plan, base, situation_of(days(14, *times(10, model=BIG)), days=14))
    assert (idle.levers[0].status, idle.levers[0].realised) == ("no evidence", Decimal("0.00"))
    assert "holds 0" in idle.levers[0].reason
    # One good day of fourteen is no proof: most draws of the days leave the others, and many leave it out.
    rare = account(
        plan,
        base,
        situation_of(
            days(13, *times(10, model=BIG)) + [call(day=13, feature="ask", model=SMALL, **MILLION)] * 10, days=14
        ),
    )
    assert rare.levers[0].status == "no evidence"
    assert rare.levers[0].low <= 0 < rare.levers[0].realised < rare.levers[0].high


def test_calls_of_unknown_cost_are_counted_and_in_no_sum() -> None:
    base = situation_of(days(28, *times(10, model=BIG)))
    actual = situation_of(days(28, *times(10, model=SMALL), *times(1, model=SMALL, cost=None)))
    found = account(plan_of(ModelRouting(to="small", threshold=0.5, calls=ASK)), base, actual)
    assert found.unknown_calls == 28
    assert found.levers[0].realised == Decimal("2105.60")
    is_exact(found)


def test_a_feature_that_the_baseline_does_not_know_is_volume() -> None:
    base = situation_of(days(28, *times(10)))
    actual = situation_of(days(28, *times(10), {"feature": "new"}))
    found = account(plan_of(ModelRouting(to="small", threshold=0.5)), base, actual)
    assert (sum(found.volume.values()), found.realised) == (Decimal("-224.00"), Decimal("0.00"))
    is_exact(found)


ALL_LEVERS: tuple[Lever, ...] = (
    Volume(times=1.2),
    ModelRouting(to="small", threshold=0.5),
    OutputLimits(length=0.5),
    SemanticCache(),
    Batch(share=1.0),
    Rag(chunk_tokens=100, top_k=2, chunk_tokens_today=200, calls=ASK, only_changed=True),
    GpuRightsizing(gpu="L4"),
    PromptCache(ttl=300),
    VectorDatabase(to="own"),
    SwitchOff(share=1.0, calls=Selection(feature=("ask",), user_tier=("free",))),
)

CALLS = st.lists(
    st.fixed_dictionaries(
        {
            "day": st.integers(0, 13),
            "feature": st.sampled_from(["ask", "search", None]),
            "user_tier": st.sampled_from(["free", "pro"]),
            "model": st.sampled_from([BIG, SMALL]),
            "processing": st.sampled_from(["standard", "batch"]),
            "operation": st.sampled_from(["chat", "chat", "embeddings"]),
            "uncached_input_tokens": st.integers(0, 5_000_000),
            "cache_read_tokens": st.sampled_from([0, 0, 400_000]),
            "output_tokens": st.integers(0, 900_000),
            "is_cache_hit": st.booleans(),
            "cost": st.sampled_from(["list", "list", "3.21", None]),
        }
    ).map(lambda each: {**each, "cost": 0} if each["is_cache_hit"] else each),
    min_size=1,
    max_size=25,
)


@settings(max_examples=20, deadline=None)
@given(before=CALLS, after=CALLS, order=st.permutations(ALL_LEVERS))
def test_the_account_is_exact_whatever_happened(before: list[Call], after: list[Call], order: list[Lever]) -> None:
    lines = [line("GPU inference", 10, 14), line("Vector database", 5, 14), line("Storage", 1, 14)]
    found = account(plan_of(*order, base_days=14), situation_of(before, 14, lines), situation_of(after, 14, lines[:2]))
    is_exact(found)
    assert all(row.low <= row.realised <= row.high for row in found.levers)
    assert found.low <= found.realised <= found.high


@settings(max_examples=20, deadline=None)
@given(calls=CALLS, order=st.permutations(ALL_LEVERS))
def test_days_that_are_all_alike_realise_nothing(calls: list[Call], order: list[Lever]) -> None:
    lines = [line("GPU inference", 10, 14), line("Storage", 1, 14)]
    same = situation_of([{**each, "day": day} for day in range(14) for each in calls], 14, lines)
    found = account(plan_of(*order, base_days=14), same, same)
    assert all(abs(row.realised) <= Decimal("0.01") for row in found.levers), found.levers
    for part in (found.volume, found.prices, found.residual):
        assert all(abs(amount) <= Decimal("0.05") for amount in part.values())
    is_exact(found)

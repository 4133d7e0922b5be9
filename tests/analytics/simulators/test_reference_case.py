"""The reference case: what the demo company changed in April, replayed on its March, against its May.

Nothing links the two but the settings: the demo's May is made of calls of its own, and its bills are those of the brief. The replay may know what
was set in April (`data/demo.toml`) and what April's records show; no figure of May.
"""

from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from analytics.filters import Filters
from analytics.simulators.batch import Batch
from analytics.simulators.build_situation import build_situation
from analytics.simulators.gpu_rightsizing import GpuRightsizing
from analytics.simulators.output_limits import OutputLimits
from analytics.simulators.prompt_cache import PromptCache
from analytics.simulators.rag import Rag
from analytics.simulators.routing import ModelRouting
from analytics.simulators.scenario import Scenario, read_scenario_file
from analytics.simulators.semantic_cache import SemanticCache
from analytics.simulators.situation import Situation
from analytics.simulators.tier_switch import SwitchOff
from analytics.simulators.to_the_cent import cents
from analytics.simulators.vector_database import VectorDatabase, read_prices
from analytics.simulators.volume import Volume
from analytics.simulators.waterfall import Waterfall
from tests.operations.command import percall
from warehouse.configuration import DATA
from warehouse.reader import Warehouse

FILE = DATA / "scenarios" / "march-to-may.toml"
MARCH = {
    "LLM API": "31200.00",
    "GPU inference": "10400.00",
    "Vector database": "3500.00",
    "Embedding": "1200.00",
    "Storage and transfer": "931.00",
}
MAY = {
    "LLM API": "6100.00",
    "GPU inference": "1380.00",
    "Vector database": "820.00",
    "Embedding": "0.00",
    "Storage and transfer": "900.00",
}


def _month(warehouse: Warehouse, month: int) -> Situation:
    return build_situation(warehouse, Filters(date(2026, month, 1), date(2026, month, 31 if month != 4 else 30)))


@pytest.fixture(scope="module")
def march(demo_warehouse: Warehouse) -> Situation:
    return _month(demo_warehouse, 3)


@pytest.fixture(scope="module")
def may(demo_warehouse: Warehouse) -> Situation:
    return _month(demo_warehouse, 5)


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return read_scenario_file(FILE)


@pytest.fixture(scope="module")
def outcome(march: Situation, scenario: Scenario) -> Waterfall:
    return scenario.run(march)


def _money(costs: dict[str, str]) -> dict[str, Decimal]:
    return {name: Decimal(cost) for name, cost in costs.items()}


def test_it_starts_at_march_and_the_store_holds_the_may_of_the_brief(outcome: Waterfall, may: Situation) -> None:
    assert outcome.base == _money(MARCH)
    assert {name: cost for name, cost in may.costs().items() if cost} == pytest.approx(
        {name: float(cost) for name, cost in MAY.items() if float(cost)}
    )


def test_the_replay_meets_may_within_two_percent(outcome: Waterfall) -> None:
    end, wanted = outcome.end_costs, _money(MAY)
    assert set(end) == set(wanted)
    for name in ("LLM API", "GPU inference", "Vector database"):
        assert abs(end[name] / wanted[name] - 1) <= Decimal("0.02"), name
    assert abs(end["LLM API"] / wanted["LLM API"] - 1) <= Decimal("0.01")
    assert abs(outcome.end / sum(wanted.values()) - 1) <= Decimal("0.01")


def test_what_no_lever_explains_stays_as_it_was(outcome: Waterfall) -> None:
    # Storage fell by 31 USD without a change that anybody made: the replay keeps March's.
    assert outcome.end_costs["Storage and transfer"] == Decimal("931.00")


def test_embedding_costs_nothing_on_own_gpus_the_notebook_s_included(
    outcome: Waterfall, march: Situation, scenario: Scenario
) -> None:
    assert outcome.end_costs["Embedding"] == Decimal("0.00")
    # A notebook's model is on the invoice alone, 3,000,000 tokens a day at 0.02 USD: 1.86 in March. It moves because the scenario says so.
    rag = next(lever for lever in scenario.enabled if isinstance(lever, Rag))
    left = replace(rag, untraced=False).apply(march)
    assert cents(left.costs()["Embedding"]) == Decimal("1.86")
    # At a model for 0.13 instead of 0.02 USD the same tokens would cost 12.09.
    dearer = replace(rag, embedding_model="openai/text-embedding-3-large", only_changed=False).apply(march)
    assert dearer.costs()["Embedding"] - march.costs()["Embedding"] == pytest.approx(1.86 * (0.13 / 0.02 - 1), rel=1e-5)


def test_features_have_may_s_calls_and_cost(march: Situation, may: Situation, scenario: Scenario) -> None:
    after = march
    for lever in scenario.enabled:
        after = lever.apply(after)
    spent, counted = [], []
    for state in (after, may):
        workload = state.workload
        made = workload.active & ~workload.is_cache_hit & workload.has_usage
        counted.append(workload.by_code("feature", np.where(made, workload.weight, 0.0)))
        spent.append(workload.by_code("feature", workload.spent()))
    for feature in ("summarize", "ask", "support_chat", "night_analytics", "sentiment", "product_description"):
        assert counted[0][feature] == pytest.approx(counted[1][feature], rel=0.01), feature
        assert spent[0][feature] == pytest.approx(spent[1][feature], rel=0.025), feature
    # With a quarter more questions in the hour that an answer lives, May's cache found a little more than March's questions let it find.
    assert 1.0 < counted[0]["search"] / counted[1]["search"] < 1.06


def test_the_settings_are_those_of_the_demo(scenario: Scenario, demo_warehouse: Warehouse) -> None:
    story = tomllib.loads((DATA / "demo.toml").read_text(encoding="utf-8"))
    changes, features = story["changes"], {each["name"]: each for each in story["feature"]}
    growth, routing, output, cache, batch, rag, gpu, prompt, vector, off = scenario.enabled
    assert isinstance(growth, Volume)
    assert growth.times == story["people"]["daily_active_users"][2] / story["people"]["daily_active_users"][0]
    assert {name for name, each in features.items() if not each.get("grows", True)} <= set(growth.steady_features)
    assert isinstance(routing, ModelRouting)
    assert (routing.to, routing.threshold) == (
        f"openai/{changes['router_model']}",
        changes["router"][-1]["threshold"] / 100,
    )
    assert isinstance(output, OutputLimits)
    discipline = changes["output_discipline"]
    assert (output.cap, output.answer_tokens, output.calls.feature) == (
        discipline["max_tokens"], discipline["output"], (discipline["feature"],),
    )  # fmt: skip
    assert isinstance(cache, SemanticCache)
    assert (cache.ttl_seconds, cache.calls.feature) == (
        changes["semantic_cache"]["ttl_seconds"],
        (changes["semantic_cache"]["feature"],),
    )
    assert isinstance(batch, Batch)
    assert batch.calls.feature == (changes["batch"]["feature"],)
    assert isinstance(rag, Rag)
    assert (rag.context_today, rag.context) == (features["search"]["context"], changes["retrieval"]["context"])
    assert rag.embedding_model == f"self-hosted/{changes['embedding']['model']}"
    assert isinstance(gpu, GpuRightsizing)
    small = story["gpus"]["small"]
    assert (gpu.gpu, gpu.tokens_per_second) == (small["gpu"], small["throughput"])
    assert gpu.usd_per_hour == pytest.approx(float(small["price_per_second"]) * 3600)
    assert isinstance(prompt, PromptCache)
    assert (prompt.ttl, prompt.block_tokens) == (
        changes["prompt_cache"]["life_seconds"],
        changes["prompt_cache"]["block_tokens"],
    )
    assert isinstance(vector, VectorDatabase)
    documents = story["embedding"]["cron_batches"] * story["embedding"]["cron_batch_tokens"]
    assert (vector.copies, vector.vectors) == (story["vector"]["own_nodes"], documents // 400)
    assert isinstance(off, SwitchOff)
    assert (off.calls.feature, off.calls.user_tier) == (
        (changes["free_tier_off"]["feature"],),
        (changes["free_tier_off"]["tier"],),
    )

    april = _month(demo_warehouse, 4)
    hours = {
        line.resource: line.hours for line in april.infrastructure.lines if (line.resource or "").startswith("gpu-l4")
    }
    lines = demo_warehouse.table("charges")
    billed = demo_warehouse.arrow(
        lines.filter(lines.ResourceId.isin(list(hours)), lines.ChargePeriodStart.month() == 4).select(
            resource=lines.ResourceId, hour=lines.ChargePeriodStart, ran=lines.ConsumedQuantity.cast("float64")
        )
    ).to_pandas()
    log = april.utilization.merge(billed, on=["resource", "hour"])
    assert (log["gpu_utilization"] * log["ran"]).sum() / log["ran"].sum() == pytest.approx(
        gpu.target_utilization, abs=0.005
    )
    nodes = [line for line in april.infrastructure.lines if (line.resource or "").startswith("qdrant")]
    node = next(each for each in read_prices().nodes if each.name == vector.node)
    paid = sum(line.cost for line in nodes) / sum(line.hours or 0 for line in nodes)
    assert vector.price_ratio == pytest.approx(paid / node.usd_per_hour, abs=0.0001)


def test_the_command_prints_it(demo_store: Path, outcome: Waterfall) -> None:
    answer = percall("simulate", str(FILE), "--from", "2026-03-01", "--to", "2026-03-31", store=demo_store)
    assert answer.code == 0, answer.err
    table = {line[:34].strip(): line[34:].split() for line in answer.out.decode().splitlines()}
    assert table["Today"] == ["47,231.00"]
    assert table["All levers"][:2] == [f"{outcome.end:,.2f}", f"{outcome.saving:,.2f}"]
    for name, cost in MARCH.items():
        assert table[name] == [f"{Decimal(cost):,.2f}", f"{outcome.end_costs[name]:,.2f}"]
    week = percall(
        "simulate", str(FILE), "--from", "2026-03-01", "--to", "2026-03-07", "--format", "json", store=demo_store
    )
    assert week.code == 0, week.err
    assert [step["lever"] for step in week.json["steps"]] == [step.lever.name for step in outcome.steps]
    assert week.json["window_days"] == 7

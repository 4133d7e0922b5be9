"""What lever pages say: curves that equal the replay, sentences with the right amounts, settings that are refused in words."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analytics.simulators.commitments import CommittedUse
from analytics.simulators.gpu_rightsizing import GpuRightsizing
from analytics.simulators.infrastructure import CostLine
from analytics.simulators.lever import Lever, Selection
from analytics.simulators.lever_page import LeverPage, drawn_from, headline
from analytics.simulators.lever_pages import PAGES, defaults
from analytics.simulators.output_limits import OutputLimits
from analytics.simulators.plan_fields import FIELDS, shown, with_fields
from analytics.simulators.plan_results import by_category, fair_shares, interaction_sentence, plan_headline, steps
from analytics.simulators.prompt_cache import PromptCache
from analytics.simulators.rag import Rag
from analytics.simulators.routing import ModelRouting
from analytics.simulators.scenario import Scenario
from analytics.simulators.semantic_cache import SemanticCache
from analytics.simulators.situation import Memo, Situation
from analytics.simulators.tier_switch import SwitchOff
from analytics.simulators.vector_database import VectorDatabase
from tests.analytics.simulators.made import BIG, SMALL, call, situation_of
from warehouse.errors import InputError

MONTH = 30.4375 / 28
"""USD of the made 28 days -> USD per month."""

ROUNDING = Decimal("0.02")
"""A replay rounds each of three cost categories to cents, a curve their sum."""


def month(usd: float) -> Decimal:
    return Decimal(repr(usd * MONTH)).quantize(Decimal("0.01"))


@pytest.fixture
def situation() -> Situation:
    """280 chats of growing length of two features, half of them for no user, every third with an input that was sent before; some are small's. And a
    GPU that is busy a quarter of the time, and a vector database."""
    calls: list[dict[str, Any]] = [
        call(
            day=n % 28,
            second=n * 120,
            feature="ask" if n % 2 else "report",
            user=f"user {n % 7}" if n % 2 else None,
            model=SMALL if n % 10 == 0 else BIG,
            output_tokens=20 * (n % 60) + 10,
            uncached_input_tokens=500 + 10 * n,
        )
        for n in range(280)
    ]
    order = sorted(range(280), key=lambda n: (n % 28, n))
    hashes = np.array([n // 84 if n % 3 else 1000 + n for n in order], dtype=np.uint64) + np.uint64(1)
    rented = [
        CostLine("GPU inference", "Machines", "gpu-1", np.full(28, 19.2), 672.0),
        CostLine("Vector database", "Machines", "vectors-1", np.full(28, 9.6), 672.0),
    ]
    found = situation_of([calls[n] for n in order], lines=rented, input_hash=hashes)
    hours = pd.date_range("2026-03-02", periods=672, freq="h")
    load = pd.DataFrame(
        {
            "hour": hours,
            "resource": "gpu-1",
            "gpu": "L4",
            "gpu_count": 1,
            "model": "llama-3.1-8b-instruct",
            "feature": "ask",
        }
    )
    return replace(found, utilization=load.assign(gpu_utilization=0.25, tokens_per_second=np.nan, requests=9))


def setting_of(page: LeverPage, situation: Situation, **values: Any) -> dict[str, Any]:
    return {**defaults(page, situation), **({"features": ("ask",)} if page.key in ("rag", "off") else {}), **values}


@pytest.mark.parametrize("name", list(PAGES))
def test_every_point_of_a_curve_is_the_replay_of_its_setting(name: str, situation: Situation) -> None:
    page = PAGES[name]
    main = page.main(situation)
    for row in page.curve(situation, setting_of(page, situation)).to_dict("records"):
        outcome = page.outcome(situation, setting_of(page, situation, **{main.name: row["value"]}))
        assert abs(row["cost"] - outcome.waterfall.end) <= ROUNDING
        assert abs(row["saving"] - outcome.waterfall.saving) <= ROUNDING
        assert outcome.waterfall.saving_low <= outcome.waterfall.saving <= outcome.waterfall.saving_high
        if row["is_today"]:
            assert (row["saving"], outcome.is_neutral) == (0, True)


@pytest.mark.parametrize("name", list(PAGES))
def test_each_slider_has_a_point_of_today_and_a_default_that_it_offers(name: str, situation: Situation) -> None:
    page = PAGES[name]
    curve = page.curve(situation, setting_of(page, situation))
    assert curve["is_today"].sum() == 1
    main = page.main(situation)
    assert main.default in main.options
    assert list(curve["value"]) == list(main.options)


def test_a_batch_costs_half(situation: Situation) -> None:
    """Big's batch price is half its price; the calls without a user are those of the report."""
    page = PAGES["batch"]
    outcome = page.outcome(situation, setting_of(page, situation))
    workload = situation.workload
    waiting = workload.feature == workload.code("feature", "report")
    batched = waiting & (workload.model == workload.models.index(BIG))
    saved = float(workload.cost[batched].sum()) / 2
    assert abs(outcome.waterfall.saving - month(saved)) <= Decimal("0.01")
    assert list(outcome.by_feature()["feature"]) == ["report"]
    sentence = headline(page, outcome, page.curve(situation, setting_of(page, situation)), setting_of(page, situation))
    assert sentence == f"Batching 100% of the calls that can wait would save {outcome.range_words} a month"
    assert set(outcome.evidence()["feature"]) == {"report"}


def test_a_setting_that_changes_nothing_says_so_and_where_the_slider_saves_most(situation: Situation) -> None:
    page = PAGES["batch"]
    setting = setting_of(page, situation, share="0%")
    sentence = headline(page, page.outcome(situation, setting), page.curve(situation, setting), setting)
    assert sentence.startswith("At this setting nothing changes: ")
    assert sentence.endswith("would be saved, at 100%")


@pytest.mark.parametrize("name", ["rag", "switch-off"])
def test_a_page_that_waits_for_a_choice_says_for_which(name: str, situation: Situation) -> None:
    page = PAGES[name]
    nothing, chosen = defaults(page, situation), setting_of(page, situation)
    words = headline(page, page.outcome(situation, nothing), page.curve(situation, nothing), nothing)
    assert words.startswith(f"Nothing is simulated yet: choose {page.waits_for}. A month costs $")
    words = headline(page, page.outcome(situation, chosen), page.curve(situation, chosen), chosen)
    assert "yet" not in words


def test_a_setting_that_costs_more_says_so(situation: Situation) -> None:
    page = PAGES["output-limit"]
    setting = setting_of(page, situation, cap="100")
    outcome = page.outcome(situation, setting)
    assert outcome.waterfall.saving < 0
    assert "A limit of 100 tokens per answer would cost $" in headline(
        page, outcome, page.curve(situation, setting), setting
    )


def test_the_share_of_cut_answers_is_the_risk_of_a_limit(situation: Situation) -> None:
    page = PAGES["output-limit"]
    curve = page.curve(situation, setting_of(page, situation)).set_index("value")
    longer = [20 * (n % 60) + 10 > 600 for n in range(280)]
    assert curve.loc["600", "risk"] == pytest.approx(sum(longer) / 280)
    assert curve.loc["No limit", "risk"] == 0


def test_quality_is_not_known_without_labelled_samples(situation: Situation) -> None:
    for name in ("model-routing", "semantic-cache", "rag"):
        page = PAGES[name]
        setting = setting_of(page, situation)
        assert page.quality(situation, page.build(situation, setting), setting).startswith(
            "Not known without labelled samples"
        )
        assert set(page.curve(situation, setting)["risk"]) == {None}


def test_settings_that_are_refused(situation: Situation) -> None:
    routing = PAGES["model-routing"]
    with pytest.raises(InputError, match="no price book knows the model 'nobody/nothing'"):
        routing.outcome(situation, setting_of(routing, situation, to="nobody/nothing"))
    with pytest.raises(InputError, match="no step of this slider"):
        routing.build(situation, setting_of(routing, situation, share="41%"))
    with pytest.raises(InputError, match="no step of this slider"):
        PAGES["semantic-cache"].build(situation, setting_of(PAGES["semantic-cache"], situation, similarity="0.123"))


def test_the_target_that_routing_opens_with_is_the_cheapest_model_in_use(situation: Situation) -> None:
    assert defaults(PAGES["model-routing"], situation)["to"] == "/".join(SMALL)


def test_no_call_is_said(situation: Situation) -> None:
    nothing = situation_of([])
    assert all(
        str(page.missing(nothing)).startswith("No ") and page.missing(situation) is None for page in PAGES.values()
    )


def test_a_commitment_opens_with_what_the_filters_leave_to_pay_for(situation: Situation) -> None:
    """Without GPUs it opens with calls, and simulates; where nothing that it covers is paid for, it says so before any setting."""
    page = PAGES["committed-use"]
    assert defaults(page, situation)["category"] == "GPU inference"
    calls_alone = replace(situation, infrastructure=replace(situation.infrastructure, lines=()), memo=Memo())
    setting = defaults(page, calls_alone)
    assert (page.missing(calls_alone), setting["category"]) == (None, "LLM API")
    assert "LLM API would" in headline(
        page, page.outcome(calls_alone, setting), page.curve(calls_alone, setting), setting
    )
    storage = CostLine("Storage and transfer", "Disks", "disk-1", np.full(28, 1.0), 672.0)
    nothing = situation_of([], lines=[storage])
    assert page.missing(nothing) == (
        "No GPU inference, LLM API or Vector database is paid for in this period and these filters: a commitment has nothing to cover. "
        "Choose other days, or remove a filter."
    )


def test_a_commitment_that_every_hour_uses_saves_its_discount(situation: Situation) -> None:
    """The GPU costs 0.80 USD in each of 672 hours; 50 % of that at 30 % less, and nothing of it goes unused."""
    page = PAGES["committed-use"]
    outcome = page.outcome(situation, setting_of(page, situation, level="50%"))
    assert outcome.waterfall.saving == month(672 * 0.4 * 0.3)
    curve = page.curve(situation, setting_of(page, situation)).set_index("value")
    assert (curve.loc["50%", "risk"], curve.loc["200%", "risk"]) == (0, pytest.approx(0.5))


def test_what_is_rented_is_told_before_and_after(situation: Situation) -> None:
    page = PAGES["vector-database"]
    detail = page.detail(situation, page.build(situation, setting_of(page, situation)))
    assert detail is not None
    assert detail.frame["cost"].sum() == month(28 * 9.6)
    assert page.detail(situation, page.kind.neutral()) is None


def test_a_feature_that_is_off_saves_what_its_calls_cost(situation: Situation) -> None:
    page = PAGES["switch-off"]
    ask = situation.workload.feature == situation.workload.code("feature", "ask")
    saving = page.outcome(situation, setting_of(page, situation)).waterfall.saving
    assert abs(saving - month(float(situation.workload.cost[ask].sum()))) <= Decimal("0.01")


# Plans

PLANS: list[Lever] = [
    ModelRouting(to="openai/small", threshold=0.123456789, calls=Selection(feature=("ask",), user_tier=("free",))),
    ModelRouting(threshold=math.inf),
    SemanticCache(threshold=0.9137, ttl_seconds=math.inf, scope="user"),
    PromptCache(ttl=None),
    PromptCache(ttl=300.0),
    OutputLimits(cap=math.inf, length=1 / 3),
    Rag(),
    GpuRightsizing(),
    CommittedUse(usd_per_hour=1.23456789, discount=1 / 3),
    VectorDatabase(vectors=1 / 3 * 1e7),
    SwitchOff(share=1 / 3, calls=Selection(feature=("ask",))),
]


@pytest.mark.parametrize("lever", PLANS, ids=lambda lever: lever.name)
def test_a_form_that_is_left_alone_changes_no_lever(lever: Lever) -> None:
    values = {field.name: shown(field, lever) for field in FIELDS[lever.name]}
    calls = getattr(lever, "calls", None)
    assert with_fields(lever, values, calls.feature if calls else None) == lever


def test_a_form_sets_what_it_says() -> None:
    lever = with_fields(OutputLimits(), {"cap": 400.0, "length": 80.0, "retry_share": 100.0}, ("ask",))
    assert lever == OutputLimits(cap=400.0, length=0.8, calls=Selection(feature=("ask",)))
    assert with_fields(lever, {"cap": None}) == OutputLimits(length=0.8, calls=Selection(feature=("ask",)))
    with pytest.raises(InputError, match="threshold"):
        with_fields(SemanticCache(), {"threshold": 0.2})
    with pytest.raises(InputError, match="choose the calls"):
        with_fields(Rag(), {"top_k": 2})


def test_a_plan_in_tables_and_words(situation: Situation) -> None:
    plan = Scenario("Two", (OutputLimits(length=0.5), ModelRouting(to="openai/small", threshold=math.inf)))
    outcome = plan.run(situation)
    frame, categories = steps(outcome), by_category(outcome)
    assert list(frame["title"]) == ["Output limits", "Model routing"]
    assert outcome.today - frame["added"].sum() == outcome.end
    assert categories["cost"].sum() == outcome.today
    assert categories["saving"].sum() == outcome.saving
    assert plan_headline(outcome).startswith("2 levers together would save $")
    # Shorter answers save less where they are cheap: what both save is not the sum.
    assert outcome.interaction < 0
    assert "money that several of them act on" in interaction_sentence(outcome)
    shares = fair_shares(plan.shapley(situation), outcome.saving)
    assert shares["share"].sum() == outcome.saving
    assert "no lever yet" in plan_headline(Scenario().run(situation))


def test_every_lever_with_a_page_can_be_edited_in_a_plan() -> None:
    assert set(PAGES) == set(FIELDS)
    for name, page in PAGES.items():
        lever = page.kind.neutral()
        assert all(hasattr(lever, field.name) for field in FIELDS[name])


def test_calls_that_happen_half_as_often_again_cost_half_as_much_again(situation: Situation) -> None:
    page = PAGES["volume"]
    setting = setting_of(page, situation, growth="+50%", features=("ask",))
    ask = situation.workload.feature == situation.workload.code("feature", "ask")
    outcome = page.outcome(situation, setting)
    assert abs(-outcome.waterfall.saving - month(float(situation.workload.cost[ask].sum()) / 2)) <= ROUNDING
    sentence = headline(page, outcome, page.curve(situation, setting), setting)
    assert sentence.startswith("Calls of ask at +50% would cost $")


def test_a_range_says_how_few_calls_it_is_drawn_from(situation: Situation) -> None:
    """280 calls in 28 days; one call alone."""
    assert drawn_from(situation, 0.95) == "the 95% range over days and users, drawn from 280 calls in 28 days"
    assert "drawn from 1 call in 28 days" in drawn_from(situation_of([call(day=0, second=0)]), 0.95)


def test_one_kind_of_gpu_moves_at_a_time(situation: Situation) -> None:
    """Two kinds, A100 dearer than L4: the page opens with the dearer one, and what it saves is of that line alone."""
    page = PAGES["gpu-rightsizing"]
    assert "of" not in defaults(page, situation)
    other = situation.utilization.assign(resource="gpu-2", gpu="A100-40GB")
    rented = (*situation.infrastructure.lines, CostLine("GPU inference", "Machines", "gpu-2", np.full(28, 70.0), 672.0))
    both = replace(
        situation,
        utilization=pd.concat([situation.utilization, other]),
        infrastructure=replace(situation.infrastructure, lines=rented),
    )
    setting = defaults(page, both)
    assert setting["of"] == "A100-40GB"
    detail = page.detail(both, page.build(both, setting))
    assert detail is not None
    assert list(detail.frame["name"]) == ["gpu-2"]
    assert list(page.detail(both, page.build(both, {**setting, "of": "L4"})).frame["name"]) == ["gpu-1"]  # type: ignore[union-attr]

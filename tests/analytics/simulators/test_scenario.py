"""Scenarios: the published oracle, identities that hold for any calls, and files that say the same when read again."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.simulators.curve import curve
from analytics.simulators.infrastructure import CostLine
from analytics.simulators.lever import Lever, Selection
from analytics.simulators.run_scenario import total_saving
from analytics.simulators.scenario import Scenario, read_scenario, read_scenario_file, scenario_of_address
from analytics.simulators.situation import Situation
from analytics.simulators.to_the_cent import total_in_cents
from tests.analytics.simulators.made import (
    BIG,
    C1_LEVERS,
    OTHER,
    SMALL,
    Cap,
    Prefix,
    Resource,
    Route,
    Vanish,
    c1,
    call,
    situation_of,
)  # fmt: skip
from warehouse.errors import InputError

GPU = CostLine("GPU inference", "Compute", "gpu-1", np.full(28, 10.0), 672.0)
STORAGE = CostLine("Storage and transfer", "S3", None, np.linspace(1, 3, 28))

calls = st.lists(
    st.fixed_dictionaries(
        {
            "day": st.integers(0, 27),
            "second": st.integers(0, 86_399),
            "model": st.sampled_from([BIG, SMALL, OTHER]),
            "feature": st.sampled_from(["ask", "search", None]),
            "user_tier": st.sampled_from(["free", "pro", None]),
            "user": st.sampled_from(["a", "b", "c", None]),
            "uncached_input_tokens": st.integers(0, 100_000),
            "output_tokens": st.integers(0, 4_000),
            "cost": st.one_of(st.just("list"), st.none(), st.floats(0, 2, allow_nan=False)),
            "is_cache_hit": st.just(False),
        }
    ),
    min_size=1,
    max_size=25,
)

levers = st.lists(
    st.one_of(
        st.builds(Vanish, share=st.floats(0, 1)),
        st.builds(Route, to=st.sampled_from([None, "openai/small", "anthropic/other"])),
        st.builds(Prefix, tokens=st.integers(0, 5000)),
        st.builds(Cap, cap=st.floats(1, 5000)),
        st.builds(Resource, part=st.floats(0, 1.5)),
    ),
    max_size=4,
)


def test_oracle_c1() -> None:
    situation = c1()
    assert situation.total() == pytest.approx(0.05, abs=1e-15)
    alone = [total_saving(situation, [lever]) for lever in C1_LEVERS]
    assert alone == pytest.approx([0.018, 0.01504, 0.009375, 0.007], abs=1e-12)
    together = [total_saving(situation, C1_LEVERS[:count]) for count in range(5)]
    assert [b - a for a, b in pairwise(together)] == pytest.approx([0.018, 0.00752, 0.0038625, 0.006], abs=1e-12)
    assert together[-1] == pytest.approx(0.0353825, abs=1e-12)


def test_the_waterfall_of_c1_a_million_times_over() -> None:
    """The oracle with every call standing for a million: the same figures in dollars, to the cent."""
    situation = c1()
    workload = situation.workload
    million = replace(workload, money=workload.money * 1e6, weight=workload.weight * 1e6)
    fall = Scenario("C1", C1_LEVERS).run(situation.with_workload(million), draws=50)
    assert fall.today == Decimal("50000.00")
    assert [step.added for step in fall.steps] == [Decimal(x) for x in ("18000.00", "7520.00", "3862.50", "6000.00")]
    assert [step.alone for step in fall.steps] == [Decimal(x) for x in ("18000.00", "15040.00", "9375.00", "7000.00")]
    assert fall.saving == Decimal("35382.50")
    assert fall.alone_sum == Decimal("49415.00")
    assert fall.interaction == Decimal("-14032.50")
    assert [step.changed for step in fall.steps] == [2e6, 1e6, 3e6, 2e6]


@settings(max_examples=60, deadline=None)
@given(calls, levers)
def test_the_waterfall_telescopes_to_the_cent(made: list[dict[str, Any]], chosen: list[Lever]) -> None:
    fall = Scenario("any", tuple(chosen)).run(situation_of(made, lines=(GPU, STORAGE)), draws=20)
    assert fall.today - sum((step.added for step in fall.steps), Decimal(0)) == fall.end
    assert fall.saving == fall.alone_sum + fall.interaction
    assert sum(fall.end_costs.values()) == fall.end
    assert fall.today == total_in_cents(situation_of(made, lines=(GPU, STORAGE)).monthly().values())
    features = fall.by_feature
    assert [features[name].sum() for name in ("cost", "cost_after", "saving")] == [fall.today, fall.end, fall.saving]
    for step in fall.steps:
        assert step.added_range.low <= step.added_range.point <= step.added_range.high
        assert abs(Decimal(step.added_range.point) - step.added) < Decimal("0.04")
        assert step.added_low <= step.added <= step.added_high
    assert fall.saving_low <= fall.saving <= fall.saving_high
    assert fall.saving_range.low <= fall.saving_range.point <= fall.saving_range.high
    frame = fall.frame()
    assert frame["total"].iloc[-1] == fall.end
    assert len(frame) == len(chosen) + 1


def test_a_range_of_savings_never_exceeds_what_is_paid() -> None:
    """One dear day: months drawn with it twice cost and would save more than this month does; this one pays 10 and no more."""
    made = [call(day=day, cost=10.0 if day == 13 else 0.0) for day in range(28)]
    fall = Scenario("none left", (Vanish(share=1.0), Vanish(share=0.5))).run(situation_of(made), draws=200)
    assert fall.saving == fall.today == fall.saving_high
    assert fall.saving_range.high > float(fall.today)
    first, second = fall.steps
    assert (first.added_high, second.added, second.added_high) == (fall.today, 0, 0)


@settings(max_examples=40, deadline=None)
@given(calls)
def test_neutral_levers_change_no_bit(made: list[dict[str, Any]]) -> None:
    situation = situation_of(made, lines=(GPU, STORAGE))
    for kind in (Vanish, Route, Prefix, Cap, Resource):
        after = kind.neutral().apply(situation)
        assert after.workload.cost.tobytes() == situation.workload.cost.tobytes()
        assert after.total() == situation.total()
        assert not after.workload.changed_since(situation.workload).any()


@settings(max_examples=60, deadline=None)
@given(calls, levers)
def test_no_lever_saves_more_than_the_calls_it_touches_cost(made: list[dict[str, Any]], chosen: list[Lever]) -> None:
    situation = situation_of(made)
    for lever in chosen:
        touched = lever.touches(situation)
        cost = situation.workload.spent()[touched].sum()
        after = lever.apply(situation)
        assert situation.total() - after.total() <= cost + 1e-9
        unchanged = ~touched
        assert after.workload.cost[unchanged].tobytes() == situation.workload.cost[unchanged].tobytes()
        situation = after


@settings(max_examples=60, deadline=None)
@given(calls, st.integers(0, 3000), st.floats(0, 1), st.floats(0.1, 1))
def test_the_order_of_independent_levers_does_not_matter(
    made: list[dict[str, Any]], cap: int, share: float, part: float
) -> None:
    """One lever for each feature, one for a resource: no call is touched twice."""
    made = [{**made[0], "feature": "ask"}, {**made[0], "feature": "search"}, *made]
    situation = situation_of(made, lines=(GPU,))
    first = Cap(max(cap, 1), Selection(feature=("ask",)))
    second = Vanish(share, Selection(feature=("search",)), fee=0.001)
    third = Resource(part=part)
    totals = {
        apply_all(situation, order).total()
        for order in ((first, second, third), (third, second, first), (second, third, first))
    }
    assert max(totals) - min(totals) <= 1e-12 * max(totals)


def apply_all(situation: Situation, chosen: tuple[Lever, ...]) -> Situation:
    for lever in chosen:
        situation = lever.apply(situation)
    return situation


@settings(max_examples=30, deadline=None)
@given(calls)
def test_a_curve_falls_where_it_must(made: list[dict[str, Any]]) -> None:
    situation = situation_of(made)
    found = curve(Vanish, [0.0, 0.1, 0.4, 0.7, 1.0], situation)
    assert all(a >= b for a, b in pairwise(found["cost"]))
    assert found["cost"].iloc[-1] == 0
    assert found["is_today"].iloc[0]
    assert found["saving"].iloc[0] == 0


def test_a_curve_marks_today() -> None:
    found = curve(Cap, [100, 300, 900], situation_of([call()]), today=900)
    assert found["is_today"].tolist() == [False, False, True]
    assert found["changed_calls"].tolist() == [1, 0, 0]


def test_unknown_costs_stay_apart() -> None:
    """A call without a known cost is in no total, before or after, and is counted."""
    situation = situation_of([call(), call(cost=None)])
    fall = Scenario("", (Route(to="openai/small"),)).run(situation, draws=20)
    assert fall.unknown_calls == 1
    after = Route(to="openai/small").apply(situation).workload
    assert np.isnan(after.cost[1])
    assert after.unknown_calls == 1


def test_features_sum_to_the_total_and_infrastructure_is_apart() -> None:
    tagged = replace(STORAGE, feature="ask")
    situation = situation_of([call(feature="ask"), call(feature="search"), call()] * 40, lines=(GPU, tagged))
    fall = Scenario("", (Vanish(1.0, Selection(feature=("ask",))), Resource(part=0.5))).run(situation, draws=20)
    rows = fall.by_feature.set_index("kind")
    assert sum(fall.by_feature["cost"]) == pytest.approx(fall.today, abs=Decimal("0.03"))
    assert sum(fall.by_feature["cost_after"]) == pytest.approx(fall.end, abs=Decimal("0.03"))
    assert rows.loc["shared", "saving"] == pytest.approx(Decimal("152.19"), abs=Decimal("0.01"))  # 140 x 30.4375 / 28
    ask = fall.by_feature[fall.by_feature["feature"] == "ask"].iloc[0]
    assert (ask["calls"], ask["calls_after"]) == (40, 0)


def test_evidence_shows_the_largest_changes_first() -> None:
    situation = situation_of([call(output_tokens=n, feature="ask") for n in (100, 900, 500, 2000)])
    fall = Scenario("", (Cap(400), Route("openai/small"))).run(situation, draws=20)
    found = fall.evidence(0)
    assert found["output_tokens"].tolist() == [2000, 900, 500]
    assert found["output_tokens_after"].tolist() == [400, 400, 400]
    assert found["saving"].tolist() == pytest.approx([0.016, 0.005, 0.001])
    assert set(found["change"]) == {"output"}
    assert fall.evidence(0, limit=1)["output_tokens"].tolist() == [2000]
    assert set(fall.evidence(1)["model_after"]) == {"small"}


def test_evidence_of_calls_that_are_not_made() -> None:
    situation = situation_of([call(), call(cost=None)])
    found = Scenario("", (Vanish(1.0),)).run(situation, draws=20).evidence(0)
    assert found["change"].tolist() == ["not made", "not made"]
    assert found["saving"].tolist() == [pytest.approx(0.008), None]


def test_overheads_are_a_cost_and_vanish_with_their_calls() -> None:
    situation = situation_of([call(), call()])
    fee = Vanish(0.0, fee=0.002)
    assert fee.apply(situation).total() == pytest.approx(situation.total() + 0.004)
    assert Vanish(1.0).apply(fee.apply(situation)).total() == 0
    assert fee.apply(Vanish(1.0).apply(situation)).total() == pytest.approx(0.004)
    changed = Vanish(1.0, fee=0.002).apply(fee.apply(situation)).workload.changed_since(fee.apply(situation).workload)
    assert changed.all()


def test_a_scenario_without_levers_is_today() -> None:
    fall = Scenario().run(situation_of([call()], lines=(GPU,)), draws=20)
    assert fall.end == fall.today
    assert fall.saving == 0
    assert fall.record()["saving_share"] == 0


def test_a_disabled_lever_is_kept_and_not_applied() -> None:
    scenario = Scenario("", (Cap(1), Resource(part=0.5)), disabled=frozenset({0}))
    fall = scenario.run(situation_of([call()], lines=(GPU,)), draws=20)
    assert [step.lever.name for step in fall.steps] == ["test-resource"]
    assert read_scenario(scenario.toml()) == scenario


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@settings(max_examples=100, deadline=None)
@given(texts, texts, levers, st.tuples(texts, texts))
def test_files_and_addresses_say_the_same_again(
    name: str, description: str, chosen: list[Lever], features: tuple[str, str]
) -> None:
    chosen = [*chosen, Cap(3, Selection(feature=features)), Vanish(0.125, Selection(user_tier=("free",)), 1e-9)]
    scenario = Scenario(name, tuple(chosen), description)
    # Sliders that take any number hold it as a float, however it was written.
    again = read_scenario(scenario.toml())
    assert again.toml() == read_scenario(again.toml()).toml()
    assert again == scenario
    assert scenario_of_address(scenario.address()) == scenario


FILE = """
name = "Two levers"
[[lever]]
kind = "test-cap"
cap = 400
calls = { feature = ["ask"] }
[[lever]]
kind = "test-route"
to = "openai/small"
enabled = false
"""


def test_a_file_written_by_hand(tmp_path: Any) -> None:
    path = tmp_path / "scenario.toml"
    path.write_text(FILE, encoding="utf-8")
    scenario = read_scenario_file(path)
    assert scenario.levers == (Cap(400.0, Selection(feature=("ask",))), Route("openai/small"))
    assert scenario.enabled == scenario.levers[:1]
    assert scenario.assumptions() == ["A shorter answer is as good."]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = ", "not a scenario file"),
        ("levers = 3", "has no 'levers'"),
        ("name = 3", "a name"),
        ("[[lever]]\ncap = 3", "lever 1: a lever needs a kind"),
        ('[[lever]]\nkind = "magic"', "there is no lever 'magic'"),
        ('[[lever]]\nkind = "test-cap"\nlimit = 3', "test-cap has no 'limit'; it has cap, calls"),
        ('[[lever]]\nkind = "test-cap"\ncap = "low"', "test-cap: cap cannot be 'low': it must be a number"),
        ('[[lever]]\nkind = "test-cap"\ncap = true', "must be a number"),
        ('[[lever]]\nkind = "test-cap"\ncap = -3', "more than 0 tokens"),
        ('[[lever]]\nkind = "test-vanish"\nshare = nan', "between 0 and 1"),
        ('[[lever]]\nkind = "test-prefix"\ntokens = 1.5', "must be a whole number"),
        ('[[lever]]\nkind = "test-cap"\ncalls = { colour = ["red"] }', "has no 'colour'"),
        ('[[lever]]\nkind = "test-cap"\ncalls = { feature = "ask" }', r"must be a list in \[ \]"),
    ],
)
def test_a_wrong_file_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_scenario(text, "scenario.toml")


def test_a_damaged_address_is_refused_in_words() -> None:
    for word in ("", "????", "abc", Scenario("x" * 50).address()[:-9]):
        with pytest.raises(InputError, match="damaged"):
            scenario_of_address(word)


def test_levers_that_cannot_act_say_why() -> None:
    situation = situation_of([call(feature="ask")])
    with pytest.raises(InputError, match="no call of this period has the feature 'chat'; there are: ask"):
        Scenario("", (Cap(3, Selection(feature=("chat",))),)).run(situation)
    with pytest.raises(InputError, match="no price book knows the model 'nobody/knows'"):
        Scenario("", (Route("nobody/knows"),)).run(situation)


def test_the_record_is_plain_and_exact() -> None:
    record = Scenario("", (Cap(100),)).run(situation_of([call()] * 1000, days=28), draws=20).record()
    # 1,000 calls of 2,000 x 2.5 + 300 x 10 per million; 200 output tokens less each; 28 days made a month.
    assert record["today"]["total"] == "8.70"
    assert record["end"]["total"] == "6.52"
    assert record["saving"] == "2.18"
    assert record["basis"] == "simulated"
    assert record["steps"][0]["changed_calls"] == 1000

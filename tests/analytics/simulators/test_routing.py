"""Model routing over calls: bills by hand, identities, and scores."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.simulators.complexity import expected_work
from analytics.simulators.curve import curve
from analytics.simulators.effect import cost
from analytics.simulators.heavy_columns import Coded
from analytics.simulators.lever import Lever, Selection
from analytics.simulators.routing import ModelRouting
from analytics.simulators.routing_effects import routing_effect
from analytics.simulators.scenario import Scenario, read_scenario
from analytics.simulators.situation import Situation
from analytics.simulators.to_the_cent import cents
from tests.analytics.simulators.made import BIG, SMALL, call, situation_of
from warehouse.errors import InputError

ROUTE = ModelRouting(to="openai/small", threshold=0.5, escalation=0.0)
# Oracle: input, output, and whether a person calls it simple.
FIVE = ((800, 200, 0.1), (1200, 400, 0.2), (3000, 900, 0.9), (500, 100, 0.3), (4000, 1500, 0.8))


def _five() -> Situation:
    return situation_of(
        [call(n, uncached_input_tokens=size, output_tokens=out) for n, (size, out, _) in enumerate(FIVE)],
        complexity=np.array([score for _, _, score in FIVE], dtype=np.float32),
    )


def test_five_calls_by_hand() -> None:
    situation = _five()
    assert situation.total() == pytest.approx(0.05475)
    after = ROUTE.apply(situation)
    assert after.total() == pytest.approx(0.042295)
    assert isinstance(ROUTE, Lever)
    assert [after.workload.models[code] for code in after.workload.model] == [SMALL, SMALL, BIG, SMALL, BIG]


def test_an_escalated_call_and_a_router_by_hand() -> None:
    # Call 2 escalated and a router of $0.02 per million tokens: 9.62 % are left of the 22.7 %.
    router = replace(ROUTE, router_price=0.02).apply(_five()).total()
    escalated = 1200 * 2.5e-6 + 400 * 10e-6
    assert round(100 * (1 - (router + escalated) / 0.05475), 2) == 9.62
    # Escalation of a share: each weak call pays that share of its strong cost, a retry its weak cost.
    weak_strong = 0.05475 - (3000 * 2.5 + 900 * 10 + 4000 * 2.5 + 1500 * 10) * 1e-6
    weak = 0.042295 - (0.05475 - weak_strong)
    after = replace(ROUTE, escalation=0.25, retries=0.5, router_fee=0.001).apply(_five())
    assert after.total() == pytest.approx(0.042295 + 0.25 * weak_strong + 0.5 * weak + 5 * 0.001)


def test_tokens_of_the_target_by_hand() -> None:
    situation = situation_of(
        [call(uncached_input_tokens=1000, cache_read_tokens=2000, output_tokens=100, reasoning_tokens=10)],
        complexity=np.zeros(1, dtype=np.float32),
    )
    after = replace(ROUTE, tokenizer_ratio=1.2, output_ratio=0.834, cache_kept=0.25).apply(situation).workload
    # 2,400 cached tokens of the target's, of which a quarter is still read from a cache.
    assert after.cache_read_tokens.tolist() == [600]
    assert after.uncached_input_tokens.tolist() == [1200 + 1800]
    assert (after.output_tokens.tolist(), after.reasoning_tokens.tolist()) == ([83], [8])


def test_the_neutral_setting_changes_nothing_to_the_bit() -> None:
    situation = _five()
    assert ModelRouting.neutral().apply(situation) is situation
    assert not ModelRouting.neutral().touches(situation).any()
    assert replace(ROUTE, threshold=0.0).apply(situation) is situation


def test_the_prepared_sums_are_the_replay_at_every_step() -> None:
    random = np.random.default_rng(1)
    size = 400
    situation = situation_of(
        [
            call(
                n % 28, [None, "list", "3.5"][n % 3], second=n,
                uncached_input_tokens=int(random.integers(1, 9000)), output_tokens=int(random.integers(0, 900)),
            )
            for n in range(size)
        ],
        complexity=np.where(random.random(size) < 0.1, np.nan, random.integers(0, 20, size) / 20).astype(np.float32),
    )  # fmt: skip
    lever = replace(ROUTE, escalation=0.05, retries=0.02, router_fee=0.0001, output_ratio=1.3)
    shares = tuple(step / 20 for step in range(21))
    effects = [routing_effect(lever, situation, share, shares) for share in shares]
    replayed = curve(lambda place: effects[place].lever, range(len(shares)), situation)
    scale = situation.window.scale_to_month
    assert [cents(cost(situation, effect) * scale) for effect in effects] == replayed["cost"].tolist()
    scored = np.isfinite(lever.scores(situation))
    for share, effect in zip(shares, effects, strict=True):
        assert effect.changed / scored.sum() <= share + 1e-9
    assert effects[-1].changed == scored.sum()
    with pytest.raises(ValueError, match="price per token"):
        routing_effect(replace(lever, router_price=0.02), situation, 0.5, shares)


def test_shares_of_calls_are_no_shares_of_money() -> None:
    before = _five().workload
    routed = ROUTE.apply(_five()).workload.changed_since(before)
    assert routed.mean() == 0.6
    assert before.spent()[routed].sum() / before.spent().sum() == pytest.approx((0.004 + 0.007 + 0.00225) / 0.05475)


def test_only_calls_that_a_chat_model_answers_are_routed() -> None:
    calls = [
        call(0),
        call(1, operation="embeddings", output_tokens=0),
        call(2, operation="rerank", output_tokens=0),
        call(3, is_cache_hit=True, cost="0"),
        call(4, has_usage=False, cost="1"),
        call(5, model=SMALL),
        call(6, feature="other"),
    ]
    situation = situation_of(calls, complexity=np.zeros(7, dtype=np.float32))
    assert np.flatnonzero(ROUTE.touches(situation)).tolist() == [0, 6]
    chosen = replace(ROUTE, calls=Selection(feature=("other",)))
    assert np.flatnonzero(chosen.touches(situation)).tolist() == [6]
    assert ROUTE.touches(situation.vanish(np.arange(7) == 0)).tolist() == [False] * 6 + [True]


def test_bare_names_and_other_targets() -> None:
    situation = _five()
    assert replace(ROUTE, to="small").apply(situation).total() == ROUTE.apply(situation).total()
    with pytest.raises(InputError, match="no price book knows the model"):
        replace(ROUTE, to="openai/never-heard-of").apply(situation)


scores = st.one_of(st.none(), st.floats(0, 1, width=32))


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(scores, st.sampled_from([None, "0.5", "list"]), st.integers(0, 9000), st.integers(0, 900)),
        min_size=1,
        max_size=20,
    ),
    st.floats(0, 1.2),
    st.floats(0, 0.9),
)
def test_identities(
    calls: list[tuple[float | None, str | None, int, int]], threshold: float, escalation: float
) -> None:
    situation = situation_of(
        [
            call(0, cost, second=n, uncached_input_tokens=size + 1, output_tokens=out)
            for n, (_, cost, size, out) in enumerate(calls)
        ],
        complexity=np.array([np.nan if score is None else score for score, *_ in calls], dtype=np.float32),
    )
    lever = replace(
        ROUTE,
        threshold=threshold,
        escalation=escalation,
        score="work" if all(c[0] is None for c in calls) else "logged",
    )
    touched, after = lever.touches(situation), lever.apply(situation)
    before, left = situation.workload.spent(), after.workload.spent()
    assert left[~touched].tolist() == before[~touched].tolist()
    assert before.sum() - left.sum() <= before[touched].sum() + 1e-12
    assert np.isnan(after.workload.cost).tolist() == np.isnan(situation.workload.cost).tolist()
    # The small model costs 6 % of the big one: it pays below 94 % escalations, and more escalations cost more.
    assert left.sum() <= before.sum() + 1e-12
    assert replace(lever, escalation=escalation / 2).apply(situation).total() <= after.total() + 1e-12
    assert replace(lever, threshold=threshold / 2).apply(situation).total() >= after.total() - 1e-12


# --- scores


def test_examples_route_by_the_words_of_the_prompt() -> None:
    texts = ("opening hours of the store", "compare the two contracts clause by clause")
    situation = situation_of(
        [call(n) for n in range(3)],
        text=Coded(np.array([0, 1, -1], dtype=np.int32), texts),
        complexity=np.zeros(3, dtype=np.float32),
    )
    lever = replace(
        ROUTE,
        threshold=0.0,
        simple=("opening hours", "store address"),
        hard=("compare contracts", "explain the clause"),
    )
    found = lever.scores(situation)
    assert found[0] < 0 < found[1]
    assert np.isnan(found[2])
    assert np.flatnonzero(lever.apply(situation).workload.model != situation.workload.model).tolist() == [0]
    assert replace(lever, score="logged").scores(situation).tolist() == [0, 0, 0]


def test_expected_work_ranks_by_feature_and_length_and_never_by_the_calls_own_output() -> None:
    calls = [
        call(n % 28, second=n, feature=feature, uncached_input_tokens=size, output_tokens=out)
        for n, (feature, size, out) in enumerate(
            [("short", 100, 10)] * 40 + [("long", 100, 500)] * 40 + [("long", 8000, 900)] * 20
        )
    ]
    situation = situation_of(calls)
    work = expected_work(situation.workload, np.ones(100, dtype=bool))
    assert work[:40].tolist() == [0.2] * 40
    assert work[40:80].tolist() == [0.6] * 40
    assert work[80:].tolist() == [0.9] * 20
    # One call whose answer turned out long is still expected to be like its peers.
    calls[0] = {**calls[0], "output_tokens": 200}
    again = expected_work(situation_of(calls).workload, np.ones(100, dtype=bool))
    assert again[0] == again[1]
    some = expected_work(situation.workload, np.arange(100) < 40)
    assert np.isnan(some[40:]).all()
    assert some[0] == 0.5


def test_auto_takes_the_label_where_it_is_logged_and_work_where_not() -> None:
    assert ROUTE.scores(_five()).tolist() == pytest.approx([score for *_, score in FIVE])
    unlabelled = situation_of([call(0), call(1, output_tokens=5000, uncached_input_tokens=9000)])
    assert ROUTE.scores(unlabelled).tolist() == [0.25, 0.75]
    with pytest.raises(InputError, match="label complexity"):
        replace(ROUTE, score="logged").scores(unlabelled)
    with pytest.raises(InputError, match="no texts"):
        replace(ROUTE, score="examples", simple=("a",), hard=("b",)).scores(unlabelled)


def test_a_setting_out_of_range_gets_a_sentence() -> None:
    for values, sentence in [
        ({"threshold": math.nan}, "threshold must be a number"),
        ({"score": "vibes"}, "auto, logged, examples, work"),
        ({"escalation": 1.5}, "escalated calls"),
        ({"retries": -0.1}, "retried calls"),
        ({"router_fee": -1}, "router's fee"),
        ({"router_price": -1}, "router's price"),
        ({"tokenizer_ratio": 0}, "tokenizers"),
        ({"output_ratio": 0}, "output lengths"),
        ({"cache_kept": 2}, "cache reads"),
    ]:
        with pytest.raises(InputError, match=sentence):
            ModelRouting(to="openai/small", **values)  # type: ignore[arg-type]


def test_a_scenario_file_holds_it_and_shows_the_calls() -> None:
    lever = replace(ROUTE, simple=("a",), hard=("b",), score="logged")
    scenario = Scenario("s", (lever,))
    assert read_scenario(scenario.toml()).levers == (lever,)
    situation = _five()
    waterfall = scenario.run(situation, draws=20)
    assert sorted(waterfall.evidence(0)["call"]) == [0, 1, 3]
    scale = Decimal(str(situation.window.scale_to_month))
    saved = (Decimal("0.05475") - Decimal("0.042295")) * scale
    assert abs(waterfall.saving - saved) <= Decimal("0.01")

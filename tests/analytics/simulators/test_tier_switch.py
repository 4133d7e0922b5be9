"""Features switched off for a tier, and other prices for it."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.simulators.drawn_effects import switch_off_effect
from analytics.simulators.effect import cost
from analytics.simulators.effect import outcome as effect_outcome
from analytics.simulators.lever import Selection
from analytics.simulators.run_scenario import run
from analytics.simulators.scenario import Scenario, read_scenario
from analytics.simulators.tier_switch import SwitchOff, repriced_tier
from tests.analytics.simulators.made import call, situation_of
from warehouse.errors import InputError

FREE = Selection(feature=("write",), user_tier=("free",))


def _margins() -> pd.DataFrame:
    """The reference case: a request costs 0.043 and the free tier's earn 0.022; part of the cost is a GPU shared with the other tier."""
    columns = ("kind", "feature", "user_tier", "cost", "revenue", "shared_by_calls", "currency")
    rows = [
        ("feature", "write", "free", Decimal("2100"), Decimal("1074"), Decimal("100"), "USD"),
        ("feature", "write", "pro", Decimal("300"), Decimal("570"), Decimal("0"), "USD"),
        ("feature", "jobs", None, Decimal("10"), None, Decimal("0"), "USD"),
        ("feature", "blind", "free", None, Decimal("1"), Decimal("0"), "USD"),
        ("shared", None, None, Decimal("50"), None, Decimal("0"), "USD"),
    ]
    return pd.DataFrame(rows, columns=list(columns), dtype=object)


def test_the_lever_stops_the_calls_of_the_tier() -> None:
    calls = [
        call(feature="write", user_tier=tier, second=n, cost="0.043")
        for n, tier in enumerate(["free"] * 6 + ["pro"] * 2)
    ]
    situation = situation_of([*calls, call(feature="ask", user_tier="free", second=9, cost="1")])
    assert SwitchOff.neutral().apply(situation) is situation
    after = SwitchOff(FREE, share=1.0).apply(situation)
    assert situation.total() - after.total() == pytest.approx(6 * 0.043)
    assert after.workload.calls == 3


@given(st.floats(0, 1), st.floats(0, 1))
def test_more_off_saves_more_and_never_more_than_it_costs(one: float, other: float) -> None:
    situation = situation_of(
        [call(feature="write", user_tier="free", second=n) for n in range(30)] + [call(feature="ask")]
    )
    low, high = sorted((one, other))
    totals = [SwitchOff(FREE, share).apply(situation).total() for share in (low, high)]
    assert situation.total() >= totals[0] >= totals[1] >= situation.total() - 30 * (2000 * 2.5e-6 + 300 * 10e-6) - 1e-12


@settings(max_examples=30, deadline=None)
@given(st.lists(st.decimals("0.01", "50", places=4), min_size=2, max_size=6))
def test_what_is_switched_off_costs_nothing_and_saves_what_it_cost(costs: list[Decimal]) -> None:
    """To the cent, while all features together are today's cost and that afterwards, and the others stay as they are."""
    situation = situation_of([call(feature=f"f{n}", second=n, cost=str(each)) for n, each in enumerate(costs)])
    off = SwitchOff(Selection(feature=("f0",)), share=1.0)
    for outcome in (
        run(situation, [off], draws=2),
        effect_outcome(situation, switch_off_effect(off, situation, (0.0, 1.0))),
    ):
        rows = {row["feature"]: row for row in outcome.by_feature.to_dict("records") if row["kind"] == "feature"}
        assert (rows["f0"]["cost_after"], rows["f0"]["saving"]) == (0, rows["f0"]["cost"])
        assert rows["f0"]["saving"] == outcome.saving
        assert all(row["saving"] == 0 for name, row in rows.items() if name != "f0")
        assert (outcome.by_feature["cost"].sum(), outcome.by_feature["cost_after"].sum()) == (
            outcome.today,
            outcome.end,
        )


def test_the_slider_shows_what_the_lever_does() -> None:
    situation = situation_of(
        [call(feature="write", user_tier="free", second=n, cost=None if n == 5 else "list") for n in range(30)]
        + [call()]
    )
    shares = (0.0, 0.3, 0.71, 1.0)
    for share in shares:
        after = SwitchOff(FREE, share).apply(situation)
        found = switch_off_effect(SwitchOff(FREE, share), situation, shares)
        assert cost(situation, found) == pytest.approx(after.total())
        assert found.changed == situation.workload.calls - after.workload.calls


def test_unknown_cost_is_no_saving() -> None:
    situation = situation_of([call(feature="write", user_tier="free", cost=None), call(feature="ask")])
    assert SwitchOff(FREE, 1.0).apply(situation).total() == situation.total()


def test_another_price() -> None:
    same = repriced_tier(_margins(), "write", "pro")
    assert (same.saving, same.lost, same.result) == (0, 0, 0)
    dearer = repriced_tier(_margins(), "write", "pro", price_change=0.2, leaving=0.1)
    assert (dearer.new_revenue, dearer.new_cost) == (Decimal("615.6"), Decimal("270"))
    assert dearer.result == Decimal("75.6")
    assert dearer.new_margin == pytest.approx(345.6 / 615.6)
    # Nobody stays: the GPU that both tiers share goes on, and so does what is not known.
    nobody = repriced_tier(_margins(), "write", "free", leaving=1)
    assert (nobody.new_cost, nobody.saving, nobody.lost, nobody.result) == (100, 2000, 1074, 926)
    both = repriced_tier(_margins(), "write", None, leaving=1)
    assert (both.saving, both.lost) == (2300, 1644)
    jobs = repriced_tier(_margins(), "jobs", None, leaving=1)
    assert (jobs.saving, jobs.lost, jobs.result, jobs.new_margin) == (10, None, None, None)


def test_it_is_known_to_scenario_files() -> None:
    scenario = Scenario("off", (SwitchOff(FREE, 1.0),))
    assert read_scenario(scenario.toml()) == scenario


def test_wrong_settings_are_told() -> None:
    with pytest.raises(InputError, match="which feature"):
        SwitchOff(share=1.0)
    with pytest.raises(InputError, match="share of the calls"):
        SwitchOff(FREE, 1.5)
    with pytest.raises(InputError, match="'nothing' has no known cost for the tier 'free'"):
        repriced_tier(_margins(), "nothing", "free")
    with pytest.raises(InputError, match="no known cost"):
        repriced_tier(_margins(), "blind", "free")
    with pytest.raises(InputError, match="change of the price"):
        repriced_tier(_margins(), "write", "pro", price_change=-2)

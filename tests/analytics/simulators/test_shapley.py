"""Shapley shares: the published oracle, and the axioms that define them."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from analytics.simulators.run_scenario import total_saving
from analytics.simulators.shapley import shapley
from tests.analytics.simulators.made import C1_LEVERS, Cap, Prefix, Resource, Route, Vanish, c1
from warehouse.errors import InputError


def test_oracle_c1() -> None:
    found = shapley(c1(), C1_LEVERS)
    assert found.exact
    published = [0.012453, 0.010105, 0.006325, 0.006500]  # six digits: half a millionth of rounding
    assert [each.share for each in found.shares] == pytest.approx(published, abs=5.1e-7)
    assert sum(each.share for each in found.shares) == pytest.approx(0.0353825, abs=1e-12)
    assert all(each.error == 0 for each in found.shares)


def test_all_sets_are_replayed_once_with_shared_beginnings() -> None:
    """Sets of four levers, walked depth first: each of the 15 sets takes one more application."""
    assert shapley(c1(), C1_LEVERS).replays == 15


def test_shares_are_the_mean_of_marginal_savings_over_all_orders() -> None:
    """The definition itself, over all 24 orders, each set replayed in the scenario's order."""
    situation = c1()
    sums = np.zeros(4)
    for order in permutations(range(4)):
        chosen: set[int] = set()
        for lever in order:
            before = total_saving(situation, [C1_LEVERS[n] for n in sorted(chosen)])
            chosen.add(lever)
            sums[lever] += total_saving(situation, [C1_LEVERS[n] for n in sorted(chosen)]) - before
    shares = [each.share for each in shapley(situation, C1_LEVERS).shares]
    assert shares == pytest.approx((sums / 24).tolist(), abs=1e-12)


def test_many_levers_are_estimated_with_their_error() -> None:
    """Three levers that do nothing change no share; with seven levers the four real ones come within their stated errors of the exact shares."""
    exact = [0.012453, 0.010105, 0.006325, 0.006500]
    levers = [*C1_LEVERS, Cap(), Prefix(), Resource()]
    found = shapley(c1(), levers, orders=200)
    assert not found.exact
    assert sum(each.share for each in found.shares) == pytest.approx(found.saving, abs=1e-12)
    for each, truth in zip(found.shares, exact, strict=False):
        assert each.error < 0.001
        assert abs(each.share - truth) < 4 * each.error + 5.1e-7
    assert max(each.error for each in found.shares) > 1e-6
    assert [each.share for each in found.shares[4:]] == [0, 0, 0]
    assert [each.error for each in found.shares[4:]] == [0, 0, 0]


def test_orders_are_drawn_with_their_reverse() -> None:
    """Where levers meet in pairs only, an order and its reverse are exact together, however few are drawn."""
    levers = [C1_LEVERS[0], Cap(400), *[Resource()] * 5]
    found = shapley(c1(), levers, orders=4)
    # Alone 0.018 and 0.007, together 0.024 (the cap's 0.001 on a repeated call is lost): each loses half of that.
    assert [each.share for each in found.shares[:2]] == pytest.approx([0.0175, 0.0065], abs=1e-12)
    assert max(each.error for each in found.shares) < 1e-15


def test_a_lever_alone_has_the_whole_saving() -> None:
    found = shapley(c1(), [Cap(400)])
    assert found.shares[0].share == pytest.approx(0.007, abs=1e-12)


def test_equal_levers_have_equal_shares() -> None:
    """Two levers that vanish the same calls: whichever comes first saves it all, so each has half."""
    shares = shapley(c1(), [Vanish(share=1.0), Vanish(share=1.0)]).shares
    assert shares[0].share == pytest.approx(0.025, abs=1e-12)
    assert shares[1].share == pytest.approx(0.025, abs=1e-12)


def test_levers_that_do_not_meet_have_what_they_save_alone() -> None:
    situation = c1()
    levers = [Cap(400), Resource(part=0.5)]
    alone = [total_saving(situation, [each]) for each in levers]
    assert [each.share for each in shapley(situation, levers).shares] == pytest.approx(alone, abs=1e-12)


def test_no_levers_are_refused_in_words() -> None:
    with pytest.raises(InputError, match="without levers"):
        shapley(c1(), [])
    with pytest.raises(InputError, match="four orders"):
        shapley(c1(), [Route()], orders=1)

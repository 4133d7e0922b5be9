"""Which models a router is offered."""

from __future__ import annotations

from analytics.simulators.target_models import cheaper_models, models_in_use
from tests.analytics.simulators.made import BIG, OTHER, SMALL, call, situation_of


def test_models_in_use_the_cheapest_call_first() -> None:
    situation = situation_of([call(model=OTHER, second=1), call(model=SMALL, second=2), call(second=3)])
    assert models_in_use(situation) == ("openai/small", "openai/big", "anthropic/other")


def test_cheaper_ones_are_of_the_same_providers() -> None:
    """small is the one other model of openai in the made books; other is anthropic's, and dearer."""
    assert cheaper_models(situation_of([call(model=BIG)])) == ("openai/small",)
    assert cheaper_models(situation_of([call(model=SMALL)])) == ()
    assert cheaper_models(situation_of([call(model=OTHER)])) == ()
    assert cheaper_models(situation_of([])) == ()

"""Levers on what is rented: a few cost lines change and no call, so that every position is replayed, in milliseconds."""

from __future__ import annotations

from analytics.simulators.effect import Effect
from analytics.simulators.lever import Lever
from analytics.simulators.situation import Situation


def resource_effect(lever: Lever, situation: Situation, *, risk: float | None = None) -> Effect:
    """The effect of a lever that changes cost lines alone. Raises InputError as its `apply`."""
    after = lever.apply(situation)
    return Effect(
        lever,
        risk=risk,
        infrastructure=after.infrastructure,
        notes=after.notes,
        is_today=after.infrastructure is situation.infrastructure,
    )

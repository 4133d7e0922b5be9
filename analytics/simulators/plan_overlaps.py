"""Plans that run at the same time and act on the same cost: each measures all that it fell by, so that their savings must not be added up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from datetime import date

from analytics.simulators.adopted_plans import Plan
from analytics.simulators.lever import Lever, Selection
from analytics.simulators.realised import resource_of
from analytics.simulators.realised_cells import CHOSEN_BY
from analytics.simulators.realised_undo import acts_on_calls
from analytics.simulators.workload import CALL_CATEGORIES


def overlapping(plan: Plan, others: Iterable[Plan], last: date) -> tuple[str, ...]:
    """Names of the other plans, none of them withdrawn, that run on some of this plan's days up to `last` and act on cost that it acts on too."""
    return tuple(
        other.name
        for other in others
        if other.name != plan.name
        and other.standing != "withdrawn"
        and other.start <= min(last, plan.end or last)
        and plan.start <= (other.end or last)
        and any(_meet(plan, one, other, two) for one in plan.scenario.enabled for two in other.scenario.enabled)
    )


def overlap_note(names: tuple[str, ...]) -> str | None:
    """What to know about them, in words; None where there is none."""
    if not names:
        return None
    verbs = ("runs", "acts") if len(names) == 1 else ("run", "act")
    listed = " and ".join([*filter(None, [", ".join(names[:-1])]), names[-1]])
    return (
        f"{listed} {verbs[0]} on some of the same days and {verbs[1]} on the same cost: what fell there is counted in each plan; do not add "
        "their savings up"
    )


def _meet(plan: Plan, one: Lever, other: Plan, two: Lever) -> bool:
    """Whether two levers act on the same bills or on calls that may be the same."""
    bills = resource_of(one)
    if bills is not None and bills not in CALL_CATEGORIES and bills == resource_of(two):
        return True
    if not (acts_on_calls(one) and acts_on_calls(two)):
        return False
    first, second = _asked_by(plan, one), _asked_by(other, two)
    return all(set(first[name]) & set(second[name]) for name in first.keys() & second.keys())


def _asked_by(plan: Plan, lever: Lever) -> dict[str, tuple[str, ...]]:
    """The values that the calls of a lever have, by column, where they are narrowed: by the lever itself, else by what its plan is compared with."""
    selection = getattr(lever, "calls", Selection())
    own = {each.name: getattr(selection, each.name) for each in fields(selection) if each.name in CHOSEN_BY}
    narrowed = {name: values for name, values in plan.baseline.where if name in CHOSEN_BY}
    return narrowed | {name: values for name, values in own.items() if values}

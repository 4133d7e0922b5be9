"""Plans: scenarios that were adopted from a day on, with what they were expected to save, frozen.

A plan is a document of kind "plan" (`warehouse.state`). It keeps the scenario, the days that it was compared with, what each lever was expected to
save with its range, and the snapshot and rules that these figures are from; none of it changes afterwards. Only its end does: a plan ends on a
day, or is withdrawn, and every version is kept. Savings are tracked by `analytics.simulators.realised`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from analytics.filters import Filters
from analytics.simulators.saved_scenarios import checked_name, filters_body, filters_of
from analytics.simulators.scenario import Scenario, read_scenario
from analytics.simulators.waterfall import Waterfall
from warehouse.errors import InputError
from warehouse.state import Document, State

KIND = "plan"
Standing = Literal["running", "ended", "withdrawn"]


@dataclass(frozen=True)
class PlannedLever:
    """What one lever was expected to save where it stands, USD per month, and its range."""

    name: str
    title: str
    added: Decimal
    low: Decimal
    high: Decimal


@dataclass(frozen=True)
class Plan:
    """An adopted scenario.

    baseline: the days and filters that actual figures are compared with. start: first day of the plan; end: its last (None: open). planned: by
    applied lever, in order. base, expected: USD per month by category, of the baseline and with all levers. saving, with its range: of all
    levers, USD per month. window_days and scale_to_month: of the baseline. snapshot_id, rules_revision: what the figures were made from.
    """

    name: str
    scenario: Scenario
    baseline: Filters
    start: date
    end: date | None
    owner: str
    note: str
    standing: Standing
    planned: tuple[PlannedLever, ...]
    base: dict[str, Decimal]
    expected: dict[str, Decimal]
    saving: Decimal
    saving_low: Decimal
    saving_high: Decimal
    window_days: int
    scale_to_month: float
    snapshot_id: str
    rules_revision: int
    adopted_at: datetime
    adopted_by: str
    changed_at: datetime
    changed_by: str
    reason: str = ""

    def expected_in(self, amount: Decimal, days: int) -> Decimal:
        """What an amount per month comes to in so many days, in cents: per month of the baseline's own length."""
        per_month_days = Decimal(repr(self.scale_to_month)) * self.window_days
        return (amount * days / per_month_days).quantize(Decimal("0.01"))


def adopt(
    state: State,
    scenario: Scenario,
    outcome: Waterfall,
    baseline: Filters,
    *,
    start: date,
    author: str,
    owner: str = "",
    note: str = "",
    snapshot_id: str,
    rules_revision: int,
    name: str | None = None,
) -> Plan:
    """Adopt a scenario, with its `outcome` on the `baseline` days, from `start` on.

    Raises InputError when a plan of this name exists, when no lever is applied, and when the plan would start before its baseline ends: it would be
    compared with itself.
    """
    title = checked_name(name or scenario.name)
    if any(document.name == title for document in state.documents(KIND)):
        raise InputError(f"there is a plan {title!r} already: give this one another name")
    if not outcome.steps:
        raise InputError("a scenario without an applied lever saves nothing: there is nothing to adopt")
    if start <= baseline.end:
        raise InputError(
            f"the plan would start on {start}, within the days that it is compared with ({baseline.start} to {baseline.end}): choose a day after "
            f"{baseline.end}"
        )
    body = {
        "scenario": replace(scenario, name=title).toml(),
        "baseline": filters_body(baseline),
        "start": start.isoformat(),
        "end": None,
        "owner": owner.strip(),
        "note": note.strip(),
        "standing": "running",
        "planned": [
            {
                "lever": step.lever.name,
                "title": step.lever.title,
                "added": str(step.added),
                "low": str(step.added_low),
                "high": str(step.added_high),
            }
            for step in outcome.steps
        ],
        "base": {name: str(cost) for name, cost in outcome.base.items()},
        "expected": {name: str(cost) for name, cost in outcome.end_costs.items()},
        "saving": [str(outcome.saving), str(outcome.saving_low), str(outcome.saving_high)],
        "window_days": outcome.window_days,
        "scale_to_month": outcome.scale_to_month,
        "snapshot_id": snapshot_id,
        "rules_revision": rules_revision,
    }
    state.save(KIND, title, body, author=author, reason="adopted")
    return find_plan(state, title)


def end_plan(state: State, name: str, last_day: date, *, author: str, reason: str = "") -> None:
    """The plan is over: `last_day` is the last that is tracked. Raises InputError for an unknown plan, one that does not run, and a day before its
    start."""
    plan = _running(state, name)
    if last_day < plan.start:
        raise InputError(f"the plan {name!r} started on {plan.start}: it cannot end before")
    _change(state, name, author, reason or "ended", standing="ended", end=last_day.isoformat())


def withdraw_plan(state: State, name: str, *, author: str, reason: str = "") -> None:
    """The plan is given up: nothing of it is tracked or summed any more; it stays in the list, with its history. Raises InputError for an unknown
    plan and one that does not run."""
    _running(state, name)
    _change(state, name, author, reason or "withdrawn", standing="withdrawn")


def plans(state: State, revision: int | None = None) -> list[Plan]:
    """All plans as they stand, those that run first, then the latest start first. Raises InputError for a plan that cannot be read."""
    first: dict[str, Document] = {}
    for document in state.history(KIND):
        first.setdefault(document.name, document)
    found = [_plan(document, first[document.name]) for document in state.documents(KIND, revision)]
    return sorted(found, key=lambda plan: (plan.standing != "running", -plan.start.toordinal(), plan.name))


def find_plan(state: State, name: str) -> Plan:
    """The plan of this name. Raises InputError that lists the names there are."""
    known = {plan.name: plan for plan in plans(state)}
    if name not in known:
        raise InputError(f"there is no plan {name!r}; there are: {', '.join(known) or 'none yet'}")
    return known[name]


def plan_history(state: State, name: str) -> list[Document]:
    """Every version of a plan, the first first: who changed it, when and why."""
    return [document for document in state.history(KIND) if document.name == name]


def _running(state: State, name: str) -> Plan:
    plan = find_plan(state, name)
    if plan.standing != "running":
        raise InputError(f"the plan {name!r} does not run any more: it is {plan.standing}")
    return plan


def _change(state: State, name: str, author: str, reason: str, **new: Any) -> None:
    body = next(document.body for document in state.documents(KIND) if document.name == name)
    state.save(KIND, name, {**(body or {}), **new}, author=author, reason=reason)


def _plan(document: Document, first: Document) -> Plan:
    body = document.body or {}
    try:
        saving, low, high = (Decimal(each) for each in body["saving"])
        return Plan(
            name=document.name,
            scenario=read_scenario(body["scenario"]),
            baseline=filters_of(body["baseline"]),
            start=date.fromisoformat(body["start"]),
            end=date.fromisoformat(body["end"]) if body["end"] else None,
            owner=body["owner"],
            note=body["note"],
            standing=body["standing"],
            planned=tuple(
                PlannedLever(
                    each["lever"], each["title"], Decimal(each["added"]), Decimal(each["low"]), Decimal(each["high"])
                )
                for each in body["planned"]
            ),
            base={name: Decimal(cost) for name, cost in body["base"].items()},
            expected={name: Decimal(cost) for name, cost in body["expected"].items()},
            saving=saving,
            saving_low=low,
            saving_high=high,
            window_days=int(body["window_days"]),
            scale_to_month=float(body["scale_to_month"]),
            snapshot_id=body["snapshot_id"],
            rules_revision=int(body["rules_revision"]),
            adopted_at=first.saved_at,
            adopted_by=first.author,
            changed_at=document.saved_at,
            changed_by=document.author,
            reason=document.reason,
        )
    except (KeyError, ValueError, TypeError, ArithmeticError, InputError) as error:
        raise InputError(f"the plan {document.name!r} cannot be read: {error}") from error

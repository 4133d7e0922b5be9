"""The weekly review: half an hour on Monday, from last week's actions to this week's decisions.

    review(warehouse, read_week("2026-W22"))

Every section asks the analytics of its page for the week's days, so that the review, the page and the exports agree to the cent. What cannot be
told (several currencies, a budget that cannot be read) is said in its section; the others stand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from importlib import import_module

from analytics.anomalies_states import EVENT_KIND
from analytics.anomalies_states import KIND as ANOMALY
from analytics.budgets import KIND as BUDGET
from analytics.kept_findings import kept_finding
from analytics.simulators.adopted_plans import KIND as PLAN
from analytics.snapshot_report import Column
from analytics.weekly_review_model import Review, Section, table
from analytics.weekly_review_notes import (
    ACTION_KIND,
    DECISIONS,
    NOTE_KIND,
    Action,
    actions,
    actions_before,
    actions_of,
    notes_of,
)
from analytics.weekly_review_untold import untold
from analytics.weekly_review_week import Week, days_of, default_week
from warehouse.errors import InputError, PercallError
from warehouse.reader import Warehouse

Build = Callable[[Warehouse, Week, date], Section]

_COSTS, _CARE, _HERE = "analytics.weekly_review_costs", "analytics.weekly_review_care", "analytics.weekly_review"


@dataclass(frozen=True)
class Step:
    """One section of the review: its key and title, the function that tells it, and the kinds of state that it depends on.

    kept: it is told of the snapshot alone, whatever the day and the people's state, and takes so long that it is kept on disk."""

    key: str
    title: str
    function: str
    kinds: tuple[str, ...] = ()
    kept: bool = False

    @property
    def looks_at_calls(self) -> bool:
        """Whether it takes long the first time, for it is told of more than roll-ups and people's state."""
        return self.kept or self.key == "anomalies"


STEPS: tuple[Step, ...] = (
    Step("actions", "Actions of earlier reviews", f"{_HERE}:earlier_actions", (ACTION_KIND,)),
    Step("figures", "The week", f"{_COSTS}:figures", kept=True),
    Step("changed", "What changed", f"{_COSTS}:changed", kept=True),
    Step("features", "Features", f"{_COSTS}:features", kept=True),
    Step("anomalies", "Anomalies", f"{_CARE}:anomalies", (ANOMALY, EVENT_KIND)),
    Step("losses", "Features that lose money", f"{_COSTS}:losses", kept=True),
    Step("waste", "Waste", f"{_CARE}:waste", kept=True),
    Step("untagged", "Cost without tags", f"{_CARE}:untagged", kept=True),
    Step("budgets", "Budgets", f"{_CARE}:budgets", (BUDGET,)),
    Step("plans", "Plans", f"{_CARE}:plans", (PLAN,)),
    Step("restatements", "Restatements", f"{_CARE}:restatements"),
    Step("decisions", "Decisions", f"{_HERE}:decisions", (ACTION_KIND, NOTE_KIND)),
)
"""The review from top to bottom."""

TITLES: Mapping[str, str] = {step.key: step.title for step in STEPS}


def review(warehouse: Warehouse, week: Week | None = None, today: date | None = None) -> Review:
    """The review of a week (default: the newest that the data cover whole). `today`, in the reporting time zone: which actions are overdue.

    Raises InputError when the store is empty or the week has no data.
    """
    chosen = week or default_week(warehouse)
    if chosen is None:
        raise InputError(
            "the store holds neither bills nor calls: load some with `percall load`, or see `percall demo`"
        )
    days_of(warehouse, chosen)
    day = today or datetime.now(warehouse.configuration.zone).date()
    return assembled(warehouse, chosen, tuple(section(warehouse, step.key, chosen, day) for step in STEPS))


def section(warehouse: Warehouse, key: str, week: Week, today: date, revision: int = 0) -> Section:  # noqa: ARG001 - names what was known
    """One section of the review. `revision` of the state, of the section's kinds: for whoever keeps answers; it changes none.

    Raises InputError for a key that there is not, and KeyError never: what the section itself cannot tell is said in it.
    """
    step = next((one for one in STEPS if one.key == key), None)
    if step is None:
        raise InputError(f"the review has no section {key!r}; it has {', '.join(TITLES)}")
    module, _, name = step.function.partition(":")
    build: Build = getattr(import_module(module), name)
    try:
        if step.kept:
            return kept_finding(warehouse, f"review-{key}", lambda: build(warehouse, week, today), week)
        return build(warehouse, week, today)
    except PercallError as error:
        return untold(warehouse, key, step.title, week, error)


def assembled(warehouse: Warehouse, week: Week, sections: tuple[Section, ...]) -> Review:
    """The review of sections that were told already: with what is in hand, and its headline."""
    standing = [action for action in actions(warehouse.state) if action.status == "open" and action.week <= week.name]
    told = tuple(one.with_actions(sum(action.about == one.key for action in standing)) for one in sections)
    return Review(
        week,
        _headline(told),
        days_of(warehouse, week).missing,
        told,
        warehouse.configuration.reporting_time_zone,
        warehouse.snapshot.created_at[:19] if warehouse.snapshot else "",
        warehouse.snapshot_id,
        warehouse.is_demo,
    )


def _headline(sections: tuple[Section, ...]) -> str:
    week = next((one.sentence for one in sections if one.key == "figures"), "")
    wanted = [
        "overdue actions" if one.key == "actions" else one.title.lower() for one in sections if one.mark == "look"
    ]
    if not wanted:
        return f"{week}; nothing wants a decision"
    return f"{week}; to decide: {', '.join(wanted)}"


def earlier_actions(warehouse: Warehouse, week: Week, today: date) -> Section:
    """What earlier reviews decided to do, and what became of it."""
    found = actions_before(warehouse.state, week)
    how = "Everything that earlier reviews left open, and what became of the last one's actions. An action is asked for until it is done or dropped."
    if not found:
        return Section("actions", TITLES["actions"], "Earlier reviews left nothing to do", how, mark="empty")
    waiting = [action for action in found if action.status == "open"]
    late = sum(action.is_overdue(today) for action in waiting)
    closed = len(found) - len(waiting)
    parts = [
        f"{len(waiting)} open",
        *([f"{late} of them overdue"] if late else []),
        *([f"{closed} closed"] if closed else []),
    ]
    drawn, _ = table("actions", "", _ACTION_COLUMNS, (action_row(action, today) for action in found))
    count = f"{len(found)} action{'' if len(found) == 1 else 's'}"
    return Section(
        "actions", TITLES["actions"], f"{count}: {', '.join(parts)}", how, mark="look" if late else "fine", table=drawn
    )


_ACTION_COLUMNS = (
    Column("action", "Action"), Column("owner", "Owner"), Column("due", "Due"), Column("status", "Status"), Column("about", "About"),
    Column("outcome", "What came of it"),
)  # fmt: skip


def action_row(action: Action, today: date) -> dict[str, object]:
    """An action as a row of a table."""
    return {
        "action": action.text, "owner": action.owner or None, "due": action.due, "status": "overdue" if action.is_overdue(today) else action.status,
        "about": TITLES.get(action.about), "outcome": action.outcome or None,
    }  # fmt: skip


def decisions(warehouse: Warehouse, week: Week, today: date) -> Section:
    """What this review decided: decisions, remarks on its sections, and new actions."""
    made, said = actions_of(warehouse.state, week), notes_of(warehouse.state, week)
    decided = [note for note in said if note.section == DECISIONS]
    how = "Kept with author and time, every version; actions come back in the next review, at its top."
    if not made and not said:
        return Section("decisions", TITLES["decisions"], "Nothing is decided yet", how, mark="empty")
    points = [f"{note.text} ({note.author}, {note.at:%Y-%m-%d})" for note in decided]
    points += [
        f"On {TITLES.get(note.section, note.section).lower()}: {note.text} ({note.author}, {note.at:%Y-%m-%d})"
        for note in said
        if note.section != DECISIONS
    ]
    drawn, _ = table("decisions", "New actions", _ACTION_COLUMNS, (action_row(action, today) for action in made))
    counts = [
        f"{number} {word}{'' if number == 1 else 's'}"
        for number, word in (
            (len(decided), "decision"),
            (len(said) - len(decided), "remark"),
            (len(made), "new action"),
        )
        if number
    ]
    return Section("decisions", TITLES["decisions"], ", ".join(counts), how, points=tuple(points), table=drawn)

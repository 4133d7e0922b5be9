"""What a review decides: notes and decisions by section, and actions with an owner, a due day and a status.

Documents of the store's state (`warehouse.state`), every version kept with who changed it and when. An action belongs to the week whose review made
it and is asked for in every later review until it is done or dropped.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from analytics.weekly_review_week import Week, read_week
from warehouse.errors import InputError
from warehouse.state import Document, State

ACTION_KIND, NOTE_KIND = "review action", "review note"
STATUSES = ("open", "done", "dropped")
DECISIONS = "decisions"
"""Section of notes that are decisions, not remarks."""
LONGEST = 1000

Status = Literal["open", "done", "dropped"]


@dataclass(frozen=True)
class Action:
    """Something that somebody is to do. about: section of the review that it came from ("" : none); outcome: what came of it, in words.

    made_at, changed_at: UTC.
    """

    name: str
    week: str
    text: str
    owner: str
    due: date | None
    about: str
    status: Status
    outcome: str
    made_at: datetime
    made_by: str
    changed_at: datetime
    changed_by: str

    def is_overdue(self, today: date) -> bool:
        """Whether it is open although its day has passed."""
        return self.status == "open" and self.due is not None and self.due < today


@dataclass(frozen=True)
class Note:
    """A remark on a section of one week's review, or a decision (section `DECISIONS`). at: UTC."""

    name: str
    week: str
    section: str
    text: str
    author: str
    at: datetime


def add_action(
    state: State, week: Week, text: str, *, owner: str = "", due: date | None = None, about: str = "", author: str
) -> str:
    """Keep a new action; answers with its name. Raises InputError for an empty or endless text."""
    body = {
        "week": week.name, "text": _checked(text, "an action"), "owner": owner.strip()[:LONGEST], "due": due.isoformat() if due else None,
        "about": about, "status": "open", "outcome": "",
    }  # fmt: skip
    name = f"{week.name} {uuid.uuid4().hex[:8]}"
    state.save(ACTION_KIND, name, body, author=author)
    return name


def change_action(
    state: State,
    name: str,
    *,
    author: str,
    status: str | None = None,
    owner: str | None = None,
    due: date | Literal["none"] | None = None,
    outcome: str | None = None,
) -> None:
    """Change what is given; `due` "none" takes the day away. Raises InputError for an unknown action or status."""
    document = next((one for one in state.documents(ACTION_KIND) if one.name == name), None)
    if document is None or document.body is None:
        raise InputError("this action is not there any more: reload the page")
    if status is not None and status not in STATUSES:
        raise InputError(f"unknown status {status!r}: choose {', '.join(STATUSES)}")
    new: dict[str, Any] = dict(document.body)
    if status is not None:
        new["status"] = status
    if owner is not None:
        new["owner"] = owner.strip()[:LONGEST]
    if due is not None:
        new["due"] = None if due == "none" else due.isoformat()
    if outcome is not None:
        new["outcome"] = outcome.strip()[:LONGEST]
    if new != document.body:
        state.save(ACTION_KIND, name, new, author=author, reason=new["outcome"] if status else "")


def actions(state: State) -> tuple[Action, ...]:
    """All actions as they stand, the oldest first."""
    first: dict[str, Document] = {}
    for document in state.history(ACTION_KIND):
        first.setdefault(document.name, document)
    found = [_action(document, first[document.name]) for document in state.documents(ACTION_KIND)]
    return tuple(sorted(found, key=lambda action: (action.week, action.made_at, action.name)))


def actions_before(state: State, week: Week) -> tuple[Action, ...]:
    """What a review of this week asks for first: everything that earlier reviews left open, and what became of the last review's actions.

    Open ones first, by their due day.
    """
    last = week.before().name
    asked = [one for one in actions(state) if one.week < week.name and (one.status == "open" or one.week == last)]
    return tuple(sorted(asked, key=lambda one: (one.status != "open", one.due is None, one.due or date.max, one.week)))


def actions_of(state: State, week: Week) -> tuple[Action, ...]:
    """The actions that this week's review made."""
    return tuple(one for one in actions(state) if one.week == week.name)


def action_history(state: State, name: str) -> tuple[Document, ...]:
    """Every version of an action, the first first."""
    return tuple(document for document in state.history(ACTION_KIND) if document.name == name)


def add_note(state: State, week: Week, section: str, text: str, *, author: str) -> str:
    """Keep a remark on a section, or a decision; answers with its name. Raises InputError for an empty or endless text."""
    name = f"{week.name} {uuid.uuid4().hex[:8]}"
    body = {"week": week.name, "section": section, "text": _checked(text, "a note")}
    state.save(NOTE_KIND, name, body, author=author)
    return name


def remove_note(state: State, name: str, *, author: str) -> None:
    """Take a note away; its versions stay in the history."""
    state.save(NOTE_KIND, name, None, author=author)


def notes_of(state: State, week: Week) -> tuple[Note, ...]:
    """The notes and decisions of one week's review, the oldest first."""
    return tuple(
        Note(document.name, body["week"], body["section"], body["text"], document.author, document.saved_at)
        for document in state.documents(NOTE_KIND)
        if (body := document.body) is not None and body["week"] == week.name
    )


def _checked(text: str, what: str) -> str:
    said = " ".join(text.split())
    if not said:
        raise InputError(f"{what} needs a text")
    if len(said) > LONGEST:
        raise InputError(f"{what} has at most {LONGEST:,} characters, this one {len(said):,}: keep it short")
    return said


def _action(document: Document, first: Document) -> Action:
    body = document.body or {}
    read_week(body["week"])
    return Action(
        document.name, body["week"], body["text"], body["owner"], date.fromisoformat(body["due"]) if body["due"] else None, body["about"],
        body["status"], body["outcome"], first.saved_at, first.author, document.saved_at, document.author,
    )  # fmt: skip

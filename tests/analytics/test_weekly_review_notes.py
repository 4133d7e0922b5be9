"""What people leave in a weekly review: notes and actions, in every version."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from analytics.weekly_review_notes import (
    DECISIONS,
    LONGEST,
    action_history,
    actions_before,
    actions_of,
    add_action,
    add_note,
    change_action,
    notes_of,
    remove_note,
)
from analytics.weekly_review_week import read_week
from warehouse.errors import InputError
from warehouse.state import State

W21, W22 = read_week("2026-W21"), read_week("2026-W22")


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "store")


def test_an_action_is_asked_for_until_it_is_done(state: State) -> None:
    name = add_action(
        state, W21, "  Cache   the context ", owner="Minh", due=date(2026, 5, 28), about="waste", author="Ann"
    )
    assert actions_before(state, W21) == ()
    assert [one.name for one in actions_of(state, W21)] == [name]
    (asked,) = actions_before(state, W22)
    assert (asked.text, asked.owner, asked.status, asked.made_by) == ("Cache the context", "Minh", "open", "Ann")
    assert asked.is_overdue(date(2026, 5, 29))
    assert not asked.is_overdue(date(2026, 5, 28))
    later = read_week("2026-W30")
    assert [one.name for one in actions_before(state, later)] == [name]

    change_action(state, name, status="done", outcome="Saves $300 a week", due="none", author="Minh")
    (done,) = actions_before(state, W22)
    assert (done.status, done.outcome, done.due, done.made_by, done.changed_by) == (
        "done",
        "Saves $300 a week",
        None,
        "Ann",
        "Minh",
    )
    assert not done.is_overdue(date(2030, 1, 1))
    assert actions_before(state, later) == ()
    assert [(one.body or {})["status"] for one in action_history(state, name)] == ["open", "done"]
    change_action(state, name, status="done", author="Ann")
    assert len(action_history(state, name)) == 2, "a change that changes nothing is no version"


def test_open_actions_come_first_by_their_day(state: State) -> None:
    for text, due in (
        ("undated", None),
        ("late", date(2026, 6, 9)),
        ("soon", date(2026, 6, 2)),
        ("closed", date(2026, 5, 1)),
    ):
        name = add_action(state, W21, text, due=due, author="Ann")
        if text == "closed":
            change_action(state, name, status="dropped", author="Ann")
    assert [one.text for one in actions_before(state, W22)] == ["soon", "late", "undated", "closed"]


def test_notes_belong_to_their_week_and_can_be_taken_back(state: State) -> None:
    first = add_note(state, W22, "waste", "Known: the cache goes live on Friday", author="Ann")
    add_note(state, W22, DECISIONS, "No new model before July", author="Minh")
    assert [(one.section, one.text, one.author) for one in notes_of(state, W22)] == [
        ("waste", "Known: the cache goes live on Friday", "Ann"),
        (DECISIONS, "No new model before July", "Minh"),
    ]
    assert notes_of(state, W21) == ()
    remove_note(state, first, author="Ann")
    assert [one.section for one in notes_of(state, W22)] == [DECISIONS]


@pytest.mark.parametrize("text", ["", "  \n ", "x" * (LONGEST + 1)], ids=["empty", "blank", "endless"])
def test_a_note_that_says_nothing_or_too_much_is_refused(state: State, text: str) -> None:
    with pytest.raises(InputError):
        add_note(state, W22, DECISIONS, text, author="Ann")
    with pytest.raises(InputError):
        add_action(state, W22, text, author="Ann")
    assert notes_of(state, W22) == ()


def test_what_is_not_there_cannot_be_changed(state: State) -> None:
    with pytest.raises(InputError, match="not there"):
        change_action(state, "nothing", status="done", author="Ann")
    name = add_action(state, W22, "Do it", author="Ann")
    with pytest.raises(InputError, match="open, done, dropped"):
        change_action(state, name, status="perhaps", author="Ann")

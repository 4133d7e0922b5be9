"""People's own state: every version is kept, and any revision can be asked for again."""

from __future__ import annotations

import sqlite3
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from warehouse.errors import StoreError
from warehouse.state import Restated, State


def test_nothing_saved_is_nothing_and_creates_no_file(tmp_path: Path) -> None:
    state = State(tmp_path)
    assert state.documents("virtual tag") == []
    assert state.revision() == 0
    assert state.restatements() == []
    assert not state.path.exists()


def test_the_last_version_counts_and_the_others_are_kept(tmp_path: Path) -> None:
    state = State(tmp_path / "new")
    first = state.save("virtual tag", "gpu", {"value": "search"}, author="Ann")
    second = state.save("virtual tag", "gpu", {"value": "ask"}, author="Ben", reason="moved in May")
    state.save("budget", "gpu", {"amount": "10"}, author="Ann")
    (now,) = state.documents("virtual tag")
    assert (now.body, now.author, now.reason, now.revision) == ({"value": "ask"}, "Ben", "moved in May", second)
    assert state.documents("virtual tag", revision=first)[0].body == {"value": "search"}
    assert [document.author for document in state.history("virtual tag")] == ["Ann", "Ben"]
    assert state.revision("virtual tag") == second
    assert state.revision() == second + 1


def test_documents_keep_the_order_in_which_they_were_made(tmp_path: Path) -> None:
    state = State(tmp_path)
    for name in ("b", "a", "c", "b"):
        state.save("virtual tag", name, {}, author="Ann")
    assert [document.name for document in state.documents("virtual tag")] == ["b", "a", "c"]


def test_a_removed_document_is_gone_but_its_past_is_not(tmp_path: Path) -> None:
    state = State(tmp_path)
    first = state.save("virtual tag", "gpu", {"value": "search"}, author="Ann")
    state.save("virtual tag", "gpu", None, author="Ann")
    assert state.documents("virtual tag") == []
    assert len(state.documents("virtual tag", revision=first)) == 1
    assert [document.body for document in state.history("virtual tag")] == [{"value": "search"}, None]


def test_what_a_change_restates_is_kept_to_the_last_digit(tmp_path: Path) -> None:
    state = State(tmp_path)
    row = Restated(
        "charges",
        "focus",
        date(2026, 5, 1),
        None,
        "Compute",
        "USD",
        Decimal("10.000000000001"),
        Decimal("0.000000000001"),
    )
    before = state.save("virtual tag", "other", {}, author="Ann")
    state.save("virtual tag", "gpu", {}, author="Ann", restated=[row])
    ((_at, *rest),) = state.restatements()
    assert rest == [
        "charges",
        "focus",
        date(2026, 5, 1),
        None,
        "Compute",
        "USD",
        Decimal("10.000000000001"),
        Decimal("0.000000000001"),
    ]
    assert state.restatements(before) == []


def test_a_file_of_a_newer_version_is_refused_untouched(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "state.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    before = (tmp_path / "state.sqlite").read_bytes()
    with pytest.raises(StoreError, match="newer Percall"):
        State(tmp_path).documents("virtual tag")
    with pytest.raises(StoreError, match="newer Percall"):
        State(tmp_path).save("virtual tag", "gpu", {}, author="Ann")
    assert (tmp_path / "state.sqlite").read_bytes() == before


def test_a_damaged_file_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "state.sqlite").write_bytes(b"no database at all, but long enough to be looked at" * 40)
    with pytest.raises(StoreError, match="cannot be read"):
        State(tmp_path).documents("virtual tag")

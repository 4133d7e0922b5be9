"""The audit log: entries are added, never changed, and a change past us shows."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.operations.bills import line, write
from tests.operations.command import percall
from warehouse.audit import AuditLog, acting_as, actor


def test_entries_are_kept_in_order_with_who_and_what(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    assert log.entries() == []
    log.record("link made", "s1", who="Ann", days=14)
    with acting_as("Ben"):
        log.record("link revoked", "s1", address="192.0.2.7")
    first, second = log.entries()
    assert (first.who, first.action, first.subject, first.detail) == ("Ann", "link made", "s1", {"days": 14})
    assert (second.who, second.address) == ("Ben", "192.0.2.7")
    assert "(command line)" in actor()


def test_the_same_event_is_written_once(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    for _ in range(3):
        log.record("signed in", "viewer", who="Ann", once="a sign-in")
    log.record("signed in", "viewer", who="Ann", once="another")
    assert len(log.entries()) == 2


@pytest.mark.parametrize(
    "statement", ["UPDATE audit SET who = 'x'", "DELETE FROM audit", "DELETE FROM audit WHERE entry = 2"]
)
def test_the_file_itself_refuses_changes(tmp_path: Path, statement: str) -> None:
    log = AuditLog(tmp_path)
    for number in range(3):
        log.record("loaded", str(number))
    with sqlite3.connect(log.path) as connection, pytest.raises(sqlite3.IntegrityError, match="never"):
        connection.execute(statement)
    assert len(log.entries()) == 3


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("UPDATE audit SET who = 'somebody else' WHERE entry = 2", 2),
        ("DELETE FROM audit WHERE entry = 2", 3),
        ("UPDATE audit SET at = '2020-01-01T00:00:00' WHERE entry = 1", 1),
        ("SELECT 1", None),
    ],
)
def test_a_change_past_the_triggers_shows(tmp_path: Path, statement: str, expected: int | None) -> None:
    log = AuditLog(tmp_path)
    for number in range(4):
        log.record("loaded", str(number), rows=number)
    with sqlite3.connect(log.path) as connection:
        connection.execute("DROP TRIGGER audit_is_never_changed")
        connection.execute("DROP TRIGGER audit_is_never_shortened")
        connection.execute(statement)
    assert log.damaged() == expected


def test_a_load_is_written_down_with_its_rows(tmp_path: Path) -> None:
    bill = write(tmp_path / "bill.csv", [line(day=2), line(day=3), line(day=4, BilledCost="abc")])
    assert percall("load", bill, store=tmp_path / "store").code in (0, 2)
    (entry,) = AuditLog(tmp_path / "store").entries()
    assert (entry.action, entry.subject) == ("data loaded", "snapshot-000001")
    assert (entry.detail["rows"], entry.detail["rejected"], entry.detail["kinds"]) == (2, 1, ["focus"])
    answer = percall("export", "audit", "--format", "json", store=tmp_path / "store")
    assert [row["action"] for row in answer.json] == ["data loaded"]

"""Shared links as they are kept: found by one address alone, until they end."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

import pytest

from tests.pages import small_store
from warehouse.audit import AuditLog
from warehouse.errors import InputError, StoreError
from warehouse.pins import pinned, replace_pins
from warehouse.share_records import EXPIRED, REVOKED, SECRET_VARIABLE, TAMPERED, UNKNOWN, Share, Shares
from warehouse.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A small store of its own."""
    small_store.build(tmp_path / "store", months=("2026-05",))
    return tmp_path / "store"


def make(store: Path, **changes: object) -> tuple[Share, str]:
    values = {
        "view": "overview", "title": "Overview", "report": "{}", "question": {"start": "2026-05-01"}, "snapshot_id": "snapshot-000001",
        "revision": 0, "author": "Ann",
    }  # fmt: skip
    return Shares(store).create(**(values | changes))  # type: ignore[arg-type]


def age(store: Path, share_id: str) -> None:
    """Let a link's time run out, past our own code."""
    with sqlite3.connect(store / "state.sqlite") as connection:
        connection.execute("UPDATE shares SET expires_at = '2026-01-01T00:00:00' WHERE share_id = ?", (share_id,))


def test_a_token_opens_its_own_link_alone(store: Path) -> None:
    (first, token), (second, other) = make(store), make(store, view="features")
    assert token != other
    for one, opened in ((first, token), (second, other)):
        found = Shares(store).find(opened)
        assert isinstance(found, Share)
        assert found.share_id == one.share_id


def test_every_changed_character_of_a_token_is_tampering(store: Path) -> None:
    _share, token = make(store)
    shares = Shares(store)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
    for at, character in enumerate(token):
        for other in {"A", "_", ".", alphabet[(alphabet.index(character) + 1) % len(alphabet)]} - {character}:
            assert shares.find(token[:at] + other + token[at + 1 :]) == TAMPERED
    for wrong in ("", "x", token[:-1], token + "A", token + "=", f" {token}", token.swapcase(), "\u0000", "ü" * 40):
        assert shares.find(wrong) == TAMPERED


def test_a_signed_token_of_another_store_or_purpose_opens_nothing(store: Path, tmp_path: Path) -> None:
    share, _token = make(store, passcode="open sesame")
    small_store.build(tmp_path / "other", months=("2026-05",))
    _theirs, foreign = make(tmp_path / "other")
    assert Shares(store).find(foreign) == TAMPERED
    assert Shares(store).find(Shares(store).unlock(share)) == TAMPERED
    # Signed by us, of no link: its record is gone.
    _gone, token = make(store)
    with sqlite3.connect(store / "state.sqlite") as connection:
        connection.execute("DELETE FROM shares WHERE share_id = ?", (_gone.share_id,))
    assert Shares(store).find(token) == UNKNOWN


def test_links_end_by_time_and_by_hand(store: Path) -> None:
    (late, token), (ended, other) = make(store), make(store)
    age(store, late.share_id)
    Shares(store).revoke(ended.share_id, "Ben")
    assert Shares(store).find(token) == EXPIRED
    assert Shares(store).find(other) == REVOKED
    assert [(share.state(), share.revoked_by) for share in Shares(store).all() if share.share_id == ended.share_id] == [
        (REVOKED, "Ben")
    ]
    with pytest.raises(InputError, match="no shared link"):
        Shares(store).revoke("s0", "Ben")


def test_the_snapshot_stays_as_long_as_a_link_lives(store: Path) -> None:
    (first, _), (second, _) = make(store), make(store)
    replace_pins(Store(store), "other", {"snapshot-000001": ["x"]})
    for number in range(8):
        small_store.build(store, months=("2026-05",))
        assert Store(store).snapshot("snapshot-000001").files, number
    Shares(store).revoke(first.share_id, "Ann")
    assert pinned(Store(store), "share") == {"snapshot-000001": [second.share_id]}
    age(store, second.share_id)
    Shares(store).release()
    assert pinned(Store(store), "share") == {}
    assert pinned(Store(store), "other") == {"snapshot-000001": ["x"]}
    replace_pins(Store(store), "other", {})
    small_store.build(store, months=("2026-05",))
    with pytest.raises(StoreError, match="missing"):
        Store(store).snapshot("snapshot-000001")


def test_who_reads_the_store_cannot_open_its_links(store: Path) -> None:
    share, token = make(store, passcode="open sesame")
    content = (store / "state.sqlite").read_bytes()
    key = token.partition(".")[0]
    for secret in (token, key, "open sesame"):
        assert secret.encode() not in content
    assert stat.S_IMODE((store / "share.key").stat().st_mode) == 0o600
    shares = Shares(store)
    assert shares.accepts(share, "open sesame")
    assert not shares.accepts(share, "open sesame ")
    assert not shares.accepts(share, "")


def test_a_given_passcode_opens_no_other_link(store: Path) -> None:
    (first, _), (second, _) = make(store, passcode="the same one"), make(store, passcode="the same one")
    shares = Shares(store)
    assert shares.is_unlocked(first, shares.unlock(first))
    assert not shares.is_unlocked(second, shares.unlock(first))
    for wrong in (None, "", "x", shares.unlock(first)[:-1]):
        assert not shares.is_unlocked(first, wrong)


@pytest.mark.parametrize("days", [0, -1, 366])
def test_days_that_cannot_be_are_said(store: Path, days: int) -> None:
    with pytest.raises(InputError, match="1 to 365 days"):
        make(store, days=days)


def test_a_short_passcode_and_a_missing_snapshot_make_no_link(store: Path) -> None:
    with pytest.raises(InputError, match="at least 6"):
        make(store, passcode="12345")
    with pytest.raises(StoreError, match="missing"):
        make(store, snapshot_id="snapshot-000099")
    assert Shares(store).all() == []


def test_the_key_may_come_from_the_environment(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET_VARIABLE, "short")
    with pytest.raises(StoreError, match="at least 32 characters"):
        make(store)
    monkeypatch.setenv(SECRET_VARIABLE, "k" * 32)
    _share, token = make(store)
    assert isinstance(Shares(store).find(token), Share)
    monkeypatch.setenv(SECRET_VARIABLE, "l" * 32)
    assert Shares(store).find(token) == TAMPERED
    assert not (store / "share.key").exists()
    assert os.environ[SECRET_VARIABLE]


def test_making_and_ending_is_written_down(store: Path) -> None:
    share, _token = make(store)
    Shares(store).revoke(share.share_id, "Ben")
    Shares(store).revoke(share.share_id, "Cem")
    assert [(entry.action, entry.who, entry.subject) for entry in AuditLog(store).entries()] == [
        ("link made", "Ann", share.share_id),
        ("link revoked", "Ben", share.share_id),
    ]

"""Shared links: what each shows, until when, and the one way to find it by its address.

A link's address is a token: a random key, signed. The store keeps the key's hash alone, so that who reads the store cannot open its links, and the
whole report that the link shows, so that its figures never change and serving it asks nothing of the warehouse. As long as a link lives, the
snapshot that it was made from is pinned: `percall share check` makes the report again from it and compares.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from itsdangerous import BadData, URLSafeTimedSerializer
from itsdangerous.encoding import base64_decode, base64_encode

from warehouse.audit import SHARE_CREATED, SHARE_REVOKED, AuditLog
from warehouse.errors import InputError, StoreError
from warehouse.pins import replace_pins
from warehouse.state_file import StateFile
from warehouse.store import Store

DEFAULT_DAYS, MOST_DAYS = 14, 365
LEAST_PASSCODE = 6
SECRET_VARIABLE = "PERCALL_SHARE_SECRET"  # noqa: S105 - the variable's name
UNLOCKED_SECONDS = 3600
"""So long a passcode that was given holds."""

TAMPERED, UNKNOWN, EXPIRED, REVOKED = "tampered", "unknown", "expired", "revoked"
"""Why a token opens nothing. For the audit log: whoever asks is told none of it."""

_TABLES = """
    CREATE TABLE IF NOT EXISTS shares (
        share_id TEXT PRIMARY KEY, key_hash TEXT NOT NULL UNIQUE, created_at TEXT NOT NULL, created_by TEXT NOT NULL, expires_at TEXT NOT NULL,
        revoked_at TEXT, revoked_by TEXT, view TEXT NOT NULL, title TEXT NOT NULL, snapshot_id TEXT NOT NULL, revision INTEGER NOT NULL,
        question TEXT NOT NULL, passcode_salt TEXT, passcode_hash TEXT, report TEXT NOT NULL, opens INTEGER NOT NULL DEFAULT 0, last_opened_at TEXT);
"""
_COLUMNS = (
    "share_id", "created_at", "created_by", "expires_at", "revoked_at", "revoked_by", "view", "title", "snapshot_id", "revision", "question",
    "passcode_salt", "passcode_hash", "opens", "last_opened_at",
)  # fmt: skip


@dataclass(frozen=True)
class Share:
    """One link. Times are UTC. `question` is what its report was asked with (period, filters, basis)."""

    share_id: str
    created_at: datetime
    created_by: str
    expires_at: datetime
    revoked_at: datetime | None
    revoked_by: str | None
    view: str
    title: str
    snapshot_id: str
    revision: int
    question: Mapping[str, Any]
    passcode_salt: str | None
    passcode_hash: str | None
    opens: int
    last_opened_at: datetime | None

    @property
    def has_passcode(self) -> bool:
        """Whether the link asks for a passcode."""
        return self.passcode_hash is not None

    def state(self, now: datetime | None = None) -> str:
        """ "live", "expired" or "revoked"."""
        if self.revoked_at is not None:
            return REVOKED
        return "live" if (now or _now()) < self.expires_at else EXPIRED


class Shares(StateFile):
    """The shared links of one store."""

    TABLES = _TABLES

    def __init__(self, store: Path) -> None:
        super().__init__(store)
        self.store = Store(store)

    def create(
        self,
        *,
        view: str,
        title: str,
        report: str,
        question: Mapping[str, Any],
        snapshot_id: str,
        revision: int,
        author: str,
        days: int = DEFAULT_DAYS,
        passcode: str | None = None,
    ) -> tuple[Share, str]:
        """Keep a report behind a new link, pin its snapshot, and answer with the link's record and its token, which is never seen again.

        Raises InputError for days or a passcode that cannot be, StoreError when the snapshot is gone or nothing can be written.
        """
        if not 1 <= days <= MOST_DAYS:
            raise InputError(f"a link lives 1 to {MOST_DAYS} days, not {days}")
        salt = hashed = None
        if passcode is not None:
            if len(passcode) < LEAST_PASSCODE:
                raise InputError(f"a passcode has at least {LEAST_PASSCODE} characters")
            salt = secrets.token_hex(16)
            hashed = _scrypt(passcode, salt)
        key, share_id, now = secrets.token_urlsafe(16), f"s{secrets.token_hex(4)}", _now()
        with self.writing() as connection:
            connection.execute(
                "INSERT INTO shares (share_id, key_hash, created_at, created_by, expires_at, view, title, snapshot_id, revision, question,"
                " passcode_salt, passcode_hash, report) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    share_id, _hash(key), _text(now), author, _text(now + timedelta(days=days)), view, title, snapshot_id, revision,
                    json.dumps(question, sort_keys=True), salt, hashed, report,
                ),
            )  # fmt: skip
            self._pin(connection, now)
            self.store.snapshot(snapshot_id)
        AuditLog(self.store.path).record(
            SHARE_CREATED, share_id, who=author, view=view, title=title, days=days, passcode=hashed is not None, snapshot=snapshot_id
        )  # fmt: skip
        share = self.get(share_id)
        return share, self._serializer().dumps(key)

    def find(self, token: str) -> Share | str:
        """The live link that a token opens; else why it opens nothing."""
        try:
            key = self._serializer().loads(token, max_age=MOST_DAYS * 86_400)
            # Base64 has spare bits at its end: the one spelling that was handed out counts, not those that mean the same.
            signature = token.rpartition(".")[2].encode()
            if base64_encode(base64_decode(signature)) != signature:
                return TAMPERED
        except BadData:
            return TAMPERED
        rows = self.read(f"SELECT {', '.join(_COLUMNS)} FROM shares WHERE key_hash = ?", (_hash(str(key)),))
        if not rows:
            return UNKNOWN
        share = _share(rows[0])
        state = share.state()
        return share if state == "live" else state

    def report(self, share: Share) -> str:
        """The report behind a link, as it was kept."""
        return str(self.read("SELECT report FROM shares WHERE share_id = ?", (share.share_id,))[0][0])

    def all(self) -> list[Share]:
        """Every link that was ever made, the newest first."""
        rows = self.read(f"SELECT {', '.join(_COLUMNS)} FROM shares ORDER BY created_at DESC, share_id")
        return [_share(row) for row in rows]

    def get(self, share_id: str) -> Share:
        """The link with this id. Raises InputError when there is none."""
        rows = self.read(f"SELECT {', '.join(_COLUMNS)} FROM shares WHERE share_id = ?", (share_id,))
        if not rows:
            raise InputError(f"there is no shared link {share_id!r}: `percall share list` shows those that there are")
        return _share(rows[0])

    def revoke(self, share_id: str, author: str) -> Share:
        """End a link now. Its snapshot is unpinned when no other link needs it. Raises InputError when there is no such link."""
        share = self.get(share_id)
        now = _now()
        with self.writing() as connection:
            connection.execute(
                "UPDATE shares SET revoked_at = ?, revoked_by = ? WHERE share_id = ? AND revoked_at IS NULL", (_text(now), author, share_id)
            )  # fmt: skip
            self._pin(connection, now)
        if share.revoked_at is None:
            AuditLog(self.store.path).record(SHARE_REVOKED, share_id, who=author, title=share.title)
        return self.get(share_id)

    def opened(self, share: Share) -> None:
        """Count one opening."""
        with self.writing() as connection:
            connection.execute(
                "UPDATE shares SET opens = opens + 1, last_opened_at = ? WHERE share_id = ?", (_text(_now()), share.share_id)
            )  # fmt: skip

    def release(self) -> None:
        """Unpin snapshots that no living link needs: links end without anybody doing anything."""
        if self.read("SELECT 1 FROM shares LIMIT 1"):
            with self.writing() as connection:
                self._pin(connection, _now())

    def accepts(self, share: Share, passcode: str) -> bool:
        """Whether this is the link's passcode. Slow on purpose."""
        if share.passcode_hash is None or share.passcode_salt is None:
            return True
        return hmac.compare_digest(_scrypt(passcode, share.passcode_salt), share.passcode_hash)

    def unlock(self, share: Share) -> str:
        """What a browser keeps to show that it gave the passcode; of this link, this passcode, and the next hour."""
        return self._serializer("unlocked").dumps([share.share_id, _hash(share.passcode_hash or "")])

    def is_unlocked(self, share: Share, kept: str | None) -> bool:
        """Whether a browser gave this link's passcode within the hour, or needs none."""
        if share.passcode_hash is None:
            return True
        try:
            return bool(
                self._serializer("unlocked").loads(kept or "", max_age=UNLOCKED_SECONDS)
                == [share.share_id, _hash(share.passcode_hash)]
            )
        except BadData:
            return False

    def _serializer(self, purpose: str = "link") -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(
            _secret(self.store.path), salt=f"percall.share.{purpose}", signer_kwargs={"digest_method": hashlib.sha256}
        )

    def _pin(self, connection: sqlite3.Connection, now: datetime) -> None:
        """Make the pins those of the links that live; pins that others put there stay."""
        living: dict[str, list[str]] = {}
        for snapshot_id, share_id in connection.execute(
            "SELECT snapshot_id, share_id FROM shares WHERE revoked_at IS NULL AND expires_at > ? ORDER BY share_id", (_text(now),)
        ):  # fmt: skip
            living.setdefault(snapshot_id, []).append(share_id)
        replace_pins(self.store, "share", living)


def _secret(store: Path) -> str:
    """What tokens are signed with: PERCALL_SHARE_SECRET, else a file of the store that its owner alone can read.

    Raises StoreError when the variable is too short, or the file cannot be made.
    """
    given = os.environ.get(SECRET_VARIABLE)
    if given:
        if len(given) < 32:
            raise StoreError(f"{SECRET_VARIABLE} must have at least 32 characters: `openssl rand -hex 32` makes one")
        return given
    path = store / "share.key"
    if path.exists():
        return path.read_text(encoding="ascii").strip()
    with contextlib.suppress(FileExistsError):
        store.mkdir(parents=True, exist_ok=True)
        # Written in full under another name first: who finds the file finds all of it.
        fresh = store / f"share.key.{secrets.token_hex(4)}"
        descriptor = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(secrets.token_hex(32))
        try:
            os.link(fresh, path)
        finally:
            fresh.unlink()
    return path.read_text(encoding="ascii").strip()


def _share(row: tuple[Any, ...]) -> Share:
    values = dict(zip(_COLUMNS, row, strict=True))
    for name in ("created_at", "expires_at", "revoked_at", "last_opened_at"):
        values[name] = None if values[name] is None else datetime.fromisoformat(values[name])
    values["question"] = json.loads(values["question"])
    return Share(**values)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _scrypt(passcode: str, salt: str) -> str:
    return hashlib.scrypt(passcode.encode(), salt=bytes.fromhex(salt), n=2**14, r=8, p=1).hex()

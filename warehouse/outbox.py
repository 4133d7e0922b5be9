"""The outbox: messages to people, kept until they are delivered, so that none is lost and none is meant twice.

A message has a key that names what it is about and where it goes; putting the same key in again changes nothing. Sending claims a message
first, in a transaction of its own: two processes never send the same one. A process that dies between sending and saying so leaves a
claim that runs out; the message is then sent again under the same `delivery` id and marked as possibly repeated, because losing an alert
is worse than reading it twice. A receiver that remembers ids sees each exactly once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from warehouse.state_file import StateFile

PENDING, SENDING, SENT, GIVEN_UP = "pending", "sending", "sent", "given up"

CLAIM = timedelta(minutes=10)
"""After so long a claim has run out: no channel takes that long to send one message."""

PAUSES = (60, 300, 900, 3600, 4 * 3600, 12 * 3600)
"""Seconds between attempts; after the last of them the message is given up, and says so where alerts are listed."""

KEPT_DAYS = 400

_TABLES = """
    CREATE TABLE IF NOT EXISTS outbox (
        key TEXT PRIMARY KEY, channel TEXT NOT NULL, made_at TEXT NOT NULL, not_before TEXT NOT NULL, body TEXT NOT NULL,
        state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, claimed_at TEXT, sent_at TEXT, error TEXT NOT NULL DEFAULT '');
    CREATE TABLE IF NOT EXISTS told (
        subject TEXT PRIMARY KEY, told_at TEXT NOT NULL, body TEXT NOT NULL, ended_at TEXT);
"""


@dataclass(frozen=True)
class Message:
    """One message to one channel. Times are UTC. `repeated`: an earlier attempt may have arrived."""

    key: str
    channel: str
    made_at: datetime
    not_before: datetime
    body: Mapping[str, Any]
    state: str
    attempts: int
    sent_at: datetime | None
    error: str
    repeated: bool = False

    @property
    def delivery(self) -> str:
        """An id that is the same for every attempt."""
        return hashlib.sha256(self.key.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Told:
    """What people were last told about one subject. `ended_at` None: it was not over when they were told."""

    subject: str
    told_at: datetime
    body: Mapping[str, Any]
    ended_at: datetime | None


class Outbox(StateFile):
    """The messages of one store, and what was told about which subject."""

    TABLES = _TABLES

    def tell(
        self,
        subject: str,
        told: Mapping[str, Any],
        messages: Mapping[str, Mapping[str, Any]],
        *,
        event: str,
        now: datetime,
        not_before: datetime | None = None,
        ended: bool = False,
    ) -> int:
        """Put messages (by channel) about one event of a subject in, and remember what was told, in one transaction.

        Returns how many messages are new: an event of a subject is put in once per channel, whatever process comes first.
        """
        with self.writing() as connection:
            new = 0
            for channel, body in messages.items():
                cursor = connection.execute(
                    "INSERT OR IGNORE INTO outbox (key, channel, made_at, not_before, body, state) VALUES (?, ?, ?, ?, ?, ?)",
                    (
                        f"{subject}|{event}|{channel}", channel, _text(now), _text(not_before or now),
                        json.dumps(body, ensure_ascii=False, sort_keys=True), PENDING,
                    ),
                )  # fmt: skip
                new += cursor.rowcount
            connection.execute(
                "INSERT OR REPLACE INTO told VALUES (?, ?, ?, ?)",
                (
                    subject,
                    _text(now),
                    json.dumps(told, ensure_ascii=False, sort_keys=True),
                    _text(now) if ended else None,
                ),
            )
            connection.execute(
                "DELETE FROM outbox WHERE state = ? AND made_at < ?", (SENT, _text(now - timedelta(days=KEPT_DAYS)))
            )
        return new

    def told(self, prefix: str = "") -> dict[str, Told]:
        """What was told last, by subject, of the subjects that begin so."""
        rows = self.read(
            "SELECT subject, told_at, body, ended_at FROM told WHERE substr(subject, 1, ?) = ?", (len(prefix), prefix)
        )
        return {
            subject: Told(subject, _moment(at), json.loads(body), None if ended is None else _moment(ended))
            for subject, at, body, ended in rows
        }

    def claim(self, now: datetime) -> Message | None:
        """The oldest message that is due, claimed for whoever asked; None when none is. What it has left behind is claimed after `CLAIM`."""
        if not self.read("SELECT 1 FROM outbox WHERE state IN (?, ?) LIMIT 1", (PENDING, SENDING)):
            return None
        with self.writing() as connection:
            row = connection.execute(
                f"""SELECT {_COLUMNS} FROM outbox
                    WHERE (state = ? AND not_before <= ?) OR (state = ? AND claimed_at <= ?) ORDER BY made_at, rowid LIMIT 1""",
                (PENDING, _text(now), SENDING, _text(now - CLAIM)),
            ).fetchone()
            if row is None:
                return None
            message = _message(row)
            connection.execute(
                "UPDATE outbox SET state = ?, claimed_at = ?, attempts = attempts + 1 WHERE key = ?", (SENDING, _text(now), message.key)
            )  # fmt: skip
        return message

    def sent(self, message: Message, now: datetime) -> None:
        """The channel has taken it."""
        with self.writing() as connection:
            connection.execute(
                "UPDATE outbox SET state = ?, sent_at = ?, error = '' WHERE key = ?", (SENT, _text(now), message.key)
            )

    def failed(
        self, message: Message, error: str, now: datetime, *, wait: float | None = None, for_good: bool = False
    ) -> None:
        """The channel did not take it: another attempt after a growing pause (or `wait` seconds); none when it never will, or after the last."""
        attempt = message.attempts
        over = for_good or attempt >= len(PAUSES)
        pause = 0.0 if over else max(wait or 0.0, float(PAUSES[attempt]))
        with self.writing() as connection:
            connection.execute(
                "UPDATE outbox SET state = ?, not_before = ?, error = ? WHERE key = ?",
                (GIVEN_UP if over else PENDING, _text(now + timedelta(seconds=pause)), error[:500], message.key),
            )

    def retry(self, keys: list[str], now: datetime) -> None:
        """Try messages again that were given up."""
        with self.writing() as connection:
            connection.executemany(
                "UPDATE outbox SET state = ?, not_before = ?, attempts = 0 WHERE key = ? AND state = ?",
                [(PENDING, _text(now), key, GIVEN_UP) for key in keys],
            )

    def messages(self, most: int = 200) -> list[Message]:
        """The newest messages, in whatever state."""
        return [
            _message(row)
            for row in self.read(f"SELECT {_COLUMNS} FROM outbox ORDER BY made_at DESC, rowid DESC LIMIT ?", (most,))
        ]


_COLUMNS = "key, channel, made_at, not_before, body, state, attempts, claimed_at, sent_at, error"


def _message(row: tuple[Any, ...]) -> Message:
    key, channel, made, due, body, state, attempts, _claimed, sent, error = row
    return Message(
        key, channel, _moment(made), _moment(due), json.loads(body), state, attempts, None if sent is None else _moment(sent), error,
        repeated=state == SENDING,
    )  # fmt: skip


def _text(moment: datetime) -> str:
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return moment.isoformat(timespec="seconds")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)

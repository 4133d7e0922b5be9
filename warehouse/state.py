"""People's own state, apart from the facts: rules edited on pages, later budgets and notes; every version is kept.

It lies in `<store>/state.sqlite`, so that the facts can be rebuilt at any time without touching it. A document has a kind ("virtual tag") and a
name; saving or removing it appends a version with its author, time and reason. A revision numbers all changes, so that "the rules as of
revision 7" can be asked for at any time, and an answer may be cached under it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from warehouse.state_file import StateFile

_TABLES = """
    CREATE TABLE IF NOT EXISTS documents (
        revision INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, name TEXT NOT NULL, saved_at TEXT NOT NULL,
        author TEXT NOT NULL, reason TEXT NOT NULL, body TEXT);
    CREATE TABLE IF NOT EXISTS restatements (
        revision INTEGER NOT NULL REFERENCES documents(revision), restated_at TEXT NOT NULL, table_name TEXT NOT NULL,
        source TEXT, date TEXT NOT NULL, feature TEXT, service TEXT, currency TEXT, cost_before TEXT NOT NULL, cost_after TEXT NOT NULL);
"""


@dataclass(frozen=True)
class Document:
    """One version of a document. `body` None: this version removed it. `saved_at` is UTC."""

    revision: int
    kind: str
    name: str
    saved_at: datetime
    author: str
    reason: str
    body: Mapping[str, Any] | None


@dataclass(frozen=True)
class Restated:
    """What a change of rules tells differently about one past day: effective cost of a source, feature and service (or model) in `currency`."""

    table_name: str
    source: str | None
    date: date
    feature: str | None
    service: str | None
    currency: str | None
    cost_before: Decimal
    cost_after: Decimal


class State(StateFile):
    """The state of one store. Opening it reads nothing; the file is created by the first save."""

    TABLES = _TABLES

    def save(
        self,
        kind: str,
        name: str,
        body: Mapping[str, Any] | None,
        *,
        author: str,
        reason: str = "",
        restated: Iterable[Restated] = (),
    ) -> int:
        """Append a version of a document (None: remove it) with what it restates, in one transaction; answers with its revision.

        Raises StoreError when the file cannot be written.
        """
        text = None if body is None else json.dumps(body, ensure_ascii=False, sort_keys=True)
        now = datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="seconds")
        with self.writing() as connection:
            cursor = connection.execute(
                "INSERT INTO documents (kind, name, saved_at, author, reason, body) VALUES (?, ?, ?, ?, ?, ?)",
                (kind, name, now, author, reason, text),
            )
            revision = int(cursor.lastrowid or 0)
            connection.executemany(
                "INSERT INTO restatements VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        revision, now, row.table_name, row.source, row.date.isoformat(), row.feature, row.service, row.currency,
                        format(row.cost_before, "f"), format(row.cost_after, "f"),
                    )
                    for row in restated
                ],
            )  # fmt: skip
        return revision

    def documents(self, kind: str, revision: int | None = None) -> list[Document]:
        """The documents of a kind as they stood at a revision (default: now), in the order in which they were made; removed ones are left out."""
        standing: dict[str, Document] = {}
        for document in self.history(kind):
            if revision is not None and document.revision > revision:
                break
            if document.body is None:
                standing.pop(document.name, None)
            else:
                standing[document.name] = document
        return list(standing.values())

    def history(self, kind: str) -> list[Document]:
        """Every version of every document of a kind, in the order in which they were saved."""
        return self._versions(" WHERE kind = ?", (kind,))

    def everything(self) -> list[Document]:
        """Every version of every document of any kind, in the order in which they were saved."""
        return self._versions("", ())

    def _versions(self, condition: str, values: tuple[str, ...]) -> list[Document]:
        rows = self.read(
            f"SELECT revision, kind, name, saved_at, author, reason, body FROM documents{condition} ORDER BY revision",
            values,
        )
        return [
            Document(
                number,
                of_kind,
                name,
                datetime.fromisoformat(at),
                author,
                reason,
                None if body is None else json.loads(body),
            )
            for number, of_kind, name, at, author, reason, body in rows
        ]

    def revision(self, *kinds: str) -> int:
        """Number of the last change to documents of these kinds (default: of any); 0 when there never was one."""
        marks = ", ".join("?" for _ in kinds)
        condition = f" WHERE kind IN ({marks})" if kinds else ""
        rows = self.read(f"SELECT coalesce(max(revision), 0) FROM documents{condition}", kinds)
        return int(rows[0][0]) if rows else 0

    def restatements(self, revision: int | None = None) -> list[tuple[Any, ...]]:
        """Rows of what changes of rules restated, up to a revision: the columns of `restatements` between `restated_at` and `cost_after`."""
        rows = self.read(
            "SELECT restated_at, table_name, source, date, feature, service, currency, cost_before, cost_after FROM restatements"
            " WHERE revision <= coalesce(?, revision) ORDER BY rowid",
            (revision,),
        )
        return [
            (
                datetime.fromisoformat(at),
                table,
                source,
                date.fromisoformat(day),
                *names,
                Decimal(before),
                Decimal(after),
            )
            for at, table, source, day, *names, before, after in rows
        ]

"""How rules are written, in percall.toml and in people's saved state: names, dates and patterns, read and refused alike."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime
from typing import Any

import duckdb

from warehouse.errors import InputError

Patterns = tuple[tuple[str, str], ...]
"""(field, regular expression) pairs; all must be found for a rule to apply."""


class RuleReader:
    """The entries of one rule, read with errors that name it. `where` is the file or page that it comes from."""

    def __init__(self, entry: object, kind: str, number: int, where: str | None) -> None:
        self.where = where
        name = entry.get("name") if isinstance(entry, Mapping) else None
        self.label = f"{kind} {name!r}" if isinstance(name, str) and name else f"{kind} number {number}"
        if not isinstance(entry, Mapping):
            raise self.wrong("write it as a section of its own, with a name")
        self.entry: Mapping[str, Any] = entry

    def wrong(self, what: str) -> InputError:
        """The error to raise: which rule, and what is wrong with it."""
        return InputError(f"{self.label}: {what}", file=self.where)

    def only(self, known: Collection[str]) -> None:
        """Refuse settings that a rule of this kind does not have."""
        unknown = sorted(set(self.entry) - set(known))
        if unknown:
            raise self.wrong(f"unknown setting {unknown[0]!r}; known are {', '.join(known)}")

    def text(self, key: str) -> str:
        """A text that must be there."""
        value = self.entry.get(key)
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(f'{key} is missing; write it like {key} = "..."')
        return value.strip()

    def one_of(self, key: str, choices: Collection[str], default: str | None = None) -> str:
        """A text out of these."""
        value = self.entry.get(key, default)
        if value not in choices:
            raise self.wrong(f"{key} is {value!r}; choose {', '.join(choices)}")
        return str(value)

    def flag(self, key: str) -> bool:
        """true or false; false when it is not there."""
        value = self.entry.get(key, False)
        if not isinstance(value, bool):
            raise self.wrong(f"{key} must be true or false")
        return value

    def day(self, key: str) -> date | None:
        """A date; None when it is not there."""
        value = self.entry.get(key)
        if value is None or value == "":
            return None
        if isinstance(value, datetime):
            value = value.date() if value.time() == datetime.min.time() else None
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(str(value))
        except ValueError:
            raise self.wrong(f"{key} {self.entry[key]!r} is not a date: write YYYY-MM-DD") from None

    def validity(self) -> tuple[date | None, date | None]:
        """First and last day on which the rule holds, both inclusive; None: open."""
        first, last = self.day("valid_from"), self.day("valid_to")
        if first and last and last < first:
            raise self.wrong(f"valid_to ({last}) lies before valid_from ({first})")
        return first, last

    def patterns(self, key: str, fields: Collection[str], free_prefix: str | None = None) -> Patterns:
        """Regular expressions by field, in the order of their names. `free_prefix`: fields that start with it are allowed too."""
        given = self.entry.get(key, {})
        if not isinstance(given, Mapping):
            raise self.wrong(f'{key} must name fields and patterns, like {key} = {{ service = "pinecone" }}')
        for field, pattern in given.items():
            free = free_prefix is not None and str(field).startswith(free_prefix) and len(str(field)) > len(free_prefix)
            if field not in fields and not free:
                also = f" and {free_prefix}NAME" if free_prefix else ""
                raise self.wrong(f"{key} names the unknown field {field!r}; known are {', '.join(fields)}{also}")
            if not isinstance(pattern, str) or not pattern:
                raise self.wrong(f"the pattern of {field} must be a regular expression between quotes")
            problem = _pattern_problem(pattern)
            if problem:
                raise self.wrong(f"the pattern of {field} is no valid regular expression: {problem}")
        return tuple(sorted((str(field), pattern) for field, pattern in given.items()))


def _pattern_problem(pattern: str) -> str | None:
    """What is wrong with a regular expression in the engine's language (RE2); None when nothing is."""
    with duckdb.connect() as connection:
        try:
            connection.execute("SELECT regexp_matches('', ?, 'i')", [pattern]).fetchall()
        except duckdb.Error as error:
            return str(error).splitlines()[0]
    return None


def dated_body(first: date | None, last: date | None) -> dict[str, str]:
    """A validity as saved state has it."""
    return {
        name: day.isoformat() for name, day in (("valid_from", first), ("valid_to", last)) if day is not None
    }  # fmt: skip


def refuse_equal_names(names: list[str], kind: str, where: str | None = None) -> None:
    """Raise InputError when two rules have the same name."""
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two {kind}s are named {name!r}: give each a name of its own", file=where)

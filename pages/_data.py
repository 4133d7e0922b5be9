"""What pages ask, and how answers are kept: one open snapshot per process, one cached answer per question.

Every answer is kept under (store, snapshot, revision of people's rules, function, scalars). Frames never take part in a key. A published snapshot
never changes, so an answer never goes stale; a new one has a new id and with it new answers. What a function is not given it cannot answer from:
who asks is no part of a question, unless a page passes it on.
"""

from __future__ import annotations

import dataclasses
import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, TypeVar

import pyarrow as pa
import streamlit as st

from analytics.allocation_rules import KIND as ALLOCATION_RULE
from analytics.ledger import ledger
from pages._answers import Copied, Shelf, copied
from warehouse.configuration import DEFAULT_STORE, Configuration, read_configuration
from warehouse.reader import Warehouse, current_id, open_snapshot
from warehouse.state import State
from warehouse.tag_rules import KIND as VIRTUAL_TAG

STORE_VARIABLE = "PERCALL_STORE"
CONFIG_VARIABLE = "PERCALL_CONFIG"

_STORE, _SNAPSHOT, _REVISION = "_store", "_snapshot_id", "_rules_revision"
_SCALARS = (str, int, float, bool, Decimal, date, timedelta, Enum, type(None))

Answer = TypeVar("Answer")

OPEN_SNAPSHOTS = 3
MOST_ANSWERS = 4000
MOST_BYTES = 256 * 2**20
"""Bounds of what one process keeps: the answers asked for longest ago give way."""

MOST_STATEMENTS = 2000
MOST_STATEMENT_BYTES = 64 * 2**20
MOST_BYTES_OF_A_STATEMENT = 4 * 2**20
"""Bounds of the answers to single statements: a page's answers are made of questions that they have in common, such as the totals. Single
calls, which simulators take out by the million, are none of these."""

_opened: Shelf[tuple[str, str, int], Warehouse] = Shelf(OPEN_SNAPSHOTS)
_answers: Shelf[tuple[str, str, int, str, str], Copied] = Shelf(MOST_ANSWERS, MOST_BYTES, lambda answer: answer.size)
_rows: Shelf[tuple[tuple[str, str, int], str], pa.Table] = Shelf(
    MOST_STATEMENTS, MOST_STATEMENT_BYTES, lambda rows: int(rows.nbytes), MOST_BYTES_OF_A_STATEMENT
)

_further: list[Shelf[Any, Any]] = []


def shelf(entries: int) -> Shelf[Any, Any]:
    """A further shelf, for what is no answer that could be copied; `forget` empties it too."""
    made: Shelf[Any, Any] = Shelf(entries)
    _further.append(made)
    return made


def store_path() -> Path:
    """The store that this process shows: PERCALL_STORE, else data/store."""
    return Path(os.environ.get(STORE_VARIABLE) or DEFAULT_STORE).resolve()


@lru_cache(maxsize=1)
def configuration() -> Configuration:
    """What the owner configured: the file named by PERCALL_CONFIG, else percall.toml. Read once per process."""
    path = os.environ.get(CONFIG_VARIABLE)
    return read_configuration(Path(path) if path else None)


def look_up_snapshot() -> str | None:
    """Note the snapshot that is current now, with the rules of now, as what this session looks at; None when nothing was ever loaded.

    The shell calls this once per run of a page, so that everything on a page, fragments included, comes from one
    snapshot and one set of rules.
    """
    # Resolved once: every further question would ask the file system again.
    store = store_path()
    snapshot_id = current_id(store, configuration())
    st.session_state[_STORE] = str(store)
    st.session_state[_SNAPSHOT] = snapshot_id
    st.session_state[_REVISION] = _rules_revision(store)
    return snapshot_id


def _rules_revision(store: Path) -> int:
    """Number of the last change to the rules that people saved: with another one, answers may be others."""
    return State(store).revision(VIRTUAL_TAG, ALLOCATION_RULE)


def has_data() -> bool:
    """Whether this session looks at a snapshot that holds any call or billing line."""
    return st.session_state.get(_SNAPSHOT) is not None and answer(_span) is not None


def span() -> tuple[date, date]:
    """First and last day (reporting time zone) with a call or a billing line. Only for a store that `has_data`."""
    days = answer(_span)
    if days is None:
        raise LookupError("no day has data: the shell shows the empty store before any page asks for days")
    return days


def dimension_values(name: str) -> list[str]:
    """Values of a filter dimension, the dearest first. Raises KeyError for an unknown dimension."""
    return answer(_dimension_values, name)


def _span(open_warehouse: Warehouse) -> tuple[date, date] | None:
    return open_warehouse.span()


def _dimension_values(open_warehouse: Warehouse, name: str) -> list[str]:
    return open_warehouse.dimension_values(name)


def warm() -> None:
    """Open the current snapshot and work out its ledger before the first session asks for them. Raises StoreError."""
    opened = newest_warehouse()
    if opened is not None:
        ledger(opened)


def newest_warehouse() -> Warehouse | None:
    """The current snapshot with the rules of now, open, for whoever works without a session; None when nothing was ever loaded. Raises StoreError."""
    store = store_path()
    snapshot_id = current_id(store, configuration())
    return None if snapshot_id is None else _open(str(store), snapshot_id, _rules_revision(store))


def newest() -> tuple[str, int] | None:
    """The snapshot that is current now and the revision of the rules, for whoever waits for another; None when nothing was ever loaded.

    Raises StoreError when the store cannot be read.
    """
    store = store_path()
    snapshot_id = current_id(store, configuration())
    return None if snapshot_id is None else (snapshot_id, _rules_revision(store))


def known_questions() -> set[tuple[str, str]]:
    """What is kept now, of any snapshot: function ("module:name") and scalars, as texts."""
    return {(place[3], place[4]) for place in _answers.held()}


def knows_answers_of(snapshot_id: str) -> bool:
    """Whether any answer from this snapshot is kept."""
    return any(place[1] == snapshot_id for place in _answers.held())


def forget() -> None:
    """Drop every open snapshot, every answer and all that was prepared: as if the process had just started."""
    everything: list[Shelf[Any, Any]] = [_opened, _answers, _rows, *_further]
    for kept in everything:
        kept.clear()


def forget_answers() -> None:
    """Drop every answer; snapshots stay open."""
    _answers.clear()
    _rows.clear()


def _open(store: str, snapshot_id: str, revision: int) -> Warehouse:
    # Dropped ones are never closed: another session's query may still be reading.
    place = (store, snapshot_id, revision)

    def opened() -> Warehouse:
        made = open_snapshot(Path(store), snapshot_id, configuration(), revision=revision)
        made.remember = lambda statement, ask: _rows.get((place, statement), ask)
        return made

    return _opened.get(place, opened)


def warehouse() -> Warehouse:
    """The open snapshot that this session looks at.

    Raises StoreError when it cannot be opened.
    """
    snapshot_id = st.session_state.get(_SNAPSHOT) or look_up_snapshot()
    if snapshot_id is None:
        raise LookupError("no snapshot: the shell shows the empty store before any page asks for data")
    return _open(st.session_state[_STORE], snapshot_id, st.session_state[_REVISION])


def answer(function: Callable[..., Answer], *scalars: Any) -> Answer:
    """`function(warehouse, *scalars)`, computed once per snapshot, rules and scalars.

    `function` is a top-level function of the analytics layer. `scalars` are strings, numbers, dates, None, `Filters`
    or other frozen dataclasses of scalars, or tuples of those. The result is a copy: a page may change it.

    Raises TypeError for any other argument, and whatever the function raises (errors are not kept).
    """
    return asked(function, *scalars).answer()


@dataclass(frozen=True)
class Asked(Generic[Answer]):
    """A question of this session, which any thread may answer: what it asks of whom was looked up when it was put."""

    place: tuple[str, str, int, str, str]
    """What its answer is kept under."""
    _of: Warehouse
    _scalars: tuple[Any, ...]

    @property
    def is_known(self) -> bool:
        """Whether its answer is kept now."""
        return self.place in _answers

    def answer(self) -> Answer:
        """See `answer`."""
        copy: Answer = _answers.get(
            self.place, lambda: copied(_computed(self.place[3], self._of, self._scalars))
        ).copy()
        return copy


def asked(function: Callable[..., Answer], *scalars: Any) -> Asked[Answer]:
    """The question that `answer` answers, put by this session and not answered yet. Raises TypeError as `answer` does."""
    name = f"{function.__module__}:{function.__qualname__}"
    if "<" in name:
        raise TypeError(f"{name} is no top-level function, so that its answers could not be told apart")
    key = ", ".join(_key(value) for value in scalars)
    of = warehouse()
    return Asked((str(of.store.path), of.snapshot_id, of.revision, name, key), of, scalars)


def _computed(name: str, of: Warehouse, scalars: tuple[Any, ...]) -> Any:
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)(of, *scalars)


def _key(value: Any) -> str:
    """An unambiguous text for a scalar."""
    if isinstance(value, tuple):
        return f"({''.join(f'{_key(part)}, ' for part in value)})"
    if isinstance(value, frozenset):
        return f"{{{', '.join(sorted(_key(part) for part in value))}}}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type) and value.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        fields = (f"{field.name}={_key(getattr(value, field.name))}" for field in dataclasses.fields(value))
        return f"{type(value).__qualname__}({', '.join(fields)})"
    if isinstance(value, _SCALARS):
        return f"{type(value).__name__}:{value!r}"
    raise TypeError(
        f"{type(value).__name__} cannot be part of a cached question: pass strings, numbers, dates, Filters or tuples "
        "of them, and let the function ask the warehouse for frames"
    )

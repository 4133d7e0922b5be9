"""What pages ask, and how answers are kept: one open snapshot per process, one cached answer per question.

Every answer is kept under (snapshot, revision of people's rules, function, scalars). Frames never take part in a key: Streamlit hashes large ones
from a sample, so that a changed row could go unseen. A published snapshot never changes, so an answer never goes
stale; a new one has a new id and with it new answers.
"""

from __future__ import annotations

import dataclasses
import importlib
import os
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import streamlit as st

from analytics.allocation_rules import KIND as ALLOCATION_RULE
from analytics.ledger import ledger
from warehouse.configuration import DEFAULT_STORE, Configuration, read_configuration
from warehouse.reader import Warehouse, open_snapshot
from warehouse.state import State
from warehouse.store import Store
from warehouse.tag_rules import KIND as VIRTUAL_TAG

STORE_VARIABLE = "PERCALL_STORE"
CONFIG_VARIABLE = "PERCALL_CONFIG"

_SNAPSHOT, _REVISION = "_snapshot_id", "_rules_revision"
_SCALARS = (str, int, float, bool, Decimal, date, timedelta, Enum, type(None))

Answer = TypeVar("Answer")


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
    snapshot_id = Store(store_path()).current_id()
    st.session_state[_SNAPSHOT] = snapshot_id
    st.session_state[_REVISION] = _rules_revision()
    return snapshot_id


def _rules_revision() -> int:
    """Number of the last change to the rules that people saved: with another one, answers may be others."""
    return State(store_path()).revision(VIRTUAL_TAG, ALLOCATION_RULE)


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
    snapshot_id = Store(store_path()).current_id()
    if snapshot_id is not None:
        ledger(_open(str(store_path()), snapshot_id, _rules_revision()))


@st.cache_resource(max_entries=3, show_spinner=False)
def _open(store: str, snapshot_id: str, revision: int) -> Warehouse:
    # Evicted entries are dropped, never closed: another session's query may still be reading.
    return open_snapshot(Path(store), snapshot_id, configuration(), revision=revision)


def warehouse() -> Warehouse:
    """The open snapshot that this session looks at.

    Raises StoreError when it cannot be opened.
    """
    snapshot_id = st.session_state.get(_SNAPSHOT) or look_up_snapshot()
    if snapshot_id is None:
        raise LookupError("no snapshot: the shell shows the empty store before any page asks for data")
    return _open(str(store_path()), snapshot_id, st.session_state[_REVISION])


def answer(function: Callable[..., Answer], *scalars: Any) -> Answer:
    """`function(warehouse, *scalars)`, computed once per snapshot, rules and scalars.

    `function` is a top-level function of the analytics layer. `scalars` are strings, numbers, dates, None, `Filters`
    or other frozen dataclasses of scalars, or tuples of those. The result is a copy: a page may change it.

    Raises TypeError for any other argument, and whatever the function raises (errors are not kept).
    """
    name = f"{function.__module__}:{function.__qualname__}"
    if "<" in name:
        raise TypeError(f"{name} is no top-level function, so that its answers could not be told apart")
    key = ", ".join(_key(value) for value in scalars)
    open_warehouse = warehouse()
    return _answer(str(store_path()), open_warehouse.snapshot_id, open_warehouse.revision, name, key, scalars)


@st.cache_data(max_entries=400, show_spinner=False)
def _answer(store: str, snapshot_id: str, revision: int, name: str, key: str, scalars: tuple[Any, ...]) -> Any:  # noqa: ARG001
    # `key` says types and nesting, which a hash of `scalars` alone may not tell apart.
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)(_open(store, snapshot_id, revision), *scalars)


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

"""What is found out of a whole snapshot and told in a page's worth of plain values: worked out once, kept on disk, read in a millisecond.

For answers that many questions are asked for, such as a section of the weekly review or why an anomaly happened: they take a second of CPU, nearly
all of it to put questions together and to compile them, however few calls there are. Kept is the finding of everything that may bear on it
(`warehouse.prepared`): every fact file of the snapshot, prices and rates of exchange, all settings, the catalogues that owners may edit, and the
rules of virtual tags and of allocation. What people say of a finding (states, notes, budgets) and today's date are none of these: they must not be
asked inside.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from typing import Any, TypeVar

import pyarrow as pa

from analytics.allocation_rules import KIND as ALLOCATION_RULE
from analytics.filters import Filters
from analytics.simulators.plain_values import packed, unpacked
from warehouse.prepared import Needs, catalogues, prepared
from warehouse.reader import Warehouse

_FINDING = "finding"

_log = logging.getLogger("percall.analytics")

Finding = TypeVar("Finding")


class _NotPlainError(Exception):
    """A finding that is no plain value."""


def kept_finding(warehouse: Warehouse, name: str, find: Callable[[], Finding], *asked: object) -> Finding:
    """What `find` finds, kept under `name` (letters and hyphens) and what was `asked` (values whose `repr` tells them apart).

    A finding is what `plain_values` can pack: numbers, texts, dates, decimals, tuples and dataclasses of those, frames; what holds anything else is
    found each time. On an engine, and for a store that holds nothing, nothing is kept. Raises what `find` raises; nothing is kept then.
    """
    if warehouse.snapshot is None or not warehouse.keeps_prepared:
        return find()
    found: list[Finding] = []

    def make() -> dict[str, pa.Table]:
        found.append(find())
        try:
            return {_FINDING: packed(found[0])}
        except TypeError as error:
            raise _NotPlainError from error

    try:
        kept = prepared(warehouse, name, _needs(warehouse, asked), make)
    except _NotPlainError as error:
        _log.debug("%s is found each time: %s", name, error.__cause__)
        return found[0]
    if found:
        return found[0]
    finding: Finding = unpacked(kept[_FINDING])
    return finding


def is_whole(filters: Filters) -> bool:
    """Whether a question looks at everything, as pages do at first: its answers are worth a place on disk, those of each choice are not."""
    return not filters.where


def _needs(warehouse: Warehouse, asked: tuple[object, ...]) -> Needs:
    tables, made_of = warehouse.once("kept findings: made of", lambda: _made_of(warehouse))
    return Needs(tables, contents=("prices", "fx_rates"), inputs=(made_of, catalogues(), *map(repr, asked)))


def _made_of(warehouse: Warehouse) -> tuple[tuple[str, ...], str]:
    """Tables of the snapshot, and a digest of what lies beside its files. A digest: a configuration may hold what is not to be written down."""
    snapshot: Any = warehouse.snapshot
    rules = [
        (rule.name, rule.revision, rule.body) for rule in warehouse.state.documents(ALLOCATION_RULE, warehouse.revision)
    ]
    beside = (warehouse.configuration, rules, snapshot.snapshot_id, snapshot.created_at)
    digest = hashlib.sha256(repr(beside).encode()).hexdigest()
    return tuple(sorted({file.table for file in snapshot.files})), digest

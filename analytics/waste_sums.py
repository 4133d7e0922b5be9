"""Sums of the calls that the kinds of waste flag, kept beside the facts for every period that was asked about once.

Searching single calls takes seconds at 10 million calls; what is found of a period are some dozen rows, which stay the same until a call, a price
or a rule changes. `warehouse.prepared` says when they are stale.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import reduce

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from analytics.frames import Row
from analytics.ledger import MONEY
from analytics.waste_calls import FLAGGED, GROUP, Search
from analytics.waste_embedding import LOOK_BACK
from analytics.waste_kinds import CALL_KINDS
from analytics.waste_models import known_models
from analytics.waste_scope import Scope
from warehouse.prepared import Needs, prepared
from warehouse.reader import Warehouse

_NAME = "waste"


def call_sums(warehouse: Warehouse, scope: Scope) -> list[Row]:
    """One row per kind and group of calls of the period, in no particular order.

    Columns: place (of the kind in `CALL_KINDS`), name, job, model, team and feature (of most of the calls), items (calls), cost and waste (USD),
    counted_once (USD: what no kind before claims of the same calls), tokens (None: not counted in tokens), wasted_items (calls with any waste),
    first_at, last_at (UTC), days (in UTC, on which such calls were made).
    """
    sums = prepared(warehouse, _NAME, _needs(warehouse, scope), lambda: {_NAME: _found(warehouse, scope)})
    rows: list[Row] = sums[_NAME].to_pylist()
    return rows


def _needs(warehouse: Warehouse, scope: Scope) -> Needs:
    """All that the sums hang on: the calls of the period and of those days before it in which content may have been embedded already; prices;
    filters, of which neither basis nor grain touches calls; and the models to which calls could go instead."""
    filters = replace(scope.filters, basis="effective", grain="day")
    return Needs(
        facts=("calls",),
        # One day more: where clocks are put forward, 92 days of the reporting time zone begin an hour earlier in UTC.
        first=(scope.start - LOOK_BACK - timedelta(days=1)).date(),
        last=scope.end.date(),
        contents=("prices",),
        inputs=(repr(filters), repr(known_models(warehouse))),
    )


def _found(warehouse: Warehouse, scope: Scope) -> pa.Table:
    """The sums of all kinds, each kind asked by itself: together they needed the memory of all at once, 20 GB for 33 million calls."""
    search = Search(warehouse, scope)
    flagged = {place: kind.flagged(search) for place, kind in enumerate(CALL_KINDS) if kind.flagged is not None}
    tables = [warehouse.arrow(_sums(calls, place), streaming=True) for place, calls in flagged.items()]
    sums = pa.concat_tables([table.cast(tables[0].schema) for table in tables])
    groups = [(row["place"], _group(row)) for row in sums.select(("place", *GROUP)).to_pylist()]
    times = Counter(group for _place, group in groups)
    shared = {group for group, kinds in times.items() if kinds > 1}
    if not shared:
        return sums
    # A call has one name, job and model: only of these groups another kind may claim the same call.
    concerned = {place for place, group in groups if group in shared}
    sharing = {place: _among(calls, shared) for place, calls in flagged.items() if place in concerned}
    once = {
        (row["place"], _group(row)): row["once"] for row in warehouse.arrow(_once(sharing), streaming=True).to_pylist()
    }
    counted = [
        once[where] if where[1] in shared else waste
        for where, waste in zip(groups, sums["waste"].to_pylist(), strict=True)
    ]
    column = sums.schema.get_field_index("counted_once")
    return sums.set_column(column, sums.schema.field(column), pa.array(counted, sums.schema.field(column).type))


def _group(row: Row) -> tuple[str | None, ...]:
    return tuple(row[name] for name in GROUP)


def _sums(calls: ir.Table, place: int) -> ir.Table:
    """Sums of the flagged calls of one kind; `counted_once` as if no other kind claimed any of them."""
    calls = calls.select(*FLAGGED)
    return calls.group_by([ibis.literal(place, "int64").name("place"), *GROUP]).agg(
        team=calls.team.mode(), feature=calls.feature.mode(), items=calls.count(),
        cost=calls.cost.sum().cast(MONEY), waste=calls.waste.sum().cast(MONEY), counted_once=calls.waste.sum().cast(MONEY),
        tokens=calls.tokens.sum().cast("decimal(38, 0)"), wasted_items=(calls.waste > 0).sum(),
        first_at=calls.started_at.min(), last_at=calls.started_at.max(), days=calls.started_at.date().nunique(),
    )  # fmt: skip


def _among(calls: ir.Table, groups: set[tuple[str | None, ...]]) -> ir.Table:
    """The calls of these groups, and perhaps of some more."""
    for at, name in enumerate(GROUP):
        values = sorted({value for group in groups if (value := group[at]) is not None})
        found = calls[name].isin(values) if values else ibis.literal(False)
        calls = calls.filter(
            found.fill_null(False) | calls[name].isnull() if any(group[at] is None for group in groups) else found
        )
    return calls


def _once(flagged: Mapping[int, ir.Table]) -> ir.Table:
    """What each kind claims of the calls that no kind before claims, by kind (place) and group: each dollar once, by the order of the kinds."""
    parts = [
        calls.select("source", "call_id", *GROUP, "waste").mutate(place=ibis.literal(place, "int64"))
        for place, calls in flagged.items()
    ]
    calls: ir.Table = reduce(lambda left, right: left.union(right), parts)
    earlier = ibis.window(group_by=[calls.source, calls.call_id], order_by=calls.place, preceding=(None, 1))
    claimed = calls.waste.max().over(earlier).fill_null(Decimal(0))
    calls = calls.mutate(once=ibis.greatest(calls.waste - claimed, ibis.literal(Decimal(0), MONEY)))
    return calls.group_by(["place", *GROUP]).agg(once=calls.once.sum().cast(MONEY))

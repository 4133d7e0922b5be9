"""Sums of the calls that the kinds of waste flag, kept beside the facts for every period that was asked about once.

Searching single calls takes seconds at 10 million calls; what is found of a period are some dozen rows, which stay the same until a call, a price
or a rule changes. `warehouse.prepared` says when they are stale.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import reduce

import ibis
import ibis.expr.types as ir

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
    sums = prepared(
        warehouse, _NAME, _needs(warehouse, scope), lambda: {_NAME: warehouse.arrow(_sums(warehouse, scope))}
    )
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


def _sums(warehouse: Warehouse, scope: Scope) -> ir.Table:
    """The flagged calls of all kinds, `counted_once` by the order of the kinds."""
    search, parts = Search(warehouse, scope), []
    for place, kind in enumerate(CALL_KINDS):
        if kind.flagged is not None:
            found = kind.flagged(search)
            parts.append(found.select(*FLAGGED).mutate(place=ibis.literal(place, "int64")))
    calls: ir.Table = reduce(lambda left, right: left.union(right), parts)
    earlier = ibis.window(group_by=[calls.source, calls.call_id], order_by=calls.place, preceding=(None, 1))
    claimed = calls.waste.max().over(earlier).fill_null(Decimal(0))
    calls = calls.mutate(once=ibis.greatest(calls.waste - claimed, ibis.literal(Decimal(0), MONEY)))
    return calls.group_by(["place", *GROUP]).agg(
        team=calls.team.mode(), feature=calls.feature.mode(), items=calls.count(),
        cost=calls.cost.sum().cast(MONEY), waste=calls.waste.sum().cast(MONEY),
        counted_once=calls.once.sum().cast(MONEY),
        tokens=calls.tokens.sum().cast("decimal(38, 0)"), wasted_items=(calls.waste > 0).sum(),
        first_at=calls.started_at.min(), last_at=calls.started_at.max(), days=calls.started_at.date().nunique(),
    )  # fmt: skip

"""Content that is embedded again although it did not change: by its hash, or, where none is logged, by batches that are the same every time."""

from __future__ import annotations

from datetime import timedelta

import ibis
import ibis.expr.types as ir

from analytics.feature_detail import calls_between
from analytics.filters import Filters
from analytics.ledger import MONEY
from analytics.simulators.build_workload import call_filters
from analytics.waste_calls import Search, carrying, flagged, keyed, named
from analytics.waste_scope import Scope

LOOK_BACK = timedelta(days=92)
"""How long before the period content counts as embedded already."""

FEWEST_REPEATS = 20
"""Repeats of one job from which on it is no accident."""

SAME_BATCHES = 3
"""Days with the same number of calls and tokens from which on batches without hashes count as the same content."""

_OPERATIONS = ("embeddings", "embedding")
_KEYS = ("name", "job", "model")
_BATCH_KEYS = (*_KEYS, "feature", "team", "project")


def embedded_again(search: Search) -> ir.Table:
    """Embedding calls whose input the same model had embedded before, and the first ones of such inputs (waste 0)."""
    scope, before = search.scope, search.scope.filters
    before = Filters(before.start - LOOK_BACK, before.end, before.where, before.basis, before.grain)
    calls = named(calls_between(search.warehouse, call_filters(before)))
    calls = calls.filter(calls.operation.isin(_OPERATIONS))
    return _by_hash(calls, scope).union(_by_batch(calls, scope))


def _by_hash(calls: ir.Table, scope: Scope) -> ir.Table:
    """By sums of each content, not by its calls in their order: sorting twelve million calls took 6 GB of memory."""
    calls = keyed(carrying(calls.filter(calls.input_hash.notnull()), "input_hash", "input_tokens"), ("model",))
    content = ["key_model", "input_hash"]
    known = calls.group_by(content).agg(
        first_at=calls.started_at.min(), newest=calls.started_at.max(), times=calls.count()
    )
    known = known.filter(known.times > 1, known.newest >= scope.start)
    # Of calls of the same moment the one whose id comes first was the first.
    firsts = calls.select(*content, "call_id", first_at="started_at").inner_join(known, [*content, "first_at"])
    firsts = firsts.group_by([*content, "first_at"]).agg(first_id=firsts.call_id.min())
    calls = calls.filter(calls.started_at >= scope.start).inner_join(firsts, content)
    calls = calls.mutate(again=(calls.started_at > calls.first_at) | (calls.call_id > calls.first_id))
    job = ibis.window(group_by=[calls[name] for name in _KEYS])
    calls = calls.mutate(repeats=calls.again.sum().over(job))
    calls = calls.filter(calls.repeats >= FEWEST_REPEATS)
    return _flagged(calls, calls.again)


def _by_batch(calls: ir.Table, scope: Scope) -> ir.Table:
    """Batches of a day and job without users and hashes: those whose number of calls and tokens come again on several days."""
    calls = calls.filter(calls.input_hash.isnull(), calls.user_id.isnull(), calls.input_tokens.notnull())
    calls = carrying(calls, "project", "input_tokens")
    calls = keyed(calls.mutate(day=calls.started_at.date()), _BATCH_KEYS)
    keys = [f"key_{name}" for name in _BATCH_KEYS]
    batches = calls.group_by([*keys, "day"]).agg(batch_calls=calls.count(), batch_tokens=calls.input_tokens.sum())
    same = [*keys, "batch_calls", "batch_tokens"]
    in_order = ibis.window(group_by=[batches[name] for name in same], order_by=batches.day)
    batches = batches.mutate(
        place=ibis.row_number().over(in_order),
        times=batches.count().over(ibis.window(group_by=[batches[name] for name in same])),
    )
    batches = batches.filter(batches.times >= SAME_BATCHES, batches.batch_calls >= FEWEST_REPEATS)
    calls = calls.inner_join(batches, [*keys, "day"])
    calls = calls.filter(calls.started_at >= scope.start)
    return _flagged(calls, calls.place > 0)


def _flagged(calls: ir.Table, again: ir.BooleanValue) -> ir.Table:
    nothing = ibis.literal(0).cast(MONEY)
    return flagged(calls, again.ifelse(calls.cost.cast(MONEY), nothing), again.ifelse(calls.input_tokens, 0))

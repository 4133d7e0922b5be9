"""Background jobs that nobody owns: calls without a user that come again by the clock and name no feature, or neither team nor project."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from analytics.waste_calls import Search, carrying, flagged, keyed

PAUSES = (900, 7_200, 28_800)
"""Seconds without a call that end a run of a job: jobs of every hour, of several hours, of every night."""

FEWEST_RUNS = 5
STEADINESS = 0.2
"""A job is periodic when the times between the starts of its runs vary (standard deviation / mean) by no more than this ..."""
SAME_TIME_OF_DAY = 1_800
"""... or when its runs start at the same time of the day, give or take so many seconds (standard deviation)."""

_JOB = ("name", "job", "model", "operation")


def unowned_jobs(search: Search) -> ir.Table:
    """Every call of the jobs; all they cost is in question until somebody owns them."""
    calls = search.calls
    nobody = calls.feature.isnull() | (calls.team.isnull() & calls.project.isnull())
    calls = calls.filter(calls.user_id.isnull(), calls.session_id.isnull(), nobody)
    calls = keyed(carrying(calls, "operation", "input_tokens"), _JOB)
    keys = [f"key_{name}" for name in _JOB]
    periodic = ibis.union(*(_periodic(calls, keys, pause) for pause in PAUSES), distinct=True)
    calls = calls.semi_join(periodic, keys)
    return flagged(calls, calls.cost, calls.input_tokens)


def _periodic(calls: ir.Table, keys: list[str], pause: int) -> ir.Table:
    """The keys of groups whose runs, told apart by this pause, come by the clock."""
    seconds = calls.started_at.epoch_seconds()
    calls = calls.select(*keys, second=seconds)
    in_order = ibis.window(group_by=keys, order_by=calls.second)
    calls = calls.mutate(since=calls.second - calls.second.lag().over(in_order))
    starts = calls.filter(calls.since.isnull() | (calls.since > pause))
    in_order = ibis.window(group_by=keys, order_by=starts.second)
    starts = starts.mutate(
        between=(starts.second - starts.second.lag().over(in_order)).cast("float64"),
        clock=(starts.second % 86_400).cast("float64"),
        day=starts.second // 86_400,
    )
    found = starts.group_by(keys).agg(
        runs=starts.count(),
        days=starts.day.nunique(),
        varies=starts.between.std() / starts.between.mean(),
        clock_varies=starts.clock.std(),
    )
    steady = (found.varies <= STEADINESS) | ((found.clock_varies <= SAME_TIME_OF_DAY) & (found.days == found.runs))
    return found.filter(found.runs >= FEWEST_RUNS, steady.fill_null(False)).select(*keys)

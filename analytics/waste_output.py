"""Output beyond need: answers cut off at the limit and asked for again, long answers to short tasks, and runaway answers under a loose limit."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from analytics.waste_calls import Search, amount, carrying, flagged, with_sums

CUT = ("length", "max_tokens", "max_output_tokens")
"""Finish reasons of answers that ran into their limit."""

ASKED_AGAIN_WITHIN = 3_600
FEWEST_CALLS = 50
CUT_SHARE = 0.02

SHORT_TASKS = r"(sentiment|classif|categori|label|moderat|intent|spam|triage|yes_?no|is_?relevant|scoring|rating)"
"""Names of features, prompts and jobs whose answer is a word or a number."""
SHORT_ANSWER = 100
"""Output tokens that are ample for such an answer, in JSON too."""
LONG_ANSWER = 200
"""Median output from which on answers to short tasks are too long."""

FEWEST_FOR_TAIL = 200
LOOSE = 4
"""A limit is loose when it is at least so many times the 99th percentile of the output."""
TAIL_SHARE = 0.10
"""Part of the output beyond the 99th percentile from which on a tail is a runaway; of log-normal outputs it is a third of that."""


_PROMPT = ("name", "model")


def cut_and_asked_again(search: Search) -> ir.Table:
    """Calls whose answer was cut off and whose input came again within the hour: they were paid for nothing."""
    calls = search.calls
    was_cut = calls.finish_reason.isin(CUT).fill_null(False) & calls.input_hash.notnull()
    calls = carrying(calls.mutate(was_cut=was_cut), "was_cut", "input_hash", "out_tokens")
    calls = with_sums(calls, _PROMPT, group_calls=lambda t: t.count(), group_cut=lambda t: t.was_cut.sum())
    calls = calls.filter(_many(calls.group_cut, calls.group_calls), calls.input_hash.notnull())
    in_order = ibis.window(group_by=[calls.key_name, calls.input_hash], order_by=[calls.started_at, calls.call_id])
    seconds = calls.started_at.epoch_seconds()
    calls = calls.mutate(again=seconds.lead().over(in_order) - seconds)
    calls = calls.filter(calls.was_cut, calls.again <= ASKED_AGAIN_WITHIN).drop("key_name", "key_model")
    calls = with_sums(calls, _PROMPT, group_again=lambda t: t.count())
    calls = calls.filter(_many(calls.group_again, calls.group_calls))
    return flagged(calls, calls.cost, calls.out_tokens)


def _many(found: ir.IntegerValue, among: ir.IntegerValue) -> ir.BooleanValue:
    return (found >= FEWEST_CALLS) & (found.cast("float64") >= CUT_SHARE * among.cast("float64"))


def long_short_tasks(search: Search) -> ir.Table:
    """Calls of short tasks (by their names) with long answers. tokens: output beyond what is ample; waste: what that cost."""
    calls = search.calls
    task = ibis.coalesce(calls.name, calls.job)
    calls = calls.filter(task.lower().re_search(SHORT_TASKS).fill_null(False), calls.out_tokens.notnull())
    calls = carrying(calls, "out_tokens", "price_id")
    calls = with_sums(calls, _PROMPT, group_calls=lambda t: t.count(), usual=lambda t: t.out_tokens.median())
    calls = calls.filter(calls.group_calls >= FEWEST_CALLS, calls.usual >= LONG_ANSWER, calls.out_tokens > SHORT_ANSWER)
    return _beyond(search, calls, calls.out_tokens - SHORT_ANSWER)


def runaway_answers(search: Search) -> ir.Table:
    """Calls whose answer is longer than 99 of 100 others, where the limit is loose and such answers take much of the output."""
    calls = search.calls
    calls = with_sums(
        carrying(calls.filter(calls.out_tokens > 0), "out_tokens", "max_tokens", "price_id"),
        _PROMPT,
        group_calls=lambda t: t.count(),
        lowest_limit=lambda t: t.max_tokens.min(),
        ample=lambda t: t.out_tokens.quantile(0.99).ceil().cast("int64"),
        written=lambda t: t.out_tokens.sum().cast("float64"),
    )
    is_loose = calls.lowest_limit.isnull() | (calls.lowest_limit >= LOOSE * calls.ample)
    calls = calls.filter(calls.group_calls >= FEWEST_FOR_TAIL, is_loose, calls.out_tokens > calls.ample)
    calls = calls.mutate(beyond=calls.out_tokens - calls.ample).drop("key_name", "key_model")
    calls = with_sums(calls, _PROMPT, all_beyond=lambda t: t.beyond.sum().cast("float64"))
    calls = calls.filter(calls.all_beyond >= TAIL_SHARE * calls.written)
    return _beyond(search, calls, calls.beyond)


def _beyond(search: Search, calls: ir.Table, tokens: ir.NumericValue) -> ir.Table:
    calls = search.priced(calls.mutate(not_needed=tokens), "output")
    return flagged(
        calls.filter(calls.unit_output.notnull()), amount(calls.not_needed, calls.unit_output), calls.not_needed
    )

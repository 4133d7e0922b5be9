"""Context that every call carries: constant and never read from a cache, or written to a cache and never read."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from analytics.waste_calls import Search, amount, carrying, flagged, keyed, with_sums

FEWEST_CALLS = 50
SMALLEST_CONTEXT = 1_024
"""Tokens from which on providers cache a prefix."""

SHARED_BY = 0.5
"""A prefix is constant when at least this part of a prompt's calls begins with it."""

CACHED_AT_MOST = 0.1
"""Cache reads and writes, as a part of the constant context, above which caching is in use already."""

READ_AT_MOST = 0.05
"""Cache reads, as a part of what was written, up to which writes count as never read."""

SAMPLE, SAMPLE_OF_PROMPT = 40_000, 300
"""Calls, of the period and per prompt, from which constant prefixes are found; they are then looked for in every call."""

SCATTER = 48_271

_PROMPT = ("name", "model")


def uncached_context(search: Search) -> ir.Table:
    """Calls that begin with their prompt's constant context where hardly any is cached, at a price that a cache is known to lower.

    tokens: the constant context's. waste: what they cost more than read from a cache, input price - price of cached input for each.
    """
    calls = search.once(_carried)
    discount = calls.unit_input - calls.unit_cache_read
    return _flagged(calls, discount, discount > 0)


def constant_context(search: Search) -> ir.Table:
    """The same where no price of cached input is known that is below the input's: what caching would save is not known.

    waste: all that the constant context costs, which is what cutting it would save; whether it is needed is for somebody to judge.
    """
    calls = search.once(_carried)
    return _flagged(calls, calls.unit_input, ~(calls.unit_cache_read < calls.unit_input).fill_null(False))


def _flagged(calls: ir.Table, unit: ir.Value, chosen: ir.BooleanValue) -> ir.Table:
    return flagged(calls.filter(chosen, unit.notnull()), amount(calls.constant, unit), calls.constant)


def _carried(search: Search) -> ir.Table:
    """Calls that begin with their prompt's constant context where hardly any is cached, with their unit prices.

    constant: its tokens, estimated as input x shared blocks / (blocks + 1/2), because the last block of a prompt is half full on average.
    """
    calls = carrying(search.calls, "prefix_blocks", "input_tokens", "uncached_input_tokens", "price_id")
    calls = keyed(calls, _PROMPT)
    calls = calls.filter(calls.prefix_blocks.length() > 0, calls.input_tokens.notnull())
    calls = calls.inner_join(_constant(calls), ["key_name", "key_model"])
    calls = calls.filter(calls.prefix_blocks[calls.place] == calls.block)
    calls = calls.mutate(
        constant=(calls.input_tokens * 2 * (calls.place + 1)) // (2 * calls.prefix_blocks.length() + 1),
        cached=calls.input_tokens - calls.uncached_input_tokens,
    )
    calls = with_sums(
        calls.drop("key_name", "key_model"),
        _PROMPT,
        group_calls=lambda t: t.count(),
        group_constant=lambda t: t.constant.sum().cast("float64"),
        group_cached=lambda t: t.cached.sum().cast("float64"),
    )
    calls = calls.filter(
        calls.group_calls >= FEWEST_CALLS,
        calls.group_constant >= SMALLEST_CONTEXT * calls.group_calls,
        calls.group_cached < CACHED_AT_MOST * calls.group_constant,
    )
    return search.priced(calls, "input", "cache_read")


def _constant(calls: ir.Table) -> ir.Table:
    """The longest prefix that most calls of a prompt share: its last block's place and hash."""
    # Counted inside the question, so that the questions of all periods are compiled as one.
    one_of = ibis.greatest(calls.count().as_scalar() // SAMPLE, 1)
    drawn = calls.filter(_draw(calls) % one_of == 0)
    keys = [drawn.key_name, drawn.key_model]
    drawn = drawn.select(
        "key_name", "key_model", "prefix_blocks",
        rank=ibis.row_number().over(ibis.window(group_by=keys, order_by=[_draw(drawn), drawn.call_id])),
    )  # fmt: skip
    drawn = drawn.filter(drawn["rank"] < SAMPLE_OF_PROMPT)
    whole = ibis.window(group_by=[drawn.key_name, drawn.key_model])
    drawn = drawn.mutate(drawn_calls=drawn.count().over(whole))
    blocks = drawn.mutate(place=ibis.range(0, drawn.prefix_blocks.length()).unnest())
    blocks = blocks.mutate(block=blocks.prefix_blocks[blocks.place])
    found = blocks.group_by(["key_name", "key_model", "place", "block"]).agg(
        found=blocks.count(), drawn_calls=blocks.drawn_calls.max()
    )
    found = found.filter(found.found >= 2, found.found.cast("float64") >= SHARED_BY * found.drawn_calls)
    longest = ibis.window(
        group_by=[found.key_name, found.key_model],
        order_by=[ibis.desc(found.place), ibis.desc(found.found), found.block],
    )
    found = found.mutate(order=ibis.row_number().over(longest))
    return found.filter(found.order == 0).select("key_name", "key_model", "place", "block")


def _draw(calls: ir.Table) -> ir.IntegerValue:
    """A number that scatters calls by their second (Lehmer's generator, `SCATTER` modulo 2^31 - 1): engines hash texts each in its own way,
    and the same calls have to be drawn on all."""
    return (calls.started_at.epoch_seconds().cast("int64") * SCATTER) % (2**31 - 1)


def unread_cache_writes(search: Search) -> ir.Table:
    """Calls that pay extra to write a cache that hardly anything reads. tokens: written; waste: what they cost more than plain input."""
    calls = search.calls
    calls = carrying(calls, "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_read_tokens", "price_id")
    calls = calls.mutate(written=calls.cache_write_5m_tokens.fill_null(0) + calls.cache_write_1h_tokens.fill_null(0))
    calls = with_sums(
        calls,
        _PROMPT,
        group_writes=lambda t: (t.written > 0).sum(),
        group_written=lambda t: t.written.sum().cast("float64"),
        group_read=lambda t: t.cache_read_tokens.fill_null(0).sum().cast("float64"),
    )
    calls = calls.filter(
        calls.written > 0, calls.group_writes >= FEWEST_CALLS, calls.group_read <= READ_AT_MOST * calls.group_written
    )
    calls = search.priced(calls, "input", "cache_write_5m", "cache_write_1h")
    extra = sum(
        (
            amount(calls[f"{kind}_tokens"].fill_null(0), (calls[f"unit_{kind}"] - calls.unit_input).fill_null(0))
            for kind in ("cache_write_5m", "cache_write_1h")
        ),
        start=ibis.literal(0).cast("decimal(38, 16)"),
    )
    return flagged(calls, extra, calls.written)

"""Premium models on short simple calls: what a small model of the same provider would have charged for the same tokens."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal

import ibis
import ibis.expr.types as ir

from analytics.frames import rows_of
from analytics.waste_calls import Search, amount, carrying, flagged, per_token, with_sums
from warehouse.pricing import unit_prices
from warehouse.reader import Warehouse

SHORT_INPUT, SHORT_OUTPUT = 1_000, 200
SIMPLE_BELOW = Decimal("0.35")
"""Complexity (label `complexity`, 0 to 1, as routers log it) below which a call counts as simple."""

CHEAPER_BY = 4
"""A model is premium where another one of its provider costs at most 1/4 for input and for output."""

PREMIUM_FROM = Decimal(1)
"""USD per million output tokens from which on a model may be called premium."""

FEWEST_CALLS = 50
SMALL_NAMES = re.compile(r"(mini|nano|haiku|flash|lite|small|micro)")
"""Names of small models, looked for in the price books when the calls use none."""

_CHAT = ("chat", "text_completion", "generate_content")
Prices = dict[str, Decimal]


def premium_models(search: Search) -> ir.Table:
    """Calls that are short, or logged as simple, on a model with a much cheaper sibling. waste: cost - the sibling's price for the same tokens."""
    calls = search.calls
    complexity = calls.labels.get("complexity", ibis.null("string")).try_cast("float64")
    short = (calls.input_tokens <= SHORT_INPUT) & (calls.out_tokens <= SHORT_OUTPUT)
    simple = ibis.coalesce(complexity < float(SIMPLE_BELOW), short)
    calls = calls.filter(calls.operation.isin(_CHAT), simple, calls.input_tokens.notnull(), calls.out_tokens.notnull())
    calls = carrying(calls, "input_tokens", "out_tokens")
    calls = with_sums(calls, ("name", "model"), group_calls=lambda t: t.count())
    calls = calls.filter(calls.group_calls >= FEWEST_CALLS)
    siblings = cheaper_siblings(search.warehouse, calls, search.scope.end)
    if not siblings:
        return flagged(calls.filter(ibis.literal(False)), calls.cost)
    keys = calls.provider.fill_null("") + "/" + calls.model.fill_null("")
    units = {
        kind: ibis.cases(
            *((keys == name, per_token(prices[kind])) for name, (_, prices) in siblings.items()), else_=None
        )
        for kind in ("input", "output")
    }
    calls = calls.mutate(small_input=units["input"], small_output=units["output"])
    calls = calls.filter(calls.small_input.notnull())
    small = amount(calls.input_tokens, calls.small_input) + amount(calls.out_tokens, calls.small_output)
    return flagged(calls, calls.cost - small)


def cheaper_siblings(warehouse: Warehouse, calls: ir.Table, at: datetime) -> dict[str, tuple[str, Prices]]:
    """By "provider/model" of the calls: a much cheaper model of the same provider, and its price per million tokens at `at`.

    Of the models that the store's calls use, else of the small ones in the price books, the one whose name begins most alike; of
    equals the cheapest.
    """
    at = at - timedelta(microseconds=1)
    used = rows_of(
        warehouse, calls.filter(calls.provider.notnull(), calls.model.notnull()).select("provider", "model").distinct()
    )
    known = known_models(warehouse)
    books = warehouse.table("prices")
    listed = rows_of(
        warehouse,
        books.filter(books.token_class.isin(["output"]), books.processing == "standard", books.amount > 0)
        .select("provider", "model")
        .distinct(),
    )
    small = [(row["provider"], row["model"]) for row in listed if SMALL_NAMES.search(row["model"])]
    found: dict[str, tuple[str, Prices]] = {}
    for row in sorted(used, key=lambda row: (row["provider"], row["model"])):
        provider, model = row["provider"], row["model"]
        prices = _prices(warehouse, provider, model, at)
        if not prices or prices["output"] < PREMIUM_FROM:
            continue
        for candidates in (known, small):
            names = [name for maker, name in candidates if maker == provider and name != model]
            best = _best(warehouse, provider, model, prices, names, at)
            if best:
                found[f"{provider}/{model}"] = best
                break
    return found


def known_models(warehouse: Warehouse) -> tuple[tuple[str, str], ...]:
    """Provider and model of every chat model that any call of the store uses, in alphabetical order."""
    daily = warehouse.table("calls_daily")
    daily = daily.filter(daily.provider.notnull(), daily.model.notnull(), daily.operation.isin(_CHAT))
    rows = rows_of(warehouse, daily.select("provider", "model").distinct())
    return tuple(sorted((row["provider"], row["model"]) for row in rows))


def _best(
    warehouse: Warehouse, provider: str, model: str, prices: Prices, names: list[str], at: datetime
) -> tuple[str, Prices] | None:
    ordered = sorted(set(names), key=lambda name: (-_alike(name, model), name))
    longest = _alike(ordered[0], model) if ordered else 0
    fits: list[tuple[int, Decimal, str, Prices]] = []
    for name in ordered:
        alike = _alike(name, model)
        if fits and alike < -fits[0][0]:
            break
        other = _prices(warehouse, provider, name, at)
        if other and all(0 < other[kind] * CHEAPER_BY <= prices[kind] for kind in ("input", "output")):
            fits.append((-alike, other["input"] + other["output"], name, other))
    if not fits or not longest:
        return None
    _, _, name, chosen = min(fits, key=lambda fit: fit[:3])
    return name, chosen


def _alike(name: str, other: str) -> int:
    """How many letters two names begin with alike."""
    return next(
        (place for place, pair in enumerate(zip(name, other, strict=False)) if pair[0] != pair[1]),
        min(len(name), len(other)),
    )


def _prices(warehouse: Warehouse, provider: str, model: str, at: datetime) -> Prices | None:
    found = unit_prices(warehouse.connection.cursor(), "prices", provider, model, at=at)
    return found if found.get("input") and found.get("output") else None

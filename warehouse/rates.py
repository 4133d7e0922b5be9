"""Which price holds when: rows of `prices` turned into rates that no longer overlap.

A rate is the price of every token class, for one provider, model and processing, in one span of time and one context
tier. All pricing (of staged calls, of a view, of a simulator) goes through `resolve`, so that it cannot differ
between them.

Rules, in this order:

1. Books are asked in the given order; the first that has any row for the model, processing and time decides, for all
   token classes of a call: one call is never priced from two books.
2. Within a book the exact id (a dated snapshot) goes before the canonical id, and that before the model `*` (every
   model of the provider).
3. Where rows of one book overlap in time, the later `valid_from` holds, then the later load.
4. A class without a row: reasoning costs what output costs. In the book genai-prices, whose own arithmetic is so,
   cache reads and writes and audio without a price of their own are billed as plain input (output); not so audio of
   OpenAI's models, which OpenAI always prices apart. In every other book a class without a price stays unknown.
5. A price in another currency than USD prices nothing: `calls` are in USD.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

import pyarrow as pa

GENAI_PRICES = "genai-prices"
BOOK_ORDER = ("contract", "percall", GENAI_PRICES)
"""Where a price is looked for when no book is named."""

ANY_MODEL = "*"
BEGINNING = datetime(1970, 1, 1)
OPEN_END = datetime(9999, 12, 31)

PRICE_CLASSES = (
    "input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "output",
    "reasoning",
    "audio_input",
    "audio_output",
    "request",
)
"""Token classes of `prices`, in the order of the columns of `calls` that they price; the last prices the call
itself."""

CLASS_OF_COLUMN = {
    "uncached_input_tokens": "input",
    "cache_read_tokens": "cache_read",
    "cache_write_5m_tokens": "cache_write_5m",
    "cache_write_1h_tokens": "cache_write_1h",
    "output_tokens": "output",
    "reasoning_tokens": "reasoning",
    "audio_input_tokens": "audio_input",
    "audio_output_tokens": "audio_output",
}
"""Token column of `calls` -> token class of `prices`."""

INPUT_COLUMNS = tuple(
    column for column, kind in CLASS_OF_COLUMN.items() if kind not in {"output", "reasoning", "audio_output"}
)
"""Columns whose sum is the input of a call: it decides the context tier."""

_NO_TIER_ABOVE = 2**62
_AUDIO_PRICED_APART = frozenset({"openai", "azure"})
_GENAI_FALLBACK: dict[str, tuple[str, ...]] = {
    "cache_read": ("input",),
    "cache_write_5m": ("input",),
    "cache_write_1h": ("cache_write_5m", "input"),
    "audio_input": ("input",),
    "audio_output": ("output",),
}

UNIT = pa.decimal128(25, 16)
RATES = pa.schema(
    [
        ("key", pa.int64()),
        ("valid_from", pa.timestamp("us")),
        ("valid_to", pa.timestamp("us")),
        ("tier", pa.int64()),
        ("above", pa.int64()),
        ("up_to", pa.int64()),
        ("price_id", pa.string()),
        *((f"unit_{kind}", UNIT) for kind in PRICE_CLASSES),
    ]
)
"""Columns of resolved rates: the price of ONE token (request: of one call) in USD, valid from (inclusive) to
(exclusive), for calls whose whole input is more than `above` and at most `up_to` tokens (`tier`: the tier's
threshold; `above` is -1 in the base tier)."""


class PriceRow(NamedTuple):
    """What a row of `prices` says."""

    book: str
    provider: str
    model: str
    token_class: str
    processing: str
    context_from: int
    amount: Decimal
    currency: str
    valid_from: datetime
    valid_to: datetime
    load_id: int | None = None


@dataclass(frozen=True)
class RateKey:
    """What is to be priced: `models` are the ids to look for, the most exact first (`warehouse.models.price_ids`)."""

    provider: str | None
    models: tuple[str, ...]
    processing: str = "standard"


def units_per(kind: str) -> Decimal:
    """How many tokens (for "request": calls) an amount in `prices` is for."""
    return Decimal(1000) if kind == "request" else Decimal(1_000_000)


def resolve(rows: Iterable[PriceRow], keys: Sequence[RateKey], books: Sequence[str] = BOOK_ORDER) -> pa.Table:
    """The rates of each key (its place in `keys` is column `key`), as a table of `RATES`; a key without any price has
    no row."""
    groups: dict[tuple[str, str, str, str], list[PriceRow]] = {}
    for row in rows:
        if row.currency == "USD" and row.token_class in PRICE_CLASSES and row.valid_from < row.valid_to:
            groups.setdefault((row.book, row.provider, row.model, row.processing), []).append(row)
    found: list[dict[str, object]] = []
    for place, key in enumerate(keys):
        if key.provider is None:
            continue
        candidates = [
            (book, model, group)
            for book in books
            for model in (*key.models, ANY_MODEL)
            if (group := groups.get((book, key.provider, model, key.processing)))
        ]
        found.extend(_rates_of(place, key, candidates))
    return pa.Table.from_pylist(found, schema=RATES)


def _rates_of(
    place: int, key: RateKey, candidates: Sequence[tuple[str, str, Sequence[PriceRow]]]
) -> Iterable[dict[str, object]]:
    edges = sorted({edge for _, _, group in candidates for row in group for edge in (row.valid_from, row.valid_to)})
    for start, end in pairwise(edges):
        for book, model, group in candidates:
            valid = [row for row in group if row.valid_from <= start < row.valid_to]
            if not valid:
                continue
            priced_from = max(row.valid_from for row in valid).date().isoformat()
            for rate in _tiers(book, key.provider or "", valid):
                yield rate | {
                    "key": place,
                    "valid_from": start,
                    "valid_to": end,
                    "price_id": f"{book}/{key.provider}/{model}/{key.processing}/{rate['tier']}@{priced_from}",
                }
            break


def _tiers(book: str, provider: str, valid: Sequence[PriceRow]) -> Iterable[dict[str, object]]:
    """Context tiers of rows that hold at the same time; a class without its own keeps the price of the tier below."""
    amounts: dict[tuple[str, int], Decimal] = {}
    for row in sorted(valid, key=lambda row: (row.valid_from, -1 if row.load_id is None else row.load_id)):
        amounts[(row.token_class, row.context_from)] = row.amount
    thresholds = sorted({threshold for _, threshold in amounts} | {0})
    for threshold, following in pairwise([*thresholds, _NO_TIER_ABOVE]):
        by_class: dict[str, Decimal] = {}
        for (kind, tier), amount in sorted(amounts.items(), key=lambda item: item[0][1]):
            if tier <= threshold:
                by_class[kind] = amount
        if not by_class:
            continue
        units = _with_fallbacks(book, provider, by_class)
        yield {
            "tier": threshold,
            "above": threshold if threshold else -1,
            "up_to": following,
            **{f"unit_{kind}": amount / units_per(kind) for kind, amount in units.items()},
        }


def _with_fallbacks(book: str, provider: str, by_class: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """The prices by class, with those that follow from others (rule 4)."""
    units = dict(by_class)
    if book == GENAI_PRICES:
        for kind, substitutes in _GENAI_FALLBACK.items():
            if kind.startswith("audio") and provider in _AUDIO_PRICED_APART:
                continue
            substitute = next((units[other] for other in substitutes if other in units), None)
            if kind not in units and substitute is not None:
                units[kind] = substitute
    if "reasoning" not in units and "output" in units:
        units["reasoning"] = units["output"]
    return units

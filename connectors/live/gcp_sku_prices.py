"""Prices of models from Google's catalogue of SKUs: which model, class of tokens, processing and context tier a SKU is about, by its description.

A SKU that is not understood, or two that contradict each other, give no price: they are listed with the reason. Seen descriptions: "Gemini 2.5 Flash
GA Text Input - Predictions", "... Thinking Text Output - Predictions", " Gemini 2.5 Flash Lite Input Text Caching", "Gemini 2.5 Pro Text Input
(Long) - Batch Predictions", "Gemini 2.5 Pro Text Output (Long & Standard) - Predictions". "Long" is above 200,000 input tokens (Vertex AI's
price list). A price is units + nanos / 1,000,000,000 of the currency for one token (usage unit "count"); a price by characters is none by tokens.
A model's SKUs from before it was generally available stay in the catalogue: where one with "GA" is there, it holds.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from connectors.vertex import parse_sku

LONG_CONTEXT = 200_000
_MILLION = 1_000_000
_OTHER = re.compile(
    r"\b(image|video|live|grounding|storage|tuning|provisioned|characters?|embedding image)\b", re.IGNORECASE
)
_PROCESSING = {"batch": "batch", "priority": "priority", "flex": "flex"}

Key = tuple[str, str, str, int]
"""Model, token class, processing, context_from."""


@dataclass(frozen=True)
class Sku:
    """A SKU of the catalogue: what it says, and its newest price. `rates`: (from this usage on, units, nanos), per `usage_unit`."""

    sku_id: str
    description: str
    usage_type: str
    regions: Sequence[str]
    usage_unit: str
    rates: Sequence[tuple[Decimal, int, int]]
    valid_from: datetime


@dataclass(frozen=True)
class SkuPrice:
    """What one SKU says of one price: USD per 1,000,000 tokens."""

    key: Key
    amount: Decimal
    sku: Sku


def prices_of(skus: Iterable[Sku]) -> tuple[list[SkuPrice], dict[str, list[str]]]:
    """The prices that the SKUs agree on, and the descriptions of those that gave none, by reason."""
    found: dict[Key, list[SkuPrice]] = defaultdict(list)
    left: dict[str, list[str]] = defaultdict(list)
    for sku in skus:
        read = _read(sku)
        if isinstance(read, str):
            left[read].append(sku.description.strip())
            continue
        for price in read:
            found[price.key].append(price)
    agreed = []
    for key, told in sorted(found.items()):
        chosen = _agreed(told)
        if chosen is None:
            left[f"they contradict each other about {' '.join(map(str, key[:3]))}"] += [
                f"{price.sku.description.strip()} ({price.amount:f})" for price in told
            ]
        else:
            agreed.append(chosen)
    return agreed, {reason: sorted(set(descriptions)) for reason, descriptions in left.items()}


def _read(sku: Sku) -> list[SkuPrice] | str:
    """The prices that a SKU tells, or why none."""
    text = " ".join(sku.description.split())
    line = parse_sku(text)
    if line.model is None:
        return "no model is named"
    if sku.usage_type != "OnDemand":
        return "a commitment, not a price on demand"
    if other := _OTHER.search(text):
        return f"not tokens of text or sound ({other[1].lower()})"
    if line.direction is None:
        return "neither input nor output"
    if sku.usage_unit != "count":
        return f"not by tokens, but by {sku.usage_unit}"
    amounts = {(units, nanos) for _start, units, nanos in sku.rates} - {(0, 0)}
    if len(amounts) > 1:
        return "priced in steps of volume"
    kind = _token_class(text, line.direction, line.cache_action)
    if kind is None:
        return "cached sound"
    units, nanos = next(iter(amounts), (0, 0))
    amount = (Decimal(units) + Decimal(nanos).scaleb(-9)) * _MILLION
    low = text.lower()
    processing = next((name for word, name in _PROCESSING.items() if re.search(rf"\b{word}\b", low)), "standard")
    contexts = [LONG_CONTEXT] if re.search(r"\blong\b", low) else [0]
    if re.search(r"\blong (?:&|and) standard\b|\bstandard (?:&|and) long\b", low):
        contexts = [0, LONG_CONTEXT]
    return [SkuPrice((line.model, kind, processing, context), amount, sku) for context in contexts]


def _token_class(text: str, direction: str, action: str | None) -> str | None:
    low = text.lower()
    if re.search(r"\baudio\b", low):
        return None if action else f"audio_{direction}"
    if action == "read":
        return "cache_read"
    if action == "write":
        return "cache_write_1h" if re.search(r"\b1\s?h|\bone hour|\b1 hour", low) else "cache_write_5m"
    if direction == "output":
        return "reasoning" if re.search(r"\bthinking\b(?! on\b)", low) else "output"
    return "input"


def _agreed(told: Sequence[SkuPrice]) -> SkuPrice | None:
    """The price that all say, or those that come first: generally available before preview, worldwide before regional."""
    for rank in (
        lambda price: re.search(r"\bGA\b", price.sku.description, re.IGNORECASE) is not None,
        lambda price: "global" in price.sku.regions,
    ):
        if len({price.amount for price in told}) > 1:
            told = [price for price in told if rank(price)] or told
    if len({price.amount for price in told}) > 1:
        return None
    return min(told, key=lambda price: (price.sku.valid_from, price.sku.sku_id))


def sentences(left: Mapping[str, Sequence[str]], most: int = 5) -> list[str]:
    """What was left out, a sentence for each reason; SKUs that name no model (machines, storage) are only counted."""
    found = []
    for reason, descriptions in sorted(left.items()):
        examples = (
            ""
            if reason == "no model is named"
            else ": " + "; ".join(descriptions[:most]) + (" ..." if len(descriptions) > most else "")
        )
        found.append(f"{len(descriptions)} SKUs give no price, {reason}{examples}")
    return found

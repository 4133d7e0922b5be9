"""The price book "genai-prices": the maintained catalogue of that package, written out as dated rows of `prices`.

Model ids are those of `warehouse.models`, for every name under which the package itself would find the model. Azure and
Google also serve models of others at their makers' list price where the package says so (standard processing only).

Left out, so that calls of these models are unpriced rather than priced wrongly:

* models whose price depends on the time of day (some of DeepSeek's), which a validity date cannot say;
* models that bill images, video or citations apart (image generation and the like): `calls` do not count those tokens;
* models that are billed by anything but tokens: seconds, characters, pages;
* a processing (batch, flex, priority) before the date from which the package knows its price, where the package itself
  would answer with the standard price;
* fees per web search, which are no part of a call's token cost;
* models without any price, unless their name says ":free".

The import of the package costs 0.6 s and is done only when the book is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from importlib.metadata import version
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from warehouse.models import canonical_model, known_providers
from warehouse.rates import BEGINNING, GENAI_PRICES, OPEN_END, PriceRow

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider

_CLASS_OF_KEY = {
    "input_mtok": "input",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write_5m",
    "cache_write_5m_mtok": "cache_write_5m",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_mtok": "output",
    "output_reasoning_mtok": "reasoning",
    "input_audio_mtok": "audio_input",
    "output_audio_mtok": "audio_output",
    "requests_kcount": "request",
}
_PLACES = 10  # of `prices.amount`; the catalogue has a few repeating decimals
_BILLED_APART = ("image", "video", "citation", "document", "messages", "chars")
_PROCESSING_KEYS = ("processing", "service_tier", "speed")
_STANDARD = ("standard", "default")


def catalogue_source() -> str:
    """What the rows name as their source."""
    return f"genai-prices {version('genai-prices')}"


@lru_cache(maxsize=1)
def genai_price_rows() -> tuple[PriceRow, ...]:
    """All rows of the book, no two of the same key overlapping in time."""
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 - slow, see the module's docstring

    providers = {provider.id: provider for provider in get_snapshot().providers}
    rows: list[PriceRow] = []
    for provider in providers.values():
        if provider.id not in known_providers():
            continue
        taken: set[str] = set()
        rows.extend(_rows_of(provider, provider, taken))
        for other in provider.fallback_model_providers or ():
            if other in providers:
                rows.extend(_rows_of(provider, providers[other], taken))
    return tuple(rows)


def _rows_of(seller: Provider, maker: Provider, taken: set[str]) -> Iterator[PriceRow]:
    """Rows for the models of `maker` as `seller` sells them, under ids that are not yet `taken`.

    Where two models have the same canonical id, the one that goes by that very name has it.
    """
    chosen: dict[str, tuple[bool, ModelInfo]] = {}
    for model, names in _names(maker):
        for name in names:
            model_id = canonical_model(seller.id, name)[1]
            exact = name == model_id
            if model_id not in taken and (model_id not in chosen or (exact and not chosen[model_id][0])):
                chosen[model_id] = (exact, model)
    taken.update(chosen)
    for model_id, (_, model) in chosen.items():
        for kind, processing, tier, amount, start, end in _dated_amounts(model, standard_only=seller is not maker):
            yield PriceRow(GENAI_PRICES, seller.id, model_id, kind, processing, tier, amount, "USD", start, end)


def _names(provider: Provider) -> Iterable[tuple[ModelInfo, list[str]]]:
    """Each model with the names for which the package finds it (the first of its list that fits a name wins)."""
    exact: dict[str, int] = {}
    fuzzy: list[tuple[int, ModelInfo]] = []
    texts = [_texts(model) for model in provider.models]
    for place, model in enumerate(provider.models):
        equal, other = texts[place]
        for text in equal:
            exact.setdefault(text, place)
        if other:
            fuzzy.append((place, model))
    for place, model in enumerate(provider.models):
        equal, other = texts[place]
        names = []
        for text in dict.fromkeys([model.id.lower(), *equal, *other]):
            first = exact.get(text, len(provider.models))
            first = next((p for p, m in fuzzy if p < first and m.is_match(text)), first)
            if first == place or (first == len(provider.models) and text == model.id.lower()):
                names.append(text)
        yield model, names


def _texts(model: ModelInfo) -> tuple[list[str], list[str]]:
    """The texts of a model's match rule: those that a name must equal, and beginnings, ends and parts of names."""
    equal: list[str] = []
    other: list[str] = []

    def walk(clause: Any) -> None:
        for attribute, value in vars(clause).items():
            if isinstance(value, list):
                for part in value:
                    walk(part)
            elif attribute == "equals":
                equal.append(value.lower())
            elif attribute == "regex":
                other.append("")
            else:
                other.append(value.lower().rstrip("-@"))

    walk(model.match)
    return equal, other


def _dated_amounts(
    model: ModelInfo, *, standard_only: bool
) -> Iterator[tuple[str, str, int, Decimal, datetime, datetime]]:
    """(token class, processing, context tier, amount, from, to) of a model, equal neighbours joined."""
    from genai_prices.types import ConditionalPrice, StartDateConstraint, TimeOfDateConstraint  # noqa: PLC0415

    prices = model.prices if isinstance(model.prices, list) else [ConditionalPrice(prices=model.prices)]
    variants = [] if standard_only else list(model.price_variants or ())
    constraints = [entry.constraint for entry in prices] + [variant.constraint for variant in variants]
    if any(isinstance(constraint, TimeOfDateConstraint) for constraint in constraints):
        return
    starts = {c.start_date for c in constraints if isinstance(c, StartDateConstraint)}
    edges = [BEGINNING, *(datetime(day.year, day.month, day.day) for day in sorted(starts)), OPEN_END]
    contexts: dict[str, list[tuple[dict[str, str], list[Any]]]] = {"standard": [({}, [None])]}
    for variant in variants:
        key, value = next(iter(variant.when.items()))
        if len(variant.when) == 1 and key in _PROCESSING_KEYS and value not in _STANDARD:
            contexts.setdefault(value, []).append((variant.when, [variant.constraint]))
    joined: dict[tuple[str, str, int], list[tuple[Decimal, datetime, datetime]]] = {}
    for start, end in pairwise(edges):
        for processing, choices in contexts.items():
            active = [when for when, limits in choices if all(limit is None or limit.active(start) for limit in limits)]
            if not active:
                continue
            for kind, tier, amount in _amounts(model, model.get_prices(start, active[0] or None)):
                spans = joined.setdefault((kind, processing, tier), [])
                if spans and spans[-1][0] == amount and spans[-1][2] == start:
                    spans[-1] = (amount, spans[-1][1], end)
                else:
                    spans.append((amount, start, end))
    for (kind, processing, tier), spans in joined.items():
        for amount, start, end in spans:
            yield kind, processing, tier, amount, start, end


def _amounts(model: ModelInfo, price: ModelPrice) -> Iterator[tuple[str, int, Decimal]]:
    """(token class, context tier, amount) of one set of prices; nothing when tokens alone do not decide the price."""
    from genai_prices.types import TieredPrices  # noqa: PLC0415

    known = {key: value for key, value in vars(price).items() if value is not None}
    if not known and model.id.endswith(":free"):
        known = {"input_mtok": Decimal(0), "output_mtok": Decimal(0)}
    if "input_mtok" not in known or any(word in key for key in known for word in _BILLED_APART):
        return
    for key, value in known.items():
        kind = _CLASS_OF_KEY.get(key)
        if kind is None or (key == "cache_write_mtok" and "cache_write_5m_mtok" in known):
            continue
        if isinstance(value, TieredPrices):
            yield kind, 0, round(value.base, _PLACES)
            for tier in value.tiers:
                yield kind, tier.start, round(tier.price, _PLACES)
        else:
            yield kind, 0, round(value, _PLACES)

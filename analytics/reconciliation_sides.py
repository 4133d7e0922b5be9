"""The two sides of a reconciliation in detail: billed amounts and tokens, traced tokens, and the books' prices, by day, model and cell."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import ibis
import ibis.expr.types as ir

from analytics.filters import Filters, apply
from analytics.frames import Row, rows_of
from analytics.fx import CALLS_CURRENCY, in_currency
from analytics.infrastructure import FILTER_COLUMNS
from analytics.ledger import MODEL_CATEGORIES, traced_calls
from analytics.reconciliation_causes import Named
from warehouse.rates import ANY_MODEL, BOOK_ORDER, CLASS_OF_COLUMN, PriceRow, RateKey, resolve
from warehouse.reader import Warehouse

Model = tuple[str | None, str | None]
"""Provider and model."""

PROCESSINGS = ("standard", "batch", "priority", "flex")
USAGE_SOURCES = ("openai-usage", "anthropic-usage")
"""Sources of usage reports: tokens without amounts, kept out of every sum."""

COLUMNS_OF_CLASS = {
    "input": ("uncached_input_tokens", "audio_input_tokens"),
    "cache_read": ("cache_read_tokens",),
    "cache_write": ("cache_write_5m_tokens", "cache_write_1h_tokens"),
    "output": ("output_tokens", "reasoning_tokens", "audio_output_tokens"),
}
"""Columns of `calls` that a bill's token class covers; the first one's price stands for the class where nothing was traced."""

_AMOUNTS = {"billed": "BilledCost", "effective": "EffectiveCost", "list": "ListCost"}
_UNIT = re.compile(r"^\s*(?:(?P<number>[\d,.]+)\s*)?(?P<size>k|m|thousand|million)?\s*tokens?\s*$", re.IGNORECASE)
_SIZES = {"k": 1000, "thousand": 1000, "m": 1_000_000, "million": 1_000_000}


def tokens_per_unit(unit: str | None) -> Decimal | None:
    """How many tokens a bill's unit of consumption is ("Tokens", "1K tokens", "1000000 Tokens"); None: it is no number of tokens."""
    found = _UNIT.match(unit or "")
    if not found:
        return None
    return Decimal((found["number"] or "1").replace(",", "")) * _SIZES.get((found["size"] or "").lower(), 1)


def whole_months(filters: Filters) -> tuple[date, date]:
    """First and last day of the months that the period touches and of one month on either side."""
    before = (filters.start.replace(day=1) - timedelta(days=1)).replace(day=1)
    after = (filters.end.replace(day=1) + timedelta(days=32)).replace(day=1)
    return before, (after + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def bill_lines(warehouse: Warehouse, filters: Filters) -> list[Row]:
    """Known amounts of model usage by day, last day, provider, model, currency, charge category, token class and processing.

    Amounts are in the currency of the calls wherever the day has an exchange rate (see `analytics.fx`), so that both sides can be compared.
    token_class is None where the line names no direction; tokens None where it tells none.
    """
    lines = warehouse.table("charge_lines")
    lines = lines.mutate(native_currency=lines.BillingCurrency, amount=lines[_AMOUNTS[filters.basis]])
    lines = apply(in_currency(warehouse, lines, ("amount",), CALLS_CURRENCY), filters, FILTER_COLUMNS)
    lines = lines.filter(lines.x_CostCategory.isin(MODEL_CATEGORIES), lines.amount.notnull())
    seconds = lines.ChargePeriodEnd.epoch_seconds() - lines.ChargePeriodStart.epoch_seconds()
    end = (lines.ChargePeriodEnd - ibis.interval(microseconds=1)).date()
    last = (seconds >= 86_400).fill_null(False).ifelse(ibis.greatest(lines.date, end), lines.date)
    grouped = lines.group_by(
        "date", "provider", last=last, model=lines.x_Model, currency=lines.currency, category=lines.ChargeCategory,
        token_class=_token_class(lines), processing=_processing(lines), unit=lines.ConsumedUnit,
    ).agg(
        amount=lines.amount.sum(),
        quantity=lines.ConsumedQuantity.sum(),
        told=(lines.ConsumedQuantity.count() == lines.count()),
    )  # fmt: skip
    rows = rows_of(warehouse, grouped)
    for row in rows:
        size = tokens_per_unit(row["unit"]) if row["told"] else None
        row["tokens"] = None if size is None else Decimal(row["quantity"]) * size
    return rows


def reported_tokens(warehouse: Warehouse, filters: Filters) -> dict[tuple[Model, date], dict[tuple[str, str], Decimal]]:
    """Tokens of the providers' usage reports by model, UTC day and cell."""
    lines = warehouse.table("charges")
    lines = lines.filter(lines.x_Excluded.fill_null(False), lines.x_Source.isin(USAGE_SOURCES), lines.x_Model.notnull())
    lines = lines.mutate(date=lines.ChargePeriodStart.date(), provider=lines.ServiceProviderName.lower())
    lines = apply(lines, filters.without("currency"), FILTER_COLUMNS)
    lines = lines.filter(_token_class(lines).notnull(), lines.ConsumedUnit == "Tokens")
    grouped = lines.group_by(
        "date", "provider", model=lines.x_Model, token_class=_token_class(lines), processing=_processing(lines)
    ).agg(tokens=lines.ConsumedQuantity.sum())
    found: dict[tuple[Model, date], dict[tuple[str, str], Decimal]] = defaultdict(dict)
    for row in rows_of(warehouse, grouped):
        model = (row["provider"], row["model"])
        found[(model, row["date"])][(row["token_class"], row["processing"])] = Decimal(row["tokens"])
    return found


def traced_tokens(warehouse: Warehouse, filters: Filters) -> list[Row]:
    """Tokens by column of `calls`, of calls that a bill covers: by day of the bill's clock, model, processing, failure, known cost.

    A call that a gateway's cache answered used no tokens of the provider, and is left out.
    """
    covered = traced_calls(warehouse)
    covered = covered.filter(covered.is_covered)
    keys = ("provider", "billing_account_id", "date", "utc_date")
    marked = covered.select(*keys, "covered_utc_date").distinct()
    clock = {tuple(row[name] for name in keys): row["covered_utc_date"] for row in rows_of(warehouse, marked)}
    calls = warehouse.table("calls_daily")
    calls = calls.filter(~calls.cache_hit.fill_null(False))
    wide = Filters(filters.start - timedelta(days=1), filters.end + timedelta(days=1), filters.where)
    calls = apply(calls.mutate(currency=ibis.literal("USD")), wide)
    grouped = calls.group_by(
        *keys, "model", processing=calls.processing.fill_null("standard"),
        failed=(calls.status == "failure").fill_null(False), known=(calls.cost_basis != "unknown").fill_null(True),
    ).agg(**{name: calls[name].sum().fill_null(0).cast("int64") for name in CLASS_OF_COLUMN})  # fmt: skip
    rows = []
    for row in rows_of(warehouse, grouped):
        by_utc = clock.get(tuple(row[name] for name in keys))
        day = row["utc_date"] if by_utc else row["date"]
        if by_utc is not None and filters.start <= day <= filters.end:
            rows.append(row | {"day": day})
    return rows


class Prices:
    """The books' prices of the compared models: one token's price by processing, column of `calls` and day, and the prices beside it."""

    def __init__(self, warehouse: Warehouse, models: Iterable[Model]) -> None:
        wanted = sorted({(provider, model) for provider, model in models if provider and model})
        prices = warehouse.table("prices")
        relevant = prices.filter(
            prices.book.isin(BOOK_ORDER),
            prices.provider.isin([provider for provider, _ in wanted] or [""]),
            prices.model.isin([*(model for _, model in wanted), ANY_MODEL]),
        ).select(*PriceRow._fields)
        keys = [RateKey(provider, (model,), processing) for provider, model in wanted for processing in PROCESSINGS]
        rows = [PriceRow(**row | {"context_from": row["context_from"] or 0}) for row in rows_of(warehouse, relevant)]
        self._rates: dict[tuple[Model, str], list[Row]] = defaultdict(list)
        for rate in resolve(rows, keys, BOOK_ORDER).to_pylist():
            key = keys[rate["key"]]
            self._rates[((key.provider, key.models[0]), key.processing)].append(rate)

    def has_tiers(self, model: Model) -> bool:
        """Whether long requests have other prices, which daily sums of tokens cannot tell."""
        return any(rate["tier"] for processing in PROCESSINGS for rate in self._rates[(model, processing)])

    def price(self, model: Model, processing: str, column: str, day: date) -> Decimal | None:
        """USD per token at noon of that day, in the lowest context tier."""
        return self._unit(self._base(model, processing, day), column)

    def others(self, model: Model, processing: str, column: str, day: date) -> list[Named]:
        """The prices of other processings and tiers of that day, then those of other days."""
        found: list[Named] = []
        for other in PROCESSINGS:
            for rate in self._rates[(model, other)]:
                if _holds(rate, day) and (other != processing or rate["tier"]):
                    found += [("batch_or_tier", unit) for unit in [self._unit(rate, column)] if unit is not None]
        for rate in self._rates[(model, processing)]:
            if not _holds(rate, day) and not rate["tier"]:
                found += [("price_date", unit) for unit in [self._unit(rate, column)] if unit is not None]
        return found

    def at(self, model: Model, tokens: dict[tuple[str, str], int], day: date) -> Decimal | None:
        """What these tokens, by processing and column, cost at the books' prices of a day; None: a price is not known."""
        return _sum(
            (count, self.price(model, processing, column, day)) for (processing, column), count in tokens.items()
        )

    def at_others(self, model: Model, tokens: dict[tuple[str, str], int], day: date) -> Iterator[Named]:
        """What they would cost all in another processing, or each at another time."""
        for other in PROCESSINGS:
            cost = _sum((count, self.price(model, other, column, day)) for (_, column), count in tokens.items())
            if cost is not None:
                yield "batch_or_tier", cost
        edges = {rate["valid_from"] for processing in PROCESSINGS for rate in self._rates[(model, processing)]}
        for edge in sorted(edges):
            cost = self.at(model, tokens, edge.date() + timedelta(days=1))
            if cost is not None:
                yield "price_date", cost

    def _base(self, model: Model, processing: str, day: date) -> Row | None:
        return next((rate for rate in self._rates[(model, processing)] if not rate["tier"] and _holds(rate, day)), None)

    @staticmethod
    def _unit(rate: Row | None, column: str) -> Decimal | None:
        return None if rate is None else rate[f"unit_{CLASS_OF_COLUMN[column]}"]


def _holds(rate: Row, day: date) -> bool:
    noon: datetime = datetime.combine(day, time(12))
    return bool(rate["valid_from"] <= noon < rate["valid_to"])


def _sum(parts: Iterable[tuple[int, Decimal | None]]) -> Decimal | None:
    total = Decimal(0)
    for count, price in parts:
        if not count:
            continue
        if price is None:
            return None
        total += count * price
    return total


def _token_class(lines: ir.Table) -> ir.StringValue:
    is_input = lines.x_TokenDirection == "input"
    return ibis.cases(
        (lines.x_TokenDirection == "output", "output"),
        (is_input & (lines.x_CacheAction == "read"), "cache_read"),
        (is_input & (lines.x_CacheAction == "write"), "cache_write"),
        (is_input & lines.x_CacheAction.isnull(), "input"),
        else_=ibis.null("string"),
    )


def _processing(lines: ir.Table) -> ir.StringValue:
    """How the line's tokens were processed, by the words of its usage type, SKU and description."""
    words = [lines[name].fill_null("") for name in ("x_UsageType", "SkuId", "ChargeDescription")]
    text = (words[0] + " " + words[1] + " " + words[2]).lower()
    return ibis.cases(*((text.contains(name), name) for name in PROCESSINGS[1:]), else_="standard")

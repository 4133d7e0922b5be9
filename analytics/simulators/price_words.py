"""Prices as people write them for a what-if on a file: two amounts, or the name of a model that the price books know."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from analytics.simulators.rates_table import CLASS_PLACE, find_model, rates_from_rows
from warehouse.configuration import Configuration
from warehouse.errors import InputError
from warehouse.price_books import shipped_prices
from warehouse.rates import PriceRow

Price = tuple[float, float]
"""USD per 1,000,000 tokens of input and of output."""


def price_in_words(words: str, configuration: Configuration, at: datetime | None = None) -> Price:
    """The price that `words` mean: "2.5/10" (USD per 1,000,000 tokens of input and output), or a model ("openai/gpt-4o", "gpt-4o") at its standard
    price
    at that time (UTC; default: now), by the books that come with the product and its configuration.

    Raises InputError for anything else, negative amounts and a model that no book has a price for.
    """
    first, slash, second = words.strip().partition("/")
    try:
        amounts = float(first), float(second if slash else first)
    except ValueError:
        return _of_model(words.strip(), configuration, at or datetime.now(UTC).replace(tzinfo=None))
    if not slash:
        raise InputError(
            f"the price {words!r} needs two amounts: input/output in USD per 1,000,000 tokens, as in 2.5/10"
        )
    if not all(0 <= each < float("inf") for each in amounts):
        raise InputError(f"the price {words!r} must not be negative")
    return amounts


def _of_model(name: str, configuration: Configuration, at: datetime) -> Price:
    model = find_model(name)
    rows = [
        PriceRow(**{field: row.get(field) for field in PriceRow._fields} | {"context_from": row["context_from"] or 0})
        for row in shipped_prices(configuration).to_pylist()
        if row["currency"] == "USD"
    ]
    rates = rates_from_rows(rows, [model], ["standard"])
    if rates.count[0].any():
        units = rates.units_at(0, at=at)
        price = tuple(float(units[CLASS_PLACE[kind]]) * 1e6 for kind in ("input", "output"))
        if not np.isnan(price).any():
            return round(price[0], 10), round(price[1], 10)
    raise InputError(
        f"no price book knows a price of input and output for the model {name!r}: write it as provider/model, or give "
        "input/output in USD per 1,000,000 tokens, as in 2.5/10"
    )

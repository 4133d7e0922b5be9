"""Why two costs differ: days, calls, features, models, tokens per call, cache and prices, in parts that sum to the difference exactly.

The cost of model calls is a product, cell by cell, where a cell is one model in one feature:

    days x calls per day x share of the feature x share of the model in it x sum over token classes (tokens per call x price per token)

and the tokens of a class are the call's input x the part of it that was fresh, read from or written to a cache, or its output. Each factor's part is
its Shapley value (Shapley 1953): the mean, over all orders in which the factors could have changed one after the other, of what its change adds.
No order is privileged, and the parts of a cell sum to its difference. A factor that one side does not have (the tokens of a model that nobody
called) is taken from the other side, so that a new model is told as a change of models and not as one of prices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations
from math import factorial

import numpy as np
from numpy.typing import NDArray

from analytics.ratios import UNIT_PLACES

Floats = NDArray[np.float64]

DAYS, CALLS, FEATURES, MODELS, TOKENS, CACHE, PRICE = (
    "days", "calls", "feature mix", "model mix", "tokens per call", "cache rate", "price",
)  # fmt: skip
FACTORS = (DAYS, CALLS, FEATURES, MODELS, TOKENS, CACHE, PRICE)
"""What the cost of traced model calls is made of, in the order in which parts are shown."""

INPUTS = 4
"""The first token classes are the parts of the input: fresh, read from a cache, written for five minutes, written for an hour."""


@dataclass(frozen=True)
class Side:
    """One side of a comparison, one entry per cell: `feature` (a code that both sides share), calls, tokens by class (cells, classes; the
    order of `warehouse.schema.TOKEN_CLASSES`), list price per token (the same shape; NaN: not known) and the exact cost. `days`: how many."""

    days: int
    feature: NDArray[np.int64]
    calls: Floats
    tokens: Floats
    unit_prices: Floats
    cost: tuple[Decimal, ...]


@dataclass(frozen=True)
class _Factors:
    """A side as factors; arrays by cell, by feature (`features`), or by cell and class."""

    days: float
    calls: float
    features: Floats
    models: Floats
    tokens: Floats
    cache: Floats
    price: Floats

    def cost(self, feature: NDArray[np.int64]) -> Floats:
        """Cost of each cell."""
        per_call = (self.tokens * self.cache * self.price).sum(axis=1)
        return np.asarray(self.days * self.calls * self.features[feature] * self.models * per_call)


def decompose(before: Side, after: Side) -> list[dict[str, Decimal]]:
    """The parts of each cell's difference (after - before) by factor, to twelve digits after the point; a cell's parts sum to its difference.

    Both sides list the same cells in the same order. A side without any call has no factors of its own: all is then told as `calls`.
    """
    differences = [now - then for then, now in zip(before.cost, after.cost, strict=True)]
    if not differences:
        return []
    if not before.calls.sum() or not after.calls.sum():
        return [{CALLS: difference} for difference in differences]
    first, second = _factors(before), _factors(after)
    first, second = _filled(first, second), _filled(second, first)
    effects = _shapley(first, second, before.feature)
    return [_exact(effects[:, cell], difference) for cell, difference in enumerate(differences)]


def _factors(side: Side) -> _Factors:
    """NaN where the side does not have a factor."""
    number = int(side.feature.max()) + 1
    calls = side.calls.sum()
    of_feature = np.bincount(side.feature, weights=side.calls, minlength=number)
    with np.errstate(divide="ignore", invalid="ignore"):
        tokens = side.tokens / side.calls[:, None]
        no_usage = (side.tokens.sum(axis=1) == 0) & (side.calls > 0)
        # Calls that report no tokens count as one each, so that their cost per call is a price.
        tokens[no_usage] = 0.0
        tokens[no_usage, 0] = 1.0
        whole_input = tokens[:, :INPUTS].sum(axis=1)
        cache = np.ones_like(tokens)
        cache[:, :INPUTS] = tokens[:, :INPUTS] / whole_input[:, None]
        amounts = tokens.copy()
        amounts[:, :INPUTS] = whole_input[:, None]
        list_cost = (side.calls[:, None] * tokens * _known_prices(side.unit_prices)).sum(axis=1)
        costs = np.array([float(cost) for cost in side.cost])
        price = _known_prices(side.unit_prices) * (costs / list_cost)[:, None]
        models = side.calls / of_feature[side.feature]
    price[(side.calls == 0) | (list_cost == 0)] = np.nan
    return _Factors(
        float(side.days), calls / side.days, of_feature / calls, models, amounts, cache, price,
    )  # fmt: skip


def _known_prices(units: Floats) -> Floats:
    """List prices per token. A class without one counts like fresh input; of a model without any, all tokens count alike."""
    dearest = np.where(np.isnan(units), -np.inf, units).max(axis=1)
    base = np.where(np.isnan(units[:, 0]), dearest, units[:, 0])
    return np.where(np.isnan(units), np.where(np.isinf(base), 1.0, base)[:, None], units)


def _filled(side: _Factors, other: _Factors) -> _Factors:
    """What a side does not have, from the other."""

    def filled(own: Floats, others: Floats) -> Floats:
        return np.nan_to_num(np.where(np.isnan(own), others, own))

    return _Factors(
        side.days, side.calls, side.features, filled(side.models, other.models), filled(side.tokens, other.tokens),
        filled(side.cache, other.cache), filled(side.price, other.price),
    )  # fmt: skip


def _shapley(first: _Factors, second: _Factors, feature: NDArray[np.int64]) -> Floats:
    """Shapley values of the factors, (factors, cells)."""
    number = len(FACTORS)
    names = ("days", "calls", "features", "models", "tokens", "cache", "price")
    values: dict[frozenset[int], Floats] = {}
    for size in range(number + 1):
        for chosen in combinations(range(number), size):
            taken = {name: getattr(second if place in chosen else first, name) for place, name in enumerate(names)}
            values[frozenset(chosen)] = _Factors(**taken).cost(feature)
    effects = np.zeros((number, len(feature)))
    for taken_already, value in values.items():
        for place in set(range(number)) - taken_already:
            weight = factorial(len(taken_already)) * factorial(number - len(taken_already) - 1) / factorial(number)
            effects[place] += weight * (values[taken_already | {place}] - value)
    return effects


def _exact(effects: Sequence[float] | Floats, difference: Decimal) -> dict[str, Decimal]:
    """Effects as exact amounts that sum to the difference: the largest one takes what rounding leaves."""
    parts = [Decimal(repr(float(effect))).quantize(UNIT_PLACES) for effect in effects]
    largest = max(range(len(parts)), key=lambda place: abs(parts[place]))
    parts[largest] += difference - sum(parts, Decimal(0))
    return dict(zip(FACTORS, parts, strict=True))

"""Which values of a dimension drive an anomaly: explanatory power and surprise (Adtributor, Bhagwan et al., NSDI 2014)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import log

from analytics.filters import UNTAGGED

LEAST_POWER = 0.10
"""A value that explains less of the excess is no driver of its own."""
ENOUGH = 0.67
"""A dimension is explained once its drivers explain so much together."""


@dataclass(frozen=True)
class Driver:
    """One value of a dimension: expected and actual cost, exact; power: its part of the whole excess; surprise: how much its share of the
    cost differs from the expected one (a term of the Jensen-Shannon divergence, natural logarithm)."""

    dimension: str
    value: str
    expected: Decimal
    actual: Decimal
    power: float
    surprise: float

    @property
    def excess(self) -> Decimal:
        """actual - expected."""
        return self.actual - self.expected


@dataclass(frozen=True)
class Dimension:
    """The drivers of one dimension, the most surprising first, and their surprise together; explained: their part of the excess."""

    name: str
    drivers: tuple[Driver, ...]
    surprise: float
    explained: float


Costs = Mapping[str | None, Decimal]


def drivers(dimension: str, expected: Costs, actual: Costs) -> tuple[Driver, ...]:
    """Every value of a dimension with its power and surprise, by value. A missing value is "(untagged)"."""
    whole_expected, whole_actual = sum(expected.values(), Decimal(0)), sum(actual.values(), Decimal(0))
    excess = whole_actual - whole_expected
    found = []
    for value in sorted({*expected, *actual}, key=lambda value: (value is None, value or "")):
        before, now = expected.get(value, Decimal(0)), actual.get(value, Decimal(0))
        power = float((now - before) / excess) if excess else 0.0
        surprise = _surprise(_share(before, whole_expected), _share(now, whole_actual))
        found.append(Driver(dimension, UNTAGGED if value is None else value, before, now, power, surprise))
    return tuple(found)


def explained_by(dimension: str, expected: Costs, actual: Costs) -> Dimension:
    """The few values that explain the excess: by falling surprise, each with more than a tenth of it, until two thirds are explained."""
    chosen: list[Driver] = []
    explained = 0.0
    for driver in sorted(drivers(dimension, expected, actual), key=lambda one: (-one.surprise, -one.power, one.value)):
        if driver.power <= LEAST_POWER:
            continue
        chosen.append(driver)
        explained += driver.power
        if explained > ENOUGH:
            break
    return Dimension(dimension, tuple(chosen), sum(driver.surprise for driver in chosen), explained)


def ranked(dimensions: Mapping[str, tuple[Costs, Costs]]) -> tuple[Dimension, ...]:
    """The dimensions whose drivers explain two thirds of the excess, the most surprising first; then the others."""
    found = [explained_by(name, expected, actual) for name, (expected, actual) in dimensions.items()]
    return tuple(sorted(found, key=lambda one: (one.explained <= ENOUGH, -one.surprise, one.name)))


def _share(part: Decimal, whole: Decimal) -> float:
    return float(part / whole) if whole > 0 and part > 0 else 0.0


def _surprise(p: float, q: float) -> float:
    """0.5 (p ln(2p / (p + q)) + q ln(2q / (p + q)))."""
    return 0.5 * sum(share * log(2 * share / (p + q)) for share in (p, q) if share > 0)

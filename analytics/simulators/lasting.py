"""What levers prepared of a period, on disk for whoever looks at the same period later: another process, or this one after other periods."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import TypeVar

from analytics.simulators.infrastructure import Infrastructure
from analytics.simulators.plain_values import packed, unpacked
from analytics.simulators.rates_table import Rates
from analytics.simulators.situation import Situation
from warehouse.prepared import Needs, prepared
from warehouse.reader import Warehouse

Result = TypeVar("Result")

NAME = "what-if-sums"


@dataclass(frozen=True, eq=False)
class Lasting:
    """Where what is prepared of one situation lies.

    needs: all that the situation is made of. stamp, rates and infrastructure tell the situation itself from those that levers make of it, whose
    preparations are not kept.
    """

    warehouse: Warehouse
    needs: Needs
    stamp: int
    rates: Rates
    infrastructure: Infrastructure

    def is_of(self, situation: Situation) -> bool:
        """Whether this is the situation itself."""
        return (
            situation.workload.stamp == self.stamp
            and situation.rates is self.rates
            and situation.infrastructure is self.infrastructure
        )

    def get(self, name: str, key: Hashable, make: Callable[[], Result]) -> Result:
        """The value that was kept under this name and key, else the one that `make` makes: a value that `plain_values` can pack, which depends on the
        situation, the name and the key alone. Every part of the key must say all of itself as text."""
        needs = replace(self.needs, inputs=(*self.needs.inputs, name, repr(key)))
        found = prepared(self.warehouse, NAME, needs, lambda: {"value": packed(make())})
        value: Result = unpacked(found["value"])
        return value

"""Small workloads and levers written down in a test: calls straight into arrays, prices straight into rates."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from analytics.simulators.heavy_columns import HeavyColumns
from analytics.simulators.infrastructure import CostLine, Infrastructure
from analytics.simulators.lever import EVERY_CALL, Selection, checked
from analytics.simulators.rates_table import Rates, rates_from_rows
from analytics.simulators.situation import Situation
from analytics.simulators.window import Window
from analytics.simulators.workload import CODED, Workload
from warehouse.errors import InputError
from warehouse.rates import BEGINNING, OPEN_END, PriceRow
from warehouse.schema import TOKEN_CLASSES

Call = Mapping[str, Any]
BIG, SMALL, OTHER = ("openai", "big"), ("openai", "small"), ("anthropic", "other")
FIRST = date(2026, 3, 2)
DAY = 86_400_000_000

PRICES: dict[tuple[str, str, str], dict[str, str]] = {
    (*BIG, "standard"): {"input": "2.5", "output": "10", "cache_read": "1.25"},
    (*BIG, "batch"): {"input": "1.25", "output": "5", "cache_read": "0.625"},
    (*SMALL, "standard"): {"input": "0.15", "output": "0.6", "cache_read": "0.075"},
    (*SMALL, "batch"): {"input": "0.075", "output": "0.3"},
    (*OTHER, "standard"): {"input": "3", "output": "15", "cache_read": "0.3", "cache_write_5m": "3.75"},
}
"""USD per 1,000,000 tokens."""


def price_rows(prices: Mapping[tuple[str, str, str], Mapping[str, str]] = PRICES) -> list[PriceRow]:
    """Rows of `prices` that hold for all time."""
    return [
        PriceRow("percall", provider, model, kind, processing, 0, Decimal(amount), "USD", BEGINNING, OPEN_END)
        for (provider, model, processing), amounts in prices.items()
        for kind, amount in amounts.items()
    ]


def call(day: int = 0, cost: float | str | None = "list", **values: Any) -> dict[str, Any]:
    """One call of the big model on a day of the window, of 2,000 input and 300 output tokens, that costs its list price unless said otherwise."""
    return {"day": day, "cost": cost, "uncached_input_tokens": 2000, "output_tokens": 300, **values}


def workload_of(calls: Iterable[Call], days: int = 28, **heavy: Any) -> Workload:
    """A workload of these calls, in order of time; `heavy` columns are given as arrays."""
    rows = [
        {"model": BIG, "operation": "chat", "processing": "standard", "status": "success", **each} for each in calls
    ]
    window = Window(FIRST, FIRST + timedelta(days=days - 1))
    models = tuple(dict.fromkeys([BIG, SMALL, OTHER, *(row["model"] for row in rows)]))
    names = {column: tuple(dict.fromkeys(row[column] for row in rows if row.get(column))) for column in CODED}
    names["processing"] = tuple(dict.fromkeys(["standard", "batch", *names["processing"]]))
    codes = {column: _codes(rows, column, names[column]) for column in CODED}
    users = tuple(dict.fromkeys(row["user"] for row in rows if row.get("user")))
    day = np.array([row["day"] for row in rows], dtype=np.int32)
    size = len(rows)
    workload = Workload(
        window=window,
        started_at=window.midnights[day] + np.array([row.get("second", n) for n, row in enumerate(rows)]) * 1_000_000,
        day=day,
        models=models,
        model=np.array([models.index(row["model"]) for row in rows], dtype=np.int16),
        names=names,
        **codes,
        user=_codes(rows, "user", users).astype(np.int32),
        **{name: np.array([row.get(name, 0) for row in rows], dtype=np.int32) for name in TOKEN_CLASSES},
        has_usage=np.array([row.get("has_usage", True) for row in rows], dtype=bool),
        cost=np.full(size, np.nan),
        is_cache_hit=np.array([row.get("is_cache_hit", False) for row in rows], dtype=bool),
        weight=np.ones(size),
        money=np.ones(size),
        active=np.ones(size, dtype=bool),
        heavy=HeavyColumns(size, given=heavy),
        population=size,
    )
    at_list = rates_of(workload).priced(workload)
    for place, row in enumerate(rows):
        known = math.nan if row["cost"] is None else at_list[place] if row["cost"] == "list" else float(row["cost"])
        workload.cost[place] = known
    return workload


def _codes(rows: Sequence[Call], column: str, names: Sequence[str]) -> NDArray[np.int16]:
    return np.array([names.index(row[column]) if row.get(column) else -1 for row in rows], dtype=np.int16)


def rates_of(workload: Workload, rows: Sequence[PriceRow] | None = None) -> Rates:
    """Prices of the workload's models."""
    return rates_from_rows(rows or price_rows(), workload.models, workload.names["processing"])


def changed(workload: Workload, **new: Any) -> Workload:
    """All calls changed, at the made prices."""
    return workload.change(np.ones(len(workload), dtype=bool), rates_of(workload), **new)


def situation_of(calls: Iterable[Call], days: int = 28, lines: Sequence[CostLine] = (), **heavy: Any) -> Situation:
    """A situation of these calls and cost lines."""
    workload = workload_of(calls, days, **heavy)
    return Situation(workload, rates_of(workload), Infrastructure(tuple(lines)))


# Levers as small as can be, of the kinds that the product has.


@dataclass(frozen=True)
class Vanish:
    """A share of the chosen calls is answered by a cache, each look-up costing `fee`."""

    name: ClassVar[str] = "test-vanish"
    title: ClassVar[str] = "Cache"
    share: float = 0.0
    calls: Selection = EVERY_CALL
    fee: float = 0.0

    def __post_init__(self) -> None:
        checked(self.share, "the share", 0, 1)

    @classmethod
    def neutral(cls) -> Vanish:
        return cls()

    def touches(self, situation: Situation) -> NDArray[np.bool_]:
        return self.calls.mask(situation.workload)

    def apply(self, situation: Situation) -> Situation:
        workload, chosen = situation.workload, self.touches(situation)
        workload = workload.vanish(chosen & (workload.draws() < self.share))
        return situation.with_workload(workload.add_overhead("look-up", "LLM API", self.fee, chosen))

    def assumptions(self) -> list[str]:
        return ["Every answer can be used again."]


@dataclass(frozen=True)
class Route:
    """The chosen calls go to another model."""

    name: ClassVar[str] = "test-route"
    title: ClassVar[str] = "Routing"
    to: str | None = None
    calls: Selection = EVERY_CALL

    @classmethod
    def neutral(cls) -> Route:
        return cls()

    def touches(self, situation: Situation) -> NDArray[np.bool_]:
        return self.calls.mask(situation.workload)

    def apply(self, situation: Situation) -> Situation:
        if self.to is None:
            return situation
        situation, code = situation.with_model(self.to)
        return situation.change(self.touches(situation), model=code)

    def assumptions(self) -> list[str]:
        return ["The other model writes answers of the same length."]


@dataclass(frozen=True)
class Prefix:
    """So many tokens of every input are read from a prompt cache."""

    name: ClassVar[str] = "test-prefix"
    title: ClassVar[str] = "Prompt caching"
    tokens: int = 0

    @classmethod
    def neutral(cls) -> Prefix:
        return cls()

    def touches(self, situation: Situation) -> NDArray[np.bool_]:
        return situation.workload.active

    def apply(self, situation: Situation) -> Situation:
        workload = situation.workload
        moved = np.minimum(self.tokens, workload.uncached_input_tokens)
        return situation.change(
            self.touches(situation),
            uncached_input_tokens=workload.uncached_input_tokens - moved,
            cache_read_tokens=workload.cache_read_tokens + moved,
        )

    def assumptions(self) -> list[str]:
        return ["The prefix is always warm."]


@dataclass(frozen=True)
class Cap:
    """Outputs end at a number of tokens."""

    name: ClassVar[str] = "test-cap"
    title: ClassVar[str] = "Output limit"
    cap: float = math.inf
    calls: Selection = EVERY_CALL

    def __post_init__(self) -> None:
        if not self.cap > 0:
            raise InputError("a limit of the output is more than 0 tokens")

    @classmethod
    def neutral(cls) -> Cap:
        return cls()

    def touches(self, situation: Situation) -> NDArray[np.bool_]:
        return self.calls.mask(situation.workload) & (situation.workload.output_tokens > self.cap)

    def apply(self, situation: Situation) -> Situation:
        return situation.change(
            self.touches(situation), output_tokens=np.minimum(self.cap, situation.workload.output_tokens)
        )

    def assumptions(self) -> list[str]:
        return ["A shorter answer is as good."]


@dataclass(frozen=True)
class Resource:
    """The cost lines of a category cost this part of what they did."""

    name: ClassVar[str] = "test-resource"
    title: ClassVar[str] = "Cheaper resource"
    category: str = "GPU inference"
    part: float = 1.0

    @classmethod
    def neutral(cls) -> Resource:
        return cls()

    def touches(self, situation: Situation) -> NDArray[np.bool_]:
        return np.zeros(len(situation.workload), dtype=bool)

    def apply(self, situation: Situation) -> Situation:
        def change(line: CostLine) -> CostLine:
            return line.costing(line.cost * self.part) if line.category == self.category else line

        return situation.with_infrastructure(situation.infrastructure.mapped(change))

    def assumptions(self) -> list[str]:
        return []


# Oracle C1: five calls, known by hand.


def c1() -> Situation:
    """Five calls of 2,000 input tokens, 1,500 of them a shared prefix; 0 and 3 repeat an answer, 0 and 1 are easy; a whole month."""
    outputs, easy, repeated = (
        (300, 300, 500, 500, 900),
        (True, True, False, False, False),
        (True, False, False, True, False),
    )
    calls = [
        call(
            feature="easy" if easy[n] else "hard", user_tier="again" if repeated[n] else "new", output_tokens=outputs[n]
        )
        for n in range(5)
    ]
    situation = situation_of(calls, days=31)
    window = Window(date(2026, 3, 1), date(2026, 3, 31))
    return situation.with_workload(replace(situation.workload, window=window))


C1_LEVERS = (
    Vanish(share=1.0, calls=Selection(user_tier=("again",))),
    Route(to="openai/small", calls=Selection(feature=("easy",))),
    Prefix(1500),
    Cap(400),
)
"""Cache, routing, prompt caching, output limit."""

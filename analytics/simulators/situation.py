"""What a lever acts on: the calls, what is paid beside them, and the prices."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analytics.simulators.infrastructure import Infrastructure
from analytics.simulators.rates_table import Model, Rates, find_model
from analytics.simulators.window import Window
from analytics.simulators.workload import Workload
from warehouse.errors import InputError

if TYPE_CHECKING:
    from analytics.simulators.lasting import Lasting

Result = TypeVar("Result")

MEMORY = 2 * 2**30
"""Bytes of arrays that one situation's levers may keep."""

SIZE = 256
"""Values that one situation's levers may keep: all levers together come to some hundred, one for each step of some sliders. With 64, what 240 people
asked of twelve levers pushed each other's preparations out."""


class Memo:
    """What levers computed once (neighbours, gaps, curves) and may use again; shared by all situations that stem from one.

    Keys must name everything that the value depends on: begin with the lever's name, and use `workload.stamp` where the state of the calls
    matters (a stamp belongs to one state for ever). The least recently used values are dropped beyond `size` values, and beyond `memory` bytes of
    arrays: with ten million calls one array is 80 MB.
    """

    def __init__(self, size: int = SIZE, memory: int = MEMORY) -> None:
        self.lasting: Lasting | None = None
        """Set by who keeps on disk what is prepared of this very situation."""
        self._size, self._memory = size, memory
        self._bytes: dict[Hashable, int] = {}
        self._values: OrderedDict[Hashable, Any] = OrderedDict()
        self._making: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Result]) -> Result:
        """The value of this key, made by `make` when it is not there yet: once, while others who want it wait and all others go on."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                if key in self._values:
                    return self._values[key]
            value = make()
            with self._lock:
                self._values[key], self._bytes[key] = value, array_bytes(value)
                self._making.pop(key, None)
                self._make_room(key)
            return value

    def _make_room(self, newest: Hashable) -> None:
        """Drop what was used least recently, for memory only what takes a good part of it, but never what was just made."""
        large = self._memory // SIZE
        for key in list(self._values):
            over_memory = sum(self._bytes.values()) > self._memory
            if key != newest and (len(self._values) > self._size or (over_memory and self._bytes[key] >= large)):
                del self._values[key], self._bytes[key]


def array_bytes(value: Any, seen: set[int] | None = None) -> int:
    """Bytes of the arrays that a value holds: in itself, in its fields, in tuples, lists and dictionaries; shared ones counted once."""
    seen = set() if seen is None else seen
    if id(value) in seen:
        return 0
    seen.add(id(value))
    if isinstance(value, np.ndarray):
        # What is broadcast from one number takes no memory.
        return 0 if 0 in value.strides else value.nbytes
    if isinstance(value, pd.DataFrame):
        return int(value.memory_usage().sum())
    if isinstance(value, (tuple, list)):
        return sum(array_bytes(part, seen) for part in value[:_LOOKED_AT])
    if isinstance(value, dict):
        return sum(array_bytes(part, seen) for part in list(value.values())[:_LOOKED_AT])
    # A situation is there anyway; what its memo holds is counted by itself.
    if isinstance(value, (Memo, Situation, Workload)) or not hasattr(value, "__dict__"):
        return 0
    return sum(array_bytes(part, seen) for part in vars(value).values())


_LOOKED_AT = 1000
"""Of longer sequences only so many elements are looked at: they are texts or numbers."""


@dataclass(frozen=True, eq=False)
class Situation:
    """A period as it was, or as it would have been.

    utilization: rows of the table of that name in the window (hour, resource, gpu, gpu_count, gpu_utilization, memory_used, requests,
    tokens_per_second, model, feature). notes: sentences on what these figures leave out. All money is USD of the window;
    `window.scale_to_month` makes it a month's.
    """

    workload: Workload
    rates: Rates
    infrastructure: Infrastructure = field(default_factory=Infrastructure)
    utilization: pd.DataFrame = field(default_factory=pd.DataFrame)
    notes: tuple[str, ...] = ()
    memo: Memo = field(default_factory=Memo, repr=False)

    @property
    def window(self) -> Window:
        """The days that are replayed."""
        return self.workload.window

    def with_workload(self, workload: Workload) -> Situation:
        """The same with other calls."""
        return self if workload is self.workload else replace(self, workload=workload)

    def with_infrastructure(self, infrastructure: Infrastructure) -> Situation:
        """The same with other cost lines."""
        return self if infrastructure is self.infrastructure else replace(self, infrastructure=infrastructure)

    def with_model(self, name: str) -> tuple[Situation, int]:
        """The situation where the calls may use this model ("openai/gpt-4o-mini", or the bare name), and its code.

        A bare name means the model that the calls use, where they use one of that name. Raises InputError when no book has a price for it.
        """
        known = [pair for pair in self.workload.models if name in (pair[1], f"{pair[0]}/{pair[1]}")]
        model: Model = known[0] if known else find_model(name)
        workload = self.workload.with_models(model)
        rates = self.rates.of(workload.models, workload.names["processing"])
        code = workload.models.index(model)
        if not rates.count[code].any():
            raise InputError(
                f"no price book knows the model {name!r}: write it as provider/model, or add a price for it"
            )
        return replace(self, workload=workload, rates=rates), code

    def with_processing(self, name: str) -> tuple[Situation, int]:
        """The situation where calls may be processed so ("batch"), and its code."""
        workload = self.workload.with_processings(name)
        rates = self.rates.of(workload.models, workload.names["processing"])
        return replace(self, workload=workload, rates=rates), workload.code("processing", name)

    def change(self, where: NDArray[np.bool_], **new: Any) -> Situation:
        """`Workload.change` at this situation's prices."""
        return self.with_workload(self.workload.change(where, self.rates, **new))

    def vanish(self, where: NDArray[np.bool_]) -> Situation:
        """`Workload.vanish`."""
        return self.with_workload(self.workload.vanish(where))

    def daily_costs(self) -> dict[str, NDArray[np.float64]]:
        """USD by cost category and day of the window: calls, overheads and cost lines."""
        days = {category: self.workload.by_day(spent) for category, spent in self.workload.spent_by_category().items()}
        for line in self.infrastructure.lines:
            days[line.category] = days.get(line.category, np.zeros(self.window.days)) + line.daily
        return days

    def costs(self) -> dict[str, float]:
        """USD of the window by cost category."""
        sums = self.workload.cost_by_category()
        for line in self.infrastructure.lines:
            sums[line.category] = sums.get(line.category, 0.0) + line.cost
        return sums

    def total(self) -> float:
        """USD of the window."""
        return sum(self.costs().values())

    def monthly(self) -> dict[str, float]:
        """USD per month by cost category."""
        return {category: cost * self.window.scale_to_month for category, cost in self.costs().items()}

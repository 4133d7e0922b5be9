"""A workload as it is read and kept: what is the same for many calls once, the rest as small as it can be.

Of a call there are its time, its cost, its tokens, its user, and the number of its kind: some 40 bytes, where the workload that levers act on has
100. So a month of millions of calls can be kept on disk (`analytics.simulators.keep_situation`), and becomes a workload in a fraction of the
time that reading the calls took.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytics.simulators.heavy_columns import HeavyColumns
from analytics.simulators.sampling import Calibration, calibrated
from analytics.simulators.window import Window
from analytics.simulators.workload import Workload, new_stamp
from warehouse.schema import TOKEN_CLASSES


@dataclass(frozen=True, eq=False)
class WorkloadParts:
    """Arrays have one element per call, in order of time, unless said otherwise.

    codes: by column of `CODED`, models_of_kinds and hits (answered by the gateway's cache): one element per kind; kind: of each call. order: in which
    order the calls that were read are those of the workload (None: as they were read). tokens: by class, of the classes that any call uses, 0
    without usage; integers of any width. calibration: None where all calls are held.
    """

    window: Window
    models: tuple[tuple[str | None, str | None], ...]
    names: Mapping[str, tuple[str, ...]]
    codes: Mapping[str, NDArray[Any]]
    models_of_kinds: NDArray[np.int16]
    hits: NDArray[np.bool_]
    started_at: NDArray[np.int64]
    order: NDArray[Any] | None
    kind: NDArray[Any]
    user: NDArray[np.int32]
    tokens: Mapping[str, NDArray[Any]]
    has_usage: NDArray[np.bool_]
    cost: NDArray[np.float64]
    calibration: Calibration | None = None

    def workload(self, heavy: HeavyColumns) -> Workload:
        """The workload."""
        size = len(self.started_at)
        one, no_tokens = np.broadcast_to(np.float64(1), size), np.broadcast_to(np.int32(0), size)
        tokens: dict[str, Any] = {
            name: self.tokens[name].astype(np.int32, copy=False) if name in self.tokens else no_tokens
            for name in TOKEN_CLASSES
        }
        coded: dict[str, Any] = {name: codes[self.kind] for name, codes in self.codes.items()}
        whole = Workload(
            window=self.window,
            started_at=self.started_at,
            day=self.window.day_index(self.started_at),
            models=self.models,
            model=self.models_of_kinds[self.kind],
            names=self.names,
            **coded,
            user=self.user,
            **tokens,
            has_usage=self.has_usage,
            cost=self.cost,
            is_cache_hit=self.hits[self.kind],
            weight=one,
            money=one,
            active=np.broadcast_to(np.bool_(True), size),
            heavy=heavy,
            population=size,
        )
        return calibrated(whole, self.calibration) if self.calibration else whole

    def narrow(self) -> WorkloadParts:
        """The same numbers in integers that are as narrow as they can be."""
        return replace(
            self,
            order=None if self.order is None else _narrow(self.order),
            kind=_narrow(self.kind),
            tokens={name: _narrow(values) for name, values in self.tokens.items()},
        )

    def later(self, heavy: HeavyColumns, change: Callable[[Workload], Workload]) -> Workload:
        """`change(self.workload(heavy))`, made when somebody looks at what only it has: what was prepared before is drawn without the calls."""
        return LaterWorkload.of(self, heavy, change)


class LaterWorkload(Workload):
    """A workload that knows its names, its size and its days, and makes the arrays of its calls when the first of them is asked for."""

    @classmethod
    def of(cls, parts: WorkloadParts, heavy: HeavyColumns, change: Callable[[Workload], Workload]) -> LaterWorkload:
        """See `WorkloadParts.later`."""
        made = object.__new__(cls)
        calibration = parts.calibration
        made.__dict__.update(
            window=parts.window,
            models=parts.models,
            names=parts.names,
            started_at=parts.started_at,
            user=parts.user,
            has_usage=parts.has_usage,
            cost=parts.cost,
            stratum=calibration.stratum if calibration else None,
            population=calibration.population if calibration else len(parts.started_at),
            heavy=heavy,
            overheads=(),
            kept_calls=0,
            stamp=new_stamp(),
            _make=lambda: change(parts.workload(heavy)),
            _making=threading.Lock(),
        )
        return made

    def __getattr__(self, name: str) -> Any:
        # Only reached for what is not there yet.
        if name not in Workload.__dataclass_fields__:
            raise AttributeError(name)
        with self.__dict__["_making"]:
            if name not in self.__dict__:
                whole = self.__dict__["_make"]()
                missing = set(Workload.__dataclass_fields__) - self.__dict__.keys()
                self.__dict__.update({each: getattr(whole, each) for each in missing})
        return self.__dict__[name]

    @property
    def is_made(self) -> bool:
        """Whether the arrays of the calls are there."""
        return "model" in self.__dict__


def _narrow(values: NDArray[Any]) -> NDArray[Any]:
    if not len(values) or values.min() < 0:
        return values
    return values.astype(np.min_scalar_type(int(values.max())), copy=False)

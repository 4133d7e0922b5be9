"""What a replica is billed that starts when a request comes and stops after some idle time: cold start + work + idle time, per episode."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.simulators.lever import checked
from warehouse.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Episodes:
    """billed: time paid for, in the unit of the arrivals. waits: what each request waits for a start or for those before it."""

    billed: float
    busy: float
    cold_starts: int
    waits: Floats

    @property
    def share_waiting(self) -> float:
        """Share of requests that do not start at once."""
        return float((self.waits > 0).mean()) if len(self.waits) else 0.0


def scale_to_zero(arrivals: Floats, service: Floats | float, *, idle: float, cold: float) -> Episodes:
    """Requests served one after another by one replica that stops `idle` after its last work and takes `cold` to start.

    All times in one unit (seconds, minutes); arrivals in order. Raises InputError otherwise. It is off before the first request.
    """
    checked(idle, "the idle time", 0, float("inf"))
    checked(cold, "the time of a cold start", 0, float("inf"))
    if len(arrivals) > 1 and (np.diff(arrivals) < 0).any():
        raise InputError("arrivals must be in order of time")
    works = np.broadcast_to(np.asarray(service, dtype=np.float64), len(arrivals))
    billed, began, done, starts = 0.0, 0.0, -np.inf, 0
    waited: list[float] = []
    for came, takes in zip(arrivals.tolist(), works.tolist(), strict=True):
        if came > done + idle:
            if starts:
                billed += done + idle - began
            began, starts = came, starts + 1
            start = came + cold
        else:
            start = max(came, done)
        waited.append(start - came)
        done = start + takes
    if starts:
        billed += done + idle - began
    return Episodes(billed, float(works.sum()), starts, np.array(waited, dtype=np.float64))

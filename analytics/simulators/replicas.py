"""How many replicas a stream of requests needs so that few of them wait: a queue with first come, first served, replayed.

A replica serves `max_batch` requests at once, so `replicas x max_batch` slots serve the stream. Real requests come in bursts and need more than
Erlang's formula for independent arrivals says; it stands beside, for comparison.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.simulators.lever import checked
from warehouse.errors import InputError

Floats = NDArray[np.float64]
MOST_SLOTS = 1_000_000


def service_seconds(
    input_tokens: NDArray[np.int64], output_tokens: NDArray[np.int64], *, prefill: float, decode: float
) -> Floats:
    """Seconds that one request occupies a slot: input at `prefill`, output at `decode` tokens per second of its own sequence."""
    if not (prefill > 0 and decode > 0):
        raise InputError("the tokens per second must be more than 0")
    return input_tokens / prefill + output_tokens / decode


def offered_load(arrivals: Floats, service: Floats) -> float:
    """Mean number of slots in use if none ever waited: work per second between first and last arrival."""
    span = float(arrivals[-1] - arrivals[0]) if len(arrivals) > 1 else 0.0
    if span <= 0:
        raise InputError("a stream needs two arrivals at different times")
    return float(service.sum()) / span


def waits(arrivals: Floats, service: Floats, slots: int) -> Floats:
    """Seconds that each request waits for one of `slots` slots. `arrivals` are seconds, in order; first come, first served.

    Raises InputError for arrivals out of order and for less than one slot.
    """
    checked(slots, "the number of slots", 1, MOST_SLOTS)
    if len(arrivals) > 1 and (np.diff(arrivals) < 0).any():
        raise InputError("arrivals must be in order of time")
    if slots == 1 and len(arrivals):
        # Lindley: a request starts when it comes or when all work before it, counted from some earlier arrival, is done.
        done_before = np.concatenate([[0.0], np.cumsum(service)[:-1]])
        waited: Floats = np.maximum.accumulate(arrivals - done_before) + done_before - arrivals
        return np.maximum(waited, 0.0)
    # Requests that find a slot never used yet do not wait; the heap starts when all have been used.
    free = [-math.inf] * min(slots, max(len(arrivals), 1))
    replaced = heapq.heapreplace
    answer: list[float] = []
    for came, takes in zip(arrivals.tolist(), service.tolist(), strict=True):
        earliest = free[0]
        start = came if earliest <= came else earliest
        answer.append(start - came)
        replaced(free, start + takes)
    return np.array(answer, dtype=np.float64)


def share_waiting(arrivals: Floats, service: Floats, slots: int, longer_than: float = 0.0) -> float:
    """Share of the requests that wait longer than so many seconds."""
    return float((waits(arrivals, service, slots) > longer_than).mean()) if len(arrivals) else 0.0


@dataclass(frozen=True)
class Replicas:
    """replicas of max_batch slots each; share of the requests that wait longer than the limit; p95_wait in seconds; erlang: replicas by formula."""

    replicas: int
    slots: int
    share_waiting: float
    p95_wait: float
    offered_load: float
    erlang: int


def replicas_needed(
    arrivals: Floats, service: Floats, *, max_batch: int = 8, limit: float = 1.0, target: float = 0.05
) -> Replicas:
    """The fewest replicas with which at most the share `target` of the requests waits longer than `limit` seconds.

    Found by bisection, for with one slot more no request waits longer. Raises InputError for settings out of range.
    """
    checked(max_batch, "the batch of a replica", 1, 100_000)
    checked(limit, "the seconds that a request may wait", 0, 86_400)
    checked(target, "the share of requests that may wait longer", 0, 1)
    if not len(arrivals):
        return Replicas(0, 0, 0.0, 0.0, 0.0, 0)
    load = offered_load(arrivals, service)
    high = max(1, math.ceil(load / max_batch))
    while share_waiting(arrivals, service, high * max_batch, limit) > target:
        high *= 2
    low = 0
    while high - low > 1:
        middle = (low + high) // 2
        if share_waiting(arrivals, service, middle * max_batch, limit) > target:
            low = middle
        else:
            high = middle
    waited = waits(arrivals, service, high * max_batch)
    by_formula = max(1, math.floor(load / max_batch) + 1)
    mean = float(service.mean())
    while erlang_wait(load, by_formula * max_batch, mean, limit) > target and by_formula < MOST_SLOTS:
        by_formula += 1
    return Replicas(
        high,
        high * max_batch,
        float((waited > limit).mean()),
        float(np.quantile(waited, 0.95)),
        load,
        by_formula,
    )


def erlang_c(load: float, slots: int) -> float:
    """Chance that a request waits, for independent arrivals (Erlang 1917); 1 when the load is not below the slots.

    Computed by Erlang B's recursion, which does not overflow.
    """
    if load <= 0:
        return 0.0
    if load >= slots:
        return 1.0
    blocked = 1.0
    for number in range(1, slots + 1):
        blocked = load * blocked / (number + load * blocked)
    return blocked / (1 - load / slots * (1 - blocked))


def erlang_wait(load: float, slots: int, mean_service: float, limit: float) -> float:
    """Chance that a request waits longer than `limit` seconds, for independent arrivals and exponential service."""
    if load >= slots:
        return 1.0
    return erlang_c(load, slots) * math.exp(-(slots - load) * limit / mean_service)

"""The GPUs that serve the company's own models: four large ones around the clock, from April on small ones that scale to zero."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from connectors.demo.shares import Numbers, apportion, meet_mean
from connectors.demo.story import Story, ticks

LARGE, SMALL = 0, 1
_HOUR = 3600


@dataclass(frozen=True)
class Fleet:
    """One element per running GPU and hour: hour number since the start, kind, instance number, seconds it ran, busy seconds, requests."""

    hour: NDArray[np.int64]
    kind: NDArray[np.int64]
    instance: NDArray[np.int64]
    seconds: NDArray[np.int64]
    busy: Numbers
    requests: NDArray[np.int64]


def run_fleet(story: Story) -> Fleet:
    """Which GPU ran when, and how busy it was.

    March's load follows from how busy the large GPUs were; May's is that load, grown. The small GPUs run as many seconds as May's
    invoice pays for, spread as the load asks.
    """
    gpus = story.raw["gpus"]
    large, small = gpus["large"], gpus["small"]
    random = story.random("fleet")
    hours = np.arange(len(story.dates) * 24)
    day = hours // 24
    month = story.month_of_day[day]
    profile = np.array(story.raw["hours"]["interactive"], dtype=float)[hours % 24] + 4.0
    load = (
        profile
        * np.where(story.weekend[day], story.raw["people"]["weekend"], 1.0)
        * np.exp(random.normal(0, 0.06, len(hours)))
    )
    growth = np.array([1.0, (1 + gpus["requests_growth"]) / 2, gpus["requests_growth"]])
    share = np.zeros(len(hours))  # busy share of the large GPUs, were they to serve everything
    for number in range(len(story.months)):
        here = month == number
        share[here] = meet_mean(load[here], gpus["busy"][0] * growth[number], 0.02, 0.98)
    running = np.array([[story.day(end) for end in gpus["large_until"]]]) > day[:, None]
    alive = running.sum(axis=1)
    by_large = np.minimum(alive / large["count"], np.where(day >= story.day(gpus["small_from"]), 0.9, 1.0))
    seconds_a_request = gpus["tokens_a_request"] / small["throughput"]
    demand = share * large["count"] * _HOUR * large["throughput"] / gpus["tokens_a_request"]
    on_small = demand * (1 - by_large)
    needed = on_small * seconds_a_request
    may = month == len(story.months) - 1
    paid = ticks(story.raw["bills"]["gpu"][-1]) // ticks(small["price_per_second"])
    per_busy = paid / needed[may].sum()
    seconds = np.minimum(np.rint(needed * per_busy), small["count"] * _HOUR).astype(np.int64)
    seconds[may] = np.minimum(apportion(needed[may], paid), small["count"] * _HOUR)
    short = paid - int(seconds[may].sum())
    spare = np.flatnonzero(may & (seconds < small["count"] * _HOUR - _HOUR))
    seconds[spare] += apportion(np.ones(len(spare)), short)
    parts = []
    for number in range(large["count"]):
        at = np.flatnonzero(running[:, number])
        uneven = np.exp(random.normal(0, 0.05, len(at))) * (1.12, 1.06, 0.98, 0.84)[number % 4]
        parts.append(
            (
                at,
                LARGE,
                number,
                np.full(len(at), _HOUR),
                _HOUR * share[at] * by_large[at] * large["count"] / alive[at] * uneven,
            )
        )
    for number in range(small["count"]):
        mine = np.clip(seconds - number * _HOUR, 0, _HOUR)
        at = np.flatnonzero(mine)
        uneven = np.exp(random.normal(0, 0.05, len(at)))
        parts.append((at, SMALL, number, mine[at], needed[at] / seconds[at] * mine[at] * uneven))
    hour, kind, instance, ran, busy = (
        np.concatenate([np.broadcast_to(part[place], len(part[0])) for part in parts]) for place in range(5)
    )
    busy = np.minimum(busy, ran * 0.985)
    march = (kind == LARGE) & (month[hour] == 0)
    busy[march] = _HOUR * meet_mean(busy[march] / _HOUR, gpus["busy"][0], 0.01, 0.985)
    speed = np.where(kind == LARGE, large["throughput"], small["throughput"])
    requests = np.floor(busy * speed / gpus["tokens_a_request"]).astype(np.int64)
    return Fleet(hour, kind, instance, ran.astype(np.int64), busy, requests)


def instance_name(kind: int, number: int) -> str:
    """Resource id of a GPU: the first large ones serve production, the last one is the developers'."""
    return f"gpu-a100-{number + 1}" if kind == LARGE else f"gpu-l4-{number + 1}"


def utilization(story: Story, fleet: Fleet) -> pa.Table:
    """One row per hour and running GPU. Utilisation is the busy share of the seconds that it ran."""
    settings = [story.raw["gpus"][name] for name in ("large", "small")]
    names = [instance_name(kind, number) for kind, one in enumerate(settings) for number in range(one["count"])]
    code = np.where(fleet.kind == LARGE, fleet.instance, settings[0]["count"] + fleet.instance)
    random = story.random("utilization")
    share = fleet.busy / fleet.seconds
    memory = np.array([one["memory"] for one in settings])[fleet.kind] + 0.12 * share
    speed = np.array([one["throughput"] for one in settings])[fleet.kind] * np.exp(random.normal(0, 0.03, len(share)))
    return pa.table(
        {
            "hour": fleet.hour * 3_600_000_000 + story.start_microseconds,
            "resource": pa.DictionaryArray.from_arrays(pa.array(code.astype(np.int32)), pa.array(names)),
            "gpu": pa.DictionaryArray.from_arrays(
                pa.array(fleet.kind.astype(np.int32)), pa.array([one["gpu"] for one in settings])
            ),
            "gpu_utilization": np.round(share, 4),
            "memory_used": np.round(memory, 4),
            "requests": fleet.requests,
            "tokens_per_second": np.where(fleet.requests > 0, np.round(speed, 1), 0.0),
        }
    )

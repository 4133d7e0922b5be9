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
    hour = np.arange(len(story.dates) * 24)
    running = np.array([[story.day(end) for end in gpus["large_until"]]]) > hour[:, None] // 24
    alive = running.sum(axis=1)
    trial = hour // 24 >= story.day(gpus["small_from"])
    by_large = np.minimum(alive / large["count"], np.where(trial, 0.9, 1.0))
    load = _large_seconds(story, random, hour)
    needed = load * (1 - by_large) * large["throughput"] / small["throughput"]
    paid = _small_seconds(story, hour, needed)
    parts: list[tuple[Numbers, int, int, Numbers, Numbers]] = []
    for number in range(large["count"]):
        at = np.flatnonzero(running[:, number])
        uneven = large["uneven"][number] * np.exp(random.normal(0, 0.05, len(at)))
        parts.append((at, LARGE, number, np.full(len(at), _HOUR), load[at] * by_large[at] / alive[at] * uneven))
    for number in range(small["count"]):
        mine = np.clip(paid - number * _HOUR, 0, _HOUR)
        at = np.flatnonzero(mine)
        parts.append(
            (at, SMALL, number, mine[at], needed[at] / paid[at] * mine[at] * np.exp(random.normal(0, 0.05, len(at))))
        )
    return _fleet(story, parts)


def _large_seconds(story: Story, random: np.random.Generator, hour: NDArray[np.int64]) -> Numbers:
    """Busy seconds of large GPUs that each hour's requests would take, in step with the users' hours and days."""
    gpus = story.raw["gpus"]
    month = story.month_of_day[hour // 24]
    shape = np.array(story.raw["hours"]["interactive"], dtype=float)[hour % 24] + 4.0
    shape *= np.where(story.weekend[hour // 24], story.raw["people"]["weekend"], 1.0) * np.exp(
        random.normal(0, 0.06, len(hour))
    )
    growth = np.linspace(1.0, gpus["requests_growth"], len(story.months))
    share = np.zeros(len(hour))
    for number in range(len(story.months)):
        here = month == number
        share[here] = meet_mean(shape[here], gpus["busy"] * growth[number], 0.02, 0.98)
    return share * gpus["large"]["count"] * _HOUR


def _small_seconds(story: Story, hour: NDArray[np.int64], needed: Numbers) -> NDArray[np.int64]:
    """Seconds that the small GPUs run in each hour: in May exactly as many as are paid for, before at the same ratio to the load."""
    small = story.raw["gpus"]["small"]
    most = small["count"] * _HOUR
    may = story.month_of_day[hour // 24] == len(story.months) - 1
    paid = ticks(story.raw["bills"]["gpu"][-1]) // ticks(small["price_per_second"])
    seconds = np.minimum(np.rint(needed * (paid / needed[may].sum())), most).astype(np.int64)
    seconds[may] = np.minimum(apportion(needed[may], paid), most)
    spare = np.flatnonzero(may & (seconds < most - _HOUR))
    seconds[spare] += apportion(np.ones(len(spare)), paid - int(seconds[may].sum()))
    return seconds


def _fleet(story: Story, parts: list[tuple[Numbers, int, int, Numbers, Numbers]]) -> Fleet:
    """The parts (hours, kind, instance, seconds, busy seconds) as one; March's large GPUs exactly as busy as the file says."""
    gpus = story.raw["gpus"]
    hour, ran, busy = (np.concatenate([part[place] for part in parts]) for place in (0, 3, 4))
    kind, instance = (np.concatenate([np.full(len(part[0]), part[place]) for part in parts]) for place in (1, 2))
    busy = np.minimum(busy, ran * 0.985)
    march = (kind == LARGE) & (story.month_of_day[hour // 24] == 0)
    busy[march] = _HOUR * meet_mean(busy[march] / _HOUR, gpus["busy"], 0.01, 0.985)
    speed = np.where(kind == LARGE, gpus["large"]["throughput"], gpus["small"]["throughput"])
    requests = np.floor(busy * speed / gpus["tokens_a_request"]).astype(np.int64)
    return Fleet(hour, kind, instance, ran, busy, requests)


def instance_name(kind: int, number: int) -> str:
    """Resource id of a GPU."""
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

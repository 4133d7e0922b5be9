"""Calls served by a model of one's own on rented GPUs, against paying for an interface: what it costs, where it breaks even, whether it keeps up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from analytics.simulators.gpu_rightsizing import GPU_CATEGORY, price_of
from analytics.simulators.infrastructure import CostLine
from analytics.simulators.lever import EVERY_CALL, Selection, checked, lever
from analytics.simulators.rates_table import Model, with_price
from analytics.simulators.replicas import Replicas, replicas_needed, service_seconds
from analytics.simulators.situation import Situation
from analytics.simulators.throughput import EFFICIENCY, decode_tokens_per_second, find_gpu, prefill_tokens_per_second
from analytics.simulators.vram import GB, MAX_GPUS, check_bits, find_architecture, memory_needed
from warehouse.errors import InputError
from warehouse.rates import PRICE_CLASSES

HOURS_OF_A_MONTH = 730
SALT = 53
"""Of the lots by which calls are chosen."""

_HOUR = 3_600_000_000


@dataclass(frozen=True)
class BreakEven:
    """tokens_per_month from which own GPUs are cheaper, and the steady tokens per second that these are.

    feasible: one replica makes so many (None: its speed is not given).
    """

    tokens_per_month: float
    tokens_per_second: float
    feasible: bool | None


def break_even(
    usd_per_month: float, usd_per_million_tokens: float, *, tokens_per_second: float | None = None
) -> BreakEven:
    """Tokens per month at which an interface at this blended price costs as much as GPUs (with everything that comes with them).

    tokens_per_second: what these GPUs make at the latency that is wanted, input and output in the blend's shares; if the break-even is
    beyond it, the GPUs never pay. Raises InputError for a price that is not positive.
    """
    if not (usd_per_million_tokens > 0 and usd_per_month >= 0):
        raise InputError("the price of the interface must be more than 0, and the cost of the GPUs not negative")
    tokens = usd_per_month / usd_per_million_tokens * 1e6
    steady = tokens / (HOURS_OF_A_MONTH * 3600)
    return BreakEven(tokens, steady, None if tokens_per_second is None else steady <= tokens_per_second)


@lever
@dataclass(frozen=True)
class SelfHost:
    """share: part of the chosen calls that a model of one's own serves. model, gpu, bits, gpus, batch, context: as in GPU right-sizing; `batch`
    is how many requests a replica serves at once, at the roofline's speed times `efficiency`.

    target_utilization: how busy replicas are kept in each hour. min_replicas: always running. fixed: as many as the busiest hour needs run
    all the time; else replicas follow the load by the hour. other_usd_per_month: people, a second site, transfer.
    """

    name: ClassVar[str] = "self-host"
    title: ClassVar[str] = "Own model instead of an interface"
    share: float = 0.0
    calls: Selection = EVERY_CALL
    model: str = "llama-3.1-8b"
    gpu: str = "L4"
    bits: int = 16
    context: int = 2048
    batch: int = 8
    gpus: int = 1
    efficiency: float = EFFICIENCY
    usd_per_hour: float | None = None
    target_utilization: float = 0.7
    min_replicas: int = 1
    fixed: bool = False
    other_usd_per_month: float = 0.0

    def __post_init__(self) -> None:
        checked(self.share, "the share of the calls that are served on own GPUs", 0, 1)
        check_bits(self.bits)
        checked(self.context, "the context in tokens", 1, 10_000_000)
        checked(self.batch, "the batch", 1, 100_000)
        checked(self.gpus, "the GPUs of a replica", 1, MAX_GPUS)
        checked(self.efficiency, "the efficiency", 0.01, 1)
        checked(self.target_utilization, "the utilization that is aimed at", 0.05, 1)
        checked(self.min_replicas, "the replicas that always run", 0, 10_000)
        checked(self.other_usd_per_month, "the other cost per month", 0, 10_000_000)
        if self.usd_per_hour is not None:
            checked(self.usd_per_hour, "the price of a GPU hour", 0, 1000)

    @classmethod
    def neutral(cls) -> SelfHost:
        return cls()

    def touches(self, situation: Situation) -> NDArray[np.bool_]:
        workload = situation.workload
        able = workload.active & workload.has_usage & ~workload.is_cache_hit & ~workload.is_embedding
        # What costs nothing a call is on own GPUs already, whose hours would be paid a second time; an unknown cost (NaN) is not more than 0 either.
        return self.calls.mask(workload) & able & (workload.cost > 0)

    def apply(self, situation: Situation) -> Situation:
        if self.share == 0:
            return situation
        chosen = self.touches(situation) & (situation.workload.draws(SALT) < self.share)
        if not chosen.any():
            return situation
        place, seconds = _work(self, situation, np.flatnonzero(chosen))
        work = np.bincount(place, weights=seconds, minlength=len(window_hours(situation)))
        line = self.line(situation, work.astype(np.float64))
        moved, code = _with_own_model(situation, ("self-hosted", self.model))
        return moved.change(chosen, model=code).with_infrastructure(situation.infrastructure.adding(line))

    def replicas(self, work: NDArray[np.float64]) -> NDArray[np.float64]:
        """Whole replicas that run in every hour: work is seconds of one replica in each."""
        busy = work / 3600 / self.target_utilization
        needed: NDArray[np.float64] = np.maximum(np.ceil(busy - 1e-9), self.min_replicas)
        return np.full(len(needed), needed.max()) if self.fixed else needed

    def line(self, situation: Situation, work: NDArray[np.float64]) -> CostLine:
        """What is rented for so much work: seconds of one replica in every hour of the window."""
        hours = self.replicas(work)
        price = price_of(self.gpu) if self.usd_per_hour is None else self.usd_per_hour
        window = situation.window
        day = window.day_index(window_hours(situation) * _HOUR)
        by_day = np.bincount(day, weights=hours * self.gpus * price, minlength=window.days)
        daily = by_day.astype(np.float64) + self.other_usd_per_month / window.scale_to_month / window.days
        return CostLine(
            GPU_CATEGORY, f"{self.gpu} serving {self.model}", None, daily, float(hours.sum()), kind="what-if"
        )

    def assumptions(self) -> list[str]:
        return [
            "The own model's answers are as long, and as good, as today's: try that on your own calls.",
            f"A replica reaches {self.efficiency:.0%} of the roofline with {self.batch} requests at once, and is kept "
            f"{self.target_utilization:.0%} busy.",
            f"{self.other_usd_per_month:g} USD per month are reckoned for people, a second site and transfer.",
        ]


def tokens_per_second(setting: SelfHost) -> tuple[float, float]:
    """Input and output tokens per second of one replica. Raises InputError when the model does not fit."""
    model, gpu = find_architecture(setting.model), find_gpu(setting.gpu)
    needed = memory_needed(model, bits=setting.bits, context=setting.context, batch=setting.batch).total
    if needed > gpu.memory * setting.gpus:
        raise InputError(
            f"{model.name} at {setting.bits} bits with {setting.batch} x {setting.context:,} tokens needs {needed / GB:.1f} GB, and "
            f"{setting.gpus} x {setting.gpu} has {gpu.memory * setting.gpus / GB:.0f}: choose a larger GPU, fewer bits, or a smaller batch"
        )
    decode = decode_tokens_per_second(
        model, gpu, bits=setting.bits, context=setting.context, batch=setting.batch, gpus=setting.gpus,
        efficiency=setting.efficiency,
    )  # fmt: skip
    return prefill_tokens_per_second(model, gpu, efficiency=setting.efficiency, gpus=setting.gpus), decode


def window_hours(situation: Situation) -> NDArray[np.int64]:
    """Hours since 1970 of the window, in order."""
    first, last = (int(situation.window.midnights[place]) // _HOUR for place in (0, -1))
    return np.arange(first, last, dtype=np.int64)


def hour_of_calls(situation: Situation, at: NDArray[np.int64]) -> NDArray[np.int64]:
    """Place among the hours of the window of the calls at these places."""
    hours = window_hours(situation)
    return np.clip(situation.workload.started_at[at] // _HOUR - hours[0], 0, len(hours) - 1)


def _work(
    setting: SelfHost, situation: Situation, at: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Hour of the window, and seconds of one replica, of the calls at these places."""
    prefill, decode = tokens_per_second(setting)
    workload, place = situation.workload, hour_of_calls(situation, at)
    seconds = workload.input_tokens[at] / prefill + workload.output_tokens[at] / decode
    return place, seconds * workload.weight[at]


def _with_own_model(situation: Situation, model: Model) -> tuple[Situation, int]:
    """The situation where the calls may use the own model, which charges nothing per call, and its code."""
    workload = situation.workload.with_models(model)
    rates = situation.rates.of(workload.models, workload.names["processing"])
    free = dict.fromkeys(PRICE_CLASSES, 0.0)
    for processing in workload.names["processing"]:
        rates = with_price(rates, model, processing, **free)
    return replace(situation, workload=workload, rates=rates), workload.models.index(model)


def replicas_for_latency(
    setting: SelfHost, situation: Situation, *, limit: float = 1.0, target: float = 0.05
) -> Replicas:
    """Replicas with which, on the day with the most work, at most the share `target` of the chosen calls waits longer than `limit` seconds.

    Their arrivals are replayed, first come, first served, through `batch` slots per replica, each as fast as one sequence of a full batch. What the
    lever pays for keeps up when it runs as many as this. Raises InputError when no call is served, and for a sample of the calls, whose
    arrivals are not all there.
    """
    workload = situation.workload
    # Asked first: a reason is not kept, and to look at ten million calls only to say it took the page half a second each time.
    if workload.is_sample:
        raise InputError("waiting can only be replayed with all calls: choose fewer days or a narrower filter")
    at = np.flatnonzero(setting.touches(situation) & (workload.draws(SALT) < setting.share))
    if not len(at):
        raise InputError("no call is served on own GPUs: choose a larger share or other calls")
    _place, seconds = _work(setting, situation, at)
    busiest = int(np.argmax(np.bincount(workload.day[at], weights=seconds)))
    at = at[workload.day[at] == busiest]
    prefill, decode = tokens_per_second(setting)
    service = service_seconds(
        workload.input_tokens[at], workload.output_tokens[at], prefill=prefill, decode=decode / setting.batch
    )
    return replicas_needed(workload.started_at[at] / 1e6, service, max_batch=setting.batch, limit=limit, target=target)

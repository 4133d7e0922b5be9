"""GPU right-sizing: the load that GPUs carried, hour by hour, on other GPUs that run only as much as the load needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analytics.simulators.infrastructure import CostLine, Infrastructure
from analytics.simulators.lever import checked, lever
from analytics.simulators.situation import Situation
from analytics.simulators.throughput import decode_tokens_per_second, find_gpu, known_gpus, measured_throughput
from analytics.simulators.to_the_cent import cents
from analytics.simulators.vram import (
    GB,
    MAX_GPUS,
    Architecture,
    check_bits,
    find_architecture,
    memory_needed,
)
from warehouse.errors import InputError
from warehouse.gpu_catalogue import ARTICLE_SOURCE

Floats = NDArray[np.float64]
GPU_CATEGORY = "GPU inference"


@lever
@dataclass(frozen=True)
class GpuRightsizing:
    """gpu: the GPU to move to, by its catalogue name (None: stay). resources: which of today's GPUs move (empty: all that log their load).

    usd_per_hour: price of one GPU (None: the cheapest of the catalogue that can be rented today). model: what is served (None: what the log says),
    in bits_now today and in bits then, with `batch` sequences of `context` tokens at once. gpus: how many GPUs one replica is spread over.

    target_utilization: how busy replicas are kept; the rest is room for bursts. min_replicas: kept running always; 0 scales to zero.
    whole_hours: replicas are started for whole hours, instead of being billed by the second. cold_start_seconds: billed for every replica
    that is started. measured: where the log has tokens per second of both GPUs, these decide; else the roofline.
    """

    name: ClassVar[str] = "gpu-rightsizing"
    title: ClassVar[str] = "GPU right-sizing"
    gpu: str | None = None
    resources: tuple[str, ...] = ()
    usd_per_hour: float | None = None
    model: str | None = None
    bits_now: int = 16
    bits: int = 16
    context: int = 2048
    batch: int = 1
    gpus: int = 1
    target_utilization: float = 0.7
    min_replicas: int = 0
    whole_hours: bool = False
    cold_start_seconds: float = 120.0
    measured: bool = True
    tokens_per_second: float | None = None

    def __post_init__(self) -> None:
        check_bits(self.bits)
        check_bits(self.bits_now, "today's precision")
        checked(self.context, "the context in tokens", 1, 10_000_000)
        checked(self.batch, "the batch", 1, 100_000)
        checked(self.gpus, "the GPUs of a replica", 1, MAX_GPUS)
        checked(self.target_utilization, "the utilization that is aimed at", 0.05, 1)
        checked(self.min_replicas, "the replicas that always run", 0, 10_000)
        checked(self.cold_start_seconds, "the seconds of a cold start", 0, 3600)
        if self.usd_per_hour is not None:
            checked(self.usd_per_hour, "the price of a GPU hour", 0, 1000)
        if self.tokens_per_second is not None:
            checked(self.tokens_per_second, "the tokens per second of a replica", 0.001, 10_000_000)

    @classmethod
    def neutral(cls) -> GpuRightsizing:
        return cls()

    def touches(self, situation: Situation) -> NDArray[np.bool_]:
        return np.zeros(len(situation.workload), dtype=bool)

    def apply(self, situation: Situation) -> Situation:
        if self.gpu is None:
            return situation
        load = gpu_load(situation, self.resources)
        hours = _replica_hours(self, situation, load) * self.gpus
        price = price_of(self.gpu) if self.usd_per_hour is None else self.usd_per_hour
        # What each of today's resources carried of the hour is its part of the new cost.
        every = load.busy.sum(axis=0)
        even = np.full(load.busy.shape, 1 / len(load.lines))
        part = np.divide(load.busy, every, out=even, where=every > 0)
        place = {line: number for number, line in enumerate(load.lines)}

        def change(line: CostLine) -> CostLine:
            if line not in place:
                return line
            of_line = hours * part[place[line]]
            daily = np.bincount(load.day, weights=of_line * price, minlength=situation.window.days).astype(np.float64)
            return replace(
                line,
                service=f"{self.gpu}, autoscaled",
                daily=daily,
                hours=float(of_line.sum()),
                provider=None,
                kind="what-if",
            )

        return situation.with_infrastructure(situation.infrastructure.mapped(change))

    def assumptions(self) -> list[str]:
        return [
            "Requests, their lengths and the answers' quality stay as they are; fewer bits may cost quality, which only a test on your own "
            "requests shows.",
            f"Replicas are kept {self.target_utilization:.0%} busy, are billed by the {'hour' if self.whole_hours else 'second'}, "
            f"and each start takes {self.cold_start_seconds:g} s.",
            "Speed is what was measured where both GPUs' tokens per second are logged; else today's measured speed times the ratio of the rooflines.",
            "Load is known by the hour: bursts within an hour must fit into the room that the utilization leaves.",
        ]


@dataclass(frozen=True, eq=False)
class GpuLoad:
    """What today's GPUs carried. lines: their cost; busy: busy GPU-hours by line and hour; day: day of the window of each hour; gpu: their kind."""

    lines: tuple[CostLine, ...]
    hours: NDArray[np.int64]
    day: NDArray[np.int32]
    busy: Floats
    gpu: str
    model: str | None


def gpu_load(situation: Situation, resources: tuple[str, ...] = ()) -> GpuLoad:
    """The load of the GPUs that are both billed and logged, every hour of the window in order.

    Raises InputError when there are none, when they are of several kinds (name the resources then), or when a busy share is missing.
    """
    table = situation.utilization
    # A lever before this one may have put another table in place. It is kept beside the value, so that its id stays its own.
    named = ("gpus with a log", id(table))
    logged = situation.memo.get(named, lambda: (table, set() if table.empty else set(table["resource"].dropna())))[1]
    lines = tuple(
        line
        for line in situation.infrastructure.matching(category=GPU_CATEGORY)
        if line.resource in logged and (not resources or line.resource in resources)
    )
    if not lines:
        raise InputError(
            "no GPU of this period has both a bill and a log of its utilization"
            + (f" among {', '.join(resources)}" if resources else "")
        )
    names = tuple(line.resource for line in lines)
    if len(set(names)) < len(names):
        raise InputError("a GPU is billed in several lines: filter by feature or name the resources")
    key = ("gpu load", lines, names, id(table))
    return situation.memo.get(key, lambda: (table, _gpu_load(situation, lines)))[1]


def _gpu_load(situation: Situation, lines: tuple[CostLine, ...]) -> GpuLoad:
    place = {line.resource: number for number, line in enumerate(lines)}
    rows = situation.utilization[situation.utilization["resource"].isin(place)]
    kinds = rows["gpu"].dropna().astype(str).unique()
    if len(kinds) != 1:
        raise InputError(
            f"the GPUs are of several kinds ({', '.join(sorted(kinds)) or 'not named'}): name resources of one"
        )
    share = rows["gpu_utilization"].to_numpy(dtype=np.float64)
    if np.isnan(share).any():
        raise InputError("some hours of these GPUs do not say how busy they were: load complete utilization")
    first, last = (int(situation.window.midnights[at]) // 3_600_000_000 for at in (0, -1))
    hours = np.arange(first, last, dtype=np.int64)
    at = rows["hour"].to_numpy().astype("datetime64[h]").astype(np.int64) - first
    busy = np.zeros((len(lines), len(hours)))
    count = rows["gpu_count"].fillna(1).to_numpy(dtype=np.float64)
    of_line = rows["resource"].map(place).to_numpy(dtype=np.int64)
    # A GPU that is billed for fewer hours than it logged ran for a part of each; its busy share is of that part.
    logged = np.bincount(of_line, weights=count, minlength=len(lines))
    billed = np.array([np.inf if line.hours is None else line.hours for line in lines])
    ran = np.minimum(1.0, np.divide(billed, logged, out=np.ones(len(lines)), where=logged > 0))
    np.add.at(busy, (of_line, at), share * count * ran[of_line])
    models = rows["model"].dropna().astype(str).unique()
    return GpuLoad(
        lines,
        hours,
        situation.window.day_index(hours * 3_600_000_000),
        busy,
        str(kinds[0]),
        str(models[0]) if len(models) == 1 else None,
    )


def model_of(setting: GpuRightsizing, load: GpuLoad) -> Architecture:
    """The served model. Raises InputError when neither the setting nor the log names one."""
    name = setting.model or load.model
    if name is None:
        raise InputError("the log names no model, or several: say which one these GPUs serve")
    return find_architecture(name)


@dataclass(frozen=True)
class Speeds:
    """Tokens per second of one replica today and then; efficiency: measured speed today / roofline (None: not measured)."""

    today: float
    then: float
    efficiency: float | None
    is_measured: bool


def speeds(setting: GpuRightsizing, situation: Situation, load: GpuLoad) -> Speeds:
    """How fast one GPU is today and one replica would be. Raises InputError when the model does not fit on the new GPU, and when a trial's
    speed is given and the log has none of today."""
    assert setting.gpu is not None  # noqa: S101 - the neutral lever asks for no speed
    model, gpu = model_of(setting, load), find_gpu(setting.gpu)
    needed = memory_needed(model, bits=setting.bits, context=setting.context, batch=setting.batch)
    if needed.total > gpu.memory * setting.gpus:
        raise InputError(
            f"{model.name} at {setting.bits} bits with {setting.batch} x {setting.context:,} tokens needs {needed.total / GB:.1f} GB, and "
            f"{setting.gpus} x {setting.gpu} has "
            f"{gpu.memory * setting.gpus / GB:.0f}: choose a larger GPU, more of them, fewer bits, or a smaller batch"
        )
    common = {"context": setting.context, "batch": setting.batch, "efficiency": 1.0}
    before = decode_tokens_per_second(model, find_gpu(load.gpu), bits=setting.bits_now, **common)  # type: ignore[arg-type]
    after = decode_tokens_per_second(model, gpu, bits=setting.bits, gpus=setting.gpus, **common)  # type: ignore[arg-type]
    table = situation.utilization
    measured = situation.memo.get(("gpu speeds", id(table)), lambda: (table, measured_throughput(table)))[1]
    found = dict(zip(measured["gpu"], measured["tokens_per_second"].astype(float), strict=True))
    today = found.get(load.gpu)
    if setting.tokens_per_second is not None:
        if today is None:
            raise InputError(
                "the log has no tokens per second of today's GPUs: what a trial measured has nothing to be compared with"
            )
        return Speeds(today, setting.tokens_per_second, today / before, True)
    if setting.measured and today is not None and setting.gpu in found and setting.gpu != load.gpu:
        return Speeds(today, found[setting.gpu] * setting.gpus, today / before, True)
    # Only the ratio of the two counts for the cost, so that without a measurement any efficiency answers the same.
    efficiency = 0.6 if today is None else today / before
    return Speeds(before * efficiency, after * efficiency, None if today is None else efficiency, False)


def _replica_hours(setting: GpuRightsizing, situation: Situation, load: GpuLoad) -> Floats:
    """Billed hours of replicas, by hour of the window."""
    speed = speeds(setting, situation, load)
    needed = load.busy.sum(axis=0) * (speed.today / speed.then) / setting.target_utilization
    running = np.maximum(np.ceil(needed - 1e-9), setting.min_replicas)
    starts = np.maximum(np.diff(running, prepend=setting.min_replicas), 0)
    billed = running if setting.whole_hours else np.maximum(needed, setting.min_replicas)
    answer: Floats = billed + starts * setting.cold_start_seconds / 3600
    return answer


def price_of(gpu: str, catalogue: pd.DataFrame | None = None) -> float:
    """USD per hour of one such GPU: the cheapest that the catalogue's sources of today offer; the reference case's snapshot only if no other
    has it. Raises InputError for a GPU without a price."""
    return _known_price(gpu) if catalogue is None else _cheapest(gpu, catalogue)


@lru_cache(maxsize=256)
def _known_price(gpu: str) -> float:
    return _cheapest(gpu, known_gpus())


def _cheapest(gpu: str, frame: pd.DataFrame) -> float:
    frame = frame[(frame["gpu"] == gpu) & frame["on_demand_usd_per_gpu_hour"].notna()]
    today = frame[frame["source"] != ARTICLE_SOURCE]
    prices = (today if len(today) else frame)["on_demand_usd_per_gpu_hour"]
    if prices.empty:
        raise InputError(f"the catalogue has no price for the GPU {gpu!r}: give one")
    return float(min(prices))


def gpu_hours(setting: GpuRightsizing, situation: Situation) -> pd.DataFrame:
    """The evidence, one row per hour of the window. Columns: hour (UTC), busy_today (GPU-hours of work), running (replica-hours billed then),
    cost (Decimal, USD, simulated)."""
    if setting.gpu is None:
        raise InputError("choose a GPU to move to")
    load = gpu_load(situation, setting.resources)
    running = _replica_hours(setting, situation, load)
    price = price_of(setting.gpu) if setting.usd_per_hour is None else setting.usd_per_hour
    return pd.DataFrame(
        {
            "hour": (load.hours * 3_600_000_000).astype("datetime64[us]"),
            "busy_today": load.busy.sum(axis=0),
            "running": running,
            "cost": [cents(hours * setting.gpus * price) for hours in running.tolist()],
        }
    )


def gpu_options(setting: GpuRightsizing, situation: Situation) -> pd.DataFrame:
    """What every GPU of the catalogue would cost under the setting (its own price aside), the cheapest first.

    Columns: gpu, fits, memory_share, usd_per_hour (Decimal, one GPU), tokens_per_second (one replica), gpu_hours and cost (Decimal, USD per month,
    simulated), saving; the last four are None where the model does not fit.
    """
    load = gpu_load(situation, setting.resources)
    needed = memory_needed(
        model_of(setting, load), bits=setting.bits, context=setting.context, batch=setting.batch
    ).total
    scale = situation.window.scale_to_month
    rows: list[dict[str, Any]] = []
    for name in sorted(known_gpus()["gpu"].unique()):
        trial = setting.tokens_per_second if name == setting.gpu else None
        one = replace(setting, gpu=name, usd_per_hour=None, tokens_per_second=trial)
        memory = find_gpu(name).memory * one.gpus
        row: dict[str, Any] = {
            "gpu": name, "fits": needed <= memory, "memory_share": needed / memory, "usd_per_hour": cents(price_of(name)),
            "tokens_per_second": None, "gpu_hours": None, "cost": None, "saving": None,
        }  # fmt: skip
        if row["fits"]:
            after = one.apply(situation)
            row["tokens_per_second"] = speeds(one, situation, load).then
            row["gpu_hours"] = float(_replica_hours(one, situation, load).sum()) * one.gpus * scale
            row["cost"] = cents(_cost(after.infrastructure) * scale)
            row["saving"] = cents(_cost(situation.infrastructure) * scale) - row["cost"]
        rows.append(row)
    rows.sort(key=lambda row: (row["cost"] is None, row["cost"] or 0, row["gpu"]))
    return pd.DataFrame(rows, dtype=object)


def _cost(infrastructure: Infrastructure) -> float:
    return infrastructure.cost(GPU_CATEGORY)

"""How many tokens a GPU makes per second: the roofline, and how near to it the measured ones come.

One decoding step makes one token for every sequence of the batch and takes max((weights + KV cache of the batch) / bandwidth, 2 x parameters x
batch / FLOPs). That is an upper bound (Williams, Waterman, Patterson 2009, applied to decoding); `efficiency` is the part of it that is reached.
Quantised weights are read as such but computed with at 16 bits, so FLOPs are the 16-bit ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from analytics.simulators.lever import checked
from analytics.simulators.vram import Architecture, check_bits
from warehouse.errors import InputError
from warehouse.gpu_catalogue import gpu_catalogue

EFFICIENCY = 0.6


@lru_cache(maxsize=1)
def known_gpus() -> pd.DataFrame:
    """The GPU catalogue, read once; not to be changed."""
    return gpu_catalogue()


@dataclass(frozen=True)
class Gpu:
    """What one GPU can do: bytes of memory, bytes per second, 16-bit operations per second."""

    name: str
    memory: float
    bandwidth: float
    flops: float


def find_gpu(name: str, catalogue: pd.DataFrame | None = None) -> Gpu:
    """The GPU of this catalogue name ("L4"). Raises InputError that lists the names there are."""
    return _known_gpu(name) if catalogue is None else _found(name, catalogue)


@lru_cache(maxsize=256)
def _known_gpu(name: str) -> Gpu:
    return _found(name, known_gpus())


def _found(name: str, frame: pd.DataFrame) -> Gpu:
    rows = frame[frame["gpu"] == name]
    if rows.empty:
        raise InputError(f"the catalogue has no GPU {name!r}; choose {', '.join(sorted(frame['gpu'].unique()))}")
    row = rows.iloc[0]
    return Gpu(
        name,
        float(row["memory_gb"]) * 1e9,
        float(row["memory_bandwidth_gb_s"]) * 1e9,
        float(row["fp16_tflops"]) * 1e12,
    )


def decode_tokens_per_second(
    model: Architecture,
    gpu: Gpu,
    *,
    bits: int = 16,
    context: int = 2048,
    batch: int = 1,
    efficiency: float = EFFICIENCY,
    gpus: int = 1,
) -> float:
    """Output tokens per second of all sequences of the batch together, on `gpus` GPUs that share the model without loss.

    Of a mixture of experts one sequence reads the active parameters; of a batch, each further sequence reads others with the same chance.
    """
    check_bits(bits)
    checked(efficiency, "the efficiency", 0.01, 1)
    checked(batch, "the batch", 1, 100_000)
    active = model.active_parameters / model.parameters
    read = model.weight_bytes(bits) * (1 - (1 - active) ** batch)
    moved = (read + model.kv_bytes_per_token() * context * batch) / (gpu.bandwidth * gpus)
    computed = 2 * model.active_parameters * batch / (gpu.flops * gpus)
    return efficiency * batch / max(moved, computed)


def prefill_tokens_per_second(model: Architecture, gpu: Gpu, *, efficiency: float = EFFICIENCY, gpus: int = 1) -> float:
    """Input tokens per second."""
    checked(efficiency, "the efficiency", 0.01, 1)
    return efficiency * gpu.flops * gpus / (2 * model.active_parameters)


def measured_throughput(utilization: pd.DataFrame) -> pd.DataFrame:
    """Measured tokens per second of one GPU, by kind of GPU, where requests were served and a figure was logged.

    Columns: gpu, tokens_per_second (mean over hours, weighted by the busy share of the hour), hours.
    """
    columns = ["gpu", "tokens_per_second", "hours"]
    if utilization.empty:
        return pd.DataFrame(columns=columns)
    speed = utilization["tokens_per_second"].to_numpy(dtype=np.float64)
    busy = utilization["gpu_utilization"].to_numpy(dtype=np.float64)
    count = utilization["gpu_count"].fillna(1).to_numpy(dtype=np.float64)
    told = (speed > 0) & (busy > 0) & utilization["gpu"].notna().to_numpy()
    frame = pd.DataFrame(
        {"gpu": utilization["gpu"].astype(str)[told], "speed": (speed / count * busy)[told], "busy": busy[told]}
    )
    sums = frame.groupby("gpu", sort=True).agg(speed=("speed", "sum"), busy=("busy", "sum"), hours=("busy", "size"))
    sums["tokens_per_second"] = sums["speed"] / sums["busy"]
    return sums.reset_index()[columns]

"""How much memory a model needs on a GPU, and which GPUs have it.

Memory = parameters x bits / 8 + KV cache + 10 % of both + 1.5 GB for the runtime, where the KV cache holds, for every token of context and
every sequence of the batch, 2 (key and value) x layers x KV heads x head size x bytes. Models that keep it in another form (compressed attention,
sliding windows) state their bytes per token in `data/model_architectures.csv`, or the reader does.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from analytics.simulators.lever import checked
from warehouse.configuration import DATA
from warehouse.errors import InputError
from warehouse.gpu_catalogue import gpu_catalogue

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

FILE = DATA / "model_architectures.csv"
OVERHEAD_SHARE = 0.10
RUNTIME_BYTES = 1_500_000_000
GIB = 2**30
GB = 10**9
MAX_GPUS = 8
"""Models are split over 1, 2, 4 or 8 GPUs of one instance; across instances is out of scope."""


@dataclass(frozen=True)
class Architecture:
    """What a model's memory and speed depend on. active_parameters: those that one token uses (mixtures of experts use few of them).

    stated_kv_bytes: bytes of cache per token at 16 bits, where the plain rule does not hold.
    """

    name: str
    parameters: int
    active_parameters: int
    layers: int = 0
    kv_heads: int = 0
    head_dim: int = 0
    stated_kv_bytes: float | None = None
    source: str = ""

    def kv_bytes_per_token(self, kv_bits: int = 16) -> float:
        """Bytes of KV cache per token."""
        if self.stated_kv_bytes is not None:
            return self.stated_kv_bytes * kv_bits / 16
        return 2 * self.layers * self.kv_heads * self.head_dim * kv_bits / 8

    def weight_bytes(self, bits: int = 16) -> float:
        """Bytes of weights."""
        return self.parameters * bits / 8


@dataclass(frozen=True)
class Memory:
    """Bytes that a model needs while it serves."""

    weights: float
    kv_cache: float
    overhead: float

    @property
    def total(self) -> float:
        """Bytes in all."""
        return self.weights + self.kv_cache + self.overhead


def read_architectures(path: Path | None = None) -> dict[str, Architecture]:
    """Models by name, from `data/model_architectures.csv` (edit it freely). Raises InputError that names file and row for what is unreadable."""
    file = path or FILE
    found: dict[str, Architecture] = {}
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            for number, row in enumerate(csv.DictReader(lines), start=2):
                try:
                    found[row["model"]] = _architecture(row)
                except (KeyError, TypeError, ValueError) as error:
                    raise InputError(f"not a usable model: {error}", file=file.name, row=number) from error
    except FileNotFoundError as error:
        raise InputError("there is no list of models", file=file.name) from error
    return found


def _architecture(row: dict[str, str]) -> Architecture:
    parameters = int(row["parameters"])
    if parameters <= 0:
        raise ValueError("a model has more than 0 parameters")
    stated = float(row["kv_bytes_per_token"]) if row["kv_bytes_per_token"] else None
    layers, heads, size = (int(row[name] or 0) for name in ("layers", "kv_heads", "head_dim"))
    if stated is None and not (layers and heads and size):
        raise ValueError("layers, kv_heads and head_dim, or kv_bytes_per_token, must be given")
    active = int(row["active_parameters"]) if row["active_parameters"] else parameters
    return Architecture(row["model"], parameters, active, layers, heads, size, stated, row["source"])


@lru_cache(maxsize=1)
def _known() -> dict[str, Architecture]:
    return read_architectures()


def find_architecture(name: str) -> Architecture:
    """The model of this name ("llama-3.1-8b", "meta-llama/Llama-3.1-8B-Instruct"). Raises InputError that lists the names there are."""
    bare = name.lower().rsplit("/", 1)[-1].removeprefix("meta-").removesuffix("-instruct")
    try:
        return _known()[bare]
    except KeyError:
        raise InputError(
            f"the shape of the model {name!r} is not known; choose {', '.join(_known())}, or add it to {FILE.name}"
        ) from None


def check_bits(bits: int, what: str = "the precision") -> int:
    """`bits` when it is 16, 8 or 4. Raises InputError otherwise."""
    if bits not in (16, 8, 4):
        raise InputError(f"{what} must be 16, 8 or 4 bits, not {bits}")
    return bits


def memory_needed(
    model: Architecture, *, bits: int = 16, context: int = 2048, batch: int = 1, kv_bits: int = 16
) -> Memory:
    """Memory for `batch` sequences of `context` tokens each. Raises InputError for settings out of range."""
    check_bits(bits)
    check_bits(kv_bits, "the precision of the KV cache")
    checked(context, "the context in tokens", 1, 10_000_000)
    checked(batch, "the batch", 1, 100_000)
    weights, cache = model.weight_bytes(bits), model.kv_bytes_per_token(kv_bits) * context * batch
    return Memory(weights, cache, OVERHEAD_SHARE * (weights + cache) + RUNTIME_BYTES)


def fitting_gpus(needed: Memory, catalogue: pd.DataFrame | None = None) -> pd.DataFrame:
    """Rows of the GPU catalogue whose instance holds `needed`, the cheapest first (unknown prices last).

    Columns: those of `gpu_catalogue`, gpus_needed (1, 2, 4 or 8), usd_per_hour (Decimal: of the GPUs needed, at the instance's price per
    GPU), memory_share (part of their memory that is used). An instance is taken in parts only as the price per GPU goes; `gpu_count` says
    what can be rented.
    """
    frame = (gpu_catalogue() if catalogue is None else catalogue).copy()
    need = np.ceil(needed.total / (frame["memory_gb"].to_numpy(dtype=np.float64) * GB))
    frame["gpus_needed"] = np.where(need <= MAX_GPUS, 2 ** np.ceil(np.log2(need)), np.inf)
    frame = frame[frame["gpus_needed"] <= frame["gpu_count"].to_numpy(dtype=np.float64)].copy()
    frame["gpus_needed"] = frame["gpus_needed"].astype(int)
    frame["usd_per_hour"] = [
        price * count for price, count in zip(frame["on_demand_usd_per_gpu_hour"], frame["gpus_needed"], strict=True)
    ]
    frame["memory_share"] = needed.total / (frame["memory_gb"].astype(float) * GB * frame["gpus_needed"])
    return frame.sort_values("usd_per_hour", kind="stable", na_position="last").reset_index(drop=True)

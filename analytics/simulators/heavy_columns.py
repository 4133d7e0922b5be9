"""Columns of calls that only some levers need, loaded when a lever asks and kept.

Numbers are numpy arrays of one element per call, in the workload's order. Lists (the prefix blocks of a prompt) are in compressed rows:
offsets (int64, one more than calls) into one flat array.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from analytics.simulators.embedding import StoredVectors

NUMBERS = ("latency_ms", "time_to_first_token_ms", "max_tokens", "complexity", "is_stream", "was_cut", "converted")
"""Heavy columns of numbers, float32, NaN where not known. was_cut: 1 where the output ran into its limit (finish_reason "length")."""

KEYS = ("input_hash", "session", "trace", "call_key")
"""Heavy columns of 64-bit keys (uint64): equal keys, equal values; 0: not known. call_key: one per call."""

CODES = ("prompt_name", "prompt_version", "answer")
"""Heavy columns of codes (int32, -1: not known) with their names."""


@dataclass(frozen=True, eq=False)
class Coded:
    """Codes (int32; -1: not known) into `names`."""

    codes: NDArray[np.int32]
    names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Lists:
    """A list per call: call i has `values[offsets[i]:offsets[i + 1]]`."""

    offsets: NDArray[np.int64]
    values: NDArray[np.uint64]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """How many elements each call has."""
        return np.diff(self.offsets)


class Loader(Protocol):
    """Where heavy columns come from."""

    def call_ids(self, places: NDArray[np.int64]) -> list[str | None]:
        """The ids of a few calls."""

    def __call__(self, name: str) -> Any:
        """The column of this name: an array, `Coded` or `Lists`. Raises KeyError when there is no such column."""


class HeavyColumns:
    """Heavy columns of one workload: each is loaded once, by the first who asks, and shared by all states of the workload."""

    def __init__(self, size: int, loader: Loader | None = None, given: Mapping[str, Any] | None = None) -> None:
        self._size = size
        self._loader = loader
        self._found: dict[str, Any] = dict(given or {})
        self._lock = threading.RLock()

    def numbers(self, name: str) -> NDArray[np.float32]:
        """A column of `NUMBERS`; all NaN when nothing is known."""
        return self._get(name, NUMBERS, lambda: np.full(self._size, np.nan, dtype=np.float32))

    def keys(self, name: str) -> NDArray[np.uint64]:
        """A column of `KEYS`; all 0 when nothing is known."""
        return self._get(name, KEYS, lambda: np.zeros(self._size, dtype=np.uint64))

    def coded(self, name: str) -> Coded:
        """A column of `CODES`, or a label of the calls as "label:NAME"."""
        names = (*CODES, name) if name.startswith("label:") else CODES
        return self._get(name, names, lambda: Coded(np.full(self._size, -1, dtype=np.int32), ()))

    def prefix_blocks(self) -> Lists:
        """Hashes of the cumulative prompt prefix, one per block; an empty list where not known."""
        empty = Lists(np.zeros(self._size + 1, dtype=np.int64), np.zeros(0, dtype=np.uint64))
        return self._get("prefix_blocks", ("prefix_blocks",), lambda: empty)

    def texts(self) -> Coded:
        """The normalised prompt texts that the owner chose to keep: codes into the distinct texts."""
        return self._get("text", ("text",), lambda: Coded(np.full(self._size, -1, dtype=np.int32), ()))

    def embedders(self) -> tuple[str, ...]:
        """The ids of what made the vectors that lie beside the texts, in order."""
        return self._get("embedders", ("embedders",), lambda: ())

    def vectors(self) -> Mapping[str, StoredVectors]:
        """The vectors that lie beside the texts, by the id of what made them; each distinct text has one at most."""
        return self._get("vectors", ("vectors",), dict)

    def call_ids(self, places: NDArray[np.int64]) -> list[str | None]:
        """The ids, as the source wrote them, of the calls at these few places; None where not known."""
        return self._loader.call_ids(places) if self._loader else [None] * len(places)

    def _get(self, name: str, known: tuple[str, ...], nothing: Callable[[], Any]) -> Any:
        if name not in known:
            raise KeyError(name)
        if name in self._found:  # what is there is never waited for
            return self._found[name]
        with self._lock:
            if name not in self._found:
                self._found[name] = self._loader(name) if self._loader else nothing()
            return self._found[name]

"""What levers keep: once made, dropped by age and by memory, never what was just made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.simulators.situation import Memo, array_bytes


@dataclass(frozen=True)
class Held:
    name: str
    values: NDArray[np.float64]


def test_a_value_is_made_once() -> None:
    made: list[int] = []
    memo = Memo()
    for _ in range(3):
        assert memo.get("a", lambda: made.append(1) or "value") == "value"
    assert made == [1]


def test_beyond_its_size_the_least_recently_used_goes() -> None:
    memo = Memo(2)
    for name in ("a", "b"):
        memo.get(name, lambda name=name: name)
    memo.get("a", lambda: "again")
    memo.get("c", lambda: "c")
    assert memo.get("a", lambda: "new") == "a"
    assert memo.get("b", lambda: "new") == "new"


def test_beyond_its_memory_large_values_go_and_small_ones_stay() -> None:
    memo = Memo(64, memory=1_000_000)
    memo.get("small", lambda: np.zeros(10))
    for place in range(3):
        memo.get(place, lambda: Held("large", np.zeros(50_000)))
    assert memo.get("small", lambda: None) is not None
    assert memo.get(0, lambda: None) is None
    assert memo.get(2, lambda: None) is not None
    # One value that is larger than all that may be kept is there until the next.
    memo.get("huge", lambda: np.zeros(1_000_000))
    assert memo.get("huge", lambda: None) is not None


def test_bytes_are_those_of_arrays_wherever_they_lie() -> None:
    values = np.zeros(100)
    assert array_bytes(Held("a", values)) == 800
    assert array_bytes({"a": (values, [values]), "b": np.zeros(50)}) == 1200
    assert array_bytes(np.broadcast_to(np.float64(1), 1000)) == 0
    assert array_bytes("text") == 0

"""A number between 0 and 1 for every call, by which "40 % of these calls" are chosen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def draws_of(started_at: NDArray[np.int64], salt: int = 0) -> NDArray[np.float64]:
    """One number in [0, 1) per call, from its time and, among calls of the same microsecond, its place; an independent one for each `salt`.

    started_at: microseconds since 1970, rising. By splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
    """
    new_time = np.flatnonzero(np.diff(started_at, prepend=-1) != 0)
    place = np.arange(len(started_at)) - np.repeat(new_time, np.diff(new_time, append=len(started_at)))
    with np.errstate(over="ignore"):
        mixed = started_at.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15) * np.uint64(salt + 1)
        mixed ^= place.astype(np.uint64) << np.uint64(52)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53

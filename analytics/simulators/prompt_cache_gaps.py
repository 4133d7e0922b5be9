"""How long ago each part of a prompt's prefix was last sent: the one thing that a replay of a prompt cache needs, whatever its life.

A cache without a limit of size, whose reads start the life anew, holds a block of a prefix exactly when a call used it within the life. Every call
uses all blocks of its prefix, so a block's beginning was never used longer ago than the block itself: along a prompt the gaps
only grow, and the longest live prefix is all blocks whose gap is at most the life. Gaps are found once; a life is then a comparison.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.simulators.heavy_columns import Lists

NEVER = np.iinfo(np.int64).max
"""The gap of what no earlier call sent."""


@dataclass(frozen=True, eq=False)
class Runs:
    """Blocks of one call, one after another, that were last used by the same earlier call; in no order.

    call: place of the call (int32). gap: microseconds since that use, `NEVER` for none (int64). first, count: which blocks (int32).
    """

    call: NDArray[np.int32]
    gap: NDArray[np.int64]
    first: NDArray[np.int32]
    count: NDArray[np.int32]


def prefix_gaps(
    group: NDArray[np.int32], started_at: NDArray[np.int64], blocks: Lists, counts: NDArray[np.int64]
) -> Runs:
    """The runs of all calls, which come in order of time.

    group: calls share a cache with those of the same number only; -1: takes no part. blocks: hashes of the cumulative prefix, one per block.
    counts: how many blocks of each call are cached. Equal times count in the order of the calls: the later one finds the earlier.

    Walks down the prompts block by block, with the calls sorted so that those with the same prefix lie together in order of time. They are sorted
    again only where prompts part; a call whose prefix nobody shares leaves.
    """
    walk = _Walk(started_at, counts)
    at = np.flatnonzero((group >= 0) & (counts > 0))
    at = at[np.argsort(group[at], kind="stable")]
    key = group[at].astype(np.int64)
    level = 0
    while len(at):
        value = blocks.values[blocks.offsets[at] + level]
        same = key[1:] == key[:-1]
        parts = same & (value[1:] != value[:-1])
        if parts.any():
            at, key, value = _parted(at, key, value, parts)
            same = (key[1:] == key[:-1]) & (value[1:] == value[:-1])
        if level == 0 or parts.any() or walk.has_left:
            walk.see(at, same, level)
        starts = np.concatenate([[True], ~same])
        key = np.cumsum(starts)
        level += 1
        alone = starts & np.concatenate([~same, [True]])
        ends = counts[at] == level
        gone = alone | ends
        walk.leave(at[gone])
        at, key = at[~gone], key[~gone]
    return walk.runs()


def _parted(
    at: NDArray[np.intp], key: NDArray[np.int64], value: NDArray[np.uint64], parts: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], NDArray[np.int64], NDArray[np.uint64]]:
    """The calls sorted by the next block too, in the groups that part there; calls with the same block stay in order of time."""
    number = np.cumsum(np.concatenate([[0], key[1:] != key[:-1]]))
    is_parted = np.zeros(int(number[-1]) + 1, dtype=bool)
    is_parted[number[1:][parts]] = True
    places = np.flatnonzero(is_parted[number])
    order = places[np.lexsort((value[places], number[places]))]
    at, key, value = at.copy(), key.copy(), value.copy()
    at[places], key[places], value[places] = at[order], key[order], value[order]
    return at, key, value


class _Walk:
    """What is known of each call on the way down: since which block its gap is what it is."""

    def __init__(self, started_at: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
        self._time, self._counts = started_at, counts
        self._gap = np.full(len(counts), -1, dtype=np.int64)
        self._since = np.zeros(len(counts), dtype=np.int32)
        self._found: list[tuple[NDArray, ...]] = []
        self.has_left = False

    def see(self, at: NDArray[np.intp], same: NDArray[np.bool_], level: int) -> None:
        """The gaps at this level: since the call before, among those that are the `same` up to here."""
        time = self._time[at]
        gap = np.full(len(at), NEVER, dtype=np.int64)
        gap[1:][same] = (time[1:] - time[:-1])[same]
        differs = gap != self._gap[at]
        changed = at[differs]
        if level:
            self._emit(changed, level - self._since[changed])
        self._gap[changed] = gap[differs]
        self._since[changed] = level

    def leave(self, at: NDArray[np.intp]) -> None:
        """These calls end here, or nobody shares their prefix up to here: then nobody shares the rest, and its gap stays `NEVER`."""
        self.has_left = bool(len(at))
        self._emit(at, self._counts[at].astype(np.int32) - self._since[at])

    def _emit(self, at: NDArray[np.intp], count: NDArray[np.int32]) -> None:
        some = count > 0
        at, count = at[some], count[some]
        self._found.append((at.astype(np.int32), self._gap[at], self._since[at], count.astype(np.int32)))

    def runs(self) -> Runs:
        if not self._found:
            nothing = np.zeros(0, dtype=np.int32)
            return Runs(nothing, nothing.astype(np.int64), nothing, nothing)
        call, gap, first, count = (np.concatenate(parts) for parts in zip(*self._found, strict=True))
        return Runs(call, gap, first, count)

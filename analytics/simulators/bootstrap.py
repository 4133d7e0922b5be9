"""How far a what-if's money could be off because other days, or other users, might have come: a cluster bootstrap.

Days are drawn in blocks of seven that follow each other (moving blocks, Künsch 1989; circular, Politis and Romano 1992), so that weekdays and runs
stay together; users are drawn whole, so that one heavy user is in or out. The wider of the two is the range. Never single calls: they are
not independent. What does not depend on who came (a resource's price) is only in the draw of days.

It says nothing about a lever's parameters, nor about another mix of traffic than the one replayed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from warehouse.errors import InputError

BLOCK = 7
DRAWS = 1000
SEED = 20_260_501
CONFIDENCE = 0.95
GROUPS = 2000
"""Users are resampled one by one up to this number; beyond, in as many random groups of users, whose sums spread the same in expectation."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Range:
    """From `low` to `high` around `point`; `by` says which resampling was the wider, "none": there was nothing to resample."""

    point: float
    low: float
    high: float
    by: Literal["days", "users", "none"]

    @property
    def width(self) -> float:
        """high - low."""
        return self.high - self.low

    def scaled(self, factor: float) -> Range:
        """The same in another unit, such as a month instead of the window."""
        ends = sorted((self.low * factor, self.high * factor))
        return Range(self.point * factor, ends[0], ends[1], self.by)


@lru_cache(maxsize=4)
def day_weights(days: int, draws: int = DRAWS, seed: int = SEED, block: int = BLOCK) -> Floats:
    """How often each day is in each draw [draw, day]: circular blocks of `block` days until the period is as long as it was.

    The last few are kept, and read-only: drawing them takes longer than all that is then done with them.
    """
    if days < 1 or draws < 1:
        raise InputError("a range needs at least one day and one draw")
    random = np.random.default_rng(seed)
    length = min(block, days)
    blocks = -(-days // length)
    starts = random.integers(0, days, (draws, blocks))
    drawn = (starts[:, :, None] + np.arange(length)) % days
    drawn = drawn.reshape(draws, -1)[:, :days]
    place = (np.arange(draws)[:, None] * days + drawn).ravel()
    counts: Floats = np.bincount(place, minlength=draws * days).reshape(draws, days).astype(np.float64)
    counts.setflags(write=False)
    return counts


@lru_cache(maxsize=4)
def user_weights(users: int, draws: int = DRAWS, seed: int = SEED) -> Floats:
    """How often each user (or group of users) is in each draw [draw, user]: as many as there were, with replacement.

    Kept and read-only, as those of days.
    """
    if users < 1 or draws < 1:
        raise InputError("a range needs at least one user and one draw")
    random = np.random.default_rng(seed + 1)
    counts: Floats = random.multinomial(users, np.full(users, 1 / users), draws).astype(np.float64)
    counts.setflags(write=False)
    return counts


def user_groups(user: NDArray[np.int32]) -> tuple[NDArray[np.int64], int]:
    """A resampling group per call (-1: its user is not known) and how many groups there are.

    Each user is a group, unless there are more than `GROUPS`: then users are dealt to that many groups at random, the same every time.
    """
    users = int(user.max(initial=-1)) + 1
    if users <= GROUPS:
        return user.astype(np.int64), users
    dealt = np.random.default_rng(SEED).permutation(users) % GROUPS
    return np.where(user >= 0, dealt[user], -1), GROUPS


def interval(daily: Floats, by_user: Floats | None = None, fixed: float = 0.0, confidence: float = CONFIDENCE, *,
             draws: int = DRAWS, seed: int = SEED) -> Range:  # fmt: skip
    """The range of a sum whose parts by day are `daily`, and by user `by_user` (what no user stands behind is `fixed`).

    The percentile interval of each resampling, the wider of the two; it contains the sum itself. Without any spread its width is 0.
    """
    return intervals(
        daily[None, :], None if by_user is None else by_user[None, :], [fixed], confidence, draws=draws, seed=seed
    )[0]


def intervals(daily: Floats, by_user: Floats | None, fixed: list[float], confidence: float = CONFIDENCE, *,
              draws: int = DRAWS, seed: int = SEED) -> list[Range]:  # fmt: skip
    """`interval` of several sums at once, under the same draws: `daily` is [sum, day], `by_user` [sum, user]."""
    if not 0 < confidence < 1:
        raise InputError(f"a confidence lies between 0 and 1, not at {confidence:g}")
    points = daily.sum(axis=1)
    found = [Range(float(point), float(point), float(point), "none") for point in points]
    tails = [100 * (1 - confidence) / 2, 100 * (1 + confidence) / 2]
    choices: list[tuple[Literal["days", "users"], Floats]] = []
    if daily.shape[1] > 1:
        choices.append(("days", _spread(daily, day_weights(daily.shape[1], draws, seed))))
    if by_user is not None and by_user.shape[1] > 1:
        choices.append(
            ("users", _spread(by_user, user_weights(by_user.shape[1], draws, seed)) + np.array(fixed)[:, None])
        )
    for by, sums in choices:
        ends = np.percentile(sums, tails, axis=1)
        for place, point in enumerate(points):
            # The same parts added in another order differ in their last digits: that is no spread.
            tiny = 1e-9 * max(abs(float(point)), float(np.abs(daily[place]).sum()), 1e-12)
            low, high = (float(point) if abs(end - point) <= tiny else float(end) for end in ends[:, place])
            if high - low > found[place].width:
                found[place] = Range(float(point), min(low, float(point)), max(high, float(point)), by)
    return found


def _spread(parts: Floats, weights: Floats) -> Floats:
    """Sums [sum, draw]; parts that are all the same sum to the same in every draw, to the bit.

    Not as a product of matrices: the threads of the linear algebra library wait for each other, which on a busy machine took 40 ms instead of 1.
    """
    base = parts[:, :1]
    sums: Floats = np.einsum("sp,dp->sd", parts - base, weights) + base * weights.sum(axis=1)
    return sums

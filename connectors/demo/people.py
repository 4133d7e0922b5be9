"""Who uses the product: synthetic users, the days on which they come, and who makes which call."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from connectors.demo.shares import Numbers, apportion
from connectors.demo.story import TIERS, Story


@dataclass(frozen=True)
class People:
    """The users and their active days.

    `tier` is the tier code per user. `day` and `user` list every active day of every user. `cumulative` are running
    weights over that list, ordered by day and tier, whose pieces `first` and `last` (per day and tier) serve to draw callers.
    """

    tier: NDArray[np.int64]
    day: NDArray[np.int64]
    user: NDArray[np.int64]
    cumulative: Numbers
    first: NDArray[np.int64]
    last: NDArray[np.int64]

    def active_by_day(self, days: int) -> NDArray[np.int64]:
        """Distinct users per day."""
        return np.bincount(self.day, minlength=days)

    def callers(
        self, random: np.random.Generator, day: NDArray[np.int64], tier: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """One active user of that day and tier per call, eager ones more often."""
        low = np.where(self.first[day, tier] > 0, self.cumulative[self.first[day, tier] - 1], 0.0)
        high = self.cumulative[self.last[day, tier] - 1]
        place = np.searchsorted(self.cumulative, low + (high - low) * random.random(len(day)), side="right")
        return self.user[place.clip(self.first[day, tier], self.last[day, tier] - 1)]


def invite(story: Story) -> People:
    """Draw the users and the days on which they come; the mean of the daily users is that of the file, exactly, in every month."""
    random = story.random("people")
    settings = story.raw["people"]
    pool = settings["pool"]
    shares = np.array([settings["tiers"][name] for name in TIERS])
    tier = random.permutation(np.repeat(np.arange(len(TIERS)), apportion(shares, pool[-1])))
    eager = np.array([settings["eagerness"][name] for name in TIERS])[tier]
    comes = eager * np.exp(1.5 * random.standard_normal(len(tier)))
    does = eager * np.exp(1.0 * random.standard_normal(len(tier)))
    days, users = [], []
    for month in range(len(story.months)):
        in_month = story.days_in(month)
        weight = np.where(story.weekend[in_month], settings["weekend"], 1.0) * random.normal(1.0, 0.03, len(in_month))
        counts = apportion(weight, settings["daily_active_users"][month] * len(in_month))
        before = pool[month - 1] if month else pool[0]
        for place, (day, count) in enumerate(zip(in_month, counts, strict=True)):
            registered = round(before + (pool[month] - before) * (place + 1) / len(in_month))
            liking = np.log(comes[:registered]) + random.gumbel(size=registered)
            chosen = np.sort(np.argpartition(-liking, count)[:count])
            days.append(np.full(count, day))
            users.append(chosen)
    day, user = np.concatenate(days), np.concatenate(users)
    order = np.lexsort((user, tier[user], day))
    day, user = day[order], user[order]
    cell = day * len(TIERS) + tier[user]
    cells = np.arange(len(story.dates) * len(TIERS))
    first = np.searchsorted(cell, cells, side="left").reshape(-1, len(TIERS))
    last = np.searchsorted(cell, cells, side="right").reshape(-1, len(TIERS))
    return People(tier, day, user, np.cumsum(does[user]), first, last)


def activity(story: Story, people: People) -> pa.Table:
    """One row per active user and day: date_number (days since 1970), user number, tier."""
    since = (story.start.toordinal()) - 719163
    return pa.table(
        {
            "date": pa.array((people.day + since).astype(np.int32), pa.int32()).cast(pa.date32()),
            "user": pa.array(people.user),
            "user_tier": pa.DictionaryArray.from_arrays(
                pa.array(people.tier[people.user].astype(np.int8)), pa.array(TIERS)
            ),
        }
    )

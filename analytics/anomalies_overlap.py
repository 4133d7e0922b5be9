"""How much of one series' cost lies in another: by which an event that shows in several series is told once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analytics.anomalies_series import DIMENSIONS, TOTAL, USER
from analytics.filters import UNTAGGED, Filters, apply
from analytics.ledger import MODEL_CATEGORIES, ledger
from warehouse.reader import Warehouse

if TYPE_CHECKING:
    from analytics.anomalies_episodes import Episode


@dataclass(frozen=True)
class Overlap:
    """Costs of some days by the ledger's dimensions, and those of users by feature and tier."""

    cells: pd.DataFrame
    users: pd.DataFrame

    def share(self, narrow: str, wide: str) -> Decimal:
        """Part of the cost of series `narrow` that lies in series `wide`, 0 to 1."""
        if wide in (TOTAL, narrow):
            return Decimal(1)
        if narrow == TOTAL:
            return Decimal(0)
        if narrow.startswith(f"{USER}:"):
            return self._share_of_user(narrow, wide)
        inside = _matches(self.cells, narrow)
        whole = float(np.abs(self.cells["cost"].to_numpy()[inside]).sum())
        if not whole or wide.startswith(f"{USER}:"):
            return Decimal(0)
        both = inside & _matches(self.cells, wide)
        return Decimal(repr(round(float(np.abs(self.cells["cost"].to_numpy()[both]).sum()) / whole, 6)))

    def _share_of_user(self, user: str, wide: str) -> Decimal:
        """Users are known from calls alone: which feature and tier, and that they use models."""
        dimension, _, value = wide.partition(":")
        if dimension == "category":
            return Decimal(value in MODEL_CATEGORIES)
        if dimension not in ("feature", "user_tier"):
            return Decimal(0)
        mine = _matches(self.users, user)
        whole = float(self.users["cost"].to_numpy()[mine].sum())
        both = mine & _matches(self.users, wide)
        return (
            Decimal(repr(round(float(self.users["cost"].to_numpy()[both].sum()) / whole, 6))) if whole else Decimal(0)
        )


def overlap(warehouse: Warehouse, filters: Filters, episodes: Sequence[Episode]) -> Overlap:
    """The overlap of the episodes' series, over the days from the first to the last of them."""
    names = list(DIMENSIONS)
    if not episodes:
        return Overlap(pd.DataFrame(columns=[*names, "cost"]), pd.DataFrame(columns=["user", "cost"]))
    first = min(episode.first_day for episode in episodes)
    last = max(episode.last_day for episode in episodes)
    period = replace(filters, start=first, end=last)
    rows = apply(ledger(warehouse), period)
    amount = rows[filters.basis]
    cells = rows.filter(amount.notnull(), ~rows.is_credit).group_by(names).agg(cost=amount.sum().cast("float64"))
    dear = [episode.series.partition(":")[2] for episode in episodes if episode.series.startswith(f"{USER}:")]
    days = apply(warehouse.table("user_days"), period)
    days = days.filter(days.user_id.isin(dear or [""]))
    users = days.group_by(user=days.user_id, feature=days.feature, user_tier=days.user_tier).agg(
        cost=days.cost.sum().cast("float64")
    )
    return Overlap(warehouse.frame(cells), warehouse.frame(users).fillna({"cost": 0.0}))


def _matches(cells: pd.DataFrame, series: str) -> np.ndarray:
    dimension, _, value = series.partition(":")
    column = cells[dimension]
    return np.asarray(column.isna() if value == UNTAGGED else (column == value), dtype=bool)

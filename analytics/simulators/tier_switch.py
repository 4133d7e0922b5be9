"""Switching a feature off for a tier of users, and other prices for it: what stops being paid, and what stops being earned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analytics.ratios import gross_margin
from analytics.simulators.lever import EVERY_CALL, Selection, checked, lever
from analytics.simulators.situation import Situation
from warehouse.errors import InputError


@lever
@dataclass(frozen=True)
class SwitchOff:
    """The chosen calls are not made any more. share: of them (a limit lets some through)."""

    name: ClassVar[str] = "switch-off"
    title: ClassVar[str] = "Switching a feature off"
    calls: Selection = EVERY_CALL
    share: float = 0.0

    def __post_init__(self) -> None:
        checked(self.share, "the share of the calls that are switched off", 0, 1)
        if self.share and self.calls == EVERY_CALL:
            raise InputError("say which feature and tier are switched off: all calls would be")

    @classmethod
    def neutral(cls) -> SwitchOff:
        return cls()

    def touches(self, situation: Situation) -> NDArray[np.bool_]:
        return self.calls.mask(situation.workload)

    def apply(self, situation: Situation) -> Situation:
        if self.share == 0:
            return situation
        return situation.vanish(self.touches(situation) & (situation.workload.draws(SALT) < self.share))

    def assumptions(self) -> list[str]:
        return [
            f"{self.share:.0%} of these calls are not made: {self.calls.words}. What they earn today is lost too; it is no part of this cost.",
            "Nobody calls another feature instead.",
            "What the feature shares with others (GPUs, databases) costs as today.",
        ]


SALT = 47
"""Of the lots by which calls are chosen."""


@dataclass(frozen=True)
class TierResult:
    """A feature and tier today and then, over the period of the margins. Amounts in `currency`, None where not known.

    saving: cost that stops. lost: revenue that stops (negative: revenue gained). result: what is left over more than today.
    """

    cost: Decimal
    revenue: Decimal | None
    new_cost: Decimal
    new_revenue: Decimal | None
    currency: str | None

    @property
    def saving(self) -> Decimal:
        """Cost that stops."""
        return self.cost - self.new_cost

    @property
    def lost(self) -> Decimal | None:
        """Revenue that stops."""
        return None if self.revenue is None or self.new_revenue is None else self.revenue - self.new_revenue

    @property
    def result(self) -> Decimal | None:
        """What is left over more than today."""
        return None if self.lost is None else self.saving - self.lost

    @property
    def new_margin(self) -> float | None:
        """Gross margin then, None without revenue."""
        margin = gross_margin(self.new_revenue, self.new_cost)
        return None if margin is None else float(margin)


def repriced_tier(
    margins: pd.DataFrame, feature: str, user_tier: str | None, *, price_change: float = 0.0, leaving: float = 0.0
) -> TierResult:
    """Another price: revenue x (1 + price_change), of which the share `leaving` of the users is lost, with the cost of their calls.

    price_change: 0.1 is 10 % more. Nothing changes at 0 and 0. Raises InputError for a pair without cost and for settings out of range.
    """
    return repricer(margins, feature, user_tier)(price_change, leaving)


def repricer(margins: pd.DataFrame, feature: str, user_tier: str | None) -> Callable[[float, float], TierResult]:
    """`repriced_tier` of one pair for many (price_change, leaving), its rows looked up once. Raises InputError as that does."""
    rows = _rows(margins, feature, user_tier)
    today = _today(rows)
    shared = sum((Decimal(each or 0) for each in rows["shared_by_calls"]), Decimal(0))

    def at(price_change: float, leaving: float) -> TierResult:
        checked(price_change, "the change of the price", -1, 100)
        checked(leaving, "the share of the users that leave", 0, 1)
        stay, factor = 1 - Decimal(repr(float(leaving))), 1 + Decimal(repr(float(price_change)))
        revenue = None if today.revenue is None else today.revenue * factor * stay
        return TierResult(today.cost, today.revenue, shared + (today.cost - shared) * stay, revenue, today.currency)

    return at


def _rows(margins: pd.DataFrame, feature: str, user_tier: str | None) -> pd.DataFrame:
    rows = margins[(margins["kind"] == "feature") & (margins["feature"] == feature)]
    if user_tier is not None:
        rows = rows[rows["user_tier"] == user_tier]
    rows = rows[rows["cost"].notna()]
    if rows.empty:
        tier = f" for the tier {user_tier!r}" if user_tier else ""
        raise InputError(f"the feature {feature!r} has no known cost{tier} in this period")
    return rows


def _today(rows: pd.DataFrame) -> TierResult:
    cost = sum(rows["cost"], Decimal(0))
    revenue = sum(rows["revenue"], Decimal(0)) if rows["revenue"].notna().all() else None
    return TierResult(cost, revenue, cost, revenue, rows["currency"].iloc[0])

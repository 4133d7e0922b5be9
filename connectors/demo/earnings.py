"""What the company earns: subscriptions, spread over the features, and a little per product description."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from connectors.demo import columns
from connectors.demo.columns import Columns
from connectors.demo.shares import apportion
from connectors.demo.story import MICROSECONDS_A_DAY, TIERS, Story

_MICROS = 1_000_000
_MICRO = Decimal("0.000001")


def revenue(story: Story, calls: Columns) -> pa.Table:
    """One row per date, feature and tier: amount in USD, conversions (NULL where the feature does not track them)."""
    features, tiers = len(story.feature_names), len(TIERS)
    ok = (calls["status"] == columns.SUCCESS) & (calls["tier"] >= 0) & (calls["operation"] == columns.CHAT)
    cell = ((calls["time"] // MICROSECONDS_A_DAY * features) + calls["feature"]) * tiers + calls["tier"]
    shape = (len(story.dates), features, tiers)
    count = np.bincount(cell[ok], minlength=int(np.prod(shape))).reshape(shape)
    converted = np.bincount(cell[ok & (calls["converted"] > 0)], minlength=int(np.prod(shape))).reshape(shape)
    micros = _subscriptions(story, shape) + _per_request(story, count)
    tracked = {code for code, feature in enumerate(story.features) if feature.conversion is not None}
    rows: list[dict[str, Any]] = [
        {
            "date": story.dates[day],
            "feature": story.feature_names[feature],
            "user_tier": TIERS[tier],
            "amount": int(micros[day, feature, tier]) * _MICRO,
            "conversions": int(converted[day, feature, tier]) if feature in tracked else None,
        }
        for day, feature, tier in np.argwhere((micros > 0) | (converted > 0)).tolist()
    ]
    schema = pa.schema(
        [
            ("date", pa.date32()),
            ("feature", pa.string()),
            ("user_tier", pa.string()),
            ("amount", pa.decimal128(38, 12)),
            ("conversions", pa.int64()),
        ]
    )
    return pa.Table.from_pylist(rows, schema=schema)


def _subscriptions(story: Story, shape: tuple[int, int, int]) -> NDArray[np.int64]:
    """Each month's subscriptions in micro-dollars by day, feature and tier."""
    settings = story.raw["revenue"]
    feature = np.array([settings["feature_share"].get(name, 0.0) for name in story.feature_names])
    tier = np.array([settings["tier_share"].get(name, 0.0) for name in TIERS])
    micros = np.zeros(shape, dtype=np.int64)
    for month, total in enumerate(settings["subscriptions"]):
        days = story.days_in(month)
        weights = np.ones(len(days))[:, None, None] * feature[None, :, None] * tier[None, None, :]
        micros[days] = apportion(weights.ravel(), int(Decimal(total) * _MICROS)).reshape(weights.shape)
    return micros


def _per_request(story: Story, count: NDArray[np.int64]) -> NDArray[np.int64]:
    """What a feature earns by the request, in micro-dollars: a fixed sum from the free tier, the others make up the mean of March."""
    settings = story.raw["revenue"]
    code = story.feature_names.index(settings["per_request_feature"])
    free = TIERS.index("free")
    requests = count[:, code, :]
    by_request, by_free = (int(Decimal(settings[name]) * _MICROS) for name in ("per_request", "per_request_free"))
    march = story.days_in(0)
    all_tiers, of_free = int(requests[march].sum()), int(requests[march, free].sum())
    of_paying = all_tiers * by_request - of_free * by_free
    paying = all_tiers - of_free
    micros = np.zeros_like(count)
    micros[:, code, free] = requests[:, free] * by_free
    others = np.array([tier for tier in range(len(TIERS)) if tier != free])
    for month in range(len(story.months)):
        days = story.days_in(month)
        weights = requests[np.ix_(days, others)]
        # whole numbers: the paying tiers' rate of March, exactly in March itself
        total = of_paying * int(weights.sum()) // max(paying, 1)
        micros[np.ix_(days, np.array([code]), others)] = apportion(weights.ravel(), total).reshape(weights.shape)[
            :, None, :
        ]
    return micros

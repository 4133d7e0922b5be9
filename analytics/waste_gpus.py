"""GPUs that run and do nothing: hours below a utilisation, at what an hour of that GPU costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

import ibis

from analytics.filters import matching
from analytics.frames import Row, name_order, rows_of
from analytics.infrastructure import bill_lines
from analytics.ledger import MONEY
from analytics.waste_scope import Scope
from warehouse.gpu_catalogue import gpu_catalogue
from warehouse.reader import Warehouse

IDLE_BELOW = 0.10
"""Utilisation (0 to 1) of an hour below which the GPU did nothing worth its price."""

FEWEST_HOURS = 24
"""Idle hours in the period from which on they are told."""

_PLACES = Decimal("0.000000000001")


@dataclass(frozen=True)
class IdleGpu:
    """One GPU resource.

    hours: it ran; idle_hours: of them below `IDLE_BELOW`; utilisation: mean, 0 to 1. cost: of its hours; waste: of the idle ones; both None where
    neither a bill nor the catalogue has a price. price: "billed" or "catalogue" (the cheapest on-demand price of that GPU; None: none).
    """

    resource: str
    gpu: str | None
    feature: str | None
    model: str | None
    hours: int
    idle_hours: int
    utilisation: float
    cost: Decimal | None
    waste: Decimal | None
    currency: str | None
    price: str | None
    first_at: datetime
    last_at: datetime


def idle_gpus(warehouse: Warehouse, scope: Scope) -> list[IdleGpu]:
    """GPUs of the period with at least `FEWEST_HOURS` idle hours, the dearest idleness first, those without a price last."""
    hours = _hours(warehouse, scope)
    idle = (hours.gpu_utilization < IDLE_BELOW).fill_null(False)
    sums = hours.group_by("resource").agg(
        gpu=hours.gpu.max(), gpu_count=hours.gpu_count.max(), feature=hours.feature.max(), model=hours.model.max(),
        hours=hours.count(), idle_hours=idle.sum(), utilisation=hours.gpu_utilization.mean(),
        first_at=hours.hour.min(), last_at=hours.hour.max(),
    )  # fmt: skip
    rows = [row for row in rows_of(warehouse, sums) if row["resource"] and row["idle_hours"] >= FEWEST_HOURS]
    if not rows:
        return []
    billed, listed = _billed(warehouse, scope), _catalogue()
    found = [_of(row, billed, listed) for row in rows]
    return sorted(found, key=lambda one: (one.waste is None, -(one.waste or 0), name_order(one.resource)))


def idle_hours(warehouse: Warehouse, scope: Scope, resource: str, limit: int) -> list[Row]:
    """The idle hours of one GPU, in order of time: hour (UTC), resource, gpu, gpu_utilization, memory_used, requests."""
    hours = _hours(warehouse, scope)
    hours = hours.filter(hours.resource == resource, hours.gpu_utilization < IDLE_BELOW)
    columns = ("hour", "resource", "gpu", "gpu_utilization", "memory_used", "requests")
    return rows_of(warehouse, hours.order_by("hour").limit(limit).select(*columns))


def _hours(warehouse: Warehouse, scope: Scope) -> ibis.expr.types.Table:
    hours = warehouse.table("utilization")
    hours = hours.filter(hours.hour >= scope.start, hours.hour < scope.end, hours.gpu_utilization.notnull())
    return matching(hours, scope.filters)


def _billed(warehouse: Warehouse, scope: Scope) -> Mapping[str, Row]:
    """Cost and hours that the bills charge for each resource, on the filters' basis: resource's last name -> cost, hours, currency."""
    lines = bill_lines(
        warehouse, scope.filters.without("feature", "model", "provider", "team", "project", "env", "user_tier")
    )
    amounts = {"billed": lines.BilledCost, "effective": lines.EffectiveCost, "list": lines.ListCost}
    seconds = lines.ChargePeriodEnd.epoch_seconds() - lines.ChargePeriodStart.epoch_seconds()
    lines = lines.mutate(
        amount=amounts[scope.filters.basis].cast(MONEY),
        used=(lines.ConsumedUnit.fill_null(lines.PricingUnit).lower().isin(["hours", "hrs", "hour"])).ifelse(
            lines.ConsumedQuantity.fill_null(lines.PricingQuantity), (seconds / 3600).cast("decimal(38, 12)")
        ),
    )
    lines = lines.filter(lines.ResourceId.notnull(), lines.x_CostCategory == "GPU inference", lines.amount > 0)
    sums = lines.group_by(resource=lines.ResourceId, currency=lines.BillingCurrency).agg(
        cost=lines.amount.sum().cast(MONEY), hours=lines.used.sum().cast("decimal(38, 12)")
    )
    found: dict[str, Row] = {}
    for row in rows_of(warehouse, sums):
        for name in (row["resource"], row["resource"].rpartition("/")[2]):
            found.setdefault(name, row)
    return found


def _catalogue() -> dict[str, Decimal]:
    """The cheapest on-demand price of a GPU and hour, by GPU."""
    frame = gpu_catalogue()
    prices: dict[str, Decimal] = {}
    for gpu, price in zip(frame["gpu"], frame["on_demand_usd_per_gpu_hour"], strict=True):
        prices[gpu] = min(prices.get(gpu, price), price)
    return prices


def _of(row: Row, billed: Mapping[str, Row], listed: Mapping[str, Decimal]) -> IdleGpu:
    gpu_count = row.pop("gpu_count") or 1
    bill = billed.get(row["resource"]) or billed.get(row["resource"].rpartition("/")[2])
    cost, waste, currency, price = None, None, None, None
    if bill is not None and bill["hours"]:
        cost, currency, price = bill["cost"], bill["currency"], "billed"
        # Never more than was billed: hours without a measurement were paid for, too, and are not called idle.
        waste = cost * min(Decimal(row["idle_hours"]) / max(bill["hours"], Decimal(row["hours"])), Decimal(1))
    elif row["gpu"] in listed:
        hourly = listed[row["gpu"]] * gpu_count
        cost, waste, currency, price = hourly * row["hours"], hourly * row["idle_hours"], "USD", "catalogue"
    return IdleGpu(
        **row,
        cost=cost,
        waste=None if waste is None else waste.quantize(_PLACES, ROUND_HALF_EVEN),
        currency=currency,
        price=price,
    )

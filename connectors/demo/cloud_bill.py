"""What the clouds charge: GPUs by the hour, the vector database, storage and transfer by the day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from connectors.demo.billing_lines import MICRO, Line, line
from connectors.demo.fleet import LARGE, Fleet, instance_name
from connectors.demo.shares import Numbers, apportion
from connectors.demo.story import Story

_MICROS = 1_000_000
_REGION: dict[str, Any] = {"RegionId": "ap-southeast-1", "RegionName": "Asia Pacific (Singapore)"}
_SERVICES = (
    # share, provider, service, category, usage type, description, resource, tags
    (0.36, "AWS", "Amazon Simple Storage Service", "Storage", "TimedStorage-ByteHrs", "Documents, standard storage", "demo-documents",
     {"team": "data", "project": "documents", "env": "prod"}),
    (0.19, "AWS", "Amazon Elastic Block Store", "Storage", "EBS:VolumeUsage.gp3", "General purpose volumes", "vol-demo-1",
     {"team": "infra", "project": "assistant", "env": "prod"}),
    (0.31, "AWS", "AWS Data Transfer", "Networking", "DataTransfer-Out-Bytes", "Data transfer out to the internet", None, None),
    (0.14, "Google Cloud", "Cloud Storage", "Storage", "standard-storage", "Standard storage, model weights and logs", "demo-models",
     {"team": "infra", "project": "documents", "env": "prod"}),
)  # fmt: skip


def cloud_lines(story: Story, fleet: Fleet) -> Iterator[Line]:
    """All lines that are no model provider's."""
    yield from _gpu_lines(story, fleet)
    yield from _vector_lines(story)
    yield from _storage_lines(story)


def _micros(dollars: str) -> int:
    return int(Decimal(dollars) * _MICROS)


def _gpu_lines(story: Story, fleet: Fleet) -> Iterator[Line]:
    """Large GPUs: the month's invoice split evenly over the hours. Small ones: seconds times the price of one."""
    gpus, bills = story.raw["gpus"], story.raw["bills"]["gpu"]
    large, small = gpus["large"], gpus["small"]
    month = story.month_of_day[fleet.hour // 24]
    first_month = np.flatnonzero((fleet.kind == LARGE) & (month == 0))
    shares = np.zeros(len(fleet.hour), dtype=np.int64)
    shares[first_month] = apportion(np.ones(len(first_month)), _micros(bills[0]))
    usual = round(_micros(bills[0]) / len(first_month))
    start = datetime.combine(story.dates[0], datetime.min.time())
    price = Decimal(small["price_per_second"])
    for place in np.argsort(fleet.hour, kind="stable").tolist():
        number, kind = int(fleet.instance[place]), int(fleet.kind[place])
        begin = start + timedelta(hours=int(fleet.hour[place]))
        name = instance_name(kind, number)
        development = kind == LARGE and number + 1 == large["count"]
        tags: Mapping[str, str] | None = {
            "team": "infra", "project": "documents", "feature": "classify", "env": "dev" if development else "prod",
        }  # fmt: skip
        if kind == LARGE:
            micros = int(shares[place]) or usual
            yield line(
                story, begin, begin + timedelta(hours=1), provider="Google Cloud", cost=micros * MICRO,
                list_cost=Decimal(large["list_price"]), tags=None if development else tags, ServiceCategory="Compute",
                ServiceSubcategory="Virtual Machines", ServiceName="Compute Engine", SkuId="a2-highgpu-1g",
                SkuMeter="GPU instance hours", ChargeDescription="A2 instance with 1 Nvidia A100 40GB GPU, a2-highgpu-1g",
                ListUnitPrice=Decimal(large["list_price"]), PricingQuantity=Decimal(1), PricingUnit="Hours",
                ConsumedQuantity=Decimal(1), ConsumedUnit="Hours", RegionId="asia-southeast1", RegionName="Singapore",
                ResourceId=name, ResourceName=name, ResourceType="Virtual machine", x_UsageType=large["instance"],
            )  # fmt: skip
        else:
            seconds = int(fleet.seconds[place])
            hours = (Decimal(seconds) / 3600).quantize(Decimal("1e-12"))
            yield line(
                story, begin, begin + timedelta(hours=1), provider="AWS", cost=seconds * price,
                list_cost=(Decimal(small["list_price"]) * seconds / 3600).quantize(MICRO), tags=tags, ServiceCategory="Compute",
                ServiceSubcategory="Virtual Machines", ServiceName="Amazon Elastic Compute Cloud", SkuId="g6.xlarge-linux",
                SkuMeter="Instance hours", ChargeDescription="g6.xlarge Linux, 1 Nvidia L4 GPU, on demand",
                ListUnitPrice=Decimal(small["list_price"]), ContractedUnitPrice=price * 3600, PricingQuantity=hours,
                PricingUnit="Hours", ConsumedQuantity=hours, ConsumedUnit="Hours", ResourceId=name, ResourceName=name,
                ResourceType="Instance", x_UsageType=f"BoxUsage:{small['instance']}", **_REGION,
            )  # fmt: skip


def _vector_lines(story: Story) -> Iterator[Line]:
    settings, bills = story.raw["vector"], story.raw["bills"]["vector"]
    random = story.random("vector")
    until, since, nodes = story.day(settings["managed_until"]), story.day(settings["own_from"]), settings["own_nodes"]
    tags = {"team": "data", "project": "assistant", "env": "prod"}
    for number in range(len(story.months)):
        days = story.days_in(number)
        managed = days[days < until]
        if len(managed):
            total = _micros(bills[number]) if bills[number] else _micros(settings["managed_a_day"]) * len(managed)
            for day, micros in zip(managed.tolist(), apportion(np.ones(len(managed)), total).tolist(), strict=True):
                start = datetime.combine(story.dates[day], datetime.min.time())
                yield line(
                    story, start, start + timedelta(days=1), provider="Pinecone", cost=micros * MICRO, tags=tags,
                    ServiceCategory="Databases", ServiceSubcategory="Other (Databases)", ServiceName="Pinecone", SkuId="p2-pod",
                    SkuMeter="Pod hours", ChargeDescription="Vector index, p2 pods", PricingQuantity=Decimal(24),
                    PricingUnit="Hours", ConsumedQuantity=Decimal(24), ConsumedUnit="Hours", ResourceId="index-demo",
                    ResourceName="index-demo", ResourceType="Vector index", x_UsageType="p2",
                )  # fmt: skip
        own = days[days >= since]
        if not len(own):
            continue
        weights = np.exp(random.normal(0, 0.07, (len(own), nodes)))
        named = bills[number] if number == len(story.months) - 1 else ""
        whole_month = _micros(bills[-1]) / len(story.days_in(len(story.months) - 1))
        parts = apportion(weights.ravel(), _micros(named) if named else round(whole_month * len(own))).reshape(
            weights.shape
        )
        for place, day in enumerate(own.tolist()):
            start = datetime.combine(story.dates[day], datetime.min.time())
            for node in range(nodes):
                cost = int(parts[place, node]) * MICRO
                yield line(
                    story, start, start + timedelta(days=1), provider="AWS", cost=cost,
                    list_cost=max(cost, Decimal("24.192000")), tags=tags | {"app": "qdrant"}, PricingCategory="Dynamic",
                    ServiceCategory="Compute", ServiceSubcategory="Virtual Machines",
                    ServiceName="Amazon Elastic Compute Cloud", SkuId="r6g.4xlarge-spot", SkuMeter="Instance hours",
                    ChargeDescription="Qdrant node, r6g.4xlarge, spot", PricingQuantity=Decimal(24), PricingUnit="Hours",
                    ConsumedQuantity=Decimal(24), ConsumedUnit="Hours", ResourceId=f"qdrant-{node + 1}",
                    ResourceName=f"qdrant-{node + 1}", ResourceType="Instance", x_UsageType="SpotUsage:r6g.4xlarge", **_REGION,
                )  # fmt: skip


def _storage_lines(story: Story) -> Iterator[Line]:
    random = story.random("storage")
    shares: Numbers = np.array([service[0] for service in _SERVICES])
    for number in range(len(story.months)):
        days = story.days_in(number)
        weights = shares * np.exp(random.normal(0, 0.03, (len(days), len(_SERVICES))))
        parts = apportion(weights.ravel(), _micros(story.raw["bills"]["storage"][number])).reshape(weights.shape)
        for place, day in enumerate(days.tolist()):
            start = datetime.combine(story.dates[day], datetime.min.time())
            for slot, (_, provider, service, category, usage, description, resource, tags) in enumerate(_SERVICES):
                yield line(
                    story, start, start + timedelta(days=1), provider=provider, cost=int(parts[place, slot]) * MICRO, tags=tags,
                    ServiceCategory=category, ServiceName=service, SkuId=usage, SkuMeter=usage, ChargeDescription=description,
                    ResourceId=resource, ResourceName=resource, x_UsageType=usage,
                    ResourceType="Bucket" if category == "Storage" else None, **(_REGION if provider == "AWS" else {}),
                )  # fmt: skip

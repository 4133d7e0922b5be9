"""The store that slider benchmarks look at: the synthetic calls, and a GPU with its bill and its log, so that every lever has something to act on."""

from __future__ import annotations

import csv
import os
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.catalogue import DAYS, FIRST_DAY
from benchmarks.generate import SEED, generate
from benchmarks.load import percall

CHOSEN: dict[str, dict[str, Any]] = {
    "rag": {"features": ("chat",)},
    "switch-off": {"features": ("chat",)},
    "batch": {"users": True},
}
"""What is set beside the sliders' defaults, so that a lever acts at all: every synthetic call is made for a known user."""

_GPU, _DOLLARS_AN_HOUR = "gpu-synthetic-1", "0.8048"


def store_with_gpu(folder: Path, calls: int) -> Path:
    """The store in `folder` with a GPU; data and the store of the other benchmarks are made where they are missing, and stay as they are."""
    dataset, store, own = generate(folder, calls), folder / "store", folder / "store-sliders"
    if not (store / "current").exists():
        percall(store, "load", str(dataset.calls))
        percall(store, "load", str(dataset.bill))
    if own.exists():
        return own
    # Facts are never changed: the copy shares them.
    shutil.copytree(store, own, copy_function=_linked)
    bill, log = folder / "gpu-bill.csv", folder / "gpu-utilization.csv"
    _write_bill(bill)
    _write_log(log)
    percall(own, "load", str(bill), str(log))
    return own


def _linked(source: str, target: str) -> None:
    if Path(source).parent.name == "facts" or source.endswith(".parquet"):
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def _write_bill(path: Path) -> None:
    rows = []
    for day in range(DAYS):
        date = FIRST_DAY + timedelta(days=day)
        month = date.replace(day=1)
        amount = str(round(24 * float(_DOLLARS_AN_HOUR), 6))
        rows.append(
            {
                "BillingAccountId": "synthetic-gpu",
                "BillingCurrency": "USD",
                "BillingPeriodStart": f"{month}T00:00:00Z",
                "BillingPeriodEnd": f"{(month + timedelta(days=32)).replace(day=1)}T00:00:00Z",
                "ChargePeriodStart": f"{date}T00:00:00Z",
                "ChargePeriodEnd": f"{date + timedelta(days=1)}T00:00:00Z",
                "ChargeCategory": "Usage",
                "ChargeDescription": "g6.xlarge instance hour (synthetic)",
                "ConsumedQuantity": "24",
                "ConsumedUnit": "Hours",
                **dict.fromkeys(("BilledCost", "EffectiveCost", "ListCost", "ContractedCost"), amount),
                "ResourceId": _GPU,
                "ServiceProviderName": "AWS",
                "ServiceCategory": "Compute",
                "ServiceName": "Amazon Elastic Compute Cloud",
                "SkuId": "SYNTHETIC-GPU",
                "RegionId": "us-east-1",
            }
        )
    _write(path, rows)


def _write_log(path: Path) -> None:
    random = np.random.default_rng(SEED)
    rows = []
    for hour in range(24 * DAYS):
        moment = FIRST_DAY + timedelta(days=hour // 24)
        busy = max(0.0, min(1.0, 0.3 + 0.25 * np.sin(hour / 24 * 2 * np.pi) + random.normal(0, 0.05)))
        rows.append(
            {
                "hour": f"{moment}T{hour % 24:02d}:00:00Z",
                "resource": _GPU,
                "gpu": "L4",
                "gpu_count": 1,
                "gpu_utilization": f"{busy:.4f}",
                "model": "llama-3.1-8b-instruct",
            }
        )
    _write(path, rows)


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)

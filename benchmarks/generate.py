"""Makes the synthetic calls and the bill: the same rows for the same number of calls, whatever the machine.

    dataset = generate(folder, calls=10_000_000)

`dataset.calls` is a folder of one Parquet file per day in the columns of our own `calls` format; `dataset.bill` a FOCUS file
of three months. Users are drawn by Zipf's law, prompts share prefixes, documents are embedded again and again.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from benchmarks.catalogue import BILL_LINES, CHAT, DAYS, FEATURES, FIRST_DAY, MODEL_SHARES, MODELS, TIERS, UNITS

SEED = 20260301
VERSION = 1
"""Counts up when the generated rows change, so that a folder of an older version is made anew."""

SPIKE_DAY, SPIKE_FACTOR = 60, 3
"""On this day the feature `summarize` is called so many times as often, for the anomaly rule to find."""

REPLACED_DAY = 75
"""The day of which a second, corrected delivery is made."""

CALLS_MONEY = pa.decimal128(18, 10)
Arrays = dict[str, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class Dataset:
    """Where the generated files lie, and what is in them: number of calls, of reported costs, and their exact sum in units."""

    folder: Path
    rows: int
    reported_calls: int
    reported_units: int
    replaced_units: int

    @property
    def calls(self) -> Path:
        """Folder of one Parquet file per day."""
        return self.folder / "calls"

    @property
    def bill(self) -> Path:
        """FOCUS 1.2 CSV, three billing months."""
        return self.folder / "bill.csv"

    @property
    def replaced_day(self) -> Path:
        """The second delivery of one day: every reported cost is a tenth of a cent higher, and every answer one token longer."""
        return self.folder / "replaced" / day_file(REPLACED_DAY)


def day_file(day: int) -> str:
    """Name of a day's file."""
    return f"calls-{FIRST_DAY + timedelta(days=day)}.parquet"


def generate(folder: Path, calls: int) -> Dataset:
    """The dataset of this many calls in `folder`; made when it is not there yet."""
    manifest = folder / "manifest.json"
    if manifest.exists():
        known = json.loads(manifest.read_text())
        if known.pop("version") == VERSION and known["rows"] == calls:
            return Dataset(folder, **known)
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "calls").mkdir(parents=True)
    (folder / "replaced").mkdir()
    reported_calls = reported_units = replaced_units = 0
    for day, table, cost in _days(calls):
        pq.write_table(table, folder / "calls" / day_file(day), compression="zstd")
        known_cost = cost[cost >= 0]
        reported_calls += len(known_cost)
        reported_units += int(known_cost.sum())
        if day == REPLACED_DAY:
            raised = np.where(cost >= 0, cost + UNITS // 1000, cost)
            replaced_units = int(raised[raised >= 0].sum() - known_cost.sum())
            pq.write_table(_corrected(table, raised), folder / "replaced" / day_file(day), compression="zstd")
    _write_bill(folder / "bill.csv")
    facts = {
        "rows": calls,
        "reported_calls": reported_calls,
        "reported_units": reported_units,
        "replaced_units": replaced_units,
    }
    manifest.write_text(json.dumps({"version": VERSION, **facts}))
    return Dataset(folder, **facts)


def _days(calls: int) -> Iterator[tuple[int, pa.Table, np.ndarray[Any, Any]]]:
    """Every day's calls as a table, and their reported cost in units (-1: not reported)."""
    weights = np.array(
        [
            (1 + day / DAYS) * (0.6 if (FIRST_DAY + timedelta(days=day)).weekday() >= 5 else 1.0) + 0.05
            for day in range(DAYS)
        ]
    )
    ends = np.rint(np.cumsum(weights) / weights.sum() * calls).astype(np.int64)
    users = _zipf(max(100, calls // 50))
    prefixes = max(len(FEATURES) * 4, calls // 2000)
    documents = max(50, calls // 100)
    start = 0
    for day, end in enumerate(ends.tolist()):
        arrays = _arrays(np.random.default_rng([SEED, day]), day, end - start, start, users, prefixes, documents)
        yield day, _table(arrays), arrays["cost"]
        start = end


def _zipf(users: int) -> np.ndarray[Any, Any]:
    """Cumulative shares of the calls that users 1, 2, 3... make: proportional to 1 / rank."""
    shares = 1 / np.arange(1, users + 1)
    return np.cumsum(shares) / shares.sum()


def _arrays(
    rng: np.random.Generator,
    day: int,
    size: int,
    first: int,
    users: np.ndarray[Any, Any],
    prefixes: int,
    documents: int,
) -> Arrays:
    weights = np.array([feature.weight for feature in FEATURES], dtype=float)
    if day == SPIKE_DAY:
        weights[2] *= SPIKE_FACTOR
    feature = rng.choice(len(FEATURES), size, p=weights / weights.sum())
    model = _models_of(rng, feature)
    is_chat = np.array([m.operation == CHAT for m in MODELS])[model]
    mean_input = np.array([f.input_tokens for f in FEATURES], dtype=float)[feature]
    mean_output = np.array([f.output_tokens for f in FEATURES], dtype=float)[feature]
    whole_input = np.rint(mean_input * rng.gamma(3.0, 1 / 3, size)).astype(np.int64) + 1
    cached = np.where(is_chat & (rng.random(size) < 0.3), whole_input * 3 // 5, 0)
    output = np.rint(mean_output * rng.gamma(2.0, 0.5, size)).astype(np.int64) + 1
    batch = rng.random(size) < 0.08
    user = np.minimum(np.searchsorted(users, rng.random(size)), len(users) - 1)
    # Microseconds of the day, all different, so that no order of calls is left open.
    moment = np.sort(rng.integers(0, 86_000_000_000, size))
    places = np.arange(size)
    moment = np.maximum.accumulate(moment - places) + places
    document = rng.integers(0, documents, size)
    # Cost of the prices below; a batch costs half. Reported for seven calls in ten, where the model has a price.
    unit = {name: np.array([getattr(m, name) for m in MODELS])[model] for name in ("input", "cached", "output")}
    cost = (
        (whole_input - cached) * unit["input"] + cached * unit["cached"] + np.where(is_chat, output, 0) * unit["output"]
    )
    cost = np.where(batch, cost // 2, cost)
    is_reported = (rng.random(size) < 0.7) & np.array([m.priced for m in MODELS])[model]
    failed = rng.random(size) < 0.01
    return {
        "number": first + places,
        "moment": np.int64(np.datetime64(FIRST_DAY + timedelta(days=day), "us").astype(np.int64)) + moment,
        "feature": np.where(rng.random(size) < 0.02, -1, feature),
        "team": feature,
        "model": model,
        "is_chat": is_chat,
        "uncached": whole_input - cached,
        "cached": cached,
        "output": output,
        "batch": batch,
        "user": user,
        "tier": np.where(user % 10 == 0, 2, np.where(user % 10 < 3, 1, 0)),
        "cost": np.where(is_reported, cost, -1),
        "failed": failed,
        "latency": np.rint(100 + output * 8 * rng.gamma(4.0, 0.25, size)),
        "prefix": feature + len(FEATURES) * (rng.integers(0, prefixes, size) // len(FEATURES)),
        # Queries hardly repeat, documents do.
        "input": np.where(is_chat, first + places + documents, document),
        "converted": rng.random(size) < 0.04,
        "revenue": rng.integers(1, 50, size) * (UNITS // 100),
    }


def _models_of(rng: np.random.Generator, feature: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    places = {model.name: place for place, model in enumerate(MODELS)}
    table = np.zeros((len(FEATURES), len(MODEL_SHARES)), dtype=np.int64)
    for row, item in enumerate(FEATURES):
        table[row] = [places[item.models[n] if n < len(item.models) else item.models[0]] for n in range(3)]
    return table[feature, rng.choice(len(MODEL_SHARES), len(feature), p=MODEL_SHARES)]


def _table(a: Arrays) -> pa.Table:
    size = len(a["number"])
    dictionary = pa.DictionaryArray.from_arrays
    mix = _mixed(a["input"].astype(np.uint64))
    prefix = a["prefix"].astype(np.uint64)[:, None] * np.uint64(8) + np.arange(1, 4, dtype=np.uint64)
    blocks = pa.ListArray.from_arrays(
        pa.array(np.arange(size + 1, dtype=np.int32) * 3), pa.array(_mixed(prefix).ravel())
    )
    return pa.table(
        {
            "call_id": pa.array([f"chatcmpl-{number:012x}" for number in a["number"].tolist()]),
            "started_at": pa.array(a["moment"], pa.timestamp("us")),
            "provider": dictionary(pa.array(a["model"], pa.int8()), pa.array([m.provider for m in MODELS])),
            "model": dictionary(pa.array(a["model"], pa.int8()), pa.array([m.name for m in MODELS])),
            "operation": dictionary(pa.array(a["model"], pa.int8()), pa.array([m.operation for m in MODELS])),
            "processing": dictionary(pa.array(a["batch"].astype(np.int8)), pa.array(["standard", "batch"])),
            "status": dictionary(pa.array(a["failed"].astype(np.int8)), pa.array(["success", "failure"])),
            "project": pa.array(["synthetic"] * size).dictionary_encode(),
            "feature": dictionary(
                pa.array(a["feature"], pa.int8(), mask=a["feature"] < 0), pa.array([f.name for f in FEATURES])
            ),
            "team": dictionary(pa.array(a["team"], pa.int8()), pa.array([f.team for f in FEATURES])),
            "env": pa.array(["prod"] * size).dictionary_encode(),
            "user_tier": dictionary(pa.array(a["tier"], pa.int8()), pa.array(TIERS)),
            "user_id": pa.array([f"user-{user:07d}" for user in a["user"].tolist()]),
            "uncached_input_tokens": pa.array(a["uncached"]),
            "cache_read_tokens": pa.array(a["cached"]),
            "output_tokens": pa.array(a["output"], mask=~a["is_chat"]),
            "reported_cost": _money(a["cost"]),
            "latency_ms": pa.array(a["latency"], pa.float64()),
            "prefix_blocks": blocks,
            "input_hash": pa.array([f"{value:016x}" for value in mix.tolist()]),
            "converted": pa.array(a["converted"], mask=~a["is_chat"]),
            "revenue": _money(np.where(a["converted"] & a["is_chat"], a["revenue"], 0)),
        }
    )


def _mixed(value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Numbers that look like hashes: multiplied by the odd constant of Fibonacci hashing, so that different stay different."""
    return value * np.uint64(0x9E3779B97F4A7C15)


def _money(units: np.ndarray[Any, Any]) -> pa.Array:
    """Units as exact decimals; below 0: NULL."""
    words = np.zeros((len(units), 2), dtype=np.int64)
    words[:, 0] = np.maximum(units, 0)
    known = pa.array(units >= 0)
    decimals = pa.Array.from_buffers(CALLS_MONEY, len(units), [None, pa.py_buffer(words.tobytes())])
    return pa.compute.if_else(known, decimals, pa.scalar(None, CALLS_MONEY))


def _corrected(table: pa.Table, cost: np.ndarray[Any, Any]) -> pa.Table:
    """The day again, later and longer: the merge of calls prefers the description with more output."""
    place = table.schema.get_field_index
    longer = pa.compute.add(table["output_tokens"], 1)
    table = table.set_column(place("output_tokens"), "output_tokens", longer)
    return table.set_column(place("reported_cost"), "reported_cost", _money(cost))


def _write_bill(path: Path) -> None:
    """Every line of the catalogue, once a day, with amounts of whole millionths of a dollar."""
    rng = np.random.default_rng([SEED, DAYS])
    rows = []
    for day in range(DAYS):
        date = FIRST_DAY + timedelta(days=day)
        month = date.replace(day=1)
        next_month = (month + timedelta(days=32)).replace(day=1)
        for place, line in enumerate(BILL_LINES):
            micros = int(line.dollars * rng.integers(900_000, 1_100_000))
            amount = f"{micros // 1_000_000}.{micros % 1_000_000:06d}"
            rows.append(
                {
                    "BillingAccountId": "synthetic",
                    "BillingCurrency": "USD",
                    "BillingPeriodStart": f"{month}T00:00:00Z",
                    "BillingPeriodEnd": f"{next_month}T00:00:00Z",
                    "ChargePeriodStart": f"{date}T00:00:00Z",
                    "ChargePeriodEnd": f"{date + timedelta(days=1)}T00:00:00Z",
                    "ChargeCategory": "Usage",
                    "ChargeDescription": f"{line.description} (synthetic)",
                    **dict.fromkeys(("BilledCost", "EffectiveCost", "ListCost", "ContractedCost"), amount),
                    "ServiceProviderName": "AWS",
                    "ServiceCategory": line.category,
                    "ServiceName": line.service,
                    "SkuId": f"SYNTHETIC-{place}",
                    "RegionId": "us-east-1",
                }
            )
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)

"""Small bills and call logs for tests of the command line, as a stranger would write them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

HEADER = (
    "BillingAccountId", "BillingCurrency", "BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd",
    "ChargeCategory", "ChargeDescription", "BilledCost", "EffectiveCost", "ListCost", "ServiceProviderName", "ServiceName",
    "ResourceId", "Tags",
)  # fmt: skip

CALL_HEADER = (
    "call_id",
    "started_at",
    "provider",
    "model",
    "feature",
    "uncached_input_tokens",
    "output_tokens",
    "reported_cost",
)


def line(account: str = "own", cost: object = "1.00", day: int = 2, **changes: object) -> dict[str, object]:
    """A FOCUS billing line of March 2026: `cost` on all bases."""
    row: dict[str, object] = {
        "BillingAccountId": account,
        "BillingCurrency": "USD",
        "BillingPeriodStart": "2026-03-01T00:00:00Z",
        "BillingPeriodEnd": "2026-04-01T00:00:00Z",
        "ChargePeriodStart": f"2026-03-{day:02}T00:00:00Z",
        "ChargePeriodEnd": f"2026-03-{day:02}T01:00:00Z",
        "ChargeCategory": "Usage",
        "ChargeDescription": "an hour",
        "BilledCost": cost,
        "EffectiveCost": cost,
        "ListCost": cost,
        "ServiceProviderName": "AWS",
        "ServiceName": "Amazon Elastic Compute Cloud",
        "ResourceId": f"i-{account}-{day}",
        "Tags": "{}",
    }
    return row | changes


def call(number: int = 1, cost: object = "0.01", **changes: object) -> dict[str, object]:
    """A model call of March 2026 that its source priced itself."""
    row: dict[str, object] = {
        "call_id": f"req-{number}",
        "started_at": f"2026-03-02T10:{number % 60:02}:00Z",
        "provider": "openai",
        "model": "gpt-4o",
        "feature": "search",
        "uncached_input_tokens": 100,
        "output_tokens": 10,
        "reported_cost": cost,
    }
    return row | changes


def write(path: Path, rows: Iterable[Mapping[str, object]], header: Sequence[str] = HEADER) -> Path:
    """Rows as a CSV file with this header and every further column that a row has."""
    rows = list(rows)
    names = list(dict.fromkeys([*header, *(name for row in rows for name in row)]))
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, names)
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_calls(path: Path, rows: Iterable[Mapping[str, object]]) -> Path:
    """Calls as a CSV file."""
    return write(path, rows, CALL_HEADER)

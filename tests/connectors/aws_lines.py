"""Lines of AWS reports as tests write them, and reports of such lines."""

from __future__ import annotations

from pathlib import Path

from connectors import aws_cur
from tests.connectors.billing import Read, read, write_csv


def cur(tmp_path: Path, rows: list[dict[str, object]], name: str = "report.csv") -> Read:
    return read(aws_cur, write_csv(tmp_path / name, rows))


def line(kind: str = "Usage", cost: object = "1", **more: object) -> dict[str, object]:
    return {
        "bill_payer_account_id": "111111111111",
        "bill_billing_period_start_date": "2026-03-01 00:00:00",
        "bill_billing_period_end_date": "2026-04-01 00:00:00",
        "line_item_usage_account_id": "222222222222",
        "line_item_line_item_type": kind,
        "line_item_usage_start_date": "2026-03-05 10:00:00",
        "line_item_usage_end_date": "2026-03-05 11:00:00",
        "line_item_product_code": "AmazonEC2",
        "line_item_usage_type": "BoxUsage:m5.large",
        "line_item_currency_code": "USD",
        "line_item_unblended_cost": cost,
    } | more

"""What became of a load: one report per file and partition, and the lines that `percall load` prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

Progress = Callable[[str, float], None]
"""Told what is being done and which share of the whole is done."""


@dataclass
class LoadReport:
    """What became of one file in one partition. Money is exact, in `currency`.

    rows_in = rows_kept + rows_rejected + rows_duplicate + rows_ignored, all of them rows of the file: duplicates are known already (under
    the same id, line for line, or in a newer version of the file's period), ignored ones are no facts of their own (negations that net to
    zero, spans that are no calls). `rows_derived` counts billing lines that are stored beside those rows (the unused part of a commitment).

    For billing lines `billed` and `effective` are the sums of BilledCost and EffectiveCost that were stored. For calls
    `billed` is the cost that the source itself reported and `effective` the cost that counts (reported, else priced).
    """

    kind: str
    partition: str | None
    file: str
    status: str
    rows_in: int = 0
    rows_kept: int = 0
    rows_rejected: int = 0
    rows_duplicate: int = 0
    rows_ignored: int = 0
    rows_derived: int = 0
    billed: Decimal | None = None
    effective: Decimal | None = None
    currency: str | None = None
    message: str | None = None
    table: str = ""
    source: str = ""
    checksum: str = ""
    delivery: str | None = None
    delivered_at: datetime | None = None
    load_id: int = 0
    part: int = 0
    billed_in: Decimal | None = None
    effective_in: Decimal | None = None
    first: Any = None
    last: Any = None
    superseded: list[str] = field(default_factory=list)


def report_lines(reports: list[LoadReport]) -> list[dict[str, Any]]:
    """What `percall load` prints: one object per kind and partition, over all its files, money as exact decimal strings."""
    lines: dict[tuple[str, str | None, str], dict[str, Any]] = {}
    for report in reports:
        key = (report.kind, report.partition, report.file if report.partition is None else "")
        line = lines.setdefault(
            key,
            {
                "kind": report.kind, "partition": report.partition, "table": report.table or None, "status": report.status,
                "rows_in": 0, "rows_kept": 0, "rows_rejected": 0, "rows_duplicate": 0,
                "rows_ignored": 0, "rows_derived": 0, "billed": None, "effective": None,
                "currency": report.currency, "files": [], "messages": [],
            },
        )  # fmt: skip
        for name in ("rows_in", "rows_kept", "rows_rejected", "rows_duplicate", "rows_ignored", "rows_derived"):
            line[name] += getattr(report, name)
        for name in ("billed", "effective"):
            value = getattr(report, name)
            if value is not None:
                line[name] = value if line[name] is None else line[name] + value
        line["files"].append(report.file)
        if report.message:
            line["messages"].append(f"{report.file}: {report.message}")
        if report.status == "stored":
            line["status"] = "stored"
    for line in lines.values():
        for name in ("billed", "effective"):
            line[name] = None if line[name] is None else format(line[name], "f")
    return list(lines.values())

"""What changed in past days: which figures that were once told are told differently now, by source, feature and reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal

import pandas as pd

from analytics import formatting
from analytics.currency import require_one_currency
from analytics.filters import Filters, matching
from analytics.frames import Row, frame_of, name_order, rows_of
from warehouse.reader import Warehouse

SUM_COLUMNS = ("source", "feature", "reason", "currency", "days", "first_day", "last_day", "change")
DAY_COLUMNS = ("date", "currency", "cost_before", "cost_after", "change", "sources", "reasons", "last_restated")


def restated_by_source(warehouse: Warehouse, filters: Filters, since: date) -> pd.DataFrame:
    """Changes told since a day (UTC), by source, feature and reason, the largest first.

    Columns: source, feature (None: untagged, or a bill's line), reason ("late lines", "new version", "re-priced", "rules"), currency, days (that
    changed, of the reporting time zone), first_day, last_day, change (effective cost now less before, exact). The period does not
    apply, the filters on feature, service, source and currency do. The rows sum to those of `restated_by_day`.
    """
    groups: dict[tuple[str | None, str | None, str | None, str | None], list[Row]] = {}
    for row in _since(warehouse, filters, since):
        groups.setdefault((row["source"], row["feature"], row["reason"], row["currency"]), []).append(row)
    rows: list[Row] = [
        dict(zip(SUM_COLUMNS[:4], key, strict=True))
        | {
            "days": len({row["date"] for row in group}),
            "first_day": min(row["date"] for row in group),
            "last_day": max(row["date"] for row in group),
            "change": _changes(group),
        }
        for key, group in groups.items()
    ]
    rows.sort(key=lambda row: (-abs(row["change"]), *(name_order(row[name]) for name in SUM_COLUMNS[:4])))
    return frame_of(rows, SUM_COLUMNS)


def restated_by_day(warehouse: Warehouse, filters: Filters, since: date) -> pd.DataFrame:
    """Days that were told differently since a day (UTC), the newest first: what the changed parts of a day cost before and now.

    Columns: date, currency, cost_before (as first told), cost_after (as told now), change, sources and reasons (names, comma-separated),
    last_restated (UTC). Only the parts (source, feature, service) of a day that changed are in it.
    """
    days: dict[tuple[date, str], list[Row]] = {}
    for row in _since(warehouse, filters, since):
        days.setdefault((row["date"], row["currency"]), []).append(row)
    rows = []
    for (day, currency), group in days.items():
        parts: dict[tuple[object, ...], list[Row]] = {}
        for row in group:
            parts.setdefault((row["table_name"], row["source"], row["feature"], row["service"]), []).append(row)
        before = sum((part[0]["cost_before"] for part in parts.values()), Decimal(0))
        rows.append(
            {
                "date": day, "currency": currency, "cost_before": before, "change": _changes(group), "cost_after": before + _changes(group),
                "sources": _names(row["source"] for row in group), "reasons": _names(row["reason"] for row in group),
                "last_restated": max(row["restated_at"] for row in group),
            }
        )  # fmt: skip
    rows.sort(key=lambda row: (-row["date"].toordinal(), row["currency"]))
    return frame_of(rows, DAY_COLUMNS)


@dataclass(frozen=True)
class RestatedSummary:
    """How many past days changed since a day, by how much in all, and the part of it that one reason has most of."""

    days: int
    change: Decimal
    currency: str | None
    main_reason: str | None
    main_change: Decimal


def restated_summary(warehouse: Warehouse, filters: Filters, since: date) -> RestatedSummary:
    """Sum of the changes since a day (UTC). Raises InputError when they are in several currencies."""
    rows = _since(warehouse, filters, since)
    currency = require_one_currency(row["currency"] for row in rows)
    reasons: dict[str, Decimal] = {}
    for row in rows:
        reasons[row["reason"]] = reasons.get(row["reason"], Decimal(0)) + row["change"]
    main = max(sorted(reasons), key=lambda name: abs(reasons[name]), default=None)
    return RestatedSummary(
        len({row["date"] for row in rows}), _changes(rows), currency, main, reasons[main] if main else Decimal(0)
    )


def headline(warehouse: Warehouse, filters: Filters, since: date) -> str:
    """How much past days changed since a day, in one sentence."""
    whole = restated_summary(warehouse, filters, since)
    told = f"{since.day} {since:%B} {since.year}"
    if not whole.days:
        return f"No past day was told differently since {told}"
    currency = whole.currency or "USD"
    text = f"{formatting.count(whole.days)} past {'day' if whole.days == 1 else 'days'} changed since {told}"
    amount = formatting.money(whole.change, currency, plus=True)
    if whole.main_reason and whole.main_change == whole.change:
        return f"{text}, by {amount}, all of it {whole.main_reason}"
    text += f", by {amount} in all"
    if whole.main_reason:
        text += f"; {whole.main_reason}: {formatting.money(whole.main_change, currency, plus=True)}"
    return text


def newest_restatement(warehouse: Warehouse, filters: Filters) -> date | None:  # noqa: ARG001 - every view takes filters
    """Day (UTC) of the latest restatement; None when nothing was ever restated."""
    table = warehouse.table("restatements")
    newest: datetime | None = warehouse.row(table.agg(newest=table.restated_at.max()))["newest"]
    return newest.date() if newest else None


def _since(warehouse: Warehouse, filters: Filters, since: date) -> list[Row]:
    """Restatements told since midnight (UTC) of a day, the oldest first, with their change."""
    table = matching(warehouse.table("restatements"), filters)
    table = table.filter(table.restated_at >= datetime.combine(since, time()))
    table = table.mutate(change=table.cost_after - table.cost_before)
    return rows_of(warehouse, table.order_by(["restated_at", "load_id", "date", "source", "feature", "service"]))


def _changes(rows: Iterable[Row]) -> Decimal:
    return sum((row["change"] for row in rows), Decimal(0))


def _names(values: Iterable[str | None]) -> str:
    return ", ".join(sorted({value for value in values if value}))

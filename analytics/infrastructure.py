"""The bill itself: lines summed by category, service, account and resource, on every cost basis side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import ibis.expr.types as ir
import pandas as pd

from analytics.filters import Filters, apply, period_start
from analytics.frames import Row, frame_of, name_order, rows_of
from analytics.ledger import MODEL_CATEGORIES, MONEY
from analytics.ratios import share
from warehouse.reader import Warehouse

BY = {
    "category": "x_CostCategory",
    "service": "ServiceName",
    "account": "SubAccountId",
    "resource": "ResourceId",
    "provider": "ServiceProviderName",
    "region": "RegionId",
}
"""What billing lines can be summed by, and their column. `account` is the account that used the service (the payer where the bill names none)."""

FILTER_COLUMNS = {
    "category": "x_CostCategory",
    "service": "ServiceName",
    "account": "BillingAccountId",
    "model": "x_Model",
    "source": "x_Source",
    "currency": "BillingCurrency",
}

SUMS = ("lines", "list", "billed", "effective", "credits", "share", "list_unknown", "effective_unknown", "is_final")


def charges(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """Billing lines of the period summed by category, service, account and resource, the dearest first.

    Columns: category, service, account, account_name, resource, resource_name, currency, lines, list, billed, effective, credits, share,
    list_unknown, effective_unknown, is_final. See `charge_sums`.
    """
    return charge_sums(warehouse, filters, ("category", "service", "account", "resource"))


def charge_sums(warehouse: Warehouse, filters: Filters, by: Sequence[str] = ("category",)) -> pd.DataFrame:
    """Billing lines of the period summed by `by` (of `BY`) and currency, the dearest on the filters' basis first.

    lines: number of billing lines; excluded detail lines do not count. list, billed, effective: exact sums in `currency` of what is known, None
    when nothing is; `list_unknown` and `effective_unknown` count the lines without that cost. credits: billed amount of the lines of
    category Credit (0 or negative; part of `billed`). share: part of all lines' cost in that currency on the
    filters' basis. is_final: every line is invoiced.

    Lines keep their own currencies: nothing is converted or added across them.
    """
    lines = bill_lines(warehouse, filters)
    keys = {name: lines[BY[name]] for name in by}
    if "account" in keys:
        keys["account"] = lines.SubAccountId.fill_null(lines.BillingAccountId)
    labels = {}
    if "account" in keys:
        labels["account_name"] = lines.SubAccountName.fill_null(lines.BillingAccountName).max()
    if "resource" in keys:
        labels["resource_name"] = lines.ResourceName.max()
    sums = lines.group_by(currency=lines.BillingCurrency, **keys).agg(**_sums(lines), **labels)
    rows = rows_of(warehouse, sums)
    wholes: dict[str, Decimal] = {}
    for row in rows:
        wholes[row["currency"]] = wholes.get(row["currency"], Decimal(0)) + (row[filters.basis] or 0)
    for row in rows:
        row["share"] = share(row[filters.basis], wholes[row["currency"]])
    rows.sort(key=lambda row: _dearest(row, filters.basis, by))
    named = [part for name in by for part in (name, f"{name}_name") if part in by or part in labels]
    return frame_of(rows, (*named, "currency", *SUMS))


def charges_over_time(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """Billed cost over time by category, from the bills alone, on the filters' basis.

    Grain: one row per period (its first day), category and currency; columns: period, category, cost (the sum of what is known), currency.
    """
    lines = apply(warehouse.table("charges_daily"), filters, FILTER_COLUMNS)
    cost = lines[filters.basis].sum().cast(MONEY)
    keys = {
        "period": period_start(lines.date, filters.grain), "category": lines.x_CostCategory, "currency": lines.BillingCurrency,
    }  # fmt: skip
    rows = rows_of(warehouse, lines.group_by(**keys).agg(cost=cost))
    rows.sort(key=lambda row: (row["period"], row["currency"], name_order(row["category"])))
    return frame_of(rows, ("period", "category", "cost", "currency"))


def unused_commitments(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """Commitments (reservations, savings plans) that were paid for, by how much of them was used.

    Grain: one row per commitment and currency, the largest waste first. Columns: commitment, name, type, currency, lines, used, unused
    (effective cost of the lines whose status is Used or Unused; None: not known for one of them), unused_share.
    """
    lines = bill_lines(warehouse, filters)
    lines = lines.filter(lines.CommitmentDiscountStatus.isin(["Used", "Unused"]))
    sums = lines.group_by(
        commitment=lines.CommitmentDiscountId, name=lines.CommitmentDiscountName, type=lines.CommitmentDiscountType,
        currency=lines.BillingCurrency,
    ).agg(
        lines=lines.count(),
        unknown=lines.EffectiveCost.isnull().sum(),
        used=lines.EffectiveCost.sum(where=lines.CommitmentDiscountStatus == "Used"),
        unused=lines.EffectiveCost.sum(where=lines.CommitmentDiscountStatus == "Unused"),
    )  # fmt: skip
    rows = rows_of(warehouse, sums)
    for row in rows:
        for name in ("used", "unused"):
            row[name] = None if row["unknown"] else row[name] or Decimal(0)
        row["unused_share"] = None if row["unknown"] else share(row["unused"], row["used"] + row["unused"])
    rows.sort(key=lambda row: (-(row["unused"] or 0), name_order(row["commitment"]), row["currency"]))
    return frame_of(rows, ("commitment", "name", "type", "currency", "lines", "used", "unused", "unused_share"))


@dataclass(frozen=True)
class BillSummary:
    """The bills of a period in one currency.

    list, billed, effective, credits and the counts as in `charge_sums`; cost: on the filters' basis. below_list = 1 - effective / list,
    None where one of them is not known for every line. infrastructure_share: part of the cost that is not for model APIs
    (categories other than "LLM API" and "Embedding").
    """

    currency: str
    cost: Decimal | None
    list: Decimal | None
    billed: Decimal | None
    effective: Decimal | None
    credits: Decimal
    lines: int
    list_unknown: int
    effective_unknown: int
    is_final: bool
    below_list: float | None
    infrastructure_share: float | None


def bill_summary(warehouse: Warehouse, filters: Filters) -> tuple[BillSummary, ...]:
    """The bills of the period, one summary per currency, in the order of their codes."""
    frame = charge_sums(warehouse, filters, ("category",))
    names = [str(name) for name in frame.columns]
    by_currency: dict[str, list[Row]] = {}
    for values in frame.itertuples(index=False):
        row = dict(zip(names, values, strict=True))
        by_currency.setdefault(row["currency"], []).append(row)
    return tuple(_summary(code, rows, filters.basis) for code, rows in sorted(by_currency.items()))


def _summary(currency: str, rows: Sequence[Row], basis: str) -> BillSummary:
    def total(name: str, among: Sequence[Row] = rows) -> Decimal | None:
        known = [row[name] for row in among if row[name] is not None]
        return sum(known, Decimal(0)) if known else None

    unknown = {name: sum(row[name] for row in rows) for name in ("list_unknown", "effective_unknown")}
    listed, effective = total("list"), total("effective")
    comparable = not any(unknown.values()) and listed is not None and effective is not None
    other = [row for row in rows if row["category"] not in MODEL_CATEGORIES]
    return BillSummary(
        currency=currency,
        cost=total(basis),
        list=listed,
        billed=total("billed"),
        effective=effective,
        credits=total("credits") or Decimal(0),
        lines=sum(row["lines"] for row in rows),
        is_final=all(row["is_final"] for row in rows),
        below_list=share(listed - effective, listed) if comparable and listed and effective is not None else None,
        infrastructure_share=share(total(basis, other) or Decimal(0), total(basis)),
        **unknown,
    )


def bill_lines(warehouse: Warehouse, filters: Filters) -> ir.Table:
    """The single billing lines of the period that pass the filters, with `date`, `provider` and the tagged dimensions."""
    return apply(warehouse.table("charge_lines"), filters, FILTER_COLUMNS)


def _sums(lines: ir.Table) -> dict[str, ir.Value]:
    return {
        "lines": lines.count(),
        "list": lines.ListCost.sum().cast(MONEY),
        "billed": lines.BilledCost.sum().cast(MONEY),
        "effective": lines.EffectiveCost.sum().cast(MONEY),
        "credits": lines.BilledCost.sum(where=lines.ChargeCategory == "Credit").fill_null(Decimal(0)).cast(MONEY),
        "list_unknown": lines.ListCost.isnull().sum(),
        "effective_unknown": lines.EffectiveCost.isnull().sum(),
        "is_final": lines.InvoiceId.notnull().all(),
    }


def _dearest(row: Row, basis: str, by: Sequence[str]) -> tuple[object, ...]:
    cost = row[basis]
    return cost is None, -(cost or 0), row["currency"], *[name_order(row[name]) for name in by]

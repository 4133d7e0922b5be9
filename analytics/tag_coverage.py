"""How much of the cost carries the required tags, how that changes, who lacks them most, and what each owner has to do.

Required are the tags of the configuration (`required_tags`). Coverage is by cost on the ledger, so that a day's parts sum to the day's cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce

import ibis
import ibis.expr.types as ir
import pandas as pd

from analytics import formatting
from analytics.cost_kinds import is_model_use
from analytics.currency import require_one_currency
from analytics.feature_detail import calls_between
from analytics.filters import UNTAGGED, Filters, apply, period_start
from analytics.frames import Row, frame_of, name_order, rows_of
from analytics.fx import CALLS_CURRENCY, in_reporting_currency
from analytics.infrastructure import bill_lines
from analytics.kept_rows import kept_rows
from analytics.ledger import MODEL_CATEGORIES, MONEY, ledger
from analytics.period_names import during
from analytics.ratios import share
from analytics.simulators.build_workload import call_filters
from warehouse.reader import Warehouse

EVERY_TAG = "every tag"
TAGGED = "Tagged"
RESOURCE, CALLS, NOT_TRACED = "resource", "calls", "billed, not traced"

COLUMNS = ("tag", "tagged_cost", "untagged_cost", "cost", "share", "currency", "calls", "untagged_calls")
TREND_COLUMNS = ("period", "tag", "tagged_cost", "untagged_cost", "cost", "share", "currency")
OFFENDER_COLUMNS = (
    "owner", "kind", "what", "service", "account", "resource", "prompt", "missing", "cost", "currency", "items", "first_day", "last_day", "fix",
)  # fmt: skip
OWNER_COLUMNS = ("owner", "cost", "currency", "places", "missing", "largest", "fix")


def tag_coverage(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """How much of the period's ledger cost carries each required tag, on the filters' basis; last a row `EVERY_TAG`: what carries all of them.

    tagged_cost + untagged_cost = cost, in `currency`, sums of what is known; share = tagged_cost / cost (None: nothing to share); calls:
    traced calls, untagged_calls: those of them without the tag. Raises InputError when the costs are in several currencies.
    """
    rows = _marked(warehouse, filters)
    names = _names(warehouse)
    sums = warehouse.row(rows.agg(**_sums(rows, names, filters.basis)))
    currency = _currency(warehouse, rows, filters.basis)
    return (
        frame_of([_of_tag(name, sums, currency) for name in names], COLUMNS)
        if sums["cost"] is not None
        else frame_of([], COLUMNS)
    )


def tag_coverage_over_time(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """The same by day, week or month (the filters' grain): one row per period (its first day) and tag.

    `EVERY_TAG` comes last; periods without cost are left out. The periods sum to
    `tag_coverage`. Raises InputError when the costs are in several currencies.
    """
    rows = _marked(warehouse, filters)
    names = _names(warehouse)
    currency = _currency(warehouse, rows, filters.basis)
    sums = rows.group_by(period=period_start(rows.date, filters.grain)).agg(**_sums(rows, names, filters.basis))
    found = sorted((row for row in rows_of(warehouse, sums) if row["cost"] is not None), key=lambda row: row["period"])
    return frame_of(
        [_of_tag(name, row, currency) | {"period": row["period"]} for row in found for name in names], TREND_COLUMNS
    )


def tagged_parts_over_time(warehouse: Warehouse, filters: Filters, tag: str) -> pd.DataFrame:
    """For a chart: one row per period and part (tagged or not) of `tag` (a required one or `EVERY_TAG`) with cost and currency."""
    frame = tag_coverage_over_time(warehouse, filters)
    frame = frame[frame["tag"] == tag]
    rows = [
        {"period": period, "part": part, "cost": cost, "currency": currency}
        for period, tagged, lacking, currency in zip(
            *(frame[name] for name in ("period", "tagged_cost", "untagged_cost", "currency")), strict=True
        )
        for part, cost in ((TAGGED, tagged), (UNTAGGED, lacking))
    ]
    return frame_of(rows, ("period", "part", "cost", "currency"))


def untagged(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """Where the untagged cost is: resources and services of the bill, calls by prompt, and billed model use without traces; the dearest first.

    Grain: one row per place and set of missing tags. kind: "resource" (billing lines on the filters' basis), "calls" (cost as traced; a
    day's exchange rate is that of the day in UTC) or "billed, not traced"; what: the resource, prompt or service; owner: the team, else the
    account that can add the tags (None: neither is known); missing: the required tags that it lacks, comma-separated; items: billing lines or
    calls (None: not counted); fix: what to do.

    What is billed for traced calls is not a row of its own: its tags come from the calls. Raises InputError when there are several currencies.
    """
    required = warehouse.configuration.required_tags
    found = [
        *_resources(warehouse, filters, required),
        *_not_traced(warehouse, filters, required),
        *_calls(warehouse, filters, required),
    ]
    found = [row for row in found if row["cost"] is not None and row["cost"] > 0]
    require_one_currency(row["currency"] for row in found)
    for row in found:
        row["owner"] = row["team"] or (f"account {row['account']}" if row["account"] else None)
        row["missing"] = ", ".join(name for name in required if row[f"lacks_{name}"])
        row["fix"] = _fix(row)
    found.sort(
        key=lambda row: (
            -row["cost"],
            row["kind"],
            *(name_order(row[key]) for key in ("what", "service", "owner", "missing")),
        )
    )
    return frame_of(found, OFFENDER_COLUMNS)


def untagged_by_owner(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """The work list: one row per owner (see `untagged`; None: nobody is known), the dearest first.

    cost: what lacks a tag; places: rows of `untagged`; missing: the tags that anything of theirs lacks; largest and fix: its dearest place.
    """
    frame = untagged(warehouse, filters)
    required = warehouse.configuration.required_tags
    owners: dict[str | None, Row] = {}
    for owner, cost, currency, missing, what, fix in zip(
        *(frame[name] for name in ("owner", "cost", "currency", "missing", "what", "fix")), strict=True
    ):
        row = owners.setdefault(
            owner,
            {
                "owner": owner,
                "cost": Decimal(0),
                "currency": currency,
                "places": 0,
                "lacks": set(),
                "largest": what,
                "fix": fix,
            },
        )
        row["cost"] += cost
        row["places"] += 1
        row["lacks"] |= set(missing.split(", "))
    for row in owners.values():
        row["missing"] = ", ".join(name for name in required if name in row["lacks"])
    return frame_of(sorted(owners.values(), key=lambda row: (-row["cost"], name_order(row["owner"]))), OWNER_COLUMNS)


@dataclass(frozen=True)
class TagSummary:
    """Coverage in a sentence: share of the cost that carries every required tag (None: no cost), the tag that lacks most, currency."""

    headline: str
    share: float | None
    untagged_cost: Decimal | None
    currency: str | None


def tag_summary(warehouse: Warehouse, filters: Filters) -> TagSummary:
    """The period's coverage in short."""
    frame = tag_coverage(warehouse, filters)
    if frame.empty:
        return TagSummary(f"No cost {during(filters)}", None, None, None)
    every = frame.iloc[-1]
    currency = every["currency"] or warehouse.configuration.reporting_currency
    headline = f"{formatting.share(every['share'])} of the cost {during(filters)} carries every required tag"
    single = frame.iloc[:-1]
    missing, tag = max(zip(single["untagged_cost"], single["tag"], strict=True), key=lambda pair: pair[0])
    if missing:
        headline += f"; {tag} is missing most, on {formatting.money(missing, currency)}"
    return TagSummary(headline, every["share"], every["untagged_cost"], every["currency"])


def _names(warehouse: Warehouse) -> tuple[str, ...]:
    return (*warehouse.configuration.required_tags, EVERY_TAG)


def _has(rows: ir.Table, name: str, required: Sequence[str]) -> ir.BooleanValue:
    if name == EVERY_TAG:
        return reduce(lambda left, right: left & right, (rows[each].notnull() for each in required))
    return rows[name].notnull()


def _marked(warehouse: Warehouse, filters: Filters) -> ir.Table:
    rows = apply(ledger(warehouse), filters)
    required = warehouse.configuration.required_tags
    return rows.mutate(**{f"has {name}": _has(rows, name, required) for name in _names(warehouse)})


def _sums(rows: ir.Table, names: Sequence[str], basis: str) -> dict[str, ir.Value]:
    amount = rows[basis]
    sums: dict[str, ir.Value] = {"cost": amount.sum().cast(MONEY), "calls": rows.calls.sum().cast("int64")}
    for name in names:
        sums[f"cost {name}"] = amount.sum(where=rows[f"has {name}"]).cast(MONEY)
        sums[f"calls {name}"] = rows.calls.sum(where=rows[f"has {name}"]).fill_null(0).cast("int64")
    return sums


def _currency(warehouse: Warehouse, rows: ir.Table, basis: str) -> str | None:
    found = rows_of(warehouse, rows.filter(rows[basis].notnull()).select("currency").distinct())
    return require_one_currency(row["currency"] for row in found)


def _of_tag(name: str, sums: Row, currency: str | None) -> Row:
    tagged, cost, calls = sums[f"cost {name}"] or Decimal(0), sums["cost"], sums["calls"] or 0
    return {
        "tag": name, "tagged_cost": tagged, "untagged_cost": cost - tagged, "cost": cost, "share": share(tagged, cost), "currency": currency,
        "calls": calls, "untagged_calls": calls - (sums[f"calls {name}"] or 0),
    }  # fmt: skip


def _lacking(table: ir.Table, required: Sequence[str]) -> tuple[ir.Table, dict[str, ir.Value]]:
    table = table.filter(reduce(lambda left, right: left | right, (table[name].isnull() for name in required)))
    return table, {f"lacks_{name}": table[name].isnull() for name in required}


def _resources(warehouse: Warehouse, filters: Filters, required: Sequence[str]) -> list[Row]:
    lines = bill_lines(warehouse, filters)
    split = lines.x_CostCategory.isin(MODEL_CATEGORIES).fill_null(False) & lines.feature.isnull()
    lines, lacks = _lacking(lines.filter(~split), required)
    amount = {"billed": lines.BilledCost, "effective": lines.EffectiveCost, "list": lines.ListCost}[filters.basis]
    lines = in_reporting_currency(
        warehouse, lines.mutate(native_currency=lines.BillingCurrency, amount=amount, **lacks), ("amount",)
    )
    sums = lines.group_by(
        *lacks, team=lines.team, account=lines.SubAccountId.fill_null(lines.BillingAccountId), service=lines.ServiceName,
        resource=lines.ResourceId, currency=lines.currency,
    ).agg(cost=lines.amount.sum().cast(MONEY), items=lines.count(), first_day=lines.date.min(), last_day=lines.date.max())  # fmt: skip
    return [
        row | {"kind": RESOURCE, "prompt": None, "what": row["resource"] or row["service"]}
        for row in rows_of(warehouse, sums)
    ]


def _not_traced(warehouse: Warehouse, filters: Filters, required: Sequence[str]) -> list[Row]:
    rows = apply(ledger(warehouse), filters)
    rows, lacks = _lacking(rows.filter(rows.allocation == "not traced", is_model_use(rows)), required)
    sums = rows.group_by(
        team=rows.team, account=rows.account, service=rows.service, model=rows.model, currency=rows.currency, **lacks
    ).agg(cost=rows[filters.basis].sum().cast(MONEY), first_day=rows.date.min(), last_day=rows.date.max())
    return [
        row
        | {"kind": NOT_TRACED, "resource": None, "prompt": None, "items": None, "what": row["model"] or row["service"]}
        for row in rows_of(warehouse, sums)
    ]


def _calls(warehouse: Warehouse, filters: Filters, required: Sequence[str]) -> list[Row]:
    calls, lacks = _lacking(calls_between(warehouse, call_filters(filters)), required)
    calls = calls.mutate(native_currency=ibis.literal(CALLS_CURRENCY), date=calls.started_at.date(), **lacks)
    calls = in_reporting_currency(warehouse, calls, ("cost",))
    sums = calls.group_by(
        *lacks, team=calls.team, account=calls.billing_account_id, service=calls.model, prompt=ibis.coalesce(calls.prompt_name, calls.feature),
        currency=calls.currency,
    ).agg(
        cost=calls.cost.sum().cast(MONEY), items=calls.count(), first_day=calls.started_at.min().date(), last_day=calls.started_at.max().date()
    )  # fmt: skip
    rows = kept_rows(warehouse, "untagged-calls", sums, filters.start, filters.end, contents=("fx_rates",))
    return [
        row | {"kind": CALLS, "resource": None, "what": row["prompt"] or row["service"]} for row in rows.to_pylist()
    ]


def _fix(row: Mapping[str, object]) -> str:
    tags = row["missing"]
    if row["kind"] == RESOURCE:
        place = f"resource {row['resource']}" if row["resource"] else f"the resources of {row['service']}"
        return f"Tag {place} with {tags}, where it is defined; a virtual tag covers what was billed before"
    if row["kind"] == CALLS:
        place = f"prompt {row['prompt']}" if row["prompt"] else f"calls of {row['service'] or 'an unknown model'}"
        return f"Send {tags} as metadata with {place}"
    return f"Send these calls through the gateway or a traced client, with {tags}"

"""AWS Cost and Usage Reports: legacy CSV, Parquet with Athena names, and CUR 2.0 (Data Exports), each gzip or zstd or plain.

Which rows mean what is in connectors.aws_line_items; which files of a delivery count is in connectors.aws_manifest.
Partition: the billing period of the payer account. Line item ids are no keys (they change between deliveries), so a delivery
replaces its period whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

import duckdb

from connectors.aws_columns import Columns
from connectors.aws_line_items import (
    AMORTISED_RESERVATIONS,
    AMORTISED_SAVINGS_PLANS,
    DISCOUNTS,
    KNOWN_TYPES,
    Findings,
    charges_query,
    typed_rows,
    unpaired_groups,
)
from connectors.bedrock import is_bedrock, parse_bedrock
from connectors.extraction import Extraction
from connectors.files import SourceFile, scan
from warehouse.configuration import Configuration
from warehouse.errors import InputError

KIND = "aws-cur"

TELLING = (
    "line_item_unblended_cost", "line_item_line_item_type", "line_item_usage_account_id", "line_item_product_code",
    "line_item_currency_code", "bill_payer_account_id", "identity_line_item_id", "line_item_usage_type", "line_item_usage_start_date",
)  # fmt: skip


def detect(file: SourceFile) -> bool:
    """Whether these are AWS cost and usage columns: at least three that only such a file has."""
    present = Columns(dict.fromkeys(file.columns, "VARCHAR")).actual
    return sum(name in present for name in TELLING) >= 3


def extract(
    connection: duckdb.DuckDBPyConnection,
    file: SourceFile,
    configuration: Configuration,  # noqa: ARG001
) -> Iterable[Extraction]:
    """The file's charges, one extraction.

    Raises InputError when the file has no cost column, no currency column, or neither a billing period nor a usage date.
    """
    source = scan(file)
    described = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
    columns = Columns({name: kind for name, kind, *_ in described if name != "_row"})
    _require(file, columns)
    profile = _profile(connection, typed_rows(columns, source))
    unpaired = []
    if profile.types & {"SavingsPlanCoveredUsage", "SavingsPlanNegation"}:
        unpaired = connection.execute(unpaired_groups(typed_rows(columns, source))).fetchall()
    findings = Findings(
        net_in_use=profile.net_in_use,
        unpaired=unpaired,
        models={(usage, name): parse_bedrock(usage, name) for usage, name in sorted(profile.bedrock, key=repr)},
    )
    yield Extraction(
        kind=KIND,
        table="charges",
        source=KIND,
        file=file.name,
        checksum=file.checksum,
        query=charges_query(columns, source, findings),
        rejects=file.rejects,
        warnings=_warnings(columns, profile, findings),
        rows_read=sum(profile.counts.values()) + len(file.rejects),
    )


def _require(file: SourceFile, columns: Columns) -> None:
    if not columns.has("line_item_unblended_cost"):
        raise InputError(
            "no column line_item_unblended_cost (lineItem/UnblendedCost); export the report with its cost columns",
            file=file.name,
        )
    if not columns.has("line_item_currency_code"):
        raise InputError(
            "no column line_item_currency_code (lineItem/CurrencyCode); a cost without currency cannot be added to others",
            file=file.name,
        )
    if not any(
        columns.has(name)
        for name in ("bill_billing_period_start_date", "line_item_usage_start_date", "identity_time_interval")
    ):
        raise InputError(
            "no column says when: neither bill_billing_period_start_date nor line_item_usage_start_date is there",
            file=file.name,
        )


@dataclass
class _Profile:
    types: set[str | None] = field(default_factory=set)
    counts: dict[str | None, int] = field(default_factory=dict)
    bedrock: set[tuple[str | None, str | None]] = field(default_factory=set)
    net_in_use: bool = False
    discount_total: Decimal = Decimal(0)
    net_gap: Decimal = Decimal(0)
    no_reservation_cost: int = 0
    no_plan_cost: int = 0


def _profile(connection: duckdb.DuckDBPyConnection, typed: str) -> _Profile:
    """One pass over the file: which types, which Bedrock lines, whether net costs hold discounts."""
    bedrock = "contains(lower(coalesce(product_code, '') || ' ' || coalesce(product_name, '')), 'bedrock')"
    discounts = ", ".join(f"'{name}'" for name in DISCOUNTS)
    rows = connection.execute(f"""
        SELECT line_type,
            CASE WHEN {bedrock} THEN usage_type END, CASE WHEN {bedrock} THEN product_name END, CASE WHEN {bedrock} THEN product_code END,
            count(*),
            coalesce(bool_or(net <> cost AND line_type NOT IN ({discounts})), false),
            sum(CASE WHEN line_type IN ({discounts}) THEN cost END),
            sum(CASE WHEN line_type NOT IN ({discounts}) THEN coalesce(net, cost) - cost END),
            count(*) FILTER (line_type = 'DiscountedUsage' AND reservation_cost IS NULL),
            count(*) FILTER (line_type = 'SavingsPlanCoveredUsage' AND plan_cost IS NULL AND NOT is_split)
        FROM ({typed}) GROUP BY ALL""").fetchall()
    profile = _Profile()
    for line_type, usage, name, code, count, net_in_use, discount, gap, no_reservation, no_plan in rows:
        profile.types.add(line_type)
        profile.counts[line_type] = profile.counts.get(line_type, 0) + count
        profile.net_in_use |= net_in_use
        profile.discount_total += discount or 0
        profile.net_gap += gap or 0
        profile.no_reservation_cost += no_reservation
        profile.no_plan_cost += no_plan
        if is_bedrock(code, name):
            profile.bedrock.add((usage, name))
    return profile


def _warnings(columns: Columns, profile: _Profile, findings: Findings) -> list[str]:
    found = []
    if not columns.has("line_item_line_item_type"):
        found.append("There is no column line_item_line_item_type: every row is taken as usage, costs as they stand.")
    else:
        found += [
            f"Line item type {kind!r} is not known ({profile.counts[kind]} rows): kept as an adjustment, billed as it stands."
            for kind in sorted(kind for kind in profile.types if kind is not None and kind not in KNOWN_TYPES)
        ]
        if None in profile.types:
            found.append(
                f"{profile.counts[None]} rows have no line item type: kept as adjustments, billed as they stand."
            )
    if findings.unpaired:
        total = sum(amount for _, amount in findings.unpaired)
        found.append(
            f"In {len(findings.unpaired)} groups covered usage and negation of a Savings Plan do not cancel; the remainder, {total:f} in "
            "all, is kept in rows of its own (SavingsPlanNegation:Unpaired). It cancels when the delivery's other files are loaded too."
        )
    if profile.types & {"DiscountedUsage", "RIFee"} and not all(map(columns.has, AMORTISED_RESERVATIONS)):
        found.append("Amortisation columns of reservations are absent: their effective cost is taken as billed.")
    elif profile.no_reservation_cost:
        found.append(f"{profile.no_reservation_cost} rows of reserved usage have no effective cost: unknown, not 0.")
    if profile.types & {"SavingsPlanCoveredUsage", "SavingsPlanRecurringFee"} and not all(
        map(columns.has, AMORTISED_SAVINGS_PLANS)
    ):
        found.append("Amortisation columns of Savings Plans are absent: their effective cost is taken as billed.")
    elif profile.no_plan_cost:
        found.append(
            f"{profile.no_plan_cost} rows of usage under a Savings Plan have no effective cost: unknown, not 0."
        )
    if profile.net_in_use and profile.types & set(DISCOUNTS) and profile.discount_total != profile.net_gap:
        found.append(
            f"Discount rows sum to {profile.discount_total:f} but net costs are lower by {profile.net_gap:f}: net costs are used, "
            "and discount rows count 0 where they have no net cost. Compare with the invoice."
        )
    return found

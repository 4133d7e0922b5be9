"""The ledger: every dollar once, from the provider's bill where there is one, else from the traces.

Where a bill covers a provider's model usage on a day, the bill is the ledger and that day's traces only say which feature owes it; where
none does, the traces are the ledger and marked estimated. Never both in one total (the design's ledger rule).

A provider's bill covers, in each billing month, the days from its first to its last charge for model usage (categories "LLM API" and
"Embedding"), for the accounts that it names; a call that names another account is not covered. Days are those by which the bill was
cut: UTC days for lines of a day or more, days of the reporting time zone for shorter ones.

A line that names a feature is that feature's. Every other line for model usage is split over the traced calls of its provider, account
and days (of its model, where it names one, else of its category) in proportion to their traced cost; the parts carry the calls'
project, feature, team, env and tier, so that cost and calls always lie on the same names. What has no traced cost to go to stays on
the line's own row with the line's own tags, `allocation` = "not traced".

Amounts are in the reporting currency wherever the day has an exchange rate (see `analytics.fx`), here and therefore in every view.
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from analytics.fx import CALLS_CURRENCY, MONEY, bill_daily, traced_daily
from warehouse.reader import Warehouse
from warehouse.schema import DIMENSIONS

MODEL_CATEGORIES = ("LLM API", "Embedding")
AMOUNTS = ("billed", "effective", "list")
UNKNOWNS = ("effective_unknown", "list_unknown")

_LINE_KEYS = (
    "date", "covered_to", "whole_days", "category", "provider", "service", "model", "account", "sub_account", "currency",
    "native_currency", "source", "is_final", "is_credit", *DIMENSIONS,
)  # fmt: skip


def ledger(warehouse: Warehouse, into: str | None = None) -> ir.Table:
    """The ledger as a table, computed once per open snapshot, in the reporting currency (or `into`) wherever a day has a rate.

    Grain: date, category, provider, service, model, account, currency, the five dimensions, source, ledger, allocation, is_final,
    is_credit. Columns beside these: `billed`, `effective`, `list` in `currency` (exact sums of what is known; NULL: nothing is),
    `native_currency` (of the bill or the traces, before conversion), `effective_unknown` and `list_unknown` (billing lines without that
    cost), `calls` (traced calls on the row) and `unpriced_calls`. `ledger` is "bill" or "traces" (estimated); `allocation` is "direct"
    (the line or call itself names the feature or has none to name), "by traces" (a billed amount split by traced cost) or "not traced".
    `is_credit` marks credits of the bill, so that unit costs can be taken gross of them. Rows without any money carry the calls behind
    billed amounts.
    """
    name = _table_name("ledger_daily", warehouse, into)
    if warehouse.has_table(name):
        return warehouse.table(name)
    return warehouse.materialise(name, _ledger_expression(warehouse, into))


def traced_calls(warehouse: Warehouse, into: str | None = None) -> ir.Table:
    """Traced calls as the ledger sees them: which of them a bill covers, and by which clock that bill was cut.

    Grain: date, utc_date, provider, billing_account_id, model, source, category and the five dimensions. Columns beside these: `cost`
    (known cost, USD), `amount` (the same in `amount_currency`, the reporting one or `into` where there is a rate), `calls`, `unpriced_calls`,
    `covered_utc_date` and `covered_date` (covered by lines of whole UTC days, by shorter lines) and `is_covered` (either).

    Computed once per open snapshot, like the ledger: as a part of each question it took 100 ms to compile and 30 ms to answer, as a table 5 ms.
    """
    name = _table_name("traced_daily", warehouse, into)
    if warehouse.has_table(name):
        return warehouse.table(name)
    return warehouse.materialise(name, _traced(traced_daily(warehouse, into), _bill_lines(warehouse, into)))


def unknown_costs(rows: ir.Table, basis: str) -> ir.IntegerColumn:
    """How many costs of this basis each ledger row lacks: unpriced calls where the traces are the ledger, else billing lines."""
    calls = (rows.ledger == "traces").ifelse(rows.unpriced_calls, 0)
    return calls if basis == "billed" else calls + rows[f"{basis}_unknown"]


def call_category(calls: ir.Table) -> ir.StringValue:
    """Cost category of model calls: embeddings apart from everything else."""
    return calls.operation.isin(["embeddings", "embedding"]).fill_null(False).ifelse("Embedding", "LLM API")


def _table_name(name: str, warehouse: Warehouse, into: str | None) -> str:
    return name if into in (None, warehouse.configuration.reporting_currency) else f"{name}_{into}"


def _bill_lines(warehouse: Warehouse, into: str | None) -> ir.Table:
    """`_lines` of all bills, computed once per open snapshot."""
    name = _table_name("bill_lines_daily", warehouse, into)
    if warehouse.has_table(name):
        return warehouse.table(name)
    return warehouse.materialise(name, _lines(bill_daily(warehouse, into)))


def _ledger_expression(warehouse: Warehouse, into: str | None) -> ir.Table:
    # On the tables of both sides: as one expression over the roll-ups it is 91 kB of SQL, and takes three times as long.
    lines, traced = _bill_lines(warehouse, into), traced_calls(warehouse, into)
    covered, uncovered = traced.filter(traced.is_covered), traced.filter(~traced.is_covered)
    shared = lines.category.isin(MODEL_CATEGORIES).fill_null(False) & lines.feature.isnull()
    return ibis.union(
        _columns(lines.filter(~shared), "bill", "direct"),
        *_split(lines.filter(shared), covered),
        _call_counts(covered),
        _columns(
            uncovered.mutate(
                service=uncovered.model, account=uncovered.billing_account_id,
                currency=uncovered.amount_currency, native_currency=ibis.literal(CALLS_CURRENCY),
                is_final=ibis.literal(False), is_credit=ibis.literal(False),
                **dict.fromkeys(AMOUNTS, uncovered.amount), **_none(UNKNOWNS),
            ),
            "traces",
            "direct",
        ),
    )  # fmt: skip


def _lines(charges: ir.Table) -> ir.Table:
    """Billing lines by what tells them apart here, with sums of what is known and the number of lines where it is not."""
    days = charges.whole_days
    keys = {
        "date": charges.date, "covered_to": ibis.greatest(charges.date, days.ifelse(charges.covered_to, charges.date)),
        "whole_days": days, "category": charges.x_CostCategory, "provider": charges.provider, "service": charges.ServiceName,
        "model": charges.x_Model, "account": charges.BillingAccountId, "sub_account": charges.SubAccountId,
        "currency": charges.currency, "native_currency": charges.native_currency, "source": charges.x_Source, "is_final": charges.is_final,
        "is_credit": (charges.ChargeCategory == "Credit").fill_null(False),
        "is_usage": charges.ChargeCategory.isin(["Usage", "Purchase"]).fill_null(False),
    } | {name: charges[name] for name in DIMENSIONS}  # fmt: skip
    sums = {name: charges[name].sum().cast(MONEY) for name in AMOUNTS}
    unknown = {name: _count(charges[name].sum()) for name in UNKNOWNS}
    return charges.group_by(**keys).agg(**sums, **unknown).mutate(**_none(("calls", "unpriced_calls")))


def _coverage(lines: ir.Table, whole_days: bool) -> ir.Table:
    """First and last day per provider and month on which its bill charges for model usage, in lines cut by one kind of day."""
    usage = lines.filter(
        lines.category.isin(MODEL_CATEGORIES), lines.is_usage, lines.whole_days == ibis.literal(whole_days)
    )
    return (
        usage.mutate(month=usage.date.truncate("M"))
        .group_by(["provider", "month"])
        .agg(
            first_day=lambda t: t.date.min(),
            last_day=lambda t: t.covered_to.max(),
            names_accounts=lambda t: (t.account.count() + t.sub_account.count()) > 0,
            bill_currency=lambda t: t.currency.max(),
            bill_native=lambda t: t.native_currency.max(),
        )
    )


def _billed_accounts(lines: ir.Table) -> ir.Table:
    """Accounts, payers and members, that each provider's bills name for model usage, by month."""
    usage = lines.filter(lines.category.isin(MODEL_CATEGORIES), lines.is_usage)
    usage = usage.mutate(month=usage.date.truncate("M"))
    payers = usage.select("provider", "month", billed_account=usage.account)
    members = usage.select("provider", "month", billed_account=usage.sub_account)
    both = payers.union(members)
    return both.filter(both.billed_account.notnull()).distinct()


def _traced(calls: ir.Table, lines: ir.Table) -> ir.Table:
    """Traced calls by day and what tells them apart here, each marked whether a bill covers it."""
    keys = ["date", "utc_date", "provider", "billing_account_id", "model", "source", "category", *DIMENSIONS]
    traced = (
        calls.mutate(category=call_category(calls), amount_currency=calls.currency)
        .group_by([*keys, "amount_currency"])
        .agg(
            cost=lambda t: t.cost.sum().cast(MONEY),
            amount=lambda t: t.amount.sum().cast(MONEY),
            calls=lambda t: _count(t.calls.sum()),
            unpriced_calls=lambda t: _count(t.unpriced_calls.sum()),
        )
    )
    accounts = _billed_accounts(lines)
    found: list[ir.BooleanValue] = []
    for whole_days, day in ((True, "utc_date"), (False, "date")):
        coverage = _coverage(lines, whole_days)
        month = traced[day].truncate("M")
        traced = traced.left_join(coverage, [traced.provider == coverage.provider, month == coverage.month])
        traced = traced.drop("provider_right", "month")
        account = accounts
        month = traced[day].truncate("M")
        traced = traced.left_join(
            account,
            [
                traced.provider == account.provider,
                month == account.month,
                traced.billing_account_id == account.billed_account,
            ],
        ).drop("provider_right", "month")
        own_account = (
            traced.billing_account_id.isnull()
            | ~traced.names_accounts.fill_null(False)
            | traced.billed_account.notnull()
        )
        is_covered = (traced[day].between(traced.first_day, traced.last_day) & own_account).fill_null(False)
        name = f"covered_{day}"
        traced = traced.mutate(
            **{
                name: is_covered,
                f"currency_{day}": is_covered.ifelse(traced.bill_currency, ibis.null("string")),
                f"native_{day}": is_covered.ifelse(traced.bill_native, ibis.null("string")),
            }
        ).drop("first_day", "last_day", "names_accounts", "billed_account", "bill_currency", "bill_native")
        found.append(traced[name])
    return traced.mutate(
        is_covered=traced.covered_utc_date | traced.covered_date,
        currency=ibis.coalesce(traced.currency_utc_date, traced.currency_date),
        bill_native_currency=ibis.coalesce(traced.native_utc_date, traced.native_date),
    )


def _split(lines: ir.Table, covered: ir.Table) -> tuple[ir.Table, ir.Table]:
    """Billed lines split over traced calls, and the lines that found none.

    Shares are computed as binary fractions and rounded to the twelfth decimal; the largest part takes the difference, so that the
    parts of a line are the line.
    """
    lines = lines.mutate(line=ibis.row_number().over(order_by=[lines[name] for name in (*_LINE_KEYS, "is_usage")]))
    priced = covered.filter(covered.cost > 0)
    by_day = [
        priced.group_by(
            day=priced[day], whole_days=ibis.literal(whole_days), traced_provider=priced.provider, traced_category=priced.category,
            traced_model=priced.model, traced_account=priced.billing_account_id,
            **{f"traced_{name}": priced[name] for name in DIMENSIONS},
        ).agg(weight=priced.cost.sum())
        for whole_days, day in ((True, "utc_date"), (False, "date"))
    ]  # fmt: skip
    weights = by_day[0].union(by_day[1])
    first, last = lines.date.cast("timestamp"), lines.covered_to.cast("timestamp")
    days = lines.select(
        "line", "provider", "category", "model", "account", "sub_account", "whole_days",
        day=ibis.range(first, last + ibis.interval(days=1), ibis.interval(days=1)).unnest(),
    )  # fmt: skip
    days = days.mutate(day=days.day.cast("date"))
    pairs = days.inner_join(
        weights,
        [
            days.provider == weights.traced_provider,
            days.whole_days == weights.whole_days,
            days.day == weights.day,
            ((days.model == weights.traced_model) | (days.model.isnull() & (days.category == weights.traced_category))),
            (
                weights.traced_account.isnull()
                | (days.account.isnull() & days.sub_account.isnull())
                | (weights.traced_account == days.account)
                | (weights.traced_account == days.sub_account)
            ).fill_null(False),
        ],
    )
    traced_keys = ["traced_model", *(f"traced_{name}" for name in DIMENSIONS)]
    pairs = pairs.group_by(["line", *traced_keys]).agg(weight=lambda t: t.weight.sum().cast(MONEY))
    matched = pairs.inner_join(lines, "line")
    whole = ibis.window(group_by=matched.line)
    order = ibis.window(
        group_by=matched.line, order_by=[ibis.desc(matched.weight), *(matched[name] for name in traced_keys)]
    )
    share = matched.weight.cast("float64") / matched.weight.sum().over(whole).cast("float64")
    parts = matched.mutate(position=ibis.row_number().over(order), share=share)
    parts = parts.mutate(
        **{f"part_{name}": (parts[name].cast("float64") * parts.share).cast(MONEY) for name in AMOUNTS}
    )
    is_first = parts.position == 0
    whole = ibis.window(group_by=parts.line)
    exact = {
        name: (
            parts[f"part_{name}"]
            + is_first.ifelse(parts[name] - parts[f"part_{name}"].sum().over(whole), ibis.literal(0).cast(MONEY))
        ).cast(MONEY)
        for name in AMOUNTS
    }
    split = parts.mutate(
        **exact,
        **{name: is_first.ifelse(parts[name], 0) for name in UNKNOWNS},
        **{name: parts[f"traced_{name}"] for name in DIMENSIONS},
        model=parts.traced_model,
    )
    return _columns(split, "bill", "by traces"), _columns(lines.anti_join(pairs, "line"), "bill", "not traced")


def _call_counts(covered: ir.Table) -> ir.Table:
    """Rows without money that carry the number of calls behind billed amounts."""
    return _columns(
        covered.mutate(
            service=ibis.null("string"), account=covered.billing_account_id, is_final=ibis.null("boolean"),
            is_credit=ibis.literal(False), native_currency=covered.bill_native_currency,
            **dict.fromkeys(AMOUNTS, ibis.null(MONEY)), **_none(UNKNOWNS),
        ),
        "bill",
        "by traces",
    )  # fmt: skip


def _none(names: tuple[str, ...]) -> dict[str, ir.IntegerScalar]:
    return {name: ibis.literal(0, "int64") for name in names}


def _columns(table: ir.Table, ledger_name: str, allocation: str) -> ir.Table:
    return table.select(
        "date", "category", "provider", "service", "model", "account", "currency", "native_currency", *DIMENSIONS, "source",
        ledger=ibis.literal(ledger_name), allocation=ibis.literal(allocation), is_final=table.is_final, is_credit=table.is_credit,
        **{name: table[name].cast(MONEY) for name in AMOUNTS},
        **{name: _count(table[name]) for name in (*UNKNOWNS, "calls", "unpriced_calls")},
    )  # fmt: skip


def _count(number: ir.Value) -> ir.IntegerValue:
    """As 64 bits: through a decimal, because Ibis takes a sum of integers for 64 bits, where DuckDB makes it 128, and drops the cast."""
    return number.cast("decimal(38, 0)").cast("int64")

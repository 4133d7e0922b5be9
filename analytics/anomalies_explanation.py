"""Why an anomaly happened: its excess as exact parts by cause, and the features, models, users, prompts and resources that drive it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal

import ibis
import ibis.expr.types as ir
import pandas as pd

from analytics.anomalies import ordinary
from analytics.anomalies_drivers import Costs, Dimension, ranked
from analytics.anomalies_episodes import Episode
from analytics.anomalies_series import TOTAL, USER
from analytics.anomalies_words import Reason, reason, sentence
from analytics.decomposition_cells import Usage, runs, usage, user_usage
from analytics.feature_detail import CALL_COLUMNS, calls_between
from analytics.filters import Filters, matching
from analytics.frames import Row, frame_of, rows_of
from analytics.fx import MONEY, in_reporting_currency
from analytics.infrastructure import FILTER_COLUMNS
from analytics.kept_findings import is_whole, kept_finding
from analytics.kept_rows import kept_rows
from analytics.ledger import ledger
from analytics.ratios import UNIT_PLACES
from analytics.why_changed import by_driver, difference_rows
from warehouse.errors import InputError
from warehouse.reader import Warehouse

REFERENCE_DAYS = 14
"""Days before an anomaly that say what the usual cost is made of."""
EARLIER_USE = "earlier use"
"""Part of what was expected whose make-up is not known: the series cost nothing in the two weeks before."""

LEDGER_DIMENSIONS = ("feature", "model", "service", "user_tier")
CALL_DIMENSIONS = {"user": "user_id", "prompt": "prompt_name"}
RESOURCE = "resource"
LEAST_SURPRISE = 0.001
"""Below it the values of a dimension moved alike: it has no driver, however many values it has."""
MOST_VALUES = 200
OTHERS = "all others"
BILL_AMOUNTS = {"billed": "BilledCost", "effective": "EffectiveCost", "list": "ListCost"}


@dataclass(frozen=True)
class Explanation:
    """Why a series cost more, or less, than expected on `days`. Money exact, in `currency`; excess = actual - expected.

    reasons: by driver, the largest first, each with its amount and in words; the amounts sum to `excess` to the last digit. dimensions: which
    values of feature, model, service, tier, user, prompt and resource drive it, the most telling dimension first (users and prompts by
    traced cost in USD). sentence: the whole in one sentence. compared_with: first and last day that say what is usual (None: nothing before).
    """

    series: str
    days: tuple[date, ...]
    expected: Decimal
    actual: Decimal
    excess: Decimal
    currency: str | None
    reasons: tuple[Reason, ...]
    dimensions: tuple[Dimension, ...]
    sentence: str
    compared_with: tuple[date, date] | None


def explain(
    warehouse: Warehouse, series: str, day: date, filters: Filters | None = None, *, expected: Decimal | None = None
) -> Explanation:
    """Why `series` ("total", "feature:search", ...) cost what it did on a day, before credits, against what was expected.

    `filters` gives conditions and basis (default: none, effective). expected (default): what the default detector expects of that day, else the
    mean of the 14 days before. Its make-up is that of those days, in the amount that costs what was expected: so a weekend is not explained by
    its few calls. Parts are those of `analytics.why_changed`.

    Raises InputError for a series that does not exist, and when the costs are in several currencies.
    """
    chosen = replace(filters or Filters(day, day), start=day, end=day)
    if expected is None:
        expected = _expected(warehouse, chosen, series)
    return _explain(warehouse, series, (day,), chosen, expected, credits=False)


def explain_episode(warehouse: Warehouse, episode: Episode, filters: Filters | None = None) -> Explanation:
    """Why an episode happened: over its flagged days, told of the series that says most (`Episode.told_by`), in the episode's own amounts.

    `filters`: those that the episodes were asked with. Raises InputError when the costs are in several currencies.
    """
    told = episode.told_by
    chosen = replace(filters or Filters(told.first_day, told.last_day), start=told.first_day, end=told.last_day)

    def find() -> Explanation:
        return _explain(warehouse, told.series, told.days, chosen, told.expected, credits=told.rule)

    if not is_whole(chosen):
        return find()
    return kept_finding(warehouse, "why-odd", find, chosen, told.series, told.days, told.expected, told.rule)


def calls_behind(
    warehouse: Warehouse, series: str, days: Sequence[date], filters: Filters | None = None, limit: int = 50
) -> pd.DataFrame:
    """The dearest calls of a series from the first to the last of these days, at most `limit`: the evidence behind an anomaly.

    Grain: one row per call, the dearest first, with the columns of `analytics.feature_detail.dearest_calls`. Empty for infrastructure.
    """
    first, last = min(days), max(days)
    scope = _scope(replace(filters or Filters(first, last), start=first, end=last), series)
    dimension, _, value = series.partition(":")
    calls = calls_between(warehouse, scope.without("service"))
    if dimension == USER:
        calls = calls.filter(calls.user_id == value)
    if dimension == "service":
        models = ledger(warehouse)
        models = matching(models.filter(models.model.notnull()), scope).select("model").distinct()
        calls = calls.semi_join(models, "model")
    dearest = calls.order_by([calls.cost.desc(nulls_first=False), calls.started_at, calls.source, calls.call_id])
    return frame_of(rows_of(warehouse, dearest.limit(limit).select(*CALL_COLUMNS)), CALL_COLUMNS)


def _expected(warehouse: Warehouse, filters: Filters, series: str) -> Decimal:
    frame = ordinary(warehouse, filters, series)
    if frame.empty:
        raise InputError(f"there is no series {series!r} with these filters")
    found = frame["expected"].iloc[-1]
    if found is not None:
        return Decimal(repr(found)).quantize(UNIT_PLACES)
    days = _reference(warehouse, filters.start)
    before = _usage(warehouse, series, days, filters, credits=False)
    return (before.total / len(days)).quantize(UNIT_PLACES) if days else Decimal(0)


def _explain(
    warehouse: Warehouse, series: str, days: tuple[date, ...], filters: Filters, expected: Decimal, *, credits: bool
) -> Explanation:
    reference = _reference(warehouse, days[0])
    usual = _usage(warehouse, series, reference, filters, credits=False)
    after = _usage(warehouse, series, days, filters, credits=credits)
    before = usual.scaled_to(expected)
    before.days = after.days
    rows = difference_rows(warehouse, before, after)
    actual, excess = after.total, after.total - expected
    parts = by_driver(rows)
    if before.total != expected:
        parts = (*parts, (EARLIER_USE, before.total - expected))
    reasons = tuple(
        reason(driver, amount, [row for row in rows if row["driver"] == driver], before, after)
        for driver, amount in sorted(parts, key=lambda part: -part[1] if excess >= 0 else part[1])
    )
    factor = expected / usual.total if usual.total > 0 else Decimal(0)
    currency = after.currency or before.currency
    return Explanation(
        series, days, expected, actual, excess, currency, reasons,
        _dimensions(warehouse, series, reference, days, filters, factor, bool(after.models)),
        sentence(series, days, expected, actual, currency, reasons),
        (reference[0], reference[-1]) if reference else None,
    )  # fmt: skip


def _reference(warehouse: Warehouse, first: date) -> tuple[date, ...]:
    """The days that say what is usual, as far as the store reaches."""
    span = warehouse.span()
    days = (first - timedelta(days=number) for number in range(REFERENCE_DAYS, 0, -1))
    return tuple(day for day in days if span and day >= span[0])


def _scope(filters: Filters, series: str) -> Filters:
    """The filters, narrowed to the series."""
    dimension, _, value = series.partition(":")
    return filters if dimension in (TOTAL, USER) else filters.only(dimension, value)


def _usage(warehouse: Warehouse, series: str, days: tuple[date, ...], filters: Filters, *, credits: bool) -> Usage:
    if not days:
        return Usage(1, filters.start, None)
    dimension, _, value = series.partition(":")
    if dimension == USER:
        return user_usage(warehouse, filters, value, days)
    return usage(warehouse, _scope(filters, series), days, credits=credits)


def _dimensions(
    warehouse: Warehouse, series: str, reference: tuple[date, ...], days: tuple[date, ...], filters: Filters, factor: Decimal,
    has_calls: bool,
) -> tuple[Dimension, ...]:  # fmt: skip
    """Expected and actual cost by value, dimension by dimension; a dimension with one value tells nothing."""
    scope = _scope(filters, series)
    own = series.partition(":")[0]
    found: dict[str, tuple[Costs, Costs]] = {}
    if own != USER:
        rows = matching(ledger(warehouse), scope)
        rows = rows.filter(~rows.is_credit)
        for name in LEDGER_DIMENSIONS:
            found[name] = _costs(warehouse, rows, rows[name], rows[filters.basis], rows.date, reference, days, factor)
        lines = warehouse.table("charge_lines")
        amount = BILL_AMOUNTS[filters.basis]
        lines = in_reporting_currency(warehouse, lines.mutate(native_currency=lines.BillingCurrency), (amount,))
        lines = matching(lines, scope, FILTER_COLUMNS)
        lines = lines.filter(lines.ResourceId.notnull(), (lines.ChargeCategory != "Credit").fill_null(True))
        found[RESOURCE] = _costs(warehouse, lines, lines.ResourceId, lines[amount], lines.date, reference, days, factor)
    if has_calls:
        calls = _calls(warehouse, series, scope, reference, days)
        is_after, period = calls.is_after, (min(*reference, *days), max(*reference, *days))
        for name, column in CALL_DIMENSIONS.items():
            if name != own:
                found[name] = _call_costs(warehouse, calls, calls[column], is_after, factor, period)
    telling = {name: costs for name, costs in found.items() if name != own and len({*costs[0], *costs[1]}) > 1}
    return tuple(one for one in ranked(telling) if one.drivers and one.surprise >= LEAST_SURPRISE)


def _costs(
    warehouse: Warehouse, rows: ir.Table, value: ir.StringValue, amount: ir.DecimalValue, day: ir.DateValue,
    reference: tuple[date, ...], days: tuple[date, ...], factor: Decimal,
) -> tuple[Costs, Costs]:  # fmt: skip
    before, after = (_in(day, chosen) for chosen in (reference, days))
    rows = rows.filter(before | after)
    sums = rows.group_by(value=value).agg(before=amount.sum(where=before), after=amount.sum(where=after))
    return _two(rows_of(warehouse, sums), factor)


def _call_costs(
    warehouse: Warehouse,
    calls: ir.Table,
    value: ir.StringValue,
    after: ir.BooleanValue,
    factor: Decimal,
    period: tuple[date, date],
) -> tuple[Costs, Costs]:
    """The values that moved most; all others in one. `period`: from which day to which the calls are."""
    sums = calls.group_by(value=value).agg(
        before=calls.cost.sum(where=~after).cast(MONEY), after=calls.cost.sum(where=after).cast(MONEY)
    )
    nothing = ibis.literal(0).cast(MONEY)
    moved = (
        sums.after.fill_null(nothing).cast("float64") - sums.before.fill_null(nothing).cast("float64") * float(factor)
    ).abs()
    asked = (
        sums.order_by([moved.desc(), sums.value]).limit(MOST_VALUES),
        sums.agg(before=sums.before.sum(), after=sums.after.sum()),
    )
    rows, (whole,) = (kept_rows(warehouse, "moved-calls", one, *period).to_pylist() for one in asked)
    rest: Row = {
        name: (whole[name] or Decimal(0)) - sum((row[name] or Decimal(0) for row in rows), Decimal(0))
        for name in ("before", "after")
    }
    return _two([*rows, *([rest | {"value": OTHERS}] if rest["before"] or rest["after"] else [])], factor)


def _two(rows: list[Row], factor: Decimal) -> tuple[Costs, Costs]:
    expected = {row["value"]: (row["before"] * factor).quantize(UNIT_PLACES) for row in rows if row["before"]}
    return expected, {row["value"]: row["after"] for row in rows if row["after"]}


def _calls(
    warehouse: Warehouse, series: str, scope: Filters, reference: tuple[date, ...], days: tuple[date, ...]
) -> ir.Table:
    """Single calls of the series on both sides, the later ones marked `is_after`."""
    chosen = scope.without("category", "service", "account", "currency", "source")
    parts = [
        calls_between(warehouse, replace(chosen, start=first, end=last)).mutate(is_after=ibis.literal(is_after))
        for is_after, some in ((True, days), (False, reference))
        for first, last in runs(some)
    ]
    calls = ibis.union(*parts) if len(parts) > 1 else parts[0]
    dimension, _, value = series.partition(":")
    return calls.filter(calls.user_id == value) if dimension == USER else calls


def _in(day: ir.DateValue, days: tuple[date, ...]) -> ir.BooleanValue:
    if not days:
        return ibis.literal(False)
    return day.isin([ibis.date(one.isoformat()) for one in days])

"""Waste, found without being asked for: what it costs a month, which calls or hours show it, and what would end it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import ibis
import pandas as pd

from analytics import formatting
from analytics.filters import UNTAGGED, Filters
from analytics.frames import Row, frame_of, name_order, rows_of
from analytics.period_names import during
from analytics.waste_calls import GROUP, Search
from analytics.waste_gpus import IDLE_BELOW, IdleGpu, idle_gpus, idle_hours
from analytics.waste_kinds import CALL_KINDS, IDLE_GPU, KINDS, MEASURED
from analytics.waste_scope import Scope, scope_of
from analytics.waste_sums import call_sums
from warehouse.errors import InputError
from warehouse.reader import Warehouse

WORTH_TELLING = Decimal(1)
"""Findings of less than this a month are left out, in the finding's currency."""

COLUMNS = (
    "kind", "title", "subject", "name", "job", "model", "feature", "team", "waste_per_month", "waste", "counted_once", "cost", "currency",
    "items", "unit", "tokens", "first_at", "last_at", "evidence", "fix", "lever", "certainty",
)  # fmt: skip

EVIDENCE_COLUMNS = {
    "call": (
        "call_id", "source", "started_at", "name", "job", "model", "feature", "team", "provider", "cost", "waste", "tokens",
    ),
    "hour": ("hour", "resource", "gpu", "gpu_utilization", "memory_used", "requests"),
}  # fmt: skip


def waste(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """What the period paid for and did not need, the dearest first, with the evidence in words and what would end it.

    Grain: one row per kind of waste and subject (prompt, job and model of calls; a GPU). Columns: kind, title (see
    `analytics.waste_kinds`), subject (for people), name (of the prompt, else of the feature), job, model, feature and team (of most of
    the calls); waste: avoidable cost of the period in `currency` (of calls as traced, USD; of GPUs on the filters' basis; None: no price
    is known); waste_per_month: the same per calendar month, to the cent; counted_once: the part of `waste` that no row of a kind before
    (in the order of the kinds) claims of the same call, so that the rows of a currency sum to what could be avoided altogether; cost: of
    the calls or hours in question; items and unit: how many calls or hours; tokens: those not needed (None: not counted in tokens);
    first_at, last_at (UTC); evidence: a sentence with the numbers; fix; lever: address of the what-if page; certainty: "measured",
    "likely" or "to be checked".

    What costs less than `WORTH_TELLING` a month is left out. Empty: nothing found.
    """
    scope = scope_of(warehouse, filters)
    rows = [
        *(_call_row(row, scope) for row in call_sums(warehouse, scope)),
        *(_of_gpu(gpu, scope) for gpu in idle_gpus(warehouse, scope)),
    ]
    rows = [row for row in rows if row["waste_per_month"] is None or row["waste_per_month"] >= WORTH_TELLING]
    rows.sort(key=_dearest)
    return frame_of(rows, COLUMNS)


def _dearest(row: Row) -> tuple[object, ...]:
    monthly = row["waste_per_month"]
    return (monthly is None, -(monthly or 0), row["kind"], *(name_order(row.get(name)) for name in ("subject", *GROUP)))


def waste_evidence(
    warehouse: Warehouse, filters: Filters, kind: str, keys: tuple[str | None, ...], limit: int = 1000
) -> pd.DataFrame:
    """The rows behind one finding, at most `limit`: `keys` are its name, job and model, or a GPU's (subject,).

    Of calls the dearest waste first: call_id, source, started_at (UTC), name (of the prompt, never its text), job, model, feature, team, provider,
    cost and waste (USD), tokens. Of GPUs the idle hours. Raises InputError for an unknown kind.
    """
    scope = scope_of(warehouse, filters)
    if kind == IDLE_GPU:
        return frame_of(idle_hours(warehouse, scope, str(keys[0]), limit), EVIDENCE_COLUMNS["hour"])
    found = next((one for one in CALL_KINDS if one.name == kind), None)
    if found is None or found.flagged is None:
        raise InputError(f"there is no kind of waste {kind!r}: choose {', '.join(one.name for one in KINDS)}")
    calls = found.flagged(Search(warehouse, scope))
    for name, value in zip(GROUP, keys, strict=True):
        calls = calls.filter(calls[name].isnull() if value is None else calls[name] == value)
    calls = calls.order_by([ibis.desc(calls.waste), ibis.desc(calls.cost), calls.started_at, calls.call_id]).limit(
        limit
    )
    return frame_of(rows_of(warehouse, calls.select(*EVIDENCE_COLUMNS["call"])), EVIDENCE_COLUMNS["call"])


@dataclass(frozen=True)
class WasteSummary:
    """The findings in short: their number, and per currency what could be avoided a month, every dollar once, dearest first.

    measured: the part of it that the data show beyond doubt, by currency likewise. headline: the answer in a sentence.
    """

    findings: int
    per_month: tuple[tuple[str, Decimal], ...]
    measured: tuple[tuple[str, Decimal], ...]
    headline: str


def waste_summary(warehouse: Warehouse, filters: Filters) -> WasteSummary:
    """What the findings of the period amount to."""
    return waste_report(warehouse, filters).summary


@dataclass(frozen=True)
class WasteReport:
    """One search: the findings (see `waste`), what they amount to, and by_kind: the same per kind in the summary's first currency.

    by_kind has the columns kind (a short name), part (its certainty), cost (per month, every dollar once) and currency, the dearest first.
    """

    findings: pd.DataFrame
    summary: WasteSummary
    by_kind: pd.DataFrame


def waste_report(warehouse: Warehouse, filters: Filters) -> WasteReport:
    """The findings of the period, searched for once."""
    frame = waste(warehouse, filters)
    scope = scope_of(warehouse, filters)
    monthly = _by_currency(frame, scope)
    measured = _by_currency(frame[frame["certainty"] == MEASURED], scope)
    summary = WasteSummary(len(frame), monthly, measured, _headline(frame, monthly, measured, filters))
    return WasteReport(frame, summary, _by_kind(frame, monthly[0][0] if monthly else None, scope))


def _by_kind(frame: pd.DataFrame, currency: str | None, scope: Scope) -> pd.DataFrame:
    sums: dict[tuple[str, str], Decimal] = {}
    columns = (frame[name] for name in ("kind", "certainty", "counted_once", "currency"))
    for kind, certainty, amount, code in zip(*columns, strict=True):
        if amount and code == currency:
            key = (kind.replace("-", " ").capitalize().replace("gpu", "GPU"), certainty)
            sums[key] = sums.get(key, Decimal(0)) + amount
    rows = [
        {"kind": kind, "part": certainty, "cost": scope.per_month(amount), "currency": currency}
        for (kind, certainty), amount in sorted(sums.items(), key=lambda item: (-item[1], item[0]))
    ]
    return frame_of(rows, ("kind", "part", "cost", "currency"))


def _by_currency(frame: pd.DataFrame, scope: Scope) -> tuple[tuple[str, Decimal], ...]:
    sums: dict[str, Decimal] = {}
    for currency, amount in zip(frame["currency"], frame["counted_once"], strict=True):
        if amount is not None:
            sums[currency] = sums.get(currency, Decimal(0)) + amount
    monthly = {code: scope.per_month(amount) or Decimal(0) for code, amount in sums.items()}
    return tuple(sorted(monthly.items(), key=lambda item: (-item[1], item[0])))


def _headline(
    frame: pd.DataFrame,
    monthly: Sequence[tuple[str, Decimal]],
    measured: Sequence[tuple[str, Decimal]],
    filters: Filters,
) -> str:
    if frame.empty:
        return f"No waste found {during(filters)}"
    if not monthly:
        first = frame.iloc[0]
        return f"Waste found {during(filters)}, at prices that are not known: {first['title']}, {first['subject']}"
    certain = dict(measured)
    rest = [(code, amount - certain.get(code, Decimal(0))) for code, amount in monthly]
    sure, more = (
        " and ".join(formatting.money(amount, code) for code, amount in amounts if amount)
        for amounts in (measured, rest)
    )
    if not more:
        return f"{sure} a month could be avoided, as seen {during(filters)}"
    if not sure:
        return f"Up to {more} a month could be avoided after a check, as seen {during(filters)}"
    return (
        f"{sure} a month could be avoided for certain, and up to {more} more after a check, as seen {during(filters)}"
    )


def _call_row(row: Row, scope: Scope) -> Row:
    kind = CALL_KINDS[row["place"]]
    row["tokens"] = None if row["tokens"] is None else int(row["tokens"])
    names = dict.fromkeys(row[name] for name in ("name", "job") if row[name])
    subject = " / ".join(names) or f"{UNTAGGED} calls"
    return row | {
        "kind": kind.name, "title": kind.title, "subject": f"{subject} on {row['model'] or 'an unknown model'}",
        "waste_per_month": scope.per_month(row["waste"]), "currency": "USD", "unit": "calls", "fix": kind.fix, "lever": kind.lever,
        "certainty": kind.certainty, "evidence": kind.evidence(row),
    }  # fmt: skip


def _of_gpu(gpu: IdleGpu, scope: Scope) -> Row:
    kind = next(one for one in KINDS if one.name == IDLE_GPU)
    price = {
        "billed": "at the billed price of an hour",
        "catalogue": "at the catalogue's on-demand price",
        None: "at an unknown price",
    }
    return {
        "kind": kind.name, "title": kind.title, "subject": gpu.resource, "feature": gpu.feature, "model": gpu.model,
        "waste_per_month": scope.per_month(gpu.waste), "waste": gpu.waste, "counted_once": gpu.waste, "cost": gpu.cost,
        "currency": gpu.currency, "items": gpu.idle_hours, "unit": "hours", "first_at": gpu.first_at, "last_at": gpu.last_at,
        "evidence": f"{gpu.idle_hours:,} of {gpu.hours:,} hours below {formatting.share(IDLE_BELOW)} utilisation, {price[gpu.price]}; "
        f"{formatting.share(gpu.utilisation)} on average{f' ({gpu.gpu})' if gpu.gpu else ''}",
        "fix": kind.fix, "lever": kind.lever, "certainty": kind.certainty,
    }  # fmt: skip

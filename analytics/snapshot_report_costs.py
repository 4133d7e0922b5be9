"""Reports of the pages about where cost goes: overview, features, models."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pandas as pd

from analytics import formatting
from analytics.changes import changes
from analytics.cost_kinds import FEATURE, NOT_TRACED, SHARED
from analytics.costs import costs
from analytics.features import features, headline
from analytics.filters import UNTAGGED, Filters
from analytics.frames import frame_of
from analytics.models import headline as models_headline
from analytics.models import models
from analytics.overview import by_month, overview
from analytics.period_names import name, short_edges
from analytics.snapshot_report import Answer, Chart, Column, Figure, Series, stacked, table_of
from analytics.snapshot_report_groups import protect
from warehouse.errors import InputError
from warehouse.reader import Warehouse

_RESTS = {NOT_TRACED: "(billed, not traced)", SHARED: "(shared infrastructure)"}
GROUPED = "grouped"
"""Value of `kind` in rows that stand for several groups: see `analytics.snapshot_report_groups`."""


def named(frame: pd.DataFrame, column: str, kind: str | None = "kind") -> pd.DataFrame:
    """The frame with a name for what names nothing: untagged calls, what no trace explains, shared infrastructure."""
    kinds = frame[kind] if kind and kind in frame.columns else [None] * len(frame)
    names = [
        _RESTS.get(str(rest), UNTAGGED) if name is None or pd.isna(name) else str(name)
        for name, rest in zip(frame[column], kinds, strict=True)
    ]
    return frame.assign(**{column: names})


def basis_note(warehouse: Warehouse, filters: Filters, currency: str) -> str:
    """Basis, unit and time zone, for the line under a title."""
    return f"{filters.basis.capitalize()} cost, {currency}, days in {warehouse.configuration.reporting_time_zone}"


def per_grain(warehouse: Warehouse, filters: Filters, currency: str) -> str:
    """`basis_note` of a chart over time."""
    zone = warehouse.configuration.reporting_time_zone
    return f"{filters.basis.capitalize()} cost per {filters.grain}, {currency}, days in {zone}{short_edges(filters)}"


def require_rows(frame: pd.DataFrame, what: str) -> None:
    """Raises InputError when there is nothing to report."""
    if frame.empty:
        raise InputError(f"no {what} match the filters in this period: there is nothing to share")


def overview_answer(warehouse: Warehouse, filters: Filters, smallest: int) -> Answer:
    """What the period cost, against the one before, by category and by feature."""
    found = overview(warehouse, filters)
    if found.is_empty:
        raise InputError("no calls or charges match the filters in this period: there is nothing to share")
    currency = found.currency or warehouse.configuration.reporting_currency
    money = formatting.money
    against = formatting.delta(found.total, found.previous_total, found.previous_period)
    figures = [Figure("Total", money(found.total, currency), against if found.previous_total is not None else "")]
    if found.run_rate.amount is not None:
        label = "Complete month" if found.run_rate.is_complete else "Month-end run rate"
        figures.append(Figure(label, money(found.run_rate.amount, currency), found.run_rate.how))
    users = formatting.count(found.average_dau)
    per_user = f"For each of {users} daily active users on average, over the period" if found.average_dau else ""
    figures.append(Figure("Cost per average DAU", money(found.cost_per_average_dau, currency), per_user))
    figures.append(Figure("Gross margin", formatting.share(found.gross_margin), "(revenue − cost) / revenue"))
    note = basis_note(warehouse, filters, currency)
    months = by_month(warehouse, filters, currency)
    charts = []
    if months["period"].nunique() > 1:
        charts.append(
            stacked(
                months, "Month by month", f"{note}; whatever the period", name="category", value="cost", grain="month"
            )
        )
    daily = costs(warehouse, filters, ("category",))
    charts.append(
        stacked(daily, "Cost by category", per_grain(warehouse, filters, currency), name="category", value="cost")
    )
    tables, notes = [], []
    for by in ("category", "feature"):
        frame = changes(warehouse, filters, by) if found.previous_total is not None else _parts(warehouse, filters, by)
        if by == "feature":
            frame, said = protect(
                warehouse, filters, frame.rename(columns={"name": "feature"}), ("feature",), ("cost", "previous_cost", "difference"), smallest
            )  # fmt: skip
            frame = frame.rename(columns={"feature": "name"})
            notes += [said] if said else []
        columns = [Column("name", by.capitalize()), Column("cost", found.period, "money")]
        if found.previous_total is not None:
            columns += [
                Column("previous_cost", found.previous_period, "money"),
                Column("difference", "Difference", "money"),
                Column("change", "Change", "share", "Difference / cost before"),
            ]
        tables.append(table_of(named(frame, "name"), f"by-{by}", f"By {by}", note, columns))
    # The sentence about the dearest feature is left out where a feature had to be.
    text = found.headline.split("; ")[0] if notes else found.headline
    return Answer("Overview", text, currency, tuple(figures), tuple(charts), tuple(tables), tuple(notes))


def _parts(warehouse: Warehouse, filters: Filters, by: str) -> pd.DataFrame:
    """The period's cost by category or feature, the dearest first, in the columns of `changes`, where nothing was before to compare with."""
    sums: dict[str | None, Decimal | None] = {}
    for name_of, cost in costs(warehouse, filters, (by,))[[by, "cost"]].itertuples(index=False):
        key = None if name_of is None or pd.isna(name_of) else str(name_of)
        known = sums.get(key)
        sums[key] = known if cost is None or pd.isna(cost) else (known or Decimal(0)) + cost
    rows: list[dict[str, Any]] = [{"name": key, "cost": cost} for key, cost in sums.items()]
    rows.sort(key=lambda row: (row["cost"] is None, -(row["cost"] or Decimal(0)), row["name"] or ""))
    return frame_of(rows, ("name", "kind", "previous_cost", "cost", "difference", "change", "currency"))


def features_answer(warehouse: Warehouse, filters: Filters, smallest: int) -> Answer:
    """Cost of model calls by feature beside its share of calls."""
    frame = features(warehouse, filters)
    require_rows(frame, "model calls")
    currency = frame["currency"].iloc[0] or warehouse.configuration.reporting_currency
    sums = ("cost", "cost_share", "calls", "call_share", "infrastructure_cost", "unpriced_calls")
    frame, said = protect(warehouse, filters, frame.drop(columns=["trend"]), ("feature",), sums, smallest)
    frame = named(frame, "feature")
    chart = Chart(
        "pairs", "Cost beside calls", f"{filters.basis.capitalize()} cost of model calls; shares of the whole",
        tuple(frame["feature"]),
        tuple(
            Series(label, tuple(None if pd.isna(part) else _exact(part) for part in frame[column]))
            for column, label in (("cost_share", "Share of cost"), ("call_share", "Share of calls"))
        ),
        unit="share",
    )  # fmt: skip
    table = table_of(
        frame,
        "features",
        "Features",
        f"{basis_note(warehouse, filters, currency)}; model calls (LLM API and Embedding)",
        (
            Column("feature", "Feature"),
            Column("cost", "Cost", "money"),
            Column("cost_share", "Share of cost", "share"),
            Column("calls", "Calls", "count"),
            Column("call_share", "Share of calls", "share"),
            Column("cost_per_call", "Per call", "unit_money", "Cost before credits / calls"),
            Column("infrastructure_cost", "Own infrastructure", "money", "Lines of other categories that are tagged with it; not in the cost"),
            Column("unpriced_calls", "Unpriced", "count", "Calls whose cost is not known, and not in the cost"),
        ),
    )  # fmt: skip
    text = headline(warehouse, filters) or "No feature's cost is known in this period"
    if said and not any(
        str(name) in text for name, kind in zip(frame["feature"], frame["kind"], strict=True) if kind == FEATURE
    ):
        # The headline may name a feature that too few people use.
        text = f"Model calls of {formatting.count(len(frame))} features and groups"
    return Answer("Features", text, currency, (), (chart,), (table,), (said,) if said else ())


def models_answer(warehouse: Warehouse, filters: Filters, smallest: int) -> Answer:
    """Which models are used for how many tokens, and what a million of them costs."""
    frame = models(warehouse, filters)
    require_rows(frame, "model calls")
    currency = frame["currency"].iloc[0] or warehouse.configuration.reporting_currency
    frame, said = protect(
        warehouse, filters, frame, ("model",), ("cost", "cost_share", "calls", "total_tokens", "unpriced_calls"), smallest
    )  # fmt: skip
    frame = named(frame, "model", None)
    top = frame.head(12)
    share = tuple(None if pd.isna(part) else _exact(part) for part in top["cost_share"])
    whole = sum(int(calls) for calls in frame["calls"] if not pd.isna(calls))
    calls = tuple(None if pd.isna(n) or not whole else _exact(int(n) / whole) for n in top["calls"])
    chart = Chart(
        "pairs", "Cost beside calls", f"{filters.basis.capitalize()} cost of model use; shares of the whole", tuple(top["model"]),
        (Series("Share of cost", share), Series("Share of calls", calls)), unit="share",
    )  # fmt: skip
    table = table_of(
        frame,
        "models",
        "Models",
        f"{basis_note(warehouse, filters, currency)}; calls and tokens as traced",
        (
            Column("model", "Model"),
            Column("provider", "Provider"),
            Column("cost", "Cost", "money"),
            Column("cost_share", "Share of cost", "share"),
            Column("cost_per_million_tokens", "Per M tokens", "unit_money", "Cost before credits / million tokens"),
            Column("cost_per_call", "Per call", "unit_money"),
            Column("calls", "Calls", "count"),
            Column("total_tokens", "Tokens", "count", "All classes together"),
            Column("cache_read_share", "Cached", "share", "Cache reads / all input tokens"),
            Column("unpriced_calls", "Unpriced", "count", "Calls whose cost is not known"),
        ),
    )
    text = models_headline(warehouse, filters) if not said else f"Model use of {name(filters)}"
    return Answer("Models and tokens", text, currency, (), (chart,), (table,), (said,) if said else ())


def _exact(part: float) -> Decimal:
    return Decimal(str(part))

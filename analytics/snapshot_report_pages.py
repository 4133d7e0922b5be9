"""Reports of the pages about what cost stands for: unit economics, infrastructure, allocation, reconciliation, waste; and of a simulated plan."""

from __future__ import annotations

import pandas as pd

from analytics import formatting
from analytics.allocation import UNALLOCATED, all_in_costs
from analytics.allocation_summary import headline as allocation_headline
from analytics.filters import Filters
from analytics.infrastructure import bill_summary, charge_sums, charges_over_time
from analytics.margins import margins
from analytics.period_names import during, name
from analytics.reconciliation_summary import CAUSE_NAMES, reconciliation_report
from analytics.simulators.plan_results import by_category, plan_headline, steps
from analytics.simulators.waterfall import Waterfall
from analytics.snapshot_report import Answer, Chart, Column, Figure, Series, bars, stacked, table_of
from analytics.snapshot_report_costs import basis_note, named, per_grain, require_rows
from analytics.snapshot_report_groups import protect
from analytics.unit_economics import unit_economics, whole_period
from analytics.waste import waste_report
from analytics.waste_kinds import CERTAINTIES
from warehouse.errors import InputError
from warehouse.reader import Warehouse

_UNITS = (
    ("cost_per_average_dau", "Per average daily user", "Cost of the period / average daily active users"),
    ("cost_per_dau", "Per daily user and day", "Cost / days / average daily active users"),
    ("cost_per_mau", "Per distinct user", "Cost / distinct users seen in the period"),
    ("cost_per_call", "Per call", "Cost / traced model calls"),
    ("cost_per_conversion", "Per conversion", "Cost / conversions"),
)


def unit_economics_answer(warehouse: Warehouse, filters: Filters, smallest: int) -> Answer:
    """What an active user, a call and a conversion cost, and which features and tiers earn it."""
    now = whole_period(warehouse, filters)
    if not now or now["cost"] is None:
        raise InputError("no cost is known in this period: there is nothing to share")
    currency = now["currency"] or warehouse.configuration.reporting_currency
    figures = [
        Figure(label, formatting.money(now[column], currency), what)
        for column, label, what in _UNITS
        if now[column] is not None
    ]
    figures.append(Figure("Gross margin", formatting.share(now["gross_margin"]), "(revenue − cost) / revenue"))
    frame = unit_economics(warehouse, filters)
    note = f"{per_grain(warehouse, filters, currency)}; before credits"
    chosen = next((unit for unit in _UNITS[1:] if frame[unit[0]].notna().any()), None)
    charts: tuple[Chart, ...] = ()
    if chosen is not None:
        column, label, _what = chosen
        values = tuple(None if pd.isna(value) else value for value in frame[column])
        charts = (
            Chart("line", label, note, tuple(str(day)[:10] for day in frame["period"]), (Series(label, values),)),
        )
    pairs, said = protect(
        warehouse, filters, margins(warehouse, filters), ("feature", "user_tier"), ("calls", "cost", "revenue"), smallest
    )  # fmt: skip
    pairs = named(pairs, "feature").assign(
        user_tier=["–" if pd.isna(tier) else str(tier) for tier in pairs["user_tier"]]
    )
    of_pairs = f"{basis_note(warehouse, filters, currency)}; margin = (revenue − cost) / revenue"
    tables = (
        table_of(
            frame, "unit-costs", f"Unit costs by {filters.grain}", note,
            (
                Column("period", "From"), Column("cost", "Cost", "money"), Column("dau", "Average DAU", "number"),
                Column("cost_per_dau", "Per daily user and day", "unit_money"), Column("calls", "Calls", "count"),
                Column("cost_per_call", "Per call", "unit_money"), Column("revenue", "Revenue", "money"),
                Column("gross_margin", "Gross margin", "share"),
            ),
        ),
        table_of(
            pairs, "margins", "Gross margin by feature and tier", of_pairs,
            (
                Column("feature", "Feature"), Column("user_tier", "Tier"), Column("gross_margin", "Margin", "share"),
                Column("cost", "Cost", "money"), Column("revenue", "Revenue", "money"), Column("calls", "Calls", "count"),
                Column("cost_per_call", "Cost per call", "unit_money"), Column("revenue_per_call", "Revenue per call", "unit_money"),
            ),
        ),
    )  # fmt: skip
    unit = next((one for one in _UNITS if now[one[0]] is not None), None)
    text = (
        f"Cost {unit[1].lower()}: {formatting.money(now[unit[0]], currency)} {during(filters)}"
        if unit
        else f"What a user or a call cost {during(filters)} is not known"
    )
    if now["gross_margin"] is not None:
        text += f"; gross margin {formatting.share(now['gross_margin'])}"
    return Answer("Unit economics", text, currency, tuple(figures), charts, tables, (said,) if said else ())


def infrastructure_answer(warehouse: Warehouse, filters: Filters, smallest: int) -> Answer:  # noqa: ARG001 - bills name no people
    """The bills by category and service on every cost basis; never accounts or resources."""
    bills = bill_summary(warehouse, filters)
    if not bills:
        raise InputError("no billing lines match the filters in this period: there is nothing to share")
    preferred = warehouse.configuration.reporting_currency
    bill = next((one for one in bills if one.currency == preferred), bills[0])
    narrowed = filters.only("currency", bill.currency) if len(bills) > 1 else filters
    money = formatting.money
    figures = (
        Figure("List", money(bill.list, bill.currency), "What the same use costs without any discount"),
        Figure("Billed", money(bill.billed, bill.currency), "What the invoices say, net of credits"),
        Figure("Effective", money(bill.effective, bill.currency), "Prepayments and discounts spread over their time"),
        Figure("Credits", money(bill.credits, bill.currency), "Part of billed"),
    )
    chart = stacked(
        charges_over_time(warehouse, narrowed), "Bills by category", per_grain(warehouse, narrowed, bill.currency), name="category", value="cost"
    )  # fmt: skip
    amounts = tuple(Column(key, key.capitalize(), "money") for key in ("list", "billed", "effective", "credits"))
    tables = tuple(
        table_of(
            named(charge_sums(warehouse, narrowed, (level,)), level, None), f"by-{level}", f"By {level}", f"All cost bases, {bill.currency}",
            (Column(level, level.capitalize()), *amounts, Column("share", "Share", "share", f"Of the {filters.basis} cost")),
        )
        for level in ("category", "service")
    )  # fmt: skip
    text = f"The bills of {name(filters)} sum to {money(bill.cost, bill.currency)}"
    if bill.infrastructure_share is not None:
        text += f", of which {formatting.share(bill.infrastructure_share)} is infrastructure beside model APIs"
    others = [money(one.cost, one.currency) for one in bills if one is not bill]
    notes = (f"Also billed, in other currencies and in no sum here: {', '.join(others)}.",) if others else ()
    return Answer("Infrastructure", text, bill.currency, figures, (chart,), tables, notes)


def allocation_answer(warehouse: Warehouse, filters: Filters, smallest: int) -> Answer:
    """What every feature costs all in: direct cost, its part of shared cost, and what no feature owes."""
    frame = all_in_costs(warehouse, filters)
    require_rows(frame, "calls or charges")
    currency = frame["currency"].iloc[0] or warehouse.configuration.reporting_currency
    frame, said = protect(
        warehouse, filters, frame, ("feature",), ("direct", "allocated", "total", "total_share", "calls"), smallest
    )  # fmt: skip
    labels = [
        "Unallocated" if kind == UNALLOCATED else str(feature) for feature, kind in zip(frame["feature"], frame["kind"], strict=True)
    ]  # fmt: skip
    frame = frame.assign(feature=labels)
    note = basis_note(warehouse, filters, currency)
    rest = [feature == "Unallocated" for feature in labels]
    parts = (
        ("Direct", [None if left else value for left, value in zip(rest, frame["direct"], strict=True)]),
        ("Allocated by rule", [None if left else value for left, value in zip(rest, frame["allocated"], strict=True)]),
        ("Unallocated", [value if left else None for left, value in zip(rest, frame["total"], strict=True)]),
    )
    chart = Chart(
        "bars", "All-in cost by feature", note, tuple(labels), tuple(Series(label, tuple(values)) for label, values in parts if any(values))
    )  # fmt: skip
    table = table_of(
        frame,
        "allocation",
        "Features",
        note,
        (
            Column("feature", "Feature"),
            Column("direct", "Direct", "money", "What a line's tag or a call names the feature for"),
            Column("allocated", "Allocated", "money", "Its part of shared costs, by rule"),
            Column("total", "All in", "money"),
            Column("total_share", "Share", "share"),
            Column("calls", "Calls", "count"),
            Column("total_per_call", "All in per call", "unit_money"),
        ),
    )
    text = allocation_headline(warehouse, filters) if not said else f"All-in costs {during(filters)} by feature"
    return Answer("Allocation", text, currency, (), (chart,), (table,), (said,) if said else ())


def reconciliation_answer(warehouse: Warehouse, filters: Filters, smallest: int) -> Answer:  # noqa: ARG001 - bills name no people
    """The provider's bill beside the traces, and what the gap is made of."""
    found = reconciliation_report(warehouse, filters.without("feature", "project", "team", "env", "user_tier"))
    require_rows(found.table, "bills or calls of models")
    whole = found.summary
    money, currency = formatting.money, whole.currency
    figures = (
        Figure("Estimated by traces", money(whole.estimated, currency), "Known cost of traced calls on billed days"),
        Figure("Billed", money(whole.billed, currency), "Lines for model usage, net of credits"),
        Figure("Gap", money(whole.gap, currency, plus=True), "Billed minus estimated"),
        Figure("Explained", formatting.share(whole.explained_share), "Share of the bill that is traced or has a named cause"),
    )  # fmt: skip
    charts: tuple[Chart, ...] = ()
    if not found.over_time.empty:
        charts = (
            stacked(
                found.over_time, "Gap by cause", f"{filters.basis.capitalize()} cost minus traced cost per {filters.grain}, {currency}",
                name="name", value="amount",
            ),
        )  # fmt: skip
    used = [cause for cause in CAUSE_NAMES if cause in found.table and found.table[cause].fillna(0).ne(0).any()]
    table = table_of(
        found.table, "reconciliation", "By provider, model and period", f"{filters.basis.capitalize()} cost, {currency}; estimated + causes = billed",
        (
            Column("period", "From"), Column("provider", "Provider"), Column("model", "Model"), Column("estimated", "Estimated", "money"),
            Column("billed", "Billed", "money"), Column("gap", "Gap", "money"),
            *(Column(cause, CAUSE_NAMES[cause], "money") for cause in used), Column("gap_share", "Gap of bill", "share"),
        ),
    )  # fmt: skip
    return Answer("Reconciliation", found.headline, currency, figures, charts, (table,))


def waste_answer(warehouse: Warehouse, filters: Filters, smallest: int) -> Answer:  # noqa: ARG001 - sums by kind alone
    """What was paid for and not needed, by kind; no single finding, whose evidence is calls."""
    found = waste_report(warehouse, filters)
    currency = next((code for code, _amount in found.summary.per_month), warehouse.configuration.reporting_currency)
    figures = [
        *(Figure("Avoidable a month", formatting.money(amount, code), "Every dollar once") for code, amount in found.summary.per_month),
        *(Figure("Of it measured", formatting.money(amount, code), "The data show it") for code, amount in found.summary.measured),
        Figure("Findings", formatting.count(found.summary.findings)),
    ]  # fmt: skip
    if found.by_kind.empty:
        return Answer("Waste", found.summary.headline, currency, tuple(figures))
    note = f"{currency} per calendar month, every dollar once, in the first kind that claims it"
    wide = found.by_kind.pivot_table(index="kind", columns="part", values="cost", aggfunc="sum", sort=False)
    wide = wide.astype(object).where(wide.notna(), None).reset_index()
    chart = bars(
        wide, "Avoidable cost by kind", note, name="kind", parts={part: part.capitalize() for part in CERTAINTIES if part in wide}
    )  # fmt: skip
    table = table_of(
        found.by_kind, "waste", "By kind and certainty", note,
        (Column("kind", "Kind"), Column("part", "Certainty"), Column("cost", "A month", "money")),
    )  # fmt: skip
    return Answer("Waste", found.summary.headline, currency, tuple(figures), (chart,), (table,))


def plan_answer(title: str, outcome: Waterfall, assumptions: tuple[str, ...] = ()) -> Answer:
    """A simulated plan: what it saves lever by lever, with ranges, and by category. It is of the whole product, never of groups of users."""
    frame = steps(outcome)
    note = "USD per month, simulated; each lever saves what those before it left"
    chart = Chart(
        "bars", "Saved by each lever", note, tuple(str(lever) for lever in frame["title"]),
        (Series("Saved a month", tuple(frame["added"])),),
    )  # fmt: skip
    figures = (
        Figure("Today", formatting.usd(outcome.today), "A month"),
        Figure("Saving", formatting.usd(outcome.saving), f"95% range {formatting.usd(outcome.saving_low)} to {formatting.usd(outcome.saving_high)}"),
    )  # fmt: skip
    tables = (
        table_of(
            frame, "levers", "Lever by lever", note,
            (
                Column("title", "Lever"), Column("added", "Saved here", "money"), Column("added_low", "From", "money", "Lower end of the 95% range"),
                Column("added_high", "To", "money", "Upper end of the 95% range"), Column("total", "Cost after it", "money"),
            ),
        ),
        table_of(
            by_category(outcome), "by-category", "By cost category", "USD per month; with the plan: simulated",
            (
                Column("category", "Category"), Column("cost", "Today", "money"), Column("cost_after", "With the plan", "money"),
                Column("saving", "Saving", "money"),
            ),
        ),
    )  # fmt: skip
    notes = tuple(dict.fromkeys([*assumptions, *outcome.notes]))
    return Answer(title, plan_headline(outcome), "USD", figures, (chart,), tables, notes)

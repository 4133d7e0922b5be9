"""The views: every table that the dashboard shows and the command line exports, by name.

One query path: a page, an export and an alert that show the same view call the same function with the same filters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

import pandas as pd

from analytics.filters import Filters
from warehouse.errors import InputError
from warehouse.reader import Warehouse

Answer = Callable[..., pd.DataFrame]


@dataclass(frozen=True)
class View:
    """One view: the function that answers it, what it answers, and whether `by` (dimensions) applies.

    `charts`: columns whose cells hold a list, for a small chart; no spreadsheet has a use for them, so that CSV files lack them.
    """

    name: str
    function: str
    answers: str
    takes_by: bool = False
    one_object: bool = False
    charts: tuple[str, ...] = ()

    def answer(self, warehouse: Warehouse, filters: Filters, by: tuple[str, ...] = ()) -> pd.DataFrame:
        """The view's frame for these filters. Raises InputError when `by` is given and does not apply."""
        module, name = self.function.split(":")
        function: Answer = getattr(import_module(module), name)
        if self.takes_by:
            return function(warehouse, filters, by)
        if by:
            raise InputError(f"view {self.name} is not broken down with --by; use `costs`")
        return function(warehouse, filters)


VIEWS: dict[str, View] = {
    view.name: view
    for view in (
        View(
            "totals",
            "analytics.totals:totals",
            "billed, effective and list totals, calls and their cost",
            one_object=True,
        ),
        View("costs", "analytics.costs:costs", "cost per period and dimension, from the ledger", takes_by=True),
        View(
            "features",
            "analytics.features:features",
            "cost of model calls by feature, beside its share of calls",
            charts=("trend",),
        ),
        View(
            "unit-economics",
            "analytics.unit_economics:unit_economics",
            "cost per active user, call and conversion, by period",
        ),
        View("margins", "analytics.margins:margins", "cost, revenue and gross margin by feature and tier"),
        View("models", "analytics.models:models", "calls, tokens by class and cost by model"),
        View(
            "charges",
            "analytics.infrastructure:charges",
            "billing lines summed by category, service, account and resource",
        ),
        View(
            "allocation",
            "analytics.allocation:all_in_costs",
            "all-in cost of each feature: direct, allocated by rule, and what stays unallocated",
        ),
        View(
            "allocation-detail",
            "analytics.allocation:allocation_detail",
            "where each feature's all-in cost comes from: direct costs, rules and drivers",
        ),
        View(
            "fx",
            "analytics.conversions:fx",
            "costs billed in other currencies, and the exchange rates that convert them",
        ),
        View(
            "anomalies",
            "analytics.anomalies:anomalies",
            "days that cost more or less than they should, by the 20 % rule and by the default detector",
        ),
        View(
            "why-changed",
            "analytics.why_changed:why_changed",
            "why cost changed against the period before: calls, mix, tokens, cache, price, infrastructure, by feature",
        ),
        View(
            "budgets",
            "analytics.budgets:budget_view",
            "each budget: spent, forecast of the month's end with its range, and whether it holds",
        ),
        View(
            "reconciliation",
            "analytics.reconciliation:reconciliation",
            "traces beside the provider's bill, by model and period",
        ),
        View("coverage", "analytics.coverage:coverage", "what share of calls and cost has usage, a price and each tag"),
        View("tags", "analytics.tags:tags", "cost by value of each required tag, untagged shown"),
        View(
            "tag-coverage",
            "analytics.tag_coverage:tag_coverage_over_time",
            "share of the cost that carries each required tag, over time",
        ),
        View(
            "untagged",
            "analytics.tag_coverage:untagged",
            "resources, prompts and services whose cost lacks a required tag, and the fix",
        ),
        View(
            "plans",
            "analytics.simulators.plan_tracking:plans_view",
            "adopted plans: what each lever was expected to save, and what it saved",
        ),
        View("waste", "analytics.waste:waste", "what was paid for and not needed, a month, with its evidence and fix"),
        View(
            "unknown-costs",
            "analytics.unknown_costs:unknown_cost_range",
            "calls whose cost is not known, and what it may be",
        ),
        View("loads", "analytics.records:loads", "every load: rows and sums, in and stored"),
        View("rejects", "analytics.records:rejects", "rejected input rows with their reasons"),
        View("restatements", "analytics.records:restatements", "past days that a later load changed"),
        View("audit", "analytics.audit:audit", "who did what and when: loads, links, sign-ins, rules, back-ups"),
        View("prices", "analytics.records:prices", "every known price with its book, validity and source"),
    )
}


def view(name: str) -> View:
    """The view of this name. Raises InputError that lists the names that exist."""
    try:
        return VIEWS[name]
    except KeyError:
        raise InputError(f"there is no view {name!r}; choose {', '.join(VIEWS)}") from None

"""A weekly review for people without a sign-in: aggregates alone, in the form that links and files share.

It leaves out what names single users, prompts and resources, and what the meeting wrote: notes and actions stay in the house.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from analytics.budgets import budgets_of
from analytics.filters import Filters
from analytics.snapshot_report import Answer, Table
from analytics.snapshot_report_costs import features_answer
from analytics.snapshot_report_groups import require_group
from analytics.snapshot_report_pages import waste_answer
from analytics.weekly_review import section
from analytics.weekly_review_model import Section
from analytics.weekly_review_week import days_of, week_of
from warehouse.errors import InputError
from warehouse.reader import Warehouse

_TOLD = ("figures", "changed", "budgets", "plans")
"""Sections whose tables name neither people nor single calls."""


def review_answer(warehouse: Warehouse, filters: Filters, smallest: int) -> Answer:
    """The review of the week of the filters' last day: its figures, why it changed, features, waste by kind, budgets and plans.

    Raises InputError where the filters narrow anything: a review is of everything.
    """
    if filters.where:
        raise InputError("a weekly review is of everything: share it without filters")
    week = week_of(filters.end)
    days = days_of(warehouse, week)
    today = date.max
    told = {key: section(warehouse, key, week, today) for key in _TOLD}
    told["budgets"] = _without_few(warehouse, told["budgets"], days.now, smallest)
    currency = told["figures"].currency
    features = features_answer(warehouse, days.now, smallest)
    waste = waste_answer(warehouse, days.now, smallest)
    by_kind = [replace(one, title="Waste by kind") for one in waste.tables]
    tables = [_table(told["changed"]), *features.tables, *by_kind, _table(told["budgets"]), _table(told["plans"])]
    notes = [f"{one.title}: {one.sentence}." for key, one in told.items() if key != "figures"]
    notes += [f"Waste: {waste.headline}.", *features.notes, *waste.notes, *days.missing]
    return Answer(
        f"Weekly review {week.name}",
        told["figures"].sentence,
        currency,
        told["figures"].figures,
        (*features.charts, *waste.charts),
        tuple(table for table in tables if table is not None),
        tuple(notes),
    )


def _without_few(warehouse: Warehouse, told: Section, week: Filters, smallest: int) -> Section:
    """The budgets without those of so few people that what is spent would tell what they do."""
    if told.table is None:
        return told
    hidden = set()
    for budget in budgets_of(warehouse.configuration, warehouse.state):
        try:
            require_group(warehouse, budget.filters(week.end), smallest)
        except InputError:
            hidden.add(budget.name)
    rows = tuple(row for row in told.table.rows if row[0] not in hidden)
    if len(rows) == len(told.table.rows):
        return told
    sentence = f"{len(told.table.rows) - len(rows)} of fewer than {smallest} people not shown"
    return replace(told, sentence=sentence, table=replace(told.table, rows=rows) if rows else None)


def _table(told: Section) -> Table | None:
    """The section's table under its title: on the page it stands below a heading of its own."""
    if told.table is None:
        return None
    return Table(told.key, told.title, told.table.note, told.table.columns, told.table.rows)

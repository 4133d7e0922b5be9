"""A weekly review for people without a sign-in: aggregates alone, in the form that links and files share.

It leaves out what names single users, prompts and resources, and what the meeting wrote: notes and actions stay in the house.
"""

from __future__ import annotations

from datetime import date

from analytics.filters import Filters
from analytics.snapshot_report import Answer, Table
from analytics.snapshot_report_costs import features_answer
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
    currency = told["figures"].currency
    features = features_answer(warehouse, days.now, smallest)
    waste = waste_answer(warehouse, days.now, smallest)
    tables = [_table(told["changed"]), *features.tables, *waste.tables, _table(told["budgets"]), _table(told["plans"])]
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


def _table(told: Section) -> Table | None:
    """The section's table under its title: on the page it stands below a heading of its own."""
    if told.table is None:
        return None
    return Table(told.key, told.title, told.table.note, told.table.columns, told.table.rows)

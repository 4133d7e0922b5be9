"""No figure of a report is about one person: groups of too few people are put together.

A row of a report stands for the calls of some users. Where fewer than a smallest number of different people stand behind it, what it costs
would tell what they do. Such rows are added up into one row without a name; where that is one group alone, or still too few people, the next
larger group joins it, so that the row cannot be told from the total and the other rows either. Calls without a user (jobs) are nobody's and stay
as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pandas as pd

from analytics.feature_detail import calls_between
from analytics.filters import Filters
from analytics.frames import frame_of, rows_of
from warehouse.errors import InputError
from warehouse.reader import Warehouse

SMALLEST_GROUP = 5
"""Default for the fewest people behind a row of a report."""

_FILTERS_OF_CALLS = ("feature", "project", "team", "env", "user_tier", "model", "provider")


def require_group(warehouse: Warehouse, filters: Filters, smallest: int) -> None:
    """Raises InputError when the filters themselves leave the calls of so few people that even their total says what they do."""
    if not any(name in _FILTERS_OF_CALLS for name, _values in filters.where):
        return
    if 0 < _counts(warehouse, filters, ()).get((), 0) < smallest:
        raise InputError(
            f"the filters leave the calls of fewer than {smallest} people, whose use a shared report would show: widen the filters"
        )


def protect(
    warehouse: Warehouse, filters: Filters, frame: pd.DataFrame, by: Sequence[str], sums: Sequence[str], smallest: int
) -> tuple[pd.DataFrame, str | None]:
    """The frame with rows of too few people put together, and a sentence that says so (None: there were none).

    `by` are the columns of the frame that name a group, all of them dimensions of calls (feature, user_tier, model); `sums` the columns that add
    up. Of the row that stands for the small groups every other column is None, and its first `by` column is its name.
    """
    counts = _counts(warehouse, filters, by)
    records: list[dict[str, Any]] = [
        {str(name): value for name, value in row.items()} for row in frame.to_dict("records")
    ]
    keys = [tuple(_key(row[name]) for name in by) for row in records]
    hidden = {key for key in keys if 0 < counts.get(key, 0) < smallest}
    if not hidden:
        return frame, None
    if len(hidden) == 1 or len(_members(warehouse, filters, by, smallest)) < smallest:
        larger = [key for key in keys if counts.get(key, 0) >= smallest]
        hidden |= {min(larger, key=lambda key: (counts[key], str(key)))} if larger else set()
    together: dict[str, Any] = {by[0]: f"Groups of fewer than {smallest} people, together"}
    for name in sums:
        amounts = [row[name] for row, key in zip(records, keys, strict=True) if key in hidden]
        amounts = [amount for amount in amounts if amount is not None and not pd.isna(amount)]
        together[name] = (
            sum(amounts, Decimal(0) if amounts and isinstance(amounts[0], Decimal) else 0) if amounts else None
        )
    rest = [row for row, key in zip(records, keys, strict=True) if key not in hidden]
    sentence = f"Rows that fewer than {smallest} people stand behind are added up into one, so that no figure is about a person."
    return frame_of([*rest, together], list(frame.columns)), sentence


def _key(value: Any) -> str | None:
    return None if value is None or pd.isna(value) else str(value)


def _counts(warehouse: Warehouse, filters: Filters, by: Sequence[str]) -> dict[tuple[str | None, ...], int]:
    """How many users each group of calls has; groups of calls without any user are left out."""
    calls = calls_between(warehouse, filters)
    calls = calls.filter(calls.user_id.notnull())
    grouped = calls.group_by([calls[name] for name in by]) if by else calls
    counts = grouped.agg(people=calls.user_id.nunique())
    return {tuple(_key(row[name]) for name in by): row["people"] for row in rows_of(warehouse, counts)}


def _members(warehouse: Warehouse, filters: Filters, by: Sequence[str], smallest: int) -> set[str]:
    """The users of all groups that have fewer than `smallest`."""
    calls = calls_between(warehouse, filters)
    pairs = calls.filter(calls.user_id.notnull()).select("user_id", *by).distinct()
    sized = pairs.mutate(people=pairs.user_id.count().over(group_by=[pairs[name] for name in by]))
    return {row["user_id"] for row in rows_of(warehouse, sized.filter(sized.people < smallest).select("user_id"))}

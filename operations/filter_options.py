"""The filters that a person gives on the command line: period, conditions, basis and grain."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analytics.filters import Filters
    from warehouse.reader import Warehouse

ALIASES = {"tier": "user_tier"}
"""Short names of dimensions."""


def chosen_filters(
    warehouse: Warehouse, start: str | None, end: str | None, where: list[str], basis: str, grain: str
) -> Filters:
    """Filters from the options' texts; without a period, all days with data. Raises InputError for what cannot be read."""
    from analytics.filters import Filters
    from warehouse.errors import InputError

    span = warehouse.span() or (date.today(), date.today())
    conditions: dict[str, tuple[str, ...]] = {}
    for item in where:
        name, separator, value = item.partition("=")
        if not separator or not name.strip():
            raise InputError(f"--where {item!r} is not of the form dimension=value")
        conditions[ALIASES.get(name.strip(), name.strip())] = tuple(value.split("|"))
    first = _day(start, "--from") or span[0]
    last = _day(end, "--to") or max(span[1], first)
    return Filters(first, last, tuple(sorted(conditions.items())), basis, grain)


def _day(text: str | None, option: str) -> date | None:
    from warehouse.errors import InputError

    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(f"{option} {text!r} is not a date: write YYYY-MM-DD") from None

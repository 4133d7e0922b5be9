"""The filters that a person gives on the command line: period, conditions, basis and grain."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analytics.filters import Filters
    from warehouse.reader import Warehouse

ALIASES = {"tier": "user_tier"}
"""Short names of dimensions."""

WHERE_HELP = (
    r"dimension=value; several values: a|b (a value that holds |: a\|b, in quotes); repeatable, also for more values."
)
"""What `--where` says of itself, in every command that has it."""

_BETWEEN_VALUES = re.compile(r"(?<!\\)\|")


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
        dimension = ALIASES.get(name.strip(), name.strip())
        conditions[dimension] = tuple(dict.fromkeys((*conditions.get(dimension, ()), *_values(value))))
    first = _day(start, "--from") or span[0]
    last = _day(end, "--to") or max(span[1], first)
    return Filters(first, last, tuple(sorted(conditions.items())), basis, grain)


def _values(text: str) -> tuple[str, ...]:
    r"""The values between bars: `\|` is a bar that a value holds, any other backslash is itself (a value that ends in one comes last)."""
    return tuple(value.replace(r"\|", "|") for value in _BETWEEN_VALUES.split(text))


def _day(text: str | None, option: str) -> date | None:
    from warehouse.errors import InputError

    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(f"{option} {text!r} is not a date: write YYYY-MM-DD") from None

"""Budgets: what each may cost a month, what it has cost, and where the month is heading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

import pandas as pd

from analytics import formatting
from analytics.filters import Filters
from analytics.forecast import Forecast, forecast
from analytics.frames import Row, frame_of
from analytics.ratios import share
from warehouse.configuration import Configuration
from warehouse.errors import InputError
from warehouse.reader import Warehouse
from warehouse.rule_forms import RuleReader, dated_body, refuse_equal_names
from warehouse.state import State

KIND = "budget"
FILE, PAGE = "percall.toml", "page"

SCOPES = ("feature", "team", "project", "category", "env", "user_tier", "model", "service")
"""What a budget can be for, one value of one of them; without any it is for the total."""

THRESHOLDS = (50, 75, 90, 100)
"""Percentages of a budget that are told when they are reached."""

COLUMNS = (
    "budget", "scope", "month", "amount", "spent", "spent_share", "remaining", "reached", "through", "days_left", "forecast", "forecast_low",
    "forecast_high", "forecast_share", "breach", "backtest_error", "backtests", "state", "currency", "owner", "origin", "how",
)  # fmt: skip


@dataclass(frozen=True)
class Budget:
    """What one scope may cost in each calendar month, in the reporting currency, on the effective basis.

    dimension "total", or one of `SCOPES` with its value. valid_from, valid_to: first and last day on which it holds (None: open); a month
    counts when one of its days lies between them. origin: percall.toml, or the page.
    """

    name: str
    amount: Decimal
    dimension: str = "total"
    value: str = ""
    owner: str = ""
    valid_from: date | None = None
    valid_to: date | None = None
    origin: str = FILE

    @property
    def scope(self) -> str:
        """`total`, `feature:summarize`: as series of anomalies are named."""
        return self.dimension if self.dimension == "total" else f"{self.dimension}:{self.value}"

    def holds_in(self, month: date) -> bool:
        """Whether it counts in the month of a day."""
        first = month.replace(day=1)
        starts = self.valid_from is None or self.valid_from.replace(day=1) <= first
        return starts and (self.valid_to is None or self.valid_to >= first)

    def filters(self, day: date, basis: str = "effective") -> Filters:
        """The filters of its scope, for the month of a day up to that day."""
        where = () if self.dimension == "total" else ((self.dimension, (self.value,)),)
        return Filters(day.replace(day=1), day, where, basis)

    def body(self) -> dict[str, Any]:
        """The budget as saved state has it."""
        scope = {} if self.dimension == "total" else {self.dimension: self.value}
        return (
            {"amount": format(self.amount, "f"), "owner": self.owner}
            | scope
            | dated_body(self.valid_from, self.valid_to)
        )


def read_budgets(entries: Sequence[object], where: str | None = None, *, origin: str = FILE) -> tuple[Budget, ...]:
    """Budgets from the sections [[budget]] of percall.toml or from saved state:

        [[budget]]
        name = "Summaries"
        feature = "summarize"     # or team, project, category, env, user_tier, model, service; none: the total
        amount = 6000             # a month, in the reporting currency
        owner = "ai"              # optional, as are valid_from and valid_to

    Raises InputError that names the budget and says what to do.
    """
    found = tuple(
        _budget(RuleReader(entry, KIND, number, where), origin) for number, entry in enumerate(entries, start=1)
    )
    refuse_equal_names([budget.name for budget in found], KIND, where)
    return found


def budgets_of(configuration: Configuration, state: State, revision: int | None = None) -> tuple[Budget, ...]:
    """All budgets: those of percall.toml, then those saved on the page (as of a revision of the state). Raises InputError as `read_budgets`."""
    path = str(configuration.path) if configuration.path else None
    saved = [{"name": document.name, **(document.body or {})} for document in state.documents(KIND, revision)]
    found = (*read_budgets(configuration.budgets, path), *read_budgets(saved, str(state.path), origin=PAGE))
    refuse_equal_names([budget.name for budget in found], KIND)
    return found


def budget_status(
    warehouse: Warehouse, as_of: date | None = None, budgets: tuple[Budget, ...] | None = None, basis: str = "effective"
) -> pd.DataFrame:
    """Where every budget stands in the month of `as_of` (default: the newest day with data), as it looked on that day.

    Grain: one row per budget that holds in that month (`budgets`, default: all there are now), those in trouble first. amount, spent, remaining,
    forecast, forecast_low, forecast_high: in `currency`; spent is exact, all that is known of the month until that day; of a feature what the
    ledger says is its own, without shares of shared costs. spent_share, forecast_share: parts of the amount. reached: the highest of 50, 75, 90 and
    100 % that is spent (0: none yet). breach: "over" (spent), "certain", "likely" (the forecast's low end, or the forecast itself, lies above
    the amount), "possible" (its high end does) or "no"; None: not known. state: the same in words. backtest_error, backtests, through,
    days_left, how: see `analytics.forecast`.

    Raises InputError for a budget that cannot be used, and when costs are in several currencies or in another than the reporting one.
    """
    chosen = budgets_of(warehouse.configuration, warehouse.state) if budgets is None else budgets
    span = warehouse.span()
    day = as_of or (span[1] if span else None)
    if day is None:
        return frame_of([], COLUMNS)
    rows = [_status(warehouse, budget, day, basis) for budget in chosen if budget.holds_in(day)]
    rows.sort(
        key=lambda row: (
            _URGENCY.index(row["breach"]),
            -(row["forecast_share"] or row["spent_share"] or 0.0),
            row["budget"],
        )
    )
    return frame_of(rows, COLUMNS)


_URGENCY = ("over", "certain", "likely", "possible", None, "no")


def budget_view(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """`budget_status` in the month, and as of, the filters' last day."""
    return budget_status(warehouse, filters.end, basis=filters.basis)


def save_budget(state: State, budget: Budget, *, author: str, reason: str = "") -> None:
    """Save a budget of the page, or change the one of its name. Raises InputError when it cannot be used."""
    read_budgets([{"name": budget.name, **budget.body()}])
    state.save(KIND, budget.name, budget.body(), author=author, reason=reason)


def remove_budget(state: State, name: str, *, author: str, reason: str = "") -> None:
    """Remove a budget of the page."""
    state.save(KIND, name, None, author=author, reason=reason)


def _status(warehouse: Warehouse, budget: Budget, day: date, basis: str) -> Row:
    found = forecast(warehouse, budget.filters(day, basis), day)
    reporting = warehouse.configuration.reporting_currency
    if found.currency not in (None, reporting):
        raise InputError(
            f"the budget {budget.name!r} is in {reporting}, its costs are in {found.currency}: load the exchange rates, or set "
            f'reporting_currency = "{found.currency}"'
        )
    spent = found.spent if found.spent is not None else Decimal(0)
    remaining = budget.amount - spent if found.spent is not None else None
    spent_share = share(spent, budget.amount)
    reached = max((threshold for threshold in THRESHOLDS if spent * 100 >= threshold * budget.amount), default=0)
    breach = _breach(spent, found, budget.amount)
    return {
        "budget": budget.name, "scope": budget.scope, "month": found.month, "amount": budget.amount, "spent": found.spent,
        "spent_share": spent_share if found.spent is not None else None, "remaining": remaining, "reached": reached,
        "through": found.through, "days_left": found.days_left, "forecast": found.amount, "forecast_low": found.low,
        "forecast_high": found.high, "forecast_share": share(found.amount, budget.amount), "breach": breach, "backtest_error": found.error,
        "backtests": found.tests, "state": _words(breach, reached, spent, found, budget.amount, reporting), "currency": reporting,
        "owner": budget.owner or None, "origin": budget.origin, "how": found.how,
    }  # fmt: skip


def _breach(spent: Decimal, found: Forecast, amount: Decimal) -> str | None:
    if spent > amount:
        return "over"
    if found.amount is None:
        return None
    if found.low is not None and found.low > amount:
        return "certain"
    if found.amount > amount:
        return "likely"
    return "possible" if found.high is not None and found.high > amount else "no"


def _words(breach: str | None, reached: int, spent: Decimal, found: Forecast, amount: Decimal, currency: str) -> str:
    if found.spent is None:
        return "no cost known"
    if breach == "over":
        return f"over by {formatting.money(spent - amount, currency)}"
    if found.is_complete:
        return "kept"
    part = f"{reached}% reached" if reached else "below 50%"
    if breach is None:
        return f"{part}, month end unknown"
    ends = {
        "certain": "will be exceeded",
        "likely": "likely to be exceeded",
        "possible": "may be exceeded",
        "no": "on track",
    }
    return f"{part}, {ends[breach]}"


def _budget(reader: RuleReader, origin: str) -> Budget:
    reader.only(("name", "amount", *SCOPES, "owner", "valid_from", "valid_to"))
    scopes = [name for name in SCOPES if reader.entry.get(name)]
    if len(scopes) > 1:
        raise reader.wrong(f"it names {' and '.join(scopes)}: choose one, and make another budget for the other")
    first, last = reader.validity()
    owner = reader.text("owner") if reader.entry.get("owner") else ""
    dimension = scopes[0] if scopes else "total"
    return Budget(
        reader.text("name"), _amount(reader, reader.entry), dimension, reader.text(dimension) if scopes else "", owner, first, last, origin
    )  # fmt: skip


def _amount(reader: RuleReader, entry: Mapping[str, Any]) -> Decimal:
    value = entry.get("amount")
    try:
        amount = Decimal(str(value)) if not isinstance(value, bool) else Decimal(-1)
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or amount <= 0:
        raise reader.wrong(f"amount is {value!r}; write what it may cost a month, such as amount = 6000")
    return amount

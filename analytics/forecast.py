"""Where a month's cost is heading: weekday profile and level of the last days, with the error that this has made before."""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal

import numpy as np

from analytics import formatting
from analytics.anomalies_robust import Floats
from analytics.currency import require_one_currency
from analytics.filters import Filters, apply
from analytics.frames import rows_of
from analytics.freshness import complete_through
from analytics.fx import bill_daily
from analytics.infrastructure import FILTER_COLUMNS
from analytics.ledger import ledger
from analytics.period_names import month_name
from warehouse.reader import Warehouse

LEVEL_DAYS = 14
PROFILE_DAYS = 56
LEAST_DAYS = 7
"""Complete days without which nothing is projected."""
LEAST_PROFILE = 21
"""Complete days from which weekdays are told apart: three of each."""
LEAST_SPREAD = 0.02
OUTLIER = 4.0
"""Days further from the median than so many usual spreads count as if they were that far: one bad day is not the rest of the month."""

DRAWS = 1000
BLOCK = 7
SEED = 20_260_501
INTERVAL = (10, 90)
LEAST_TESTS = 3
TEST_STEP = 3
TEST_DAYS = 120
LATEST_TESTS = 5

FIXED_DAYS = 20
"""A billing line that covers so many days is a charge for the month, whatever day it is dated."""
CENT = Decimal("0.01")


@dataclass(frozen=True)
class Forecast:
    """What a calendar month will have cost at its end; money in `currency`.

    spent: all that is known of the month until `as_of`, exact. through: its last complete day (None: none yet); days_left: days after it.
    amount: cost of the complete days + what is projected for the others, to the cent (None: too little history); low, high: where 80 % of
    the simulated month ends lie (None: too little history to say). fixed: part of it that is monthly charges still to come.

    error: median absolute error of past forecasts of as many days (0.12: half of them were at most 12 % off), over `tests` of them; None: not
    tested yet.
    history: complete days that it rests on. is_complete: the month is over and known, so that `amount` is its cost.
    how: all of this in sentences.
    """

    month: date
    as_of: date
    spent: Decimal | None
    through: date | None
    days_left: int
    amount: Decimal | None
    low: Decimal | None
    high: Decimal | None
    fixed: Decimal
    error: float | None
    tests: int
    history: int
    is_complete: bool
    currency: str | None
    how: str


def forecast(warehouse: Warehouse, filters: Filters, as_of: date | None = None) -> Forecast:
    """The month of `as_of` (default: the filters' last day) as it looked on that day: later data are not used.

    Conditions and basis are the filters'; the period is not. Level: the mean of the last 14 complete days without their weekdays, outliers
    cut. Weekdays: medians over the last 56 days, from three weeks of history on. Monthly charges (purchases, lines that cover most of a month)
    are kept apart and expected on the day of the month on which they came last month. The interval draws 1,000 month ends from weeks of the
    last 56 days against what was projected for each, and from the size of the latest errors of forecasts of the same length. Growth is not continued:
    the tested error says what that costs.

    Raises InputError when the costs are in several currencies.
    """
    day = as_of or filters.end
    costs = _Costs.read(warehouse, filters, day)
    month, last = day.replace(day=1), day.replace(day=calendar.monthrange(day.year, day.month)[1])
    spent = costs.between(month, day)
    through = min(costs.through, day)
    currency = costs.currency
    if through >= last:
        how = f"{month_name(month)} is complete: this is its cost."
        return Forecast(
            month=month, as_of=day, currency=currency, spent=spent, through=last, days_left=0, amount=spent, low=spent, high=spent,
            fixed=Decimal(0), error=0.0, tests=0, history=len(costs.known), is_complete=spent is not None, how=how,
        )  # fmt: skip
    complete = through if through >= month else None
    left = (last - max(through, month - timedelta(days=1))).days
    values = costs.usual(through)
    fixed = costs.fixed_to_come(max(through, month - timedelta(days=1)), last)
    few = f"Only {len(values)} complete {'day' if len(values) == 1 else 'days'} of history: too few to project from (at least {LEAST_DAYS})."
    nothing = Forecast(
        month=month, as_of=day, currency=currency, spent=spent, through=complete, days_left=left, amount=None, low=None, high=None,
        fixed=fixed, error=None, tests=0, history=len(values), is_complete=False, how=few,
    )  # fmt: skip
    if len(values) < LEAST_DAYS:
        return nothing
    # Days after the last complete one are projected, those of them that already cost something included: they are not complete.
    gap = (max(through, month - timedelta(days=1)) - through).days
    rest = _projected(values, gap + left)[gap:].sum()
    errors = _past_errors(values, left)
    known = (costs.between(month, through) or Decimal(0)) + fixed if complete else fixed
    amount = known + _cents(rest)
    # What is known of days that are not complete is spent for certain.
    amount = max(amount, spent or Decimal(0))
    ends = _simulated(values, gap + left, gap, errors)
    sides = None if ends is None else tuple(_cents(end) + known for end in np.percentile(ends, INTERVAL))
    error = float(np.median(np.abs(errors))) if len(errors) >= LEAST_TESTS else None
    return replace(
        nothing, amount=amount, low=None if sides is None else max(min(sides[0], amount), spent or sides[0]),
        high=None if sides is None else max(sides[1], amount), error=error, tests=len(errors),
        how=_how(costs.currency or "USD", complete, known - fixed, left, rest, fixed, error, len(errors), len(values)),
    )  # fmt: skip


@dataclass(frozen=True)
class _Costs:
    """Daily costs until a day, and the monthly charges among them; through: the last day that every source has completed."""

    daily: Mapping[date, Decimal]
    fixed: Mapping[date, Decimal]
    known: tuple[date, ...]
    through: date
    currency: str | None

    @staticmethod
    def read(warehouse: Warehouse, filters: Filters, until: date) -> _Costs:
        span = warehouse.span() or (until, until)
        period = replace(filters, start=min(span[0], until), end=until)
        rows = apply(ledger(warehouse), period)
        rows = rows.filter(rows[filters.basis].notnull())
        sums = rows_of(warehouse, rows.group_by(["date", "currency"]).agg(cost=rows[filters.basis].sum()))
        currency = require_one_currency(row["currency"] for row in sums)
        lines = apply(bill_daily(warehouse), period, FILTER_COLUMNS)
        long = lines.whole_days & ((lines.covered_to.epoch_days() - lines.date.epoch_days()) >= FIXED_DAYS)
        lines = lines.filter((lines.ChargeCategory == "Purchase").fill_null(False) | long.fill_null(False))
        lines = lines.filter(lines[filters.basis].notnull())
        fixed = rows_of(warehouse, lines.group_by("date").agg(cost=lines[filters.basis].sum()))
        every = ledger(warehouse)
        every = every.filter(every[filters.basis].notnull())
        days = rows_of(warehouse, every.select("date").distinct())
        sources = {row["source"] for row in rows_of(warehouse, rows.select("source").distinct())}
        through = [day for source, day in complete_through(warehouse).items() if source in sources]
        return _Costs(
            {row["date"]: row["cost"] for row in sums},
            {row["date"]: row["cost"] for row in fixed},
            tuple(sorted(row["date"] for row in days if row["date"] <= until)),
            min([span[1], *through]),
            currency,
        )

    def between(self, first: date, last: date) -> Decimal | None:
        """Exact cost; None where nothing is known."""
        amounts = [amount for day, amount in self.daily.items() if first <= day <= last]
        return sum(amounts, Decimal(0)) if amounts else None

    def usual(self, through: date) -> Floats:
        """Cost without monthly charges of each day from the scope's first to `through`; 0 where only others cost, NaN where nobody recorded."""
        first = min(self.daily, default=None)
        if first is None or first > through:
            return np.zeros(0)
        known = set(self.known)
        days = (first + timedelta(days=number) for number in range((through - first).days + 1))
        return np.array([
            float(self.daily.get(day, Decimal(0)) - self.fixed.get(day, Decimal(0))) if day in known else np.nan for day in days
        ])  # fmt: skip

    def fixed_to_come(self, through: date, last: date) -> Decimal:
        """Monthly charges of last month that fell on a later day of the month than `through`."""
        end = last.replace(day=1) - timedelta(days=1)
        reached = through.day if through >= last.replace(day=1) else 0
        return sum(
            (amount for day, amount in self.fixed.items() if end.replace(day=1) <= day <= end and day.day > reached),
            Decimal(0),
        )


def _projected(values: Floats, days: int) -> Floats:
    """The days after the last of `values`: level x weekday."""
    profile = _profile(values)
    level = _level(values, profile)
    return level * profile[(len(values) + np.arange(days)) % 7]


def _profile(values: Floats) -> Floats:
    """Factor of each weekday, by position modulo 7, with mean 1."""
    recent = values[-PROFILE_DAYS:]
    if np.sum(~np.isnan(recent)) < LEAST_PROFILE or np.nansum(recent) <= 0:
        return np.ones(7)
    places = (len(values) - len(recent) + np.arange(len(recent))) % 7
    # Each day against the week around it, so that growth and steps do not pass for weekdays.
    weeks = np.array([np.nanmean(recent[max(0, at - 3) : at + 4]) for at in range(len(recent))])
    ratio = np.divide(recent, weeks, out=np.full(len(recent), np.nan), where=weeks > 0)
    factors = np.array(
        [
            np.nanmedian(ratio[places == place]) if np.any(~np.isnan(ratio[places == place])) else 1.0
            for place in range(7)
        ]
    )
    mean = factors.mean()
    return factors / mean if mean > 0 else np.ones(7)


def _level(values: Floats, profile: Floats) -> float:
    """Mean of the last days without their weekdays, outliers cut."""
    places = (len(values) - len(values[-LEVEL_DAYS:]) + np.arange(len(values[-LEVEL_DAYS:]))) % 7
    factors = profile[places]
    flat = np.divide(values[-LEVEL_DAYS:], factors, out=np.full(len(places), np.nan), where=factors > 0)
    flat = flat[~np.isnan(flat)]
    if not len(flat):
        return 0.0
    middle = float(np.median(flat))
    # The floor lets a day without any spread around it still count as one.
    spread = max(1.4826 * float(np.median(np.abs(flat - middle))), LEAST_SPREAD * abs(middle))
    return float(np.clip(flat, middle - OUTLIER * spread, middle + OUTLIER * spread).mean())


def _past_errors(values: Floats, days: int) -> Floats:
    """(projected - actual) / actual of the sum of so many days, for past days that had at least three weeks of history and the days after."""
    errors = []
    last = len(values) - days
    for end in range(last, max(LEAST_PROFILE, last - TEST_DAYS) - 1, -TEST_STEP):
        actual = values[end : end + days]
        if np.isnan(actual).any() or actual.sum() <= 0:
            continue
        errors.append((_projected(values[:end], days).sum() - actual.sum()) / actual.sum())
    return np.array(errors)


def _simulated(values: Floats, days: int, skipped: int, errors: Floats) -> Floats | None:
    """Simulated sums of the days after `skipped` ones; None where there is too little history for it."""
    ratios = _daily_ratios(values)
    if len(ratios) < 2 * BLOCK:
        return None
    random = np.random.default_rng(SEED)
    blocks = -(-days // BLOCK)
    starts = random.integers(0, len(ratios) - BLOCK + 1, size=(DRAWS, blocks))
    drawn = ratios[starts[:, :, None] + np.arange(BLOCK)].reshape(DRAWS, -1)[:, :days]
    ends = (drawn * _projected(values, days)).sum(axis=1, where=np.arange(days) >= skipped)
    if len(errors) >= LEAST_TESTS:
        # By their size alone: that costs fell last month does not say that they fall again.
        sizes = np.minimum(np.abs(errors[:LATEST_TESTS]), 0.9)
        ends = ends * (1 + random.choice(sizes, size=DRAWS) * random.choice((-1.0, 1.0), size=DRAWS))
    return np.asarray(ends)


def _daily_ratios(values: Floats) -> Floats:
    """Each of the last days against what was projected for it the day before, from when on weekdays were told apart."""
    first = max(LEAST_PROFILE, len(values) - PROFILE_DAYS)
    found = []
    for at in range(first, len(values)):
        projected = _projected(values[:at], 1)[0]
        if projected > 0 and not np.isnan(values[at]):
            found.append(values[at] / projected)
    return np.array(found)


def _cents(amount: float) -> Decimal:
    return Decimal(repr(float(amount))).quantize(CENT)


def _how(
    currency: str, through: date | None, known: Decimal, left: int, rest: float, fixed: Decimal, error: float | None, tests: int, history: int
) -> str:  # fmt: skip
    day = "day" if left == 1 else "days"
    until = (
        f"{formatting.money(known, currency)} until {through.day} {through:%B}" if through else "no complete day yet"
    )
    text = f"{until}, plus {formatting.money(_cents(rest), currency)} for {left} {day} at the level of the last {min(history, LEVEL_DAYS)} days"
    text += " by weekday" if history >= LEAST_PROFILE else ""
    if fixed:
        text += f", plus {formatting.money(fixed, currency)} of monthly charges"
    if error is None:
        return f"{text}. With {history} days of history its error could not be tested yet."
    return f"{text}. Half of {tests} past forecasts of {left} {day} were at most {formatting.share(error)} off."

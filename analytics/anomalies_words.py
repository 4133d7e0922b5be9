"""Anomalies in words: the name of a series, one reason, and the sentence that a page, an alert and a review begin with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from analytics import decomposition as by
from analytics import formatting
from analytics.decomposition import INPUTS
from analytics.decomposition_cells import Cell, Traced, Usage
from analytics.filters import UNTAGGED, Filters
from analytics.frames import Row
from analytics.period_names import during
from analytics.why_changed import CREDITS, INFRASTRUCTURE, UNTRACED

_NAMES = {"project": "project", "team": "team", "env": "environment", "user_tier": "tier", "user": "user"}
CACHE_READS = 1
"""Place of cache reads among the token classes."""


@dataclass(frozen=True)
class Reason:
    """One driver's part of an excess, and in words: "there were 2.8 times as many calls"."""

    driver: str
    amount: Decimal
    words: str


def series_name(series: str) -> str:
    """A series for people: `summarize`, `GPU inference`, `team ai`, `cost without a feature`."""
    dimension, _, value = series.partition(":")
    if dimension == "total":
        return "everything"
    if value == UNTAGGED:
        return f"cost without {'an' if dimension == 'env' else 'a'} {_NAMES.get(dimension, dimension)}"
    return f"{_NAMES[dimension]} {value}" if dimension in _NAMES else value


def on_days(days: Sequence[date]) -> str:
    """`on Tue 19 May 2026`, `over 11 – 17 March 2026`."""
    if len(days) == 1:
        (day,) = days
        return f"on {_WEEKDAYS[day.weekday()]} {day.day} {day:%B} {day.year}"
    return during(Filters(days[0], days[-1]))


_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def headline(series: str, days: Sequence[date], expected: Decimal, actual: Decimal, currency: str | None) -> str:
    """`summarize cost $145 more than expected on Tue 19 May 2026 ($224 against $79)`: without a reason."""
    code = currency or "USD"
    excess = actual - expected
    name = series_name(series)
    if series == "total" or UNTAGGED in series or series.partition(":")[0] in _NAMES:
        name = name[0].upper() + name[1:]
    return (
        f"{name} cost {formatting.money(abs(excess), code)} {'more' if excess >= 0 else 'less'} than expected "
        f"{on_days(days)} ({formatting.money(actual, code)} against {formatting.money(expected, code)})"
    )


def sentence(
    series: str,
    days: Sequence[date],
    expected: Decimal,
    actual: Decimal,
    currency: str | None,
    reasons: Sequence[Reason],
) -> str:
    """The headline with the largest reason: `..., of which +$130 because tokens per call doubled on gpt-4o`."""
    text = headline(series, days, expected, actual, currency)
    excess = actual - expected
    leading = next((one for one in reasons if one.amount * excess > 0), None)
    if leading is None:
        return text
    return f"{text}, of which {formatting.money(leading.amount, currency or 'USD', plus=True)} because {leading.words}"


def reason(driver: str, amount: Decimal, rows: Sequence[Row], before: Usage, after: Usage) -> Reason:
    """A driver's part in words. `rows` are its rows of `analytics.why_changed`."""
    return Reason(driver, amount, _words(driver, amount, rows, before, after))


def _words(driver: str, amount: Decimal, rows: Sequence[Row], before: Usage, after: Usage) -> str:
    leading = max(rows, key=lambda row: row["amount"] if amount > 0 else -row["amount"], default=None)
    more = amount > 0
    if driver == by.CALLS:
        return _calls(before, after)
    if leading is None:
        return "usual use of before is missing"
    if driver in (UNTRACED, CREDITS):
        return "billed model use that no trace explains" if driver == UNTRACED else "other credits were granted"
    if driver == INFRASTRUCTURE:
        return f"{leading['detail'] or 'infrastructure'} cost {'more' if more else 'less'}"
    where = _where(leading, rows)
    cell: Cell = (leading["feature"], leading["detail"])
    then, now = before.traced.get(cell), after.traced.get(cell)
    if driver == by.FEATURES:
        return f"{'more' if more else 'fewer'} of the calls were {leading['feature'] or 'of no named feature'}"
    if driver == by.MODELS:
        if now is None or not now.calls:
            return f"calls no longer went to {where}"
        new = then is None or not then.calls
        return (
            f"calls went to {where} for the first time"
            if new
            else f"{'more' if more else 'fewer'} calls went to {where}"
        )
    if then is None or now is None or not then.calls or not now.calls:
        return f"{driver} changed on {where}"
    return _changed(driver, where, then, now, before.models.get(cell), after.models.get(cell))


def _calls(before: Usage, after: Usage) -> str:
    then = sum(one.calls for one in before.traced.values()) / before.days
    now = sum(one.calls for one in after.traced.values()) / after.days
    if not then:
        return f"it is new ({formatting.count(round(now))} calls a day)"
    return f"there were {_times(now, then, 'calls')}"


def _changed(
    driver: str, where: str, then: Traced, now: Traced, cost_before: Decimal | None, cost_after: Decimal | None
) -> str:
    if driver == by.TOKENS:
        return f"tokens per call {_moved(now.tokens.sum() / now.calls, then.tokens.sum() / then.calls)} on {where}"
    if driver == by.CACHE:
        parts = [formatting.share(_read_share(one)) for one in (now, then)]
        return f"{parts[0]} instead of {parts[1]} of the input of {where} was read from the cache"
    if not cost_before or not cost_after:
        return f"the cost per token changed on {where}"
    tokens = [max(float(one.tokens.sum()), 1.0) for one in (now, then)]
    return f"a token of {where} {_moved(float(cost_after) / tokens[0], float(cost_before) / tokens[1])} in cost"


def _where(leading: Row, rows: Sequence[Row]) -> str:
    """The model, with its feature where several have it."""
    model = leading["detail"] or "unnamed models"
    features = {row["feature"] for row in rows}
    return f"{model} in {leading['feature']}" if len(features) > 1 and leading["feature"] else str(model)


def _read_share(one: Traced) -> float:
    whole = float(one.tokens[:INPUTS].sum())
    return float(one.tokens[CACHE_READS]) / whole if whole else 0.0


def _moved(now: float, then: float) -> str:
    """`doubled`, `rose 38%`, `fell 12%`."""
    if not then:
        return "appeared"
    ratio = now / then
    if 1.9 <= ratio <= 2.1:
        return "doubled"
    if ratio >= 2.1:
        return f"rose to {ratio:.1f} times"
    return f"{'rose' if ratio >= 1 else 'fell'} {formatting.share(abs(ratio - 1))}"


def _times(now: float, then: float, what: str) -> str:
    ratio = now / then
    if ratio >= 2.1:
        return f"{ratio:.1f} times as many {what}"
    if ratio >= 1.9:
        return f"twice as many {what}"
    return f"{formatting.share(abs(ratio - 1))} {'more' if ratio >= 1 else 'fewer'} {what}"

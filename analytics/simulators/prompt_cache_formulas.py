"""When a prompt cache pays, in closed form. Formulas guide; the replay decides.

w: what a write costs, r: what a read costs, both in prices of plain input (1.25 and 0.1 for five minutes of Claude).
"""

from __future__ import annotations

import math

from warehouse.errors import InputError


def break_even_reads(write: float, read: float) -> float:
    """Reads per write from which a cache pays: k = (w - 1) / (1 - r). 0 where writes are free; infinite where reads cost what input does."""
    _check(write, read)
    if write <= 1:
        return 0.0
    return (write - 1) / (1 - read) if read < 1 else math.inf


def break_even_share(write: float, read: float) -> float:
    """Share of calls that must find the prefix from which a cache pays: (w - 1) / (w - r), between 0 and 1."""
    _check(write, read)
    if write <= 1:
        return 0.0
    return min((write - 1) / (write - read), 1.0) if read < write else 1.0


def hit_share(calls_per_hour: float, ttl: float) -> float:
    """Share of calls that find the prefix when calls come at random (Poisson) and a read starts the life of `ttl` seconds anew: 1 - exp(-l ttl)."""
    if calls_per_hour < 0 or ttl < 0:
        raise InputError("the calls per hour and the life must not be negative")
    return -math.expm1(-calls_per_hour * ttl / 3600) if math.isfinite(ttl) else float(calls_per_hour > 0)


def break_even_rate(write: float, read: float, ttl: float) -> float:
    """Calls per hour, coming at random, from which a cache with a life of `ttl` seconds pays: the rate of `break_even_share`."""
    share = break_even_share(write, read)
    if share >= 1:
        return math.inf
    if ttl <= 0:
        return math.inf if share > 0 else 0.0
    return -math.log1p(-share) * 3600 / ttl


def relative_cost(calls_per_hour: float, ttl: float, write: float, read: float) -> float:
    """Cost of the prefix with a cache, relative to plain input: h r + (1 - h) w, with h of `hit_share`."""
    _check(write, read)
    hits = hit_share(calls_per_hour, ttl)
    return hits * read + (1 - hits) * write


def stored_cost(
    tokens: float, calls: float, hours: float, *, price: float, read_price: float, storage_price: float
) -> float:
    """USD of a cache that is made, kept for `hours` and read by `calls`: Gemini's explicit cache. Prices in USD per 1,000,000 tokens (and hour).

    The one that makes it pays plain input.
    """
    _check(price, read_price)
    return tokens / 1e6 * (price + hours * storage_price + calls * read_price)


def stored_break_even(hours: float, *, price: float, read_price: float, storage_price: float) -> int | None:
    """The number of calls from which such a cache costs less than sending its tokens with each of them; None: never."""
    _check(price, read_price)
    if read_price >= price:
        return None
    return math.floor((price + hours * storage_price) / (price - read_price)) + 1


def _check(write: float, read: float) -> None:
    if not (write >= 0 and read >= 0 and math.isfinite(write) and math.isfinite(read)):
        raise InputError("what a write and a read cost must be numbers that are not negative")

"""Each lever's fair part of what a scenario saves, whatever the order: Shapley shares (Shapley 1953).

The value of a set of levers is what they save together, replayed in the scenario's order. A lever's share is its mean marginal saving over all
orders of joining; the shares add up to the whole saving exactly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from analytics.simulators.lever import Lever
from analytics.simulators.situation import Situation
from warehouse.errors import InputError

EXACT_UP_TO = 6
"""Levers of which all 2^n combinations are replayed; of more, a sample of orders is."""

ORDERS = 60
SEED = 20_260_501


@dataclass(frozen=True)
class Share:
    """One lever's part in USD per month; error: standard error of the estimate (0: exact)."""

    lever: Lever
    share: float
    error: float


@dataclass(frozen=True)
class Shares:
    """The shares in the scenario's order; `replays` levers were applied for them. `exact`: all combinations were replayed."""

    shares: tuple[Share, ...]
    saving: float
    exact: bool
    replays: int


class _Values:
    """Savings of sets of levers, each replayed once; sets that begin alike share their beginning."""

    def __init__(self, situation: Situation, levers: Sequence[Lever]) -> None:
        self._levers = levers
        self._base = situation.total()
        self._scale = situation.window.scale_to_month
        self._situation = situation
        self._savings: dict[tuple[int, ...], float] = {(): 0.0}
        self.replays = 0

    def all(self) -> None:
        """Replay every set, depth first, so that only one chain of situations is in memory."""
        self._deeper((), self._situation)

    def _deeper(self, chosen: tuple[int, ...], situation: Situation) -> None:
        for lever in range(chosen[-1] + 1 if chosen else 0, len(self._levers)):
            after = self._applied(lever, situation)
            self._savings[(*chosen, lever)] = (self._base - after.total()) * self._scale
            self._deeper((*chosen, lever), after)

    def of(self, chosen: frozenset[int]) -> float:
        """The saving of a set."""
        key = tuple(sorted(chosen))
        if key not in self._savings:
            situation = self._situation
            for lever in key:
                situation = self._applied(lever, situation)
            self._savings[key] = (self._base - situation.total()) * self._scale
        return self._savings[key]

    def _applied(self, lever: int, situation: Situation) -> Situation:
        self.replays += 1
        return self._levers[lever].apply(situation)


def shapley(situation: Situation, levers: Sequence[Lever], *, orders: int = ORDERS, seed: int = SEED) -> Shares:
    """The shares of these levers, exact for up to `EXACT_UP_TO` levers, else estimated from `orders` random orders, each with its reverse.

    The estimate's error is the standard error over pairs of an order and its reverse; its shares, too, add up to the whole saving. Raises
    InputError without a lever, or for fewer than four orders.
    """
    if not levers:
        raise InputError("a scenario without levers has no shares")
    if orders < 4:
        raise InputError("shares need at least four orders of the levers")
    values, number = _Values(situation, levers), len(levers)
    whole = frozenset(range(number))
    if number <= EXACT_UP_TO:
        values.all()
        found = [_exact(values, place, number) for place in range(number)]
        errors = [0.0] * number
    else:
        random = np.random.default_rng(seed)
        pairs = np.array([_pair(values, random.permutation(number)) for _ in range(max(orders // 2, 2))])
        found = pairs.mean(axis=0).tolist()
        errors = (pairs.std(axis=0, ddof=1) / math.sqrt(len(pairs))).tolist()
    shares = tuple(Share(lever, share, error) for lever, share, error in zip(levers, found, errors, strict=True))
    return Shares(shares, values.of(whole), number <= EXACT_UP_TO, values.replays)


def _exact(values: _Values, place: int, number: int) -> float:
    others = [lever for lever in range(number) if lever != place]
    share = 0.0
    for size in range(number):
        weight = math.factorial(size) * math.factorial(number - size - 1) / math.factorial(number)
        for chosen in combinations(others, size):
            share += weight * (values.of(frozenset((*chosen, place))) - values.of(frozenset(chosen)))
    return share


def _pair(values: _Values, order: np.ndarray) -> np.ndarray:
    """Marginal savings of an order and of its reverse, averaged: what an early place gives a lever, the late one takes back."""
    return (_marginal(values, order) + _marginal(values, order[::-1])) / 2


def _marginal(values: _Values, order: np.ndarray) -> np.ndarray:
    gained = np.zeros(len(order))
    chosen: frozenset[int] = frozenset()
    for lever in order.tolist():
        gained[lever] = values.of(chosen | {lever}) - values.of(chosen)
        chosen |= {lever}
    return gained

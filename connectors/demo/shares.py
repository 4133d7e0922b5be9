"""Whole things split by weights, and numbers drawn around a mean that is met exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[Any]


def apportion(weights: Numbers, total: int) -> NDArray[np.int64]:
    """Split a whole total by weights (largest remainder): whole parts that sum to it."""
    exact = weights / weights.sum() * total
    parts = np.floor(exact).astype(np.int64)
    missing = total - int(parts.sum())
    order = np.argsort(-(exact - parts), kind="stable")
    parts[order[:missing]] += 1
    return parts


def around(
    random: np.random.Generator, count: int, mean: float, spread: float, lowest: float, highest: float
) -> Numbers:
    """Log-normal numbers within bounds, scaled so that their mean is the one given. `spread` is the sigma of their logarithm."""
    return meet_mean(mean * np.exp(spread * random.standard_normal(count)), mean, lowest, highest)


def meet_mean(values: Numbers, mean: float, lowest: float, highest: float) -> Numbers:
    """Scale values to a mean and clip them to bounds, until both hold."""
    if not len(values):
        return values
    for _ in range(12):
        values = np.clip(values * (mean / values.mean()), lowest, highest)
    return values


def pick(random: np.random.Generator, weights: Numbers, count: int) -> NDArray[np.int64]:
    """Indices drawn with probabilities proportional to weights."""
    cumulative = np.cumsum(weights)
    return np.searchsorted(cumulative, random.random(count) * cumulative[-1], side="right").clip(0, len(weights) - 1)


def scramble(values: Numbers, salt: int) -> NDArray[np.uint64]:
    """64-bit hashes of whole numbers (the finaliser of SplitMix64, Steele et al. 2014): equal numbers, equal hashes."""
    mixed = values.astype(np.uint64) + np.uint64(salt * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))

"""How sure a counted share is."""

from __future__ import annotations

import math

Z = 1.959963984540054
"""Quantile of the normal distribution for 95 %."""


def wilson(found: int, of: int, z: float = Z) -> tuple[float, float] | None:
    """Interval of a share `found` / `of` (E. B. Wilson, 1927), holding also near 0 and 1; None when nothing was counted."""
    if of <= 0:
        return None
    share, square = found / of, z * z / of
    middle = (share + square / 2) / (1 + square)
    half = z / (1 + square) * math.sqrt(share * (1 - share) / of + square / (4 * of))
    # At both ends the formula is exact; rounding must not leave 0..1.
    return (0.0 if found == 0 else middle - half), (1.0 if found == of else middle + half)


def counted_for(share: float, within: float, z: float = Z) -> int:
    """How many must be counted so that the interval of a share like this one reaches at most `within` to either side of its middle.

    Of Wilson's half width: the smallest n with z / (1 + z²/n) x sqrt(p (1 - p) / n + z² / (4 n²)) <= within. Raises ValueError unless
    0 < within and 0 <= share <= 1.
    """
    if not (within > 0 and 0 <= share <= 1):
        raise ValueError("a share lies between 0 and 1, and what is allowed to either side is more than 0")
    square = z * z

    def half(of: int) -> float:
        return z / (1 + square / of) * math.sqrt(share * (1 - share) / of + square / (4 * of * of))

    high = 1
    while half(high) > within:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if half(middle) > within else (low, middle)
    return high

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

"""Colours: fixed per cost category, stable per feature, the same on every page, in every report and file.

The palette is Okabe and Ito's colour-blind-safe set, reordered so that the strongest contrasts come first, with a
lighter variant for dark backgrounds. Colour never carries a meaning alone: every series is named in a legend, a label
or a table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from analytics.filters import UNTAGGED
from warehouse.schema import COST_CATEGORIES

Mode = Literal["light", "dark"]

SERIES: Mapping[Mode, tuple[str, ...]] = {
    "light": ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5C99"),
    "dark": ("#4AA3DF", "#F08A4B", "#35BE96", "#DDA0C4", "#F0BC55", "#8ED0F5", "#B39AD1"),
}
"""Distinct hues for named series. Grey is kept for what has no name of its own."""

NEUTRAL: Mapping[Mode, str] = {"light": "#8A9399", "dark": "#98A2A8"}
"""For rests: Unclassified, Unallocated, untagged, "all others"."""

RESTS = frozenset({"Unclassified", "Unallocated", UNTAGGED, "All others", "unknown"})
"""Names of what no rule, tag or source names."""


def category_colours(mode: Mode = "light") -> dict[str, str]:
    """The fixed colour of each cost category."""
    named = [category for category in COST_CATEGORIES if category not in RESTS]
    return dict(zip(named, SERIES[mode], strict=False)) | dict.fromkeys(RESTS, NEUTRAL[mode])


def series_colours(names: Sequence[str], mode: Mode = "light") -> dict[str, str]:
    """Colours for a dimension's values, given all values that the store knows (not those that a filter leaves).

    Values take the hues in alphabetical order, so that a filter, another page or another period never repaints one.
    From the eighth value on hues repeat: show at most seven series and put the others together as "All others".
    """
    named = sorted({name for name in names if name not in RESTS}, key=str.casefold)
    hues = SERIES[mode]
    return {name: hues[position % len(hues)] for position, name in enumerate(named)} | dict.fromkeys(
        RESTS, NEUTRAL[mode]
    )

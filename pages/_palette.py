"""The colours of pages: those of `analytics.palette`."""

from __future__ import annotations

from analytics.palette import NEUTRAL, RESTS, SERIES, Mode, category_colours, series_colours

__all__ = ["NEUTRAL", "RESTS", "SERIES", "Mode", "category_colours", "series_colours"]

"""Names on screen for what the data leave unnamed, and for columns of the warehouse."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from analytics.cost_kinds import NOT_TRACED, SHARED
from analytics.filters import UNTAGGED

NOT_TRACED_NAME, SHARED_NAME = "(billed, not traced)", "(shared infrastructure)"
_RESTS = {NOT_TRACED: NOT_TRACED_NAME, SHARED: SHARED_NAME}

TOKEN_CLASS_NAMES = {
    "uncached_input_tokens": "Input",
    "cache_read_tokens": "Cache reads",
    "cache_write_5m_tokens": "Cache writes, 5 min",
    "cache_write_1h_tokens": "Cache writes, 1 h",
    "output_tokens": "Output",
    "reasoning_tokens": "Reasoning",
    "audio_input_tokens": "Audio in",
    "audio_output_tokens": "Audio out",
}
"""Token classes, which are disjoint: input is what was neither read from nor written to a cache, output is without reasoning."""


def named(names: Iterable[str | None], kinds: Iterable[str] | None = None) -> list[str]:
    """Names for the screen: a missing one says what kind of rest it is (see `analytics.cost_kinds`), or that it is untagged."""
    values = list(names)
    rests = [None] * len(values) if kinds is None else list(kinds)
    return [
        _RESTS.get(str(kind), UNTAGGED) if pd.isna(name) else str(name)
        for name, kind in zip(values, rests, strict=True)
    ]

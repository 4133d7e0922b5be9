"""Prompts that begin alike, made for tests."""

from __future__ import annotations

import numpy as np

from analytics.simulators.heavy_columns import Lists

CLAUDE = ("anthropic", "claude-sonnet-4-5")


def lists(prefixes: list[list[int]]) -> Lists:
    offsets = np.concatenate([[0], np.cumsum([len(each) for each in prefixes])]).astype(np.int64)
    return Lists(offsets, np.array([block for each in prefixes for block in each], dtype=np.uint64))

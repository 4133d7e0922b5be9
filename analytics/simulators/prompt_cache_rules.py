"""What each provider's prompt cache does, by date: how short a prefix may be, how long it lives, what a write is billed as.

Data: data/prompt_cache_rules.toml, with the source of every rule. Prices are no part of it; they come from the price books.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytics.simulators.window import EPOCH
from warehouse.errors import InputError
from warehouse.rates import OPEN_END

RULES_FILE = Path(__file__).resolve().parents[2] / "data" / "prompt_cache_rules.toml"
SCHEMES = ("automatic", "marked", "object")
WRITES = ("input", "cache_write_5m", "cache_write_1h")
NO_CACHE = -1
"""Microseconds of a life in which nothing is read."""


@dataclass(frozen=True)
class CacheRule:
    """One rule; its fields are those of the file, which explains them. storage: USD per 1,000,000 tokens and hour."""

    provider: str
    scheme: str
    minimum_tokens: int
    grain_tokens: int
    lives: tuple[int, ...]
    writes: tuple[str, ...]
    source: str
    valid_from: date
    valid_to: date = field(default=OPEN_END.date())
    models: str = ""
    refreshed: bool = True
    storage: float = 0.0

    def __post_init__(self) -> None:
        fits = len(self.lives) == len(self.writes) > 0 and list(self.lives) == sorted(self.lives) and self.lives[0] > 0
        if self.scheme not in SCHEMES or not fits or set(self.writes) - set(WRITES):
            raise InputError(
                f"a rule of {self.provider} needs a scheme of {', '.join(SCHEMES)} and, for each of its rising lives, "
                f"one of {', '.join(WRITES)}"
            )
        if self.minimum_tokens < 1 or self.grain_tokens < 1 or self.storage < 0:
            raise InputError(f"a rule of {self.provider} needs minimum_tokens and grain_tokens of at least 1")
        try:
            re.compile(self.models)
        except re.error as error:
            raise InputError(
                f"the models of a rule of {self.provider} are no regular expression: {error}", column="models"
            ) from error

    def fits(self, provider: str | None, model: str | None) -> bool:
        """Whether it is for this model."""
        return provider == self.provider and re.search(self.models, model or "") is not None

    def life(self, ttl: float) -> tuple[int, str]:
        """How long a prefix lives when `ttl` seconds are wished for, in microseconds, and what a write is billed as.

        A marked prefix gets the shortest life on offer that is at least `ttl`, else the longest; otherwise `ttl` is kept within the lives that are
        seen. 0 seconds: nothing is cached (`NO_CACHE`, "input").
        """
        if ttl <= 0:
            return NO_CACHE, "input"
        place = next((n for n, life in enumerate(self.lives) if life >= ttl), len(self.lives) - 1)
        seconds = self.lives[place] if self.scheme == "marked" else min(max(ttl, self.lives[0]), self.lives[-1])
        return math.floor(seconds * 1_000_000), self.writes[place]


def cacheable(tokens: Any, minimum: Any, grain: Any) -> NDArray[np.int64]:
    """Of a common prefix of so many tokens, those that the cache keeps: whole grains, none below the minimum."""
    counts = np.asarray(tokens, dtype=np.int64)
    return np.where(counts < minimum, 0, counts // grain * grain)


def rules_of(entries: Sequence[dict[str, Any]], file: str | None = None) -> tuple[CacheRule, ...]:
    """Rules from what stands in the file. Raises InputError, saying which rule is wrong."""
    rules = []
    for place, entry in enumerate(entries, 1):
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()
        }
        try:
            rules.append(CacheRule(**values))
        except (TypeError, InputError) as error:
            raise InputError(f"rule {place}: {error}", file=file) from error
    return tuple(rules)


@cache
def read_rules(path: Path = RULES_FILE) -> tuple[CacheRule, ...]:
    """The rules of the file. Raises InputError when it cannot be read or a rule is wrong."""
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("rule", [])
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"the rules of prompt caches cannot be read: {error}", file=path.name) from error
    return rules_of(entries, path.name)


def rule_of_calls(
    rules: Sequence[CacheRule],
    models: Sequence[tuple[str | None, str | None]],
    model: NDArray[np.int16],
    started_at: NDArray[np.int64],
    *,
    objects: bool = False,
) -> NDArray[np.int16]:
    """Which of the rules holds for each call, by its model and time (microseconds); -1: none.

    With `objects`, rules of the scheme "object" come first; without, they are left out.
    """
    ordered = [place for place, rule in enumerate(rules) if rule.scheme != "object"]
    if objects:
        ordered = [place for place, rule in enumerate(rules) if rule.scheme == "object"] + ordered
    found = np.full(len(model), -1, dtype=np.int16)
    for place in reversed(ordered):
        rule = rules[place]
        of_model = np.array([rule.fits(*pair) for pair in models], dtype=bool)
        if of_model.any():
            fits = of_model[model]
            fits &= (started_at >= _moment(rule.valid_from)) & (started_at < _moment(rule.valid_to))
            found[fits] = place
    return found


def _moment(day: date) -> int:
    return (datetime(day.year, day.month, day.day) - EPOCH) // timedelta(microseconds=1)

"""The calls of a period summed into cells, so that what a plan realised is reckoned on thousands of rows instead of millions of calls.

A cell holds the calls of one day that are alike in all that a lever looks at: feature, model, processing, whether a cache answered, whether the call
repeats a cut answer, and which of the plan's levers it is for. What a lever is for is told by who asked (feature, tier, team, project,
environment, operation) and not by model or processing, which levers change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analytics.simulators.lever import Lever, Selection
from analytics.simulators.output_limits import OutputLimits, repeated_questions
from analytics.simulators.rag import Rag
from analytics.simulators.rates_table import CLASS_PLACE, Model, Rates
from analytics.simulators.volume import Volume
from analytics.simulators.window import Window
from analytics.simulators.workload import Workload
from warehouse.rates import CLASS_OF_COLUMN
from warehouse.schema import TOKEN_CLASSES

INPUTS = (
    "uncached_input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "audio_input_tokens",
)
CACHED = ("cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens")
VALUES = ("calls", "requests", "cost", *TOKEN_CLASSES)
CHOSEN_BY = ("feature", "user_tier", "team", "project", "env", "operation")
UNTAGGED = -1

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells of the days of `window`, priced by `rates`; `features` names the codes of the column `feature` (-1: untagged).

    Columns of `frame`: day, feature, model, processing (codes); embeds, hit, usable (its tokens and its cost are known), repeat, as_base (stands for
    the baseline's calls, at the baseline's prices: never so in the log); for[place] and
    embedding[place]: is the lever at that place for these calls, for these embeddings; calls, requests (calls that repeat no cut answer; answers of
    a cache are requests too), cost (USD as the ledger has it), and the sum of each token class.
    """

    frame: pd.DataFrame
    window: Window
    rates: Rates
    features: tuple[str, ...]
    unknown_calls: float = 0.0

    @property
    def days(self) -> int:
        """Number of days."""
        return self.window.days

    def listed(self, frame: pd.DataFrame, *, at: int | None = None) -> Floats:
        """List price in USD of cells (of this or a derived frame) at their own day, or all at one moment (microseconds since 1970); NaN: no price."""
        calls = frame["calls"].to_numpy(np.float64)
        inputs = sum(frame[name].to_numpy(np.float64) for name in INPUTS)
        size = np.divide(inputs, calls, out=np.zeros(len(frame)), where=calls > 0)
        noon = self.window.midnights[:-1] + np.diff(self.window.midnights) // 2
        moment = noon[frame["day"].to_numpy()] if at is None else np.full(len(frame), at)
        rows = self.rates.rows(frame["model"].to_numpy(), frame["processing"].to_numpy(), moment, size.astype(np.int64))
        if not len(self.rates.units):
            return np.full(len(frame), np.nan)
        total = np.nan_to_num(self.rates.units[:, CLASS_PLACE["request"]])[rows] * calls
        for column, kind in CLASS_OF_COLUMN.items():
            tokens = frame[column].to_numpy(np.float64)
            total += np.where(tokens == 0, 0.0, self.rates.units[:, CLASS_PLACE[kind]][rows] * tokens)
        return np.where(rows >= 0, total, np.nan)

    @cached_property
    def discount(self) -> Floats:
        """What a model's calls cost relative to their list price, by model code (1: not known)."""
        frame = self.frame[self.frame["usable"] & ~self.frame["hit"]]
        listed = self.listed(frame)
        good = listed > 0
        number = len(self.rates.models)
        model = frame["model"].to_numpy()[good]
        cost = np.bincount(model, weights=frame["cost"].to_numpy()[good], minlength=number)
        price = np.bincount(model, weights=listed[good], minlength=number)
        return np.divide(cost, price, out=np.ones(number), where=price > 0)

    def between(self, first: int, last: int) -> Cells:
        """The cells of the days from `first` to `last` (indices, inclusive) alone."""
        window = Window(self.window.date_of(first), self.window.date_of(last), self.window.zone)
        held = self.frame[(self.frame["day"] >= first) & (self.frame["day"] <= last)]
        return Cells(held.assign(day=held["day"] - first), window, self.rates, self.features, self.unknown_calls)

    def without(self, days: NDArray[np.int64]) -> Cells:
        """The cells without some days, as if the period had been so much shorter."""
        kept = np.setdiff1d(np.arange(self.days), days)
        place = np.full(self.days, -1)
        place[kept] = np.arange(len(kept))
        held = self.frame[~self.frame["day"].isin(days)]
        window = Window(self.window.first, self.window.date_of(len(kept) - 1), self.window.zone)
        return Cells(held.assign(day=place[held["day"].to_numpy()]), window, self.rates, self.features)


def chosen(selection: Selection, workload: Workload) -> Mask:
    """The calls that a selection means whatever model and processing they have; none where nobody asked under such a name."""
    mask = np.ones(len(workload), dtype=bool)
    for each in fields(selection):
        wanted = getattr(selection, each.name)
        if wanted and each.name in CHOSEN_BY:
            names = workload.names[each.name]
            codes = [names.index(name) for name in wanted if name in names]
            mask &= np.isin(getattr(workload, each.name), codes)
    return mask


def cells_of(workload: Workload, levers: Sequence[Lever], rates: Rates, features: tuple[str, ...]) -> Cells:
    """The workload in cells, in the codes of `rates` and `features`, which must hold the workload's own: see `in_common`."""
    model = _recoded(workload.models, rates.models)[workload.model]
    processing = _recoded(workload.names["processing"], rates.processings)[workload.processing]
    feature = _recoded((*workload.names["feature"], None), (*features, None))
    feature[-1] = UNTAGGED
    known = ~np.isnan(workload.cost)
    keys: dict[str, NDArray] = {
        "day": workload.day,
        "feature": feature[workload.feature],
        "model": model,
        "processing": processing,
        "embeds": workload.is_embedding,
        "hit": workload.is_cache_hit,
        "usable": workload.has_usage & known,
        "repeat": np.zeros(len(workload), dtype=bool),
    }
    for place, lever in enumerate(levers):
        of_lever = chosen(getattr(lever, "calls", Selection()), workload)
        if isinstance(lever, Volume) and lever.steady_features:
            of_lever &= ~chosen(Selection(feature=lever.steady_features), workload)
        keys[f"for{place}"] = of_lever
        if isinstance(lever, Rag):
            keys[f"embedding{place}"] = chosen(lever.embeddings, workload) & workload.is_embedding
        if isinstance(lever, OutputLimits) and lever.end_repeats:
            keys["repeat"][repeated_questions(workload, of_lever)[0]] = True
    code, first = _codes(keys)
    number = len(first)
    counted = np.where(workload.active, workload.weight, 0.0)
    frame = pd.DataFrame({name: values[first] for name, values in keys.items()})
    frame["as_base"] = False
    frame["calls"] = _sums(code, counted, number)
    frame["requests"] = np.where(frame["repeat"], 0.0, frame["calls"])
    frame["cost"] = _sums(code, workload.spent(), number)
    for name in TOKEN_CLASSES:
        tokens = getattr(workload, name)
        used = tokens.strides != (0,) or tokens[:1].any()
        frame[name] = _sums(code, tokens * counted, number) if used else 0.0
    return Cells(frame, workload.window, rates, features, workload.unknown_calls)


Common = tuple[tuple[Model, ...], tuple[str, ...], tuple[str, ...]]


def in_common(workloads: Sequence[Workload]) -> Common:
    """Models, processings and features of several periods, each once: what `cells_of` counts by."""
    return (
        tuple(dict.fromkeys(pair for each in workloads for pair in each.models)),
        tuple(dict.fromkeys(name for each in workloads for name in each.names["processing"])),
        tuple(dict.fromkeys(name for each in workloads for name in each.names["feature"])),
    )


def joined(parts: Sequence[Cells]) -> Cells:
    """Cells of periods that follow each other day by day, counted in the same codes, as those of one."""
    frames, start = [], 0
    for part in parts:
        frames.append(part.frame.assign(day=part.frame["day"] + start))
        start += part.days
    first, last = parts[0], parts[-1]
    window = Window(first.window.first, last.window.last, first.window.zone)
    frame = pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]
    return Cells(frame, window, first.rates, first.features, sum(part.unknown_calls for part in parts))


def _recoded(names: Sequence, common: Sequence) -> NDArray[np.int64]:
    places: Mapping = {name: place for place, name in enumerate(common)}
    return np.array([places[name] for name in names], dtype=np.int64)


def _codes(keys: Mapping[str, NDArray]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The cell of each call, and one call of each cell. Few cells are ever used, so that codes are packed again whenever they grow long."""
    code = np.zeros(len(next(iter(keys.values()))), dtype=np.int64)
    size = 1
    for values in keys.values():
        low = int(values.min(initial=0))
        span = int(values.max(initial=0)) - low + 1
        if span == 1:
            continue
        code = code * span + (values.astype(np.int64) - low)
        size *= span
        if size > 1 << 40:
            used, code = np.unique(code, return_inverse=True)
            size = len(used)
    _used, first, code = np.unique(code, return_index=True, return_inverse=True)
    return code, first


def _sums(code: NDArray[np.int64], values: NDArray, number: int) -> Floats:
    return np.bincount(code, weights=values, minlength=number).astype(np.float64)

"""The calls that a what-if replays: one element per logged call, in order of time, as read-only numpy arrays.

A `Workload` is never changed: the four verbs at its end (`change`, `vanish`, `repeat`, `add_overhead`) give a new one that shares every array
that stays the same. Levers use these verbs alone, so that the money rules below hold for all of them.

**What a call costs** (USD, float64, per call as logged):

* A call that no lever changes keeps its logged cost, bit by bit.
* A changed call is priced anew: new cost = logged cost x (list price of the new call / list price of the call as it was), where both are
  priced at the call's own time. The quotient keeps what the log knows and a price list does not: a discount, a surcharge. Where the new
  model is another provider's, the old provider's discount does not hold there: new cost = list price of the new call. The same where the
  old call has no list price, or a list price of 0.
* A cost that is not known stays not known (NaN), whatever is changed. Such calls are in no sum; they are counted (`unknown_calls`).
* An answer of the gateway's own cache costs 0 and stays so. A call that vanishes costs 0.
* A changed call whose model stays the same but has no list price keeps its logged cost and is counted in `kept_calls`. A target
  model without a price raises InputError.

**Sums** multiply by `money`: how many dollars of the bill one dollar of this call stands for (1, unless the workload is a sample or is
scaled to a provider's bill). Counts multiply by `weight` (1, unless the workload is a sample).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from analytics.simulators.call_draws import draws_of
from analytics.simulators.heavy_columns import HeavyColumns
from analytics.simulators.window import Window
from warehouse.errors import InputError
from warehouse.schema import TOKEN_CLASSES

if TYPE_CHECKING:
    from analytics.simulators.rates_table import Rates

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

LLM_API, EMBEDDING = "LLM API", "Embedding"
CALL_CATEGORIES = (LLM_API, EMBEDDING)
EMBEDDING_OPERATIONS = ("embeddings", "embedding")
CODED = ("feature", "user_tier", "team", "project", "env", "operation", "processing", "status")
"""Columns kept as codes: `workload.feature` holds indices into `workload.names["feature"]`; -1: the call does not say."""

_stamps = itertools.count(1)


def new_stamp() -> int:
    """A number that no state of any calls has had."""
    return next(_stamps)


@dataclass(frozen=True)
class Overhead:
    """Money that a lever adds to calls: a router's embedding, an escalation, a cache's storage.

    `per_call` is USD per call (one float64 per call, 0 where there is none), `category` one of the cost categories.
    """

    name: str
    category: str
    per_call: Floats


@dataclass(frozen=True, eq=False)
class Workload:
    """Calls of a period that passed the filters, in order of time.

    started_at: microseconds since 1970, UTC (int64). day: index of the day in `window` (int32). model: index into `models`, pairs of
    provider and model. `CODED` columns: index into `names[...]`. user: an anonymous number per user (int32; -1: not known).

    Token columns (int32) are those of `TOKEN_CLASSES`, disjoint; 0 where `has_usage` is False, because nothing is known there: such calls
    are never repriced. cost: USD as logged (NaN: not known). is_cache_hit: answered by the gateway's own cache. active: False once a lever made
    the call vanish. overheads: what levers added.

    heavy: columns that are loaded only when asked for (latency, limits, hashes, prefixes, complexity, texts), see `HeavyColumns`.
    stamp: another number after every change: a key for what was computed from this very workload.
    """

    window: Window
    started_at: NDArray[np.int64]
    day: NDArray[np.int32]
    models: tuple[tuple[str | None, str | None], ...]
    model: NDArray[np.int16]
    names: Mapping[str, tuple[str, ...]]
    feature: NDArray[np.int16]
    user_tier: NDArray[np.int16]
    team: NDArray[np.int16]
    project: NDArray[np.int16]
    env: NDArray[np.int16]
    operation: NDArray[np.int16]
    processing: NDArray[np.int16]
    status: NDArray[np.int16]
    user: NDArray[np.int32]
    uncached_input_tokens: NDArray[np.int32]
    cache_read_tokens: NDArray[np.int32]
    cache_write_5m_tokens: NDArray[np.int32]
    cache_write_1h_tokens: NDArray[np.int32]
    output_tokens: NDArray[np.int32]
    reasoning_tokens: NDArray[np.int32]
    audio_input_tokens: NDArray[np.int32]
    audio_output_tokens: NDArray[np.int32]
    has_usage: Mask
    cost: Floats
    is_cache_hit: Mask
    weight: Floats
    money: Floats
    active: Mask
    heavy: HeavyColumns
    overheads: tuple[Overhead, ...] = ()
    stratum: NDArray[np.int32] | None = None
    population: int = 0
    kept_calls: int = 0
    stamp: int = field(default_factory=new_stamp)

    def __len__(self) -> int:
        return len(self.started_at)

    # What is in it

    @property
    def is_sample(self) -> bool:
        """Whether the calls are a sample: `population` calls passed the filters, fewer are held."""
        return self.stratum is not None

    @property
    def input_tokens(self) -> NDArray[np.int64]:
        """All input of each call: plain, read from and written to a cache, audio."""
        total = self.uncached_input_tokens.astype(np.int64)
        for name in ("cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "audio_input_tokens"):
            total += getattr(self, name)
        return total

    @cached_property
    def is_embedding(self) -> Mask:
        """Calls of the category "Embedding"; all others are "LLM API"."""
        codes = [code for code, name in enumerate(self.names["operation"]) if name in EMBEDDING_OPERATIONS]
        is_one = np.zeros(len(self.names["operation"]) + 1, dtype=bool)
        is_one[codes] = True
        return is_one[self.operation]

    @property
    def unknown_calls(self) -> float:
        """How many (weighted) active calls have no known cost; they are in no sum."""
        return float(self.weight[self.active & np.isnan(self.cost)].sum())

    @property
    def calls(self) -> float:
        """How many calls are still made (weighted)."""
        return float(self.weight[self.active].sum())

    def code(self, column: str, name: str) -> int:
        """The code of a name in one of the `CODED` columns. Raises InputError when no call has it."""
        try:
            return self.names[column].index(name)
        except ValueError:
            known = ", ".join(self.names[column][:12]) or "none"
            raise InputError(f"no call of this period has the {column} {name!r}; there are: {known}") from None

    def model_code(self, model: str, provider: str | None = None) -> int:
        """The code of a model (any provider's when none is given). Raises InputError when the workload does not know it."""
        found = [code for code, (who, what) in enumerate(self.models) if what == model and provider in (None, who)]
        if not found:
            raise InputError(f"no call of this period uses the model {model!r}")
        return found[0]

    def where(self, **values: tuple[str, ...] | str) -> Mask:
        """Calls whose columns have one of the named values: `where(feature=("ask", "search"), user_tier="free")`.

        Columns: those of `CODED`, `model` and `provider`. Raises InputError for a name that no call has.
        """
        mask = np.ones(len(self), dtype=bool)
        for column, wanted in values.items():
            chosen = (wanted,) if isinstance(wanted, str) else tuple(wanted)
            if column in {"model", "provider"}:
                place = 1 if column == "model" else 0
                codes = [code for code, pair in enumerate(self.models) if pair[place] in chosen]
                if not codes:
                    raise InputError(f"no call of this period has the {column} {', '.join(chosen)!r}")
                mask &= np.isin(self.model, codes)
            elif column in CODED:
                mask &= np.isin(getattr(self, column), [self.code(column, name) for name in chosen])
            else:
                raise InputError(
                    f"calls cannot be chosen by {column!r}: choose {', '.join((*CODED, 'model', 'provider'))}"
                )
        return mask

    def draws(self, salt: int = 0) -> Floats:
        """One number in [0, 1) per call, the same for the same call in every state and under every filter: "40 % of these calls" is `draws() < 0.4`.

        A share that grows keeps the calls it had, so that a slider is monotone. Another `salt` gives an independent draw. See `call_draws`.
        """
        return draws_of(self.started_at, salt)

    # What it costs, in USD of the window

    def spent(self) -> Floats:
        """USD of the window that each call stands for, overheads included; 0 where the cost is not known."""
        total = _known(self.cost)
        for overhead in self.overheads:
            total += overhead.per_call
        return total * self.money

    def spent_by_category(self) -> dict[str, Floats]:
        """`spent`, by cost category: the calls' own cost under "LLM API" and "Embedding", overheads under theirs."""
        own = _known(self.cost) * self.money
        is_embedding = self.is_embedding
        parts = {LLM_API: np.where(is_embedding, 0.0, own)}
        if is_embedding.any() or EMBEDDING in {overhead.category for overhead in self.overheads}:
            parts[EMBEDDING] = np.where(is_embedding, own, 0.0)
        for overhead in self.overheads:
            before = parts.get(overhead.category, np.zeros(len(self)))
            parts[overhead.category] = before + overhead.per_call * self.money
        return parts

    def cost_by_category(self) -> dict[str, float]:
        """USD of the window by cost category."""
        own = _known(self.cost) * self.money
        is_embedding = self.is_embedding
        sums = {LLM_API: float(own.sum())}
        if is_embedding.any():
            sums = {LLM_API: float(own[~is_embedding].sum()), EMBEDDING: float(own[is_embedding].sum())}
        for overhead in self.overheads:
            amount = float((overhead.per_call * self.money).sum())
            sums[overhead.category] = sums.get(overhead.category, 0.0) + amount
        return sums

    def total(self) -> float:
        """USD of the window, all categories."""
        return float(self.spent().sum())

    def by_day(self, values: Floats) -> Floats:
        """Sum of a per-call amount by day of the window."""
        sums: Floats = np.bincount(self.day, weights=values, minlength=self.window.days).astype(np.float64)
        return sums

    def by_code(self, column: str, values: Floats) -> dict[str | None, float]:
        """Sum of a per-call amount by the names of a `CODED` column; None: calls that do not say."""
        names: list[str | None] = [None, *self.names[column]]
        sums = np.bincount(getattr(self, column).astype(np.int64) + 1, weights=values, minlength=len(names))
        counts = np.bincount(getattr(self, column).astype(np.int64) + 1, minlength=len(names))
        return {name: float(sums[place]) for place, name in enumerate(names) if counts[place]}

    def sampling_error(self, values: Floats) -> float:
        """Standard error, from sampling alone, of the sum of a per-call amount of money that is already weighted; 0 for a whole workload.

        Stratified ratio estimate (Cochran, Sampling Techniques, 1977, chapter 6): the spread, within each stratum, of the amount around its
        proportion to the calls' cost, whose stratum total is known exactly.
        """
        if self.stratum is None:
            return 0.0
        held = np.bincount(self.stratum)
        stands_for = np.bincount(self.stratum, weights=self.weight)
        base = _known(self.cost) * self.money
        of_base = np.bincount(self.stratum, weights=base)
        of_values = np.bincount(self.stratum, weights=values)
        ratio = np.divide(of_values, of_base, out=np.zeros_like(of_base), where=of_base > 0)
        spread = np.bincount(self.stratum, weights=(values - ratio[self.stratum] * base) ** 2)
        missing = 1 - np.divide(held, stands_for, out=np.ones_like(of_base), where=stands_for > 0)
        correction = np.divide(held, held - 1, out=np.zeros(len(held)), where=held > 1)
        return float(np.sqrt((np.clip(missing, 0, 1) * spread * correction).sum()))

    # The four verbs

    def change(
        self, where: Mask, rates: Rates, *, model: Any = None, processing: Any = None, **tokens: Any
    ) -> Workload:
        """The workload with other models (codes), processings (codes) or token counts in the calls of the mask `where`, priced anew.

        Each new value is one number or one per call of the whole workload (what lies outside the mask does not count). Token counts are rounded to
        whole tokens and must not be negative. Calls that vanished, gateway cache answers and calls without usage stay as they are, and so
        does, to the bit, every call whose values are the same as before. Prices: see the module.

        Raises InputError for a negative token count and for a model that has no price for what the calls use.
        """
        new = {name: value for name, value in tokens.items() if value is not None}
        if unknown := set(new) - set(TOKEN_CLASSES):
            raise InputError(f"{', '.join(sorted(unknown))} is no token class: choose {', '.join(TOKEN_CLASSES)}")
        if model is not None:
            new["model"] = model
        if processing is not None:
            new["processing"] = processing
        at = np.flatnonzero(where & self.active & ~self.is_cache_hit & self.has_usage)
        chosen = {name: _at(value, at, name) for name, value in new.items()}
        if not len(at) or not chosen:
            return self
        differs = np.zeros(len(at), dtype=bool)
        for name, values in chosen.items():
            differs |= values != getattr(self, name)[at]
        if not differs.any():
            return self
        at = at[differs]
        chosen = {name: values[differs] for name, values in chosen.items()}
        arrays: dict[str, Any] = {name: _put(getattr(self, name), at, values) for name, values in chosen.items()}
        moved = replace(self, **arrays)
        cost, kept = rates.repriced(self, moved, at)
        return replace(moved, cost=_put(self.cost, at, cost), kept_calls=self.kept_calls + kept, stamp=new_stamp())

    def vanish(self, where: Mask) -> Workload:
        """The workload where the calls of the mask are not made any more: they cost 0, and so do the overheads that levers before put on them."""
        gone = where & self.active
        if not gone.any():
            return self
        overheads = tuple(replace(each, per_call=np.where(gone, 0.0, each.per_call)) for each in self.overheads)
        return replace(
            self,
            active=self.active & ~gone,
            cost=np.where(gone, 0.0, self.cost),
            overheads=overheads,
            stamp=new_stamp(),
        )

    def repeat(self, where: Mask, times: float) -> Workload:
        """The workload where each call of the mask stands for `times` as many calls as before; what a single one costs stays.

        Raises InputError for a number that is negative or infinite.
        """
        if not (np.isfinite(times) and times >= 0):
            raise InputError(f"calls cannot happen {times:g} times as often")
        if times == 1 or not where.any():
            return self
        factor = np.where(where, times, 1.0)
        return replace(self, weight=self.weight * factor, money=self.money * factor, stamp=new_stamp())

    def add_overhead(self, name: str, category: str, per_call: Any, where: Mask | None = None) -> Workload:
        """The workload with USD added per call (one number, or one per call) to the calls of the mask (all when None): what a lever costs.

        Calls that vanished may carry overhead too: a cache that answers pays for its look-up. Raises InputError for a negative or unknown amount.
        """
        amount = np.broadcast_to(np.asarray(per_call, dtype=np.float64), len(self))
        if where is not None:
            amount = np.where(where, amount, 0.0)
        if not (np.isfinite(amount).all() and (amount >= 0).all()):
            raise InputError(f"what {name} costs per call must be a number of dollars that is not negative")
        if not amount.any():
            return self
        return replace(self, overheads=(*self.overheads, Overhead(name, category, amount)), stamp=new_stamp())

    def with_models(self, *models: tuple[str | None, str | None]) -> Workload:
        """The same calls, with further models that levers may choose (`models` grows at its end; codes stay)."""
        new = tuple(pair for pair in dict.fromkeys(models) if pair not in self.models)
        return replace(self, models=(*self.models, *new)) if new else self

    def with_processings(self, *processings: str) -> Workload:
        """The same calls, with further processings that levers may choose."""
        known = self.names["processing"]
        new = tuple(name for name in dict.fromkeys(processings) if name not in known)
        return replace(self, names={**self.names, "processing": (*known, *new)}) if new else self

    def changed_since(self, before: Workload) -> Mask:
        """Which calls differ from those of `before`, another state of the same calls: in model, tokens, processing, cost, or whether and how often
        they are made."""
        differs = np.zeros(len(self), dtype=bool)
        for name in ("model", "processing", "active", *TOKEN_CLASSES):
            mine, theirs = getattr(self, name), getattr(before, name)
            if mine is not theirs:
                differs |= mine != theirs
        if self.cost is not before.cost:
            differs |= (self.cost != before.cost) & ~(np.isnan(self.cost) & np.isnan(before.cost))
        if self.money is not before.money:
            differs |= self.money != before.money
        for place, overhead in enumerate(self.overheads):
            if place >= len(before.overheads):
                differs |= overhead.per_call != 0
            elif overhead.per_call is not before.overheads[place].per_call:
                differs |= overhead.per_call != before.overheads[place].per_call
        return differs


def _known(cost: Floats) -> Floats:
    return np.where(np.isnan(cost), 0.0, cost)


def _at(value: Any, at: NDArray[np.int64], name: str) -> NDArray[Any]:
    values = np.asarray(value)
    values = np.broadcast_to(values, len(at)) if values.ndim == 0 else values[at]
    if name in TOKEN_CLASSES:
        values = np.rint(values)
        if not (np.isfinite(values).all() and (values >= 0).all()):
            raise InputError(f"{name} must not become negative")
        values = values.astype(np.int32)
    return values


def _put(array: NDArray[Any], at: NDArray[np.int64], values: NDArray[Any]) -> NDArray[Any]:
    changed = array.copy()
    changed[at] = values
    return changed

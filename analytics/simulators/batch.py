"""Batch processing: calls that nobody waits for, at the price of the providers' batch interfaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analytics.simulators.lever import EVERY_CALL, Selection, checked, lever
from analytics.simulators.situation import Situation
from analytics.simulators.slider import kept
from analytics.simulators.to_the_cent import cents
from analytics.simulators.workload import Workload

SALT = 43
"""Of the lots by which calls are chosen."""

_HOUR = 3_600_000_000


@lever
@dataclass(frozen=True)
class Batch:
    """share: part of the calls that can wait which are sent in batches. follow_up_hours: a call that its session follows within so many hours
    cannot wait.

    with_users: calls made for a known user may wait too (without: only jobs'). cache_share: part of the tokens that calls read from a prompt cache
    today which they still read inside a batch, where caches are best effort; the rest is plain input. Its default is the low end of what Anthropic
    reports of batches (30 % to 98 %; from memory).
    """

    name: ClassVar[str] = "batch"
    title: ClassVar[str] = "Batch processing"
    share: float = 0.0
    calls: Selection = EVERY_CALL
    follow_up_hours: float = 24.0
    with_users: bool = False
    cache_share: float = 0.3

    def __post_init__(self) -> None:
        checked(self.share, "the share of calls that are sent in batches", 0, 1)
        checked(self.follow_up_hours, "the hours in which no other call of the session may follow", 0, 24 * 365)
        checked(self.cache_share, "the share of cached tokens that is still read in a batch", 0, 1)

    @classmethod
    def neutral(cls) -> Batch:
        return cls()

    def touches(self, situation: Situation) -> NDArray[np.bool_]:
        return batch_plan(self, situation)[0]

    def apply(self, situation: Situation) -> Situation:
        if self.share == 0:
            return situation
        able, left_out = batch_plan(self, situation)
        if left_out:
            situation = replace(situation, notes=tuple(dict.fromkeys((*situation.notes, no_batch_price(left_out)))))
        chosen = able & (situation.workload.draws(SALT) < self.share)
        if not chosen.any():
            return situation
        situation, code = situation.with_processing("batch")
        return situation.change(chosen, processing=code, **_tokens(situation.workload, self.cache_share))

    def assumptions(self) -> list[str]:
        return [
            "Batched answers come within 24 hours, and the calls chosen here can wait so long.",
            "A call can wait when it is not streamed and its session goes on no sooner than "
            f"{self.follow_up_hours:g} hours later{'' if self.with_users else ', and when no user is known for it'}.",
            f"Of the tokens that are read from prompt caches today, {self.cache_share:.0%} are still read inside a batch.",
            "No batch expires unfinished.",
        ]


def no_batch_price(models: Sequence[str]) -> str:
    """The sentence on models whose calls could wait but have no batch price."""
    return f"{', '.join(models)}: the price books have no batch price for these calls, so they stay as they are."


def _tokens(workload: Workload, cache_share: float) -> dict[str, NDArray[np.int64]]:
    kept = np.floor(workload.cache_read_tokens * cache_share).astype(np.int64)
    if not workload.cache_read_tokens.any():
        return {}
    plain = workload.uncached_input_tokens.astype(np.int64) + workload.cache_read_tokens - kept
    return {"cache_read_tokens": kept, "uncached_input_tokens": plain}


def batch_plan(setting: Batch, situation: Situation) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """The calls that can wait and have a batch price; and the models whose calls could wait but have none."""
    return kept(situation, Batch.name, replace(setting, share=0.0), lambda: _made_plan(setting, situation))


def _made_plan(setting: Batch, situation: Situation) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    situation, code = situation.with_processing("batch")
    workload = situation.workload
    able = setting.calls.mask(workload) & can_wait(
        workload, follow_up_hours=setting.follow_up_hours, with_users=setting.with_users
    )
    at = np.flatnonzero(able)
    moved = replace(
        workload, processing=np.full_like(workload.processing, code), **_moved(workload, setting.cache_share)
    )
    missing = np.isnan(situation.rates.priced(moved, at))
    able[at[missing]] = False
    names = {workload.models[model][1] or "an unknown model" for model in np.unique(workload.model[at[missing]])}
    return able, tuple(sorted(names))


def _moved(workload: Workload, cache_share: float) -> dict[str, Any]:
    return {name: values.astype(np.int32) for name, values in _tokens(workload, cache_share).items()}


def can_wait(workload: Workload, *, follow_up_hours: float = 24.0, with_users: bool = False) -> NDArray[np.bool_]:
    """Mask of calls that are paid at the standard price and that nobody waits for, as far as the log shows: not streamed, no call of the same session
    within the hours that follow, and, unless `with_users`, no user known."""
    standard = [place for place, name in enumerate(workload.names["processing"]) if name == "standard"]
    able = workload.active & workload.has_usage & ~workload.is_cache_hit & np.isin(workload.processing, standard)
    able &= workload.heavy.numbers("is_stream") != 1
    if not with_users:
        able &= workload.user < 0
    return able & ~followed(workload, follow_up_hours)


def followed(workload: Workload, hours: float) -> NDArray[np.bool_]:
    """Mask of calls whose session has another call later, within so many hours."""
    session = workload.heavy.keys("session")
    at = np.flatnonzero(session > 0)
    at = at[np.argsort(session[at], kind="stable")]
    same = session[at][1:] == session[at][:-1]
    soon = (workload.started_at[at][1:] - workload.started_at[at][:-1]) <= hours * _HOUR
    mask = np.zeros(len(workload), dtype=bool)
    mask[at[:-1][same & soon]] = True
    return mask


def batch_candidates(setting: Batch, situation: Situation) -> pd.DataFrame:
    """Which features can wait, the largest saving first.

    Columns: feature (None: untagged), calls (paid at the standard price, weighted), cost (Decimal, USD per month), without_user, followed_up and
    streamed (shares of those calls; streamed None: the log does not say), waiting (share that can wait under the setting), saving (Decimal, USD per
    month, simulated, if all of them wait), looks_offline (at least 95 % have no user, no follow-up and no stream), left_out (models without a batch
    price).
    """
    workload = situation.workload
    standard = [place for place, name in enumerate(workload.names["processing"]) if name == "standard"]
    counted = workload.active & workload.has_usage & ~workload.is_cache_hit & np.isin(workload.processing, standard)
    counted &= setting.calls.mask(workload)
    streams, next_call = workload.heavy.numbers("is_stream"), followed(workload, setting.follow_up_hours)
    able = batch_plan(setting, situation)[0]
    saved = workload.spent() - replace(setting, share=1.0).apply(situation).workload.spent()
    waiting = can_wait(workload, follow_up_hours=setting.follow_up_hours, with_users=setting.with_users) & counted
    offline = can_wait(workload, follow_up_hours=setting.follow_up_hours)
    rows: list[dict[str, Any]] = []
    for code in np.unique(workload.feature[counted]):
        at = np.flatnonzero(counted & (workload.feature == code))
        weight = workload.weight[at]
        told = ~np.isnan(streams[at])
        unpriced = np.unique(workload.model[at[waiting[at] & ~able[at]]])
        rows.append(
            {
                "feature": workload.names["feature"][code] if code >= 0 else None,
                "calls": float(weight.sum()),
                "cost": cents(float(workload.spent()[at].sum()) * situation.window.scale_to_month),
                "without_user": _share(weight, workload.user[at] < 0),
                "followed_up": _share(weight, next_call[at]),
                "streamed": _share(weight[told], streams[at][told] == 1) if told.any() else None,
                "waiting": _share(weight, waiting[at]),
                "saving": cents(float(saved[at].sum()) * situation.window.scale_to_month),
                "looks_offline": _share(weight, offline[at]) >= 0.95,
                "left_out": ", ".join(workload.models[model][1] or "an unknown model" for model in unpriced) or None,
            }
        )
    rows.sort(key=lambda row: -row["saving"])
    columns = (
        "feature", "calls", "cost", "without_user", "followed_up", "streamed", "waiting", "saving", "looks_offline", "left_out",
    )  # fmt: skip
    return pd.DataFrame(rows, columns=list(columns), dtype=object)


def _share(weight: NDArray[np.float64], of: NDArray[np.bool_]) -> float:
    return float(weight[of].sum() / weight.sum()) if len(weight) else 0.0

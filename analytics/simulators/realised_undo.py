"""What a period's calls would have cost without a lever that is in force: each lever taken back, by the baseline's habits.

`undone` maps cells to cells. A lever is measured by what it shows in the log, never by what the plan promised:

| lever | what is compared, feature by feature | what the calls of the period become again |
|---|---|---|
| model routing, own models | share of calls on the target model(s) | the share beyond the baseline's goes to the baseline's other models |
| batch | share of calls in batches | the same with the baseline's processing |
| semantic cache | share of requests that the gateway's cache answered | the answers beyond the baseline's share are paid like a call |
| prompt caching | share of the input read from or written to a cache | tokens beyond the baseline's share are plain input |
| output limits | tokens of an answer; calls that repeat a cut answer | answers as long as the baseline's, repeats as many |
| retrieval | input tokens of a call; what embedding costs a day | as much input a call as the baseline; its embedding every day |
| switching off | requests that people of the baseline's habits would have made | are made again, like those of the feature's other users |

Where a lever shows nothing (a share as in the baseline) the cells stay as they are. It works both ways: a share below the baseline's is a loss.
Calls without known tokens or cost stay as they are, and so do features that the baseline does not know.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analytics.simulators.batch import Batch
from analytics.simulators.lever import Lever
from analytics.simulators.output_limits import OutputLimits
from analytics.simulators.prompt_cache import PromptCache
from analytics.simulators.rag import Rag
from analytics.simulators.realised_cells import CACHED, INPUTS, VALUES, Cells
from analytics.simulators.routing import ModelRouting
from analytics.simulators.self_host import SelfHost
from analytics.simulators.semantic_cache import SemanticCache
from analytics.simulators.tier_switch import SwitchOff

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
OWN = "self-hosted"


@dataclass(frozen=True, eq=False)
class Yardstick:
    """What actual calls are measured by: the baseline's cells, and `growth` of active people by place of a lever that switches calls off
    (people a day relative to the baseline's; absent: not recorded)."""

    base: Cells
    growth: dict[int, float]


def undone(lever: Lever, place: int, now: pd.DataFrame, actual: Cells, yard: Yardstick) -> pd.DataFrame:
    """The cells `now` (a state of `actual.frame`) without the lever at this place of the plan; the same frame where it shows nothing or acts on
    no call."""
    for kind, undo in _UNDO.items():
        if isinstance(lever, kind):
            return undo(lever, place, now, actual, yard)
    return now


def acts_on_calls(lever: Lever) -> bool:
    """Whether `undone` can measure this kind of lever."""
    return isinstance(lever, tuple(_UNDO))


def _model_moved(lever: Lever, place: int, now: pd.DataFrame, actual: Cells, yard: Yardstick) -> pd.DataFrame:
    if isinstance(lever, SelfHost):
        targets = [code for code, (provider, _) in enumerate(actual.rates.models) if provider == OWN]
    else:
        name = getattr(lever, "to", None)
        targets = [
            code for code, (provider, model) in enumerate(actual.rates.models) if name in (model, f"{provider}/{model}")
        ]
    return _moved_back("model", targets, place, now, actual, yard)


def _batched(_lever: Lever, place: int, now: pd.DataFrame, actual: Cells, yard: Yardstick) -> pd.DataFrame:
    targets = [code for code, name in enumerate(actual.rates.processings) if name == "batch"]
    return _moved_back("processing", targets, place, now, actual, yard)


def _moved_back(
    column: str, targets: list[int], place: int, now: pd.DataFrame, actual: Cells, yard: Yardstick
) -> pd.DataFrame:
    """Calls whose `column` is one of the targets, as far as that is more (or less) often so than in the baseline, as the baseline had them."""
    base = yard.base.frame
    in_base, in_now = _calls(base, place), _calls(now, place)
    share_base, share_now = _share(base, in_base, column, targets), _share(now, in_now, column, targets)
    both = share_base.index.intersection(share_now.index)
    gap = (share_now[both] - share_base[both]).where(lambda each: each.abs() > 1e-12, 0.0)
    is_target = now[column].isin(targets).to_numpy()
    more, less = (gap / share_now[both]).clip(0, 1), (-gap / (1 - share_now[both])).clip(0, 1)
    parts = []
    taken = np.zeros(len(now))
    for goes, gaps, wanted in (
        (is_target, more, ~base[column].isin(targets)),
        (~is_target, less, base[column].isin(targets)),
    ):
        mix = _mix(base[in_base & wanted], column)
        fraction = gaps.where(gaps.index.isin(mix["feature"]), 0.0)
        part = now["feature"].map(fraction).fillna(0.0).to_numpy()
        # Answers of a cache go along: were they paid, they would be paid at the same model.
        part = np.where(_like_calls(now, place) & goes, part, 0.0)
        at = np.flatnonzero(part > 0)
        if not len(at):
            continue
        taken[at] += part[at]
        moving = _scaled(now.iloc[at], part[at])
        moved = moving.assign(_row=np.arange(len(at))).merge(mix, on="feature")
        old = moving.iloc[moved["_row"].to_numpy()]
        moved = _scaled(moved.assign(**{column: moved["_to"]}), moved["_share"].to_numpy())
        moved["cost"] = _repriced(_scaled(old, moved["_share"].to_numpy()), moved, actual, yard)
        parts.append(moved[now.columns])
    if not parts:
        return now
    return pd.concat([_scaled(now, 1 - taken), *parts], ignore_index=True)


def _answers_paid(_lever: Lever, place: int, now: pd.DataFrame, actual: Cells, yard: Yardstick) -> pd.DataFrame:
    base = yard.base.frame
    of_base, of_now = _asked(base, place), _asked(now, place)
    share_base = _ratio(base[of_base & base["hit"]], base[of_base], "requests")
    share_now = _ratio(now[of_now & now["hit"]], now[of_now], "requests")
    both = share_base.index.intersection(share_now.index)
    gap = share_now[both] - share_base[both]
    hit = now["hit"].to_numpy() & of_now
    part = np.where(hit, now["feature"].map((gap / share_now[both]).clip(0, 1)).fillna(0.0), 0.0)
    at = np.flatnonzero(part > 0)
    result = now
    if len(at):
        paid = _scaled(now.iloc[at], part[at]).assign(hit=False)
        listed = actual.listed(paid)
        cost = listed * actual.discount[paid["model"].to_numpy()]
        # An answer whose tokens nobody logged is paid like a mean call of its feature.
        calls = now[_calls(now, place)]
        mean = _ratio_of(calls, "cost", "calls").reindex(paid["feature"]).to_numpy(np.float64, na_value=0.0)
        blind = np.isnan(cost) | ~paid["usable"].to_numpy()
        paid["cost"] = np.where(blind, paid["calls"] * mean, cost)
        result = pd.concat([_scaled(now, 1 - part), paid], ignore_index=True)
    fewer = (-gap / (1 - share_now[both])).clip(0, 1)
    if (fewer > 0).any():
        called = _calls(result, place)
        kept = 1 - np.where(called, result["feature"].map(fewer).fillna(0.0), 0.0)
        # What the baseline's cache would have answered was asked all the same: only its cost goes.
        result = result.assign(cost=result["cost"] * kept)
    return result


def _plain_input(_lever: Lever, place: int, now: pd.DataFrame, actual: Cells, yard: Yardstick) -> pd.DataFrame:
    base = yard.base.frame
    share_base, share_now = (_cached_share(frame[_calls(frame, place)]) for frame in (base, now))
    both = share_base.index.intersection(share_now.index)
    gap = share_now[both] - share_base[both]
    like = _like_calls(now, place)
    more = np.where(like, now["feature"].map((gap / share_now[both]).clip(0, 1)).fillna(0.0), 0.0)
    less = np.where(like, now["feature"].map((-gap / (1 - share_now[both])).clip(0, 1)).fillna(0.0), 0.0)
    if not (more.any() or less.any()):
        return now
    moved = sum(now[name] * more for name in CACHED)
    warm = now["uncached_input_tokens"] * less
    changed = now.assign(
        **{name: now[name] * (1 - more) for name in CACHED},
        uncached_input_tokens=now["uncached_input_tokens"] + moved - warm,
    )
    changed["cache_read_tokens"] += warm
    return changed.assign(cost=_repriced(now, changed, actual, yard))


def _long_answers(lever: Lever, place: int, now: pd.DataFrame, actual: Cells, yard: Yardstick) -> pd.DataFrame:
    base = yard.base.frame
    in_base, in_now = base[_calls(base, place)], now[_calls(now, place)]
    ratio = (_answer(in_base) / _answer(in_now)).replace([np.inf, -np.inf], np.nan).dropna()
    factor = np.where(_like_calls(now, place), now["feature"].map(ratio).fillna(1.0), 1.0)
    changed = now.assign(output_tokens=now["output_tokens"] * factor, reasoning_tokens=now["reasoning_tokens"] * factor)
    changed["cost"] = _repriced(now, changed, actual, yard)
    if isinstance(lever, OutputLimits) and lever.end_repeats:
        again = (_ratio_of(in_base, "calls", "requests") / _ratio_of(in_now, "calls", "requests")).dropna()
        times = np.where(_calls(changed, place), changed["feature"].map(again).fillna(1.0), 1.0)
        asked = changed["requests"]
        changed = _scaled(changed, times).assign(requests=asked)
    return changed


def _long_prompts(lever: Lever, place: int, now: pd.DataFrame, actual: Cells, yard: Yardstick) -> pd.DataFrame:
    if not isinstance(lever, Rag):
        return now
    base = yard.base.frame
    changed = now
    if lever.context_ratio != 1:
        gap = (_input(base[_calls(base, place)]) - _input(now[_calls(now, place)])).dropna()
        more = np.where(_like_calls(now, place), now["feature"].map(gap).fillna(0.0), 0.0) * now["calls"]
        changed = now.assign(uncached_input_tokens=(now["uncached_input_tokens"] + more).clip(lower=0))
        changed["cost"] = _repriced(now, changed, actual, yard)
    if lever.embedding_model is not None or lever.only_changed or lever.embedding_ratio != 1:
        column = f"embedding{place}"
        mean = _scaled(base[base[column]], 1 / yard.base.days)
        daily = pd.concat([mean.assign(day=day, as_base=True) for day in range(actual.days)]) if len(mean) else mean
        changed = pd.concat([changed[~changed[column]], daily], ignore_index=True)
    return changed


def _asked_again(_lever: Lever, place: int, now: pd.DataFrame, actual: Cells, yard: Yardstick) -> pd.DataFrame:
    base = yard.base.frame
    parts = [now]
    scale = actual.days / yard.base.days
    for feature in base["feature"][base[f"for{place}"] & ~base["embeds"]].unique():
        of_base, of_now = base[base["feature"] == feature], now[now["feature"] == feature]
        gone_base, rest_base = of_base[of_base[f"for{place}"]], of_base[~of_base[f"for{place}"] & ~of_base["hit"]]
        rest_now = of_now[~of_now[f"for{place}"] & ~of_now["hit"]]
        growth = yard.growth.get(place)
        if growth is None:
            asked, before = rest_now["requests"].sum(), rest_base["requests"].sum() * scale
            growth = asked / before if before > 0 and asked > 0 else 1.0
        expected = gone_base["requests"].sum() * scale * growth
        lost = expected - of_now["requests"][of_now[f"for{place}"]].sum()
        if lost <= 0:
            continue
        like = rest_now if rest_now["requests"].sum() > 0 else None
        if like is None:
            mean = _scaled(gone_base, 1 / yard.base.days)
            like = pd.concat([mean.assign(day=day, as_base=True) for day in range(actual.days)])
            dearer = 1.0
        else:
            each = [part["cost"].sum() / max(part["requests"].sum(), 1e-9) for part in (gone_base, rest_base)]
            dearer = each[0] / each[1] if each[0] > 0 and each[1] > 0 else 1.0
            like = like.assign(**{f"for{place}": True})
        again = _scaled(like, lost / like["requests"].sum())
        again = again.assign(**{name: again[name] * dearer for name in VALUES if name not in ("calls", "requests")})
        parts.append(_on_lost_days(again, of_base, of_now, place, lost))
    return pd.concat(parts, ignore_index=True) if len(parts) > 1 else now


def _on_lost_days(again: pd.DataFrame, base: pd.DataFrame, now: pd.DataFrame, place: int, lost: float) -> pd.DataFrame:
    """The calls that were not made, on the days on which they were missed: in proportion to what each day lacks of the mean share of the chosen."""
    gone = f"for{place}"
    usual = base["requests"][base[gone]].sum() / max(base["requests"].sum(), 1e-9)
    made = now.groupby("day")["requests"].sum()
    chosen = now[now[gone]].groupby("day")["requests"].sum().reindex(made.index).fillna(0.0)
    others = made - chosen
    missing = (others * usual / max(1 - usual, 1e-9) - chosen).clip(lower=0)
    per_day = again.groupby("day")["requests"].sum()
    missing = missing.reindex(per_day.index).fillna(0.0)
    if not missing.sum() > 0:
        return again
    factor = (missing / missing.sum() * lost / per_day).fillna(0.0)
    return _scaled(again, again["day"].map(factor).to_numpy(np.float64))


_UNDO: dict[type, Callable[[Lever, int, pd.DataFrame, Cells, Yardstick], pd.DataFrame]] = {
    ModelRouting: _model_moved,
    SelfHost: _model_moved,
    Batch: _batched,
    SemanticCache: _answers_paid,
    PromptCache: _plain_input,
    OutputLimits: _long_answers,
    Rag: _long_prompts,
    SwitchOff: _asked_again,
}


def _asked(frame: pd.DataFrame, place: int) -> Mask:
    return (frame[f"for{place}"] & ~frame["embeds"] & (frame["hit"] | frame["usable"])).to_numpy()


def _like_calls(frame: pd.DataFrame, place: int) -> Mask:
    """Calls with known tokens, those that a cache answered included."""
    return (frame[f"for{place}"] & ~frame["embeds"] & frame["usable"]).to_numpy()


def _calls(frame: pd.DataFrame, place: int) -> Mask:
    """Calls that are paid for, with known tokens and cost."""
    return _like_calls(frame, place) & ~frame["hit"].to_numpy()


def _scaled(frame: pd.DataFrame, factor: float | Floats) -> pd.DataFrame:
    return frame.assign(**{name: frame[name] * factor for name in VALUES})


def _ratio(part: pd.DataFrame, whole: pd.DataFrame, column: str) -> pd.Series:
    """Sum of the part by that of the whole, by feature of the whole."""
    total = whole.groupby("feature")[column].sum()
    total = total[total > 0]
    return part.groupby("feature")[column].sum().reindex(total.index).fillna(0.0) / total


def _ratio_of(frame: pd.DataFrame, column: str, by: str) -> pd.Series:
    sums = frame.groupby("feature")[[column, by]].sum()
    sums = sums[sums[by] > 0]
    return sums[column] / sums[by]


def _share(frame: pd.DataFrame, inside: Mask, column: str, targets: list[int]) -> pd.Series:
    calls = frame[inside]
    return _ratio(calls[calls[column].isin(targets)], calls, "calls")


def _mix(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """Which part of a feature's calls has which value of the column: feature, _to, _share."""
    counted = frame.groupby(["feature", column])["calls"].sum()
    counted = counted[counted > 0]
    mix = (counted / counted.groupby(level="feature").transform("sum")).rename("_share").reset_index()
    return mix.rename(columns={column: "_to"})


def _cached_share(calls: pd.DataFrame) -> pd.Series:
    sums = calls.groupby("feature")[list(INPUTS)].sum()
    whole = sums.sum(axis=1)
    return (sums[list(CACHED)].sum(axis=1) / whole)[whole > 0]


def _answer(calls: pd.DataFrame) -> pd.Series:
    sums = calls.groupby("feature")[["calls", "output_tokens", "reasoning_tokens"]].sum()
    return (sums["output_tokens"] + sums["reasoning_tokens"]) / sums["calls"]


def _input(calls: pd.DataFrame) -> pd.Series:
    sums = calls.groupby("feature")[["calls", *INPUTS]].sum()
    return sums[list(INPUTS)].sum(axis=1) / sums["calls"]


def _repriced(old: pd.DataFrame, new: pd.DataFrame, actual: Cells, yard: Yardstick) -> Floats:
    """What the changed cells cost: their cost times the new list price by the old one. Where the old one is not known or 0, or the provider is
    another: the new list price, times what the baseline paid of it. Without a new price the cost stays. Answers of a cache cost nothing."""
    cost = old["cost"].to_numpy(np.float64)
    listed_old, listed_new = actual.listed(old), actual.listed(new)
    providers = np.array([str(provider) for provider, _ in actual.rates.models])
    same = providers[old["model"].to_numpy()] == providers[new["model"].to_numpy()]
    by_list = listed_new * yard.base.discount[new["model"].to_numpy()]
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(same & (listed_old > 0), cost * (listed_new / listed_old), by_list)
    found = np.where(np.isnan(listed_new) | ~new["usable"].to_numpy(), cost, found)
    return np.where(new["hit"].to_numpy(), 0.0, found)

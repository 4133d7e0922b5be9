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

Each day is compared with the baseline's mean, so that what is saved adds up over days: by chance a little more on one day, a little less on the next.
Where a lever shows nothing (a share as in the baseline) the cells stay as they are. It works both ways: a share below the baseline's is a loss.
Calls without known tokens or cost stay as they are, and so do features that the baseline does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
BY_DAY = ["feature", "day"]


@dataclass(frozen=True, eq=False)
class Yardstick:
    """What actual calls are measured by: the baseline's cells, and `growth` of active people by place of a lever that switches calls off (people of
    each actual day relative to the baseline's mean; absent: not recorded)."""

    base: Cells
    growth: Mapping[int, Floats]


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
    share_base = _share(base, in_base, column, targets, ["feature"])
    more, less = _gaps(now, share_base, _share(now, in_now, column, targets, BY_DAY))
    is_target = now[column].isin(targets).to_numpy()
    parts = []
    taken = np.zeros(len(now))
    for goes, gaps, wanted in (
        (is_target, more, ~base[column].isin(targets)),
        (~is_target, less, base[column].isin(targets)),
    ):
        mix = _mix(base[in_base & wanted], column)
        part = np.where(now["feature"].isin(mix["feature"]), gaps, 0.0)
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
    share_base = _ratio(base[of_base & base["hit"]], base[of_base], "requests", ["feature"])
    share_now = _ratio(now[of_now & now["hit"]], now[of_now], "requests", BY_DAY)
    more, fewer = _gaps(now, share_base, share_now)
    part = np.where(now["hit"].to_numpy() & of_now, more, 0.0)
    at = np.flatnonzero(part > 0)
    result = now
    if len(at):
        paid = _scaled(now.iloc[at], part[at]).assign(hit=False)
        listed = actual.listed(paid)
        cost = listed * actual.discount[paid["model"].to_numpy()]
        # An answer whose tokens nobody logged is paid like a mean call of its feature.
        calls = now[_calls(now, place)]
        mean = (
            _ratio_of(calls, "cost", "calls", ["feature"]).reindex(paid["feature"]).to_numpy(np.float64, na_value=0.0)
        )
        blind = np.isnan(cost) | ~paid["usable"].to_numpy()
        paid["cost"] = np.where(blind, paid["calls"] * mean, cost)
        result = pd.concat([_scaled(now, 1 - part), paid], ignore_index=True)
    if (fewer > 0).any():
        # What the baseline's cache would have answered was asked all the same: only its cost goes.
        gone = np.concatenate([fewer, np.zeros(len(result) - len(now))])
        result = result.assign(cost=result["cost"] * (1 - np.where(_calls(result, place), gone, 0.0)))
    return result


def _plain_input(_lever: Lever, place: int, now: pd.DataFrame, actual: Cells, yard: Yardstick) -> pd.DataFrame:
    base = yard.base.frame
    share_base = _cached_share(base[_calls(base, place)], ["feature"])
    like = _like_calls(now, place)
    more, less = (
        np.where(like, each, 0.0) for each in _gaps(now, share_base, _cached_share(now[_calls(now, place)], BY_DAY))
    )
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
    like = _like_calls(now, place)
    ratio = _clean(_usual(now, _answer(in_base, ["feature"])) / _of_day(now, _answer(in_now, BY_DAY)))
    factor = np.where(like, ratio.fillna(1.0), 1.0)
    changed = now.assign(output_tokens=now["output_tokens"] * factor, reasoning_tokens=now["reasoning_tokens"] * factor)
    changed["cost"] = _repriced(now, changed, actual, yard)
    if isinstance(lever, OutputLimits) and lever.end_repeats:
        usual, own = (
            _ratio_of(in_base, "calls", "requests", ["feature"]),
            _ratio_of(in_now, "calls", "requests", BY_DAY),
        )
        again = _clean(_usual(changed, usual) / _of_day(changed, own)).fillna(1.0)
        times = np.where(_calls(changed, place), again, 1.0)
        asked = changed["requests"]
        changed = _scaled(changed, times).assign(requests=asked)
    return changed


def _long_prompts(lever: Lever, place: int, now: pd.DataFrame, actual: Cells, yard: Yardstick) -> pd.DataFrame:
    if not isinstance(lever, Rag):
        return now
    base = yard.base.frame
    changed = now
    if lever.context_ratio != 1:
        usual = _usual(now, _input(base[_calls(base, place)], ["feature"]))
        gap = _clean(usual - _of_day(now, _input(now[_calls(now, place)], BY_DAY))).fillna(0.0)
        more = np.where(_like_calls(now, place), gap, 0.0) * now["calls"]
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
    column = f"for{place}"
    parts = [now]
    for feature in base["feature"][base[column] & ~base["embeds"]].unique():
        of_base, of_now = base[base["feature"] == feature], now[now["feature"] == feature]
        gone, others = of_base[of_base[column]], of_base[~of_base[column] & ~of_base["hit"]]
        rest = of_now[~of_now[column] & ~of_now["hit"]]
        asked = _requests(rest, actual.days)
        grown = yard.growth.get(place)
        if grown is None:
            usual = others["requests"].sum() / yard.base.days
            grown = asked / usual if usual > 0 and asked.any() else np.ones(actual.days)
        # By day, and either way: where as many as before call, what chance adds on some days it takes on others.
        lost = gone["requests"].sum() / yard.base.days * grown - _requests(of_now[of_now[column]], actual.days)
        each = [part["cost"].sum() / max(part["requests"].sum(), 1e-9) for part in (gone, others)]
        dearer = each[0] / each[1] if each[0] > 0 and each[1] > 0 else 1.0
        factor = np.divide(lost, asked, out=np.zeros(actual.days), where=asked > 0)[rest["day"].to_numpy()]
        again = _scaled(rest, factor).assign(**{column: True})
        parts.append(
            again.assign(**{name: again[name] * dearer for name in VALUES if name not in ("calls", "requests")})
        )
        # On a day without any other user of the feature they call as in the baseline.
        mean, usual = _scaled(gone, 1 / yard.base.days), gone["requests"].sum() / yard.base.days
        alone = [day for day in range(actual.days) if asked[day] <= 0 and usual > 0]
        parts += [_scaled(mean, lost[day] / usual).assign(day=day, as_base=True) for day in alone]
    return pd.concat(parts, ignore_index=True) if len(parts) > 1 else now


def _requests(frame: pd.DataFrame, days: int) -> Floats:
    return np.bincount(frame["day"].to_numpy(), weights=frame["requests"].to_numpy(), minlength=days).astype(np.float64)


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


def _ratio(part: pd.DataFrame, whole: pd.DataFrame, column: str, keys: list[str]) -> pd.Series:
    """Sum of the part by that of the whole, by the keys of the whole."""
    total = whole.groupby(keys)[column].sum()
    total = total[total > 0]
    return part.groupby(keys)[column].sum().reindex(total.index).fillna(0.0) / total


def _ratio_of(frame: pd.DataFrame, column: str, by: str, keys: list[str]) -> pd.Series:
    sums = frame.groupby(keys)[[column, by]].sum()
    sums = sums[sums[by] > 0]
    return sums[column] / sums[by]


def _share(frame: pd.DataFrame, inside: Mask, column: str, targets: list[int], keys: list[str]) -> pd.Series:
    calls = frame[inside]
    return _ratio(calls[calls[column].isin(targets)], calls, "calls", keys)


def _usual(now: pd.DataFrame, by_feature: pd.Series) -> pd.Series:
    """The baseline's figure of each cell's feature; NaN: it does not know the feature."""
    return now["feature"].map(by_feature).astype(np.float64)


def _of_day(now: pd.DataFrame, by_day: pd.Series) -> pd.Series:
    """The figure of each cell's feature and day; NaN: none of its calls is paid for."""
    if not len(by_day):
        return pd.Series(np.nan, now.index)
    return pd.Series(by_day.reindex(pd.MultiIndex.from_frame(now[BY_DAY])).to_numpy(np.float64), now.index)


def _clean(figures: pd.Series) -> pd.Series:
    return figures.replace([np.inf, -np.inf], np.nan)


def _gaps(now: pd.DataFrame, share_base: pd.Series, share_now: pd.Series) -> tuple[Floats, Floats]:
    """By cell: which part of those that share it must not, and which part of those that do not must share it, for the day to be like the baseline."""
    usual, own = _usual(now, share_base), _of_day(now, share_now)
    gap = (own - usual).where(lambda each: each.abs() > 1e-12, 0.0)
    more, less = (_clean(each).fillna(0.0).clip(0, 1).to_numpy() for each in (gap / own, -gap / (1 - own)))
    return more, less


def _mix(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """Which part of a feature's calls has which value of the column: feature, _to, _share."""
    counted = frame.groupby(["feature", column])["calls"].sum()
    counted = counted[counted > 0]
    mix = (counted / counted.groupby(level="feature").transform("sum")).rename("_share").reset_index()
    return mix.rename(columns={column: "_to"})


def _cached_share(calls: pd.DataFrame, keys: list[str]) -> pd.Series:
    sums = calls.groupby(keys)[list(INPUTS)].sum()
    whole = sums.sum(axis=1)
    return (sums[list(CACHED)].sum(axis=1) / whole)[whole > 0]


def _answer(calls: pd.DataFrame, keys: list[str]) -> pd.Series:
    sums = calls.groupby(keys)[["calls", "output_tokens", "reasoning_tokens"]].sum()
    return (sums["output_tokens"] + sums["reasoning_tokens"]) / sums["calls"]


def _input(calls: pd.DataFrame, keys: list[str]) -> pd.Series:
    sums = calls.groupby(keys)[["calls", *INPUTS]].sum()
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

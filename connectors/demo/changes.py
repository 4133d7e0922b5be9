"""What the team changed in April, as rules on single calls. May is March's traffic, grown, under these rules; nothing is scaled to a bill."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from connectors.demo import columns
from connectors.demo.columns import Columns
from connectors.demo.shares import around, scramble
from connectors.demo.story import MICROSECONDS_A_DAY, TIERS, Feature, Story


def apply_changes(story: Story, calls: Columns) -> Columns:
    """All calls as they happened, each change from its day on. Calls that a change makes superfluous are gone."""
    calls = _drop_free_tier(story, calls)
    _shrink_context(story, calls)
    _limit_output(story, calls)
    _batch(story, calls)
    _route(story, calls)
    _host_embedding(story, calls)
    _answer_from_cache(story, calls)
    _read_prefixes(story, calls)
    return calls


def _since(story: Story, calls: Columns, change: dict[str, Any]) -> NDArray[np.bool_]:
    """Calls from the day of a change on, of its feature where it names one."""
    late = calls["time"] >= story.day(change["from"]) * MICROSECONDS_A_DAY
    if "feature" in change:
        late &= calls["feature"] == story.feature_names.index(change["feature"])
    return late


def _drop_free_tier(story: Story, calls: Columns) -> Columns:
    change = story.changes["free_tier_off"]
    return columns.take(calls, ~(_since(story, calls, change) & (calls["tier"] == TIERS.index(change["tier"]))))


def _shrink_context(story: Story, calls: Columns) -> None:
    """Fewer and smaller chunks: the context shrinks, the question stays."""
    change = story.changes["retrieval"]
    before = next(feature.context for feature in story.features if feature.name == change["feature"])
    here = _since(story, calls, change) & (calls["operation"] == columns.CHAT)
    calls["input"][here] -= before - change["context"]
    calls["content"][here] = scramble(calls["content"][here], 2)
    calls["version"][here] += 1


def _limit_output(story: Story, calls: Columns) -> None:
    """JSON only and a low limit: short answers, none cut off."""
    change = story.changes["output_discipline"]
    here = _since(story, calls, change)
    random = story.random("output discipline")
    short = np.rint(around(random, int(here.sum()), change["output"], 0.06, 18, change["max_tokens"] - 1))
    calls["output"][here] = short
    calls["max_tokens"][here] = change["max_tokens"]
    calls["finish"][here] = columns.STOP
    calls["version"][here] += 1


def _batch(story: Story, calls: Columns) -> None:
    calls["processing"][_since(story, calls, story.changes["batch"])] = columns.BATCH


def _route(story: Story, calls: Columns) -> None:
    """Simple queries go to the small model: those whose complexity lies below the threshold of the day."""
    small = story.model_code(story.changes["router_model"])
    for step in story.changes["router"]:
        here = _since(story, calls, step) & (calls["complexity"] >= 0) & (calls["complexity"] < step["threshold"])
        calls["model"][here] = small


def _host_embedding(story: Story, calls: Columns) -> None:
    change = story.changes["embedding"]
    here = _since(story, calls, change) & (calls["operation"] == columns.EMBEDDINGS)
    calls["model"][here] = story.model_code(change["model"])


def first_answers(time: NDArray[np.int64], answer: NDArray[np.int64], life: int) -> NDArray[np.bool_]:
    """Whether an ideal semantic cache must ask the model: its answer was not stored within the last `life` microseconds.

    Only what the model answered is stored, and a hit does not prolong the life.
    """
    order = np.lexsort((time, answer))
    asked = np.ones(len(order), dtype=bool)
    previous, stored = -1, 0
    for place, (key, at) in zip(
        order.tolist(), zip(answer[order].tolist(), time[order].tolist(), strict=True), strict=True
    ):
        if key == previous and at - stored < life:
            asked[place] = False
        else:
            previous, stored = key, at
    return asked


def _answer_from_cache(story: Story, calls: Columns) -> None:
    change = story.changes["semantic_cache"]
    here = np.flatnonzero(_since(story, calls, change) & (calls["question"] >= 0))
    asked = first_answers(calls["time"][here], calls["question"][here], change["ttl_seconds"] * 1_000_000)
    calls["hit"][here[~asked]] = True


def _read_prefixes(story: Story, calls: Columns) -> None:
    """Prefix blocks of every call, and, once the prompt is ordered for it, the tokens read from the provider's prompt cache.

    A shared prefix is warm while a call of the same model and feature used it within the life; the further history of a
    session while its previous turn did. Models without a price for cache reads have none.
    """
    change = story.changes["prompt_cache"]
    block, life = change["block_tokens"], change["life_seconds"] * 1_000_000
    able = np.array([model.cached_input is not None for model in story.models])
    for feature in story.features:
        if not feature.constant_prefix:
            continue
        of_feature = np.flatnonzero(calls["feature"] == story.feature_names.index(feature.name))
        shared = feature.constant_prefix // block
        whole = calls["input"][of_feature] // block if feature.turns else np.full(len(of_feature), shared)
        calls["blocks"][of_feature] = whole
        for model in np.flatnonzero(able):
            at = of_feature[(calls["model"][of_feature] == model) & _since(story, calls, change)[of_feature]]
            at = at[np.argsort(calls["time"][at], kind="stable")]
            warm = np.diff(calls["time"][at], prepend=-life) < life
            read = np.where(warm, shared, 0)
            if feature.turns:
                read = np.maximum(read, _session_blocks(calls, at, life))
            calls["cached"][at] = np.minimum(read, calls["blocks"][at]) * block


def _session_blocks(calls: Columns, at: NDArray[np.int64], life: int) -> NDArray[np.int64]:
    """Blocks of the session's previous turn, where that was within the life; else 0."""
    order = np.lexsort((calls["time"][at], calls["session"][at]))
    session, time, blocks = (calls[name][at][order] for name in ("session", "time", "blocks"))
    follows = np.zeros(len(at), dtype=bool)
    follows[1:] = (session[1:] == session[:-1]) & (np.diff(time) < life)
    found = np.zeros(len(at), dtype=np.int64)
    found[order] = np.where(follows, np.roll(blocks.astype(np.int64), 1), 0)
    return found


def prefix_hashes(story: Story, feature: Feature, calls: Columns) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """For calls of one feature with a constant prefix: how many blocks each has, and the cumulative hashes of all, one after another."""
    block = story.changes["prompt_cache"]["block_tokens"]
    shared = feature.constant_prefix // block
    counts = calls["blocks"].astype(np.int64)
    first = np.cumsum(counts) - counts
    number = np.arange(int(counts.sum())) - np.repeat(first, counts)
    session = (
        np.where(number < shared, 0, np.repeat(calls["session"], counts)) if feature.turns else np.zeros_like(number)
    )
    code = story.feature_names.index(feature.name)
    return counts, scramble(session * 4096 + number, 9_000 + code)

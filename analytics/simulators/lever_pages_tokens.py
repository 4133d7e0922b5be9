"""Pages of the levers on what a call is made of and when it is made: prompt caching, output limits, batches, retrieval."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

from analytics import formatting
from analytics.simulators.batch import Batch, batch_candidates
from analytics.simulators.drawn_effects import batch_effect
from analytics.simulators.effect import Effect
from analytics.simulators.lever import Lever
from analytics.simulators.lever_page import (
    NO_SAMPLES,
    SHARES,
    STEPS,
    Control,
    Detail,
    LeverPage,
    Setting,
    calls_missing,
    chosen_features,
    features_control,
    number_of,
    share_of,
)
from analytics.simulators.lever_pages_answers import LIVES, NO_CACHE
from analytics.simulators.output_effects import output_effect
from analytics.simulators.output_limits import OutputLimits, answer_lengths
from analytics.simulators.prompt_cache import PromptCache
from analytics.simulators.prompt_cache_effects import prompt_cache_effect
from analytics.simulators.prompt_cache_evidence import cache_models
from analytics.simulators.rag import Rag, embedding_waste
from analytics.simulators.rag_effects import rag_effect
from analytics.simulators.situation import Situation

AS_LOGGED, NO_LIMIT = "As logged", "No limit"
PREFIX_LIVES: Mapping[str, float] = {NO_CACHE: 0.0, **{name: life for name, life in LIVES.items() if life <= 86_400}}
CAPS: Mapping[str, float] = {
    **{f"{cap:,}": float(cap) for cap in (25, 50, 100, 150, 200, 300, 400, 600, 800, 1200, 1600, 2400, 3200, 4800, 6400)},
    NO_LIMIT: math.inf,
}  # fmt: skip
CHUNKS: Mapping[str, float] = {str(number): float(number) for number in range(21)}


# Prompt caching


def _prefix_controls(situation: Situation) -> tuple[Control, ...]:
    return (
        Control("life", "A prefix stays warm for", "steps", "1 h", "How long the provider keeps a prompt's beginning after its last use. "
                "As logged: nothing changes.", (AS_LOGGED, *PREFIX_LIVES), main=True),
        features_control(situation),
        Control("stable", "Stable part of inputs without fingerprints", "number", 0.0, "For calls whose log does not say what their prompt begins "
                "with: the part that is taken to be the same in all calls of one feature and prompt.", high=95, step=5, unit="%"),
        Control("objects", "Caches paid by the hour", "switch", False, "Where a provider sells them (explicit caches)."),
    )  # fmt: skip


def _prefix(_situation: Situation, setting: Setting) -> PromptCache:
    ttl = None if setting["life"] == AS_LOGGED else number_of(setting["life"], PREFIX_LIVES)
    return PromptCache(ttl=ttl, calls=chosen_features(setting), stable_share=setting["stable"] / 100, objects=setting["objects"])  # fmt: skip


def _prefix_effect(situation: Situation, setting: Setting) -> Effect:
    return prompt_cache_effect(_prefix(situation, setting), situation, tuple(PREFIX_LIVES.values()))


def _prefix_detail(situation: Situation, lever: Lever) -> Detail | None:
    frame = cache_models(cast("PromptCache", lever), situation)
    return Detail("Models and their prompt caches", "Prices of a write and a read, and the reads per write from which it pays",
                  frame, {
        "model": ("Model", "tag", None), "cost": ("Cost a month", "money", None), "scheme": ("Scheme", "text", None),
        "minimum_tokens": ("Shortest prefix", "count", "Tokens"), "write_times": ("Write", "number", "In prices of plain input"),
        "read_times": ("Read", "number", "In prices of plain input"), "break_even_reads": ("Pays from", "number", "Reads per write"),
        "acting_calls": ("Calls taking part", "count", None), "left_out": ("Why not", "text", None),
    })  # fmt: skip


PREFIX = LeverPage(
    key="prefix", kind=PromptCache,
    lead="Every call finds the longest beginning that an earlier call of the same model sent within the life; that much is billed as read.",
    what="prompt caching", axis="Life of a prefix", changed="Calls taking part", risk="Answers changed",
    controls=_prefix_controls, build=_prefix, effect=_prefix_effect,
    action=lambda setting: (
        "Without any prompt cache, calls" if setting["life"] == NO_CACHE else f"Prompt prefixes that stay warm for {setting['life']}"
    ),
    quality=lambda _situation, _lever, _setting: "None: the same prompt gets the same answer, whether it is read from a cache or not.",
    missing=calls_missing, detail=_prefix_detail,
)  # fmt: skip


# Output limits


def _output_controls(situation: Situation) -> tuple[Control, ...]:
    return (
        Control("cap", "Most tokens of an answer", "steps", NO_LIMIT, "max_tokens: what lies above it is cut off.", tuple(CAPS), unit="tokens",
                main=True),
        Control("length", "Length of answers", "number", 100.0, "How long the prompt makes answers, before any limit.", high=100, step=5,
                unit="% of today's"),
        features_control(situation),
        Control("schema", "Instructions add", "number", 0, "What asking for shorter answers (a schema) adds to each input.", high=10_000,
                unit="tokens"),
        Control("retry", "Cut answers asked again", "number", 100.0, "They are asked again without the limit, and both are paid.", high=100, step=5,
                unit="%"),
    )  # fmt: skip


def _output(_situation: Situation, setting: Setting) -> OutputLimits:
    return OutputLimits(
        cap=number_of(setting["cap"], CAPS),
        calls=chosen_features(setting),
        length=setting["length"] / 100,
        schema_tokens=int(setting["schema"]),
        retry_share=setting["retry"] / 100,
    )


def _output_effect(situation: Situation, setting: Setting) -> Effect:
    return output_effect(_output(situation, setting), situation, tuple(CAPS.values()))


def _output_quality(situation: Situation, lever: Lever, _setting: Setting) -> str:
    limits = cast("OutputLimits", lever)
    risk = output_effect(limits, situation, tuple(CAPS.values())).risk
    if risk is None:
        return "No call of this choice has an answer."
    return f"{formatting.share(risk)} of the answers would be cut off. Whether shorter answers are as good is not known without labelled samples."


def _output_detail(situation: Situation, lever: Lever) -> Detail | None:
    return Detail("How long answers are", "Tokens of output and reasoning, without answers that a limit cuts today",
                  answer_lengths(cast("OutputLimits", lever), situation), {
        "feature": ("Feature", "tag", None), "calls": ("Calls", "count", None), "cost": ("Cost a month", "money", None),
        "p50": ("Median", "count", None), "p95": ("95%", "count", "95 of 100 answers are no longer"), "longest": ("Longest", "count", None),
        "cut_today": ("Cut today", "share", None), "above_cap": ("Cut by the limit", "share", None),
    })  # fmt: skip


OUTPUT = LeverPage(
    key="output", kind=OutputLimits,
    lead="A limit does not shorten answers, it cuts them; those that are asked again are paid twice.",
    what="output limits", axis="Limit in tokens", changed="Answers cut", risk="Answers cut off",
    controls=_output_controls, build=_output, effect=_output_effect,
    action=lambda setting: (
        f"Answers of {setting['length']:g}% of today's length" if setting["cap"] == NO_LIMIT else f"A limit of {setting['cap']} tokens per answer"
    ),
    quality=_output_quality, missing=calls_missing, detail=_output_detail,
)  # fmt: skip


# Batch


def _batch_controls(situation: Situation) -> tuple[Control, ...]:
    return (
        Control("share", "Calls that can wait which go into batches", "steps", "100%", "Calls that are not streamed, made for no known user, and "
                "that their session does not follow up.", tuple(SHARES), main=True),
        features_control(situation),
        Control("follow", "No follow-up within", "number", 24.0, "A call that its session follows sooner cannot wait.", high=8760, unit="hours"),
        Control("users", "Calls of known users may wait too", "switch", False, "Without this, only those of jobs."),
        Control("cached", "Cached tokens still read in a batch", "number", 30.0, "Prompt caches are best effort inside batches.", high=100, step=5,
                unit="%"),
    )  # fmt: skip


def _batch(_situation: Situation, setting: Setting) -> Batch:
    return Batch(
        share=share_of(setting),
        calls=chosen_features(setting),
        follow_up_hours=setting["follow"],
        with_users=setting["users"],
        cache_share=setting["cached"] / 100,
    )


def _batch_effect(situation: Situation, setting: Setting) -> Effect:
    return batch_effect(_batch(situation, setting), situation, STEPS)


def _batch_detail(situation: Situation, lever: Lever) -> Detail | None:
    return Detail("Who can wait", "Calls at the standard price; the saving is of all of them in batches, USD per month, simulated",
                  batch_candidates(cast("Batch", lever), situation), {
        "feature": ("Feature", "tag", None), "calls": ("Calls", "count", None), "cost": ("Cost a month", "money", None),
        "without_user": ("No user", "share", None), "followed_up": ("Followed up", "share", None), "streamed": ("Streamed", "share", None),
        "waiting": ("Can wait", "share", None), "saving": ("Saving", "money", None),
        "left_out": ("No batch price", "text", "Models of calls that could wait but have no batch price"),
    })  # fmt: skip


BATCH = LeverPage(
    key="batch", kind=Batch,
    lead="Calls that nobody waits for, at the batch prices of the books.",
    what="batch processing", axis="Share of waiting calls", changed="Calls batched", risk="Answers changed",
    controls=_batch_controls, build=_batch, effect=_batch_effect,
    action=lambda setting: f"Batching {setting['share']} of the calls that can wait",
    quality=lambda _situation, _lever, _setting: "The same answers, up to 24 hours later: make sure that nobody waits for them.",
    missing=calls_missing, detail=_batch_detail,
)  # fmt: skip


# Retrieval


def _rag_controls(situation: Situation) -> tuple[Control, ...]:
    return (
        Control("top_k", "Chunks in a prompt", "steps", "3", "How many retrieved chunks each prompt carries.", tuple(CHUNKS), main=True),
        features_control(situation, "Features whose prompts carry chunks", required=True),
        Control("chunk", "Tokens of a chunk", "number", 512, "Its size from now on.", low=1, high=100_000, step=64, unit="tokens"),
        Control("top_k_today", "Chunks in a prompt today", "number", 5, "The log does not say it.", low=1, high=1000),
        Control("chunk_today", "Tokens of a chunk today", "number", 512, "The log does not say it.", low=1, high=100_000, step=64, unit="tokens"),
        Control("rerank", "Reranker per call", "number", 0.0, "What a reranker adds to each of these calls.", high=1000, step=0.001, unit="USD"),
        Control("only_changed", "Embed only what changed", "switch", False, "An input that the same model embedded before in this period is not "
                "embedded again."),
    )  # fmt: skip


def _rag(_situation: Situation, setting: Setting) -> Rag:
    calls = chosen_features(setting)
    fixed: dict[str, Any] = {"only_changed": setting["only_changed"]}
    if calls.feature:
        fixed |= {
            "calls": calls,
            "chunk_tokens": float(setting["chunk"]),
            "top_k": round(number_of(setting["top_k"], CHUNKS)),
            "chunk_tokens_today": float(setting["chunk_today"]),
            "top_k_today": int(setting["top_k_today"]),
            "rerank_cost": setting["rerank"],
        }
    return Rag(**fixed)


def _rag_effect(situation: Situation, setting: Setting) -> Effect:
    return rag_effect(_rag(situation, setting), situation)


def _rag_detail(situation: Situation, _lever: Lever) -> Detail | None:
    frame = embedding_waste(situation)
    if frame.empty:
        return None
    return Detail("What is embedded", "Inputs that the same model embedded before in this period, unchanged; USD per month", frame, {
        "feature": ("Feature", "tag", None), "job": ("Job", "tag", None), "model": ("Model", "tag", None), "calls": ("Calls", "count", None),
        "cost": ("Cost a month", "money", None), "repeated_calls": ("Embedded again", "count", None), "wasted": ("Wasted", "money", None),
        "waste_share": ("Of its tokens", "share", None),
    })  # fmt: skip


RAG = LeverPage(
    key="rag", kind=Rag,
    lead="Prompts of the chosen features with fewer or smaller chunks, repriced call by call; and what is embedded again without a change.",
    what="retrieval", axis="Chunks in a prompt", changed="Prompts changed", risk="Quality lost",
    controls=_rag_controls, build=_rag, effect=_rag_effect,
    action=lambda setting: (
        f"{setting['top_k']} chunks of {setting['chunk']:,} tokens per prompt" if setting["features"] else "Embedding only what changed"
    ),
    quality=lambda _situation, _lever, _setting: f"{NO_SAMPLES}: evaluate the answers with fewer chunks before shipping.",
    missing=calls_missing, detail=_rag_detail, waits_for="the features whose prompts carry chunks",
)  # fmt: skip

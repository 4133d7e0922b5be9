"""Which kinds of waste there are, in the order in which a dollar is counted: the surest first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import ibis.expr.types as ir

from analytics import formatting
from analytics.frames import Row
from analytics.waste_calls import Search
from analytics.waste_context import constant_context, uncached_context, unread_cache_writes
from analytics.waste_embedding import embedded_again
from analytics.waste_jobs import unowned_jobs
from analytics.waste_models import premium_models
from analytics.waste_output import SHORT_ANSWER, cut_and_asked_again, long_short_tasks, runaway_answers

IDLE_GPU = "idle-gpu"
MEASURED, LIKELY, TO_BE_CHECKED = "measured", "likely", "to be checked"
CERTAINTIES = (MEASURED, LIKELY, TO_BE_CHECKED)
"""How sure a finding is: the data show it; a rule of thumb says so; somebody must judge."""


@dataclass(frozen=True)
class WasteKind:
    """One kind of waste.

    flagged: the calls (None: not found in calls); evidence: a sentence from a finding's sums; fix: what ends it; lever: address of the page that
    computes what ending it saves; certainty: "measured" (the data show it), "likely" (a rule of thumb), "to be checked" (somebody must judge).
    """

    name: str
    title: str
    fix: str
    lever: str
    certainty: str
    flagged: Callable[[Search], ir.Table] | None
    evidence: Callable[[Row], str]


def _calls(number: int) -> str:
    return f"{number:,} call" if number == 1 else f"{number:,} calls"


def _paid(row: Row) -> str:
    return formatting.to_the_cent(row["cost"])


def _carried(row: Row) -> str:
    return f"{_calls(row['items'])} carry the same context of about {formatting.tokens(row['tokens'] // row['items'])} each"


CALL_KINDS: tuple[WasteKind, ...] = (
    WasteKind(
        "embedded-again", "Unchanged content embedded again",
        "Keep the hash of every text with its vector, and embed only what changed; stop the job that embeds everything.",
        "rag", MEASURED, embedded_again,
        lambda row: f"{row['wasted_items']:,} of {_calls(row['items'])} embed what the same model had embedded before; all of them cost "
        f"{_paid(row)}, on {row['days']} days",
    ),
    WasteKind(
        "cut-and-asked-again", "Answers cut off and asked for again",
        "Ask for JSON alone with a limit that such an answer fits in, and parse strictly: an answer that is cut off is paid and thrown away.",
        "output-limits", MEASURED, cut_and_asked_again,
        lambda row: f"{_calls(row['items'])} ran into their output limit, and the same input came again within the hour",
    ),
    WasteKind(
        "unread-cache-writes", "Cache writes that are never read",
        "Cache only what comes again within the cache's life; put what changes after what does not.",
        "prompt-caching", MEASURED, unread_cache_writes,
        lambda row: f"{_calls(row['items'])} pay extra to write {formatting.tokens(row['tokens'])} into a cache that hardly any call reads",
    ),
    WasteKind(
        "unowned-job", "Background job that nobody owns",
        "Find who started it, stop it, or give it a feature, a team and a budget.",
        "features", TO_BE_CHECKED, unowned_jobs,
        lambda row: f"{_calls(row['items'])} without a user come by the clock on {row['days']} days and name no owner; they cost {_paid(row)}",
    ),
    WasteKind(
        "long-short-task", "Long answers to a short task",
        f"Ask for the label alone, as JSON, and set max_tokens to what it needs; {SHORT_ANSWER} tokens are ample.",
        "output-limits", LIKELY, long_short_tasks,
        lambda row: f"{_calls(row['items'])} of a task that by its name needs a word or a number write {formatting.tokens(row['tokens'])} "
        f"beyond {SHORT_ANSWER} each",
    ),
    WasteKind(
        "runaway-output", "Runaway answers under a loose limit",
        "Set max_tokens near the 99th percentile of the answers, and look at the prompts of those that run on.",
        "output-limits", LIKELY, runaway_answers,
        lambda row: f"{_calls(row['items'])} write {formatting.tokens(row['tokens'])} beyond the 99th percentile; their limit is far above it",
    ),
    WasteKind(
        "uncached-context", "Constant context that is never cached",
        "Put the constant part first and let the provider cache it; or cut it: it is sent with every call.",
        "prompt-caching", LIKELY, uncached_context,
        lambda row: f"{_carried(row)}, and hardly any of it is read from a cache; counted is what it costs above the price of cached input, which is "
        "the most that caching saves: the first call, and each after a pause longer than the cache's life, pays in full or writes the cache",
    ),
    WasteKind(
        "constant-context", "Constant context without a known cache price",
        "Cut it from the calls that do not need it, or move them to a model whose provider caches it.",
        "routing", TO_BE_CHECKED, constant_context,
        lambda row: f"{_carried(row)}; no lower price of cached input is known for this model, so what caching would save is not known: "
        "counted is all that the context costs, which cutting it would save",
    ),
    WasteKind(
        "premium-model", "Premium model on short or simple calls",
        "Send simple calls to the provider's small model; check the quality on labelled samples first.",
        "routing", TO_BE_CHECKED, premium_models,
        lambda row: f"{_calls(row['items'])} are short, or logged as simple, and cost {_paid(row)}; a small model of the same provider charges "
        f"{formatting.to_the_cent(row['cost'] - row['waste'])} for the same tokens",
    ),
)  # fmt: skip

KINDS: tuple[WasteKind, ...] = (
    *CALL_KINDS,
    WasteKind(
        IDLE_GPU,
        "Idle GPU",
        "Scale to zero after some idle minutes, or move to a smaller GPU.",
        "gpus",
        MEASURED,
        None,
        lambda _: "",
    ),
)

"""Pages of the levers on who answers: another model, or an answer that is there already."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import cast

from analytics import formatting
from analytics.simulators.effect import Effect
from analytics.simulators.embedders import DEFAULT
from analytics.simulators.lever import Lever
from analytics.simulators.lever_page import (
    NO_SAMPLES,
    SHARES,
    STEPS,
    Control,
    LeverPage,
    Setting,
    calls_missing,
    chosen_features,
    features_control,
    no_detail,
    number_of,
    share_of,
)
from analytics.simulators.routing import ModelRouting
from analytics.simulators.routing_effects import routing_effect, routing_lever
from analytics.simulators.semantic_cache import THRESHOLDS, SemanticCache
from analytics.simulators.semantic_cache_effects import hits_at, semantic_cache_effect
from analytics.simulators.situation import Situation
from analytics.simulators.slider import kept_for_good
from analytics.simulators.stored_vectors import STORED
from analytics.simulators.target_models import cheaper_models, models_in_use

NO_CACHE = "No cache"
SPELLING, STORED_WORDS = "Spelling", "Stored vectors of "
LIVES: Mapping[str, float] = {
    "1 min": 60.0, "5 min": 300.0, "10 min": 600.0, "30 min": 1800.0, "1 h": 3600.0, "6 h": 21_600.0, "24 h": 86_400.0, "7 days": 604_800.0,
}  # fmt: skip
SIMILARITIES: Mapping[str, float | None] = {NO_CACHE: None, **{f"{each:.2f}": each for each in reversed(THRESHOLDS)}}
SCOPES: Mapping[str, str] = {"Users of one project": "tenant", "Each user alone": "user", "All users": "shared"}


# Model routing


def _routing_controls(situation: Situation) -> tuple[Control, ...]:
    models = kept_for_good(situation, "models in use", (), lambda: models_in_use(situation))
    default = models[0] if len(models) > 1 else None
    return (
        Control("share", "Easy calls that go to the target", "steps", "50%", "Share of the calls that may be routed, the easiest first: by their "
                "logged complexity where calls carry one, else by the work that is expected of them.", tuple(SHARES), main=True),
        Control("to", "Target model", "choice", default, "A model of this period, a cheaper one of the same providers, or any "
                "other that a price book knows: type provider/model.",
                (*models, *kept_for_good(situation, "cheaper models", (), lambda: cheaper_models(situation))), open=True),
        features_control(situation),
        Control("escalation", "Asked of today's model as well", "number", 5.0, "Routed calls whose weak answer does not do.", high=100, unit="%"),
        Control("retries", "Asked of the target twice", "number", 0.0, "Routed calls that the target must answer again.", high=100, unit="%"),
        Control("output", "Answers of the target", "number", 100.0, "How long its answers are, relative to today's model.", low=5, high=2000,
                step=5, unit="% of today's length"),
        Control("fee", "Router's fee per call", "number", 0.0, "What each scored call costs more.", high=1, step=0.0001, unit="USD"),
    )  # fmt: skip


def _whole_routing(setting: Setting) -> ModelRouting:
    return ModelRouting(
        to=setting["to"] or None,
        threshold=math.inf,
        calls=chosen_features(setting),
        escalation=setting["escalation"] / 100,
        retries=setting["retries"] / 100,
        output_ratio=setting["output"] / 100,
        router_fee=setting["fee"],
    )


def _routing(situation: Situation, setting: Setting) -> ModelRouting:
    whole, share = _whole_routing(setting), share_of(setting)
    if whole.to is None or share == 0:
        return ModelRouting.neutral()
    return routing_lever(whole, situation, share, STEPS)


def _routing_effect(situation: Situation, setting: Setting) -> Effect:
    return routing_effect(_whole_routing(setting), situation, share_of(setting), STEPS)


ROUTING = LeverPage(
    key="routing", kind=ModelRouting,
    lead="Every call that may be routed is repriced at the target's prices; the easiest go first.",
    what="model routing", axis="Share of calls routed", changed="Calls routed", risk="Quality lost",
    controls=_routing_controls, build=_routing, effect=_routing_effect,
    action=lambda setting: f"Sending the easiest {setting['share']} of calls to {setting['to']}",
    quality=lambda _situation, _lever, _setting: f"{NO_SAMPLES}: have the same prompts answered by both models, and compare before routing.",
    missing=calls_missing, detail=no_detail,
)  # fmt: skip


# Semantic cache


def _cache_controls(situation: Situation) -> tuple[Control, ...]:
    return (
        Control("similarity", "Similarity from which questions count as the same", "steps", "0.97", "Cosine of the two texts. Lower finds more, "
                "and more that is wrong. 1.00: equal texts alone.", tuple(SIMILARITIES), main=True),
        Control("life", "Life of an answer", "choice", "24 h", "An answer is served again for so long after it was made.", tuple(LIVES)),
        Control("scope", "Answers are shared by", "choice", "Users of one project", "Answers never cross features and models.", tuple(SCOPES)),
        features_control(situation),
        Control("by", "Compared by", "choice", SPELLING, "Spelling needs no model and misses paraphrases: a lower bound. Vectors that the log "
        "already has "
                "cost nothing more; thresholds belong to one embedder.", (SPELLING, *(f"{STORED_WORDS}{each}" for each in
                situation.workload.heavy.embedders()))),
        Control("embedding", "Embedding price", "number", 0.02, "Each question is embedded to be looked up.", high=1000, step=0.01,
                unit="USD per 1M tokens"),
        Control("fee", "Fee per look-up", "number", 0.0, "What the vector index charges.", high=1, step=0.0001, unit="USD"),
    )  # fmt: skip


def _cache(_situation: Situation, setting: Setting) -> SemanticCache:
    if setting["similarity"] not in SIMILARITIES:
        number_of(setting["similarity"], cast("Mapping[str, float]", SIMILARITIES))
    threshold = SIMILARITIES[setting["similarity"]]
    if threshold is None:
        return SemanticCache.neutral()
    return SemanticCache(
        threshold=threshold,
        ttl_seconds=number_of(setting["life"], LIVES),
        scope=SCOPES.get(setting["scope"], "tenant"),
        calls=chosen_features(setting),
        embedder=_embedder_of(setting["by"]),
        embedding_price=setting["embedding"],
        lookup_fee=setting["fee"],
    )


def _embedder_of(words: str) -> str:
    """The embedder's name for the option's words."""
    stored = words.removeprefix(STORED_WORDS)
    return DEFAULT if stored == words else f"{STORED}:{stored}"


def _cache_effect(situation: Situation, setting: Setting) -> Effect:
    return semantic_cache_effect(_cache(situation, setting), situation, THRESHOLDS)


def _cache_quality(situation: Situation, lever: Lever, _setting: Setting) -> str:
    cache = cast("SemanticCache", lever)
    found = hits_at(cache, situation, THRESHOLDS) if cache.capacity else cache.counted(situation)
    row = found.row()
    if not found.hits:
        return "No call is answered from the cache at this setting."
    if row["false_hit_rate"] is None:
        return f"{NO_SAMPLES}: give calls an answer_id, and wrong hits are counted."
    return (
        f"{formatting.share(row['false_hit_rate'])} of {formatting.count(found.judged_hits)} labelled hits are wrong "
        f"(95%: {formatting.share(row['false_low'])} to {formatting.share(row['false_high'])})."
    )


CACHE = LeverPage(
    key="cache", kind=SemanticCache,
    lead="Calls are replayed in order of time; one whose question was asked before is not made, and saves what it was logged to cost.",
    what="the semantic cache", axis="Similarity", changed="Calls served", risk="Wrong hits",
    controls=_cache_controls, build=_cache, effect=_cache_effect,
    action=lambda setting: f"A semantic cache at similarity {setting['similarity']}",
    quality=_cache_quality, missing=calls_missing, detail=no_detail,
)  # fmt: skip

"""The main settings of each lever as fields to fill in: between a lever and what a form shows of it, both ways.

Settings that have no field keep the value that the lever has, so that a scenario from a file loses nothing by being edited.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from analytics.simulators.lever import Lever, Selection
from analytics.simulators.semantic_cache import SCOPES


@dataclass(frozen=True)
class PlanField:
    """One setting. kind: number, whole (number), switch, choice (of `options`, shown as `option_words`), or model (its name as text).

    What is shown is the lever's value times `scale`; where nothing is filled in, the value is `empty` (words for that: `empty_words`).
    """

    name: str
    label: str
    kind: Literal["number", "whole", "switch", "choice", "model"]
    low: float = 0.0
    high: float = 100.0
    step: float = 1.0
    scale: float = 1.0
    options: tuple[str, ...] = ()
    option_words: tuple[str, ...] = ()
    empty: float | None = None
    empty_words: str | None = None


FIELDS: Mapping[str, tuple[PlanField, ...]] = {
    "model-routing": (
        PlanField("to", "Target model", "model", empty_words="No routing"),
        PlanField("threshold", "Calls with a score below", "number", low=-1000, high=1_000_000, step=0.05, empty=math.inf, empty_words="All calls"),
        PlanField("escalation", "Asked of today's model as well (%)", "number", scale=100),
    ),
    "semantic-cache": (
        PlanField("threshold", "Similarity", "number", low=0.7, high=1, step=0.01),
        PlanField("ttl_seconds", "Life of an answer (hours)", "number", low=0.01, high=100_000, scale=1 / 3600, empty=math.inf,
                  empty_words="For ever"),
        PlanField("scope", "Answers are shared by", "choice", options=SCOPES,
                  option_words=("All users", "Users of one project", "Each user alone")),
    ),
    "prompt-cache": (
        PlanField("ttl", "A prefix stays warm for (seconds)", "number", high=10_000_000, step=60, empty_words="As logged"),
        PlanField("stable_share", "Stable part without fingerprints (%)", "number", high=95, step=5, scale=100),
    ),
    "output-limit": (
        PlanField("cap", "Most tokens of an answer", "number", low=1, high=1_000_000, step=50, empty=math.inf, empty_words="No limit"),
        PlanField("length", "Length of answers (% of today's)", "number", step=5, scale=100),
        PlanField("retry_share", "Cut answers asked again (%)", "number", step=5, scale=100),
    ),
    "batch": (
        PlanField("share", "Waiting calls in batches (%)", "number", step=5, scale=100),
        PlanField("with_users", "Calls of known users may wait too", "switch"),
    ),
    "rag": (
        PlanField("top_k", "Chunks in a prompt", "whole", high=1000),
        PlanField("chunk_tokens", "Tokens of a chunk", "number", low=1, high=1_000_000, step=64),
        PlanField("top_k_today", "Chunks in a prompt today", "whole", high=1000),
        PlanField("chunk_tokens_today", "Tokens of a chunk today", "number", low=1, high=1_000_000, step=64),
    ),
    "gpu-rightsizing": (
        PlanField("gpu", "GPU", "model", empty_words="As today"),
        PlanField("bits", "Bits of a weight", "whole", low=4, high=32, step=4),
        PlanField("target_utilization", "Replicas kept busy (%)", "number", low=5, step=5, scale=100),
        PlanField("min_replicas", "Replicas that always run", "whole", high=10_000),
    ),
    "self-host": (
        PlanField("share", "Calls on an own model (%)", "number", step=5, scale=100),
        PlanField("model", "Model", "model"),
        PlanField("gpu", "GPU", "model"),
        PlanField("batch", "Requests at once", "whole", low=1, high=100_000),
    ),
    "spot": (
        PlanField("price_ratio", "Spot price (% of today's)", "number", step=5, scale=100),
        PlanField("on_demand_share", "Hours that stay on demand (%)", "number", step=5, scale=100),
        PlanField("hours_between", "Hours between interruptions", "number", low=0.01, high=100_000),
    ),
    "committed-use": (
        PlanField("usd_per_hour", "Commitment (USD per hour)", "number", high=1_000_000, step=0.1),
        PlanField("discount", "Discount (%)", "number", step=5, scale=100),
        PlanField("category", "Of", "choice", options=("GPU inference", "LLM API", "Embedding", "Vector database")),
    ),
    "vector-database": (
        PlanField("to", "Moves to", "choice", options=("own", "managed"), option_words=("Own nodes", "A managed service")),
        PlanField("vectors", "Vectors (millions)", "number", high=1_000_000, scale=1e-6),
        PlanField("dimensions", "Dimensions", "whole", low=1, high=100_000, step=128),
        PlanField("copies", "Copies", "whole", low=1, high=100),
    ),
    "switch-off": (PlanField("share", "Calls dropped (%)", "number", step=5, scale=100),),
    "volume": (PlanField("times", "Calls (% of today's)", "number", high=100_000, step=10, scale=100),),
}  # fmt: skip
"""Fields by the lever's name. A lever without an entry can be in a plan, with the settings that its file gives."""


def shown(field: PlanField, lever: Lever) -> Any:
    """What a form shows for this field of the lever; None where it is left empty."""
    value = getattr(lever, field.name)
    if field.kind in {"number", "whole"}:
        if value is None or math.isinf(value):
            return None
        return int(value) if field.kind == "whole" else round(float(value) * field.scale, 6)
    return value


def with_fields(lever: Lever, values: Mapping[str, Any], features: tuple[str, ...] | None = None) -> Lever:
    """The lever with these values of its fields as a form shows them, for calls of these features (None: as it is). What the form shows unchanged
    stays as exact as it was. Raises InputError for what the lever refuses."""
    new: dict[str, Any] = {}
    for field in FIELDS.get(lever.name, ()):
        if field.name not in values or values[field.name] == shown(field, lever):
            continue
        value = values[field.name]
        if field.kind in {"number", "whole"}:
            value = (
                field.empty if value is None else int(value) if field.kind == "whole" else float(value) / field.scale
            )
        new[field.name] = (value or None) if field.kind == "model" else value
    calls = getattr(lever, "calls", None)
    if features is not None and isinstance(calls, Selection) and tuple(features) != calls.feature:
        new["calls"] = replace(calls, feature=tuple(features))
    return replace(lever, **new) if new else lever  # type: ignore[type-var]

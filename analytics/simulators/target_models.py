"""Which models calls could be routed to: those that are in use, and cheaper ones of the same providers that the price books know."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from analytics.simulators.situation import Situation
from warehouse.rates import PriceRow

OUTPUT_SHARE = 0.25
"""Part of output in the price by which models are compared."""

MOST = 40

OTHER_KINDS = (
    "*",
    "audio",
    "realtime",
    "ft:",
    ".ft-",
    "embed",
    "transcribe",
    "tts",
    "image",
    "search",
    "safeguard",
    "instruct",
    "codex",
)
"""Parts of names of models that do not answer as a chat model does."""


def models_in_use(situation: Situation) -> tuple[str, ...]:
    """Models that answer calls of this period at a cost, as provider/model, the cheapest per call first."""
    workload = situation.workload
    answers = workload.active & ~workload.is_embedding & (workload.output_tokens > 0)
    spent, calls = workload.spent(), np.bincount(workload.model[answers], minlength=len(workload.models))
    sums = np.bincount(workload.model[answers], weights=spent[answers], minlength=len(workload.models))
    found = [
        (sums[code] / calls[code], f"{provider}/{model}" if provider else str(model))
        for code, (provider, model) in enumerate(workload.models)
        if model and calls[code] and sums[code] > 0
    ]
    return tuple(name for _, name in sorted(found))


def cheaper_models(situation: Situation) -> tuple[str, ...]:
    """Models of the providers in use that the books know at the end of the period, at a lower price than the dearest model in use, as
    provider/model, the
    cheapest first, at most `MOST`. The price is that of three parts of input and one of output, at the standard price; free models are left out.
    """
    used = models_in_use(situation)
    end = datetime.fromtimestamp(int(situation.window.midnights[-1]) / 1e6, UTC).replace(tzinfo=None)
    prices = _blended(situation.rates.price_rows, {name.split("/")[0] for name in used}, end)
    known = [prices[name] for name in used if name in prices]
    if not known:
        return ()
    found = sorted((price, name) for name, price in prices.items() if 0 < price < max(known) and name not in used)
    # Books write one model's version with a point and with a hyphen: the one with a point is kept.
    names = {name for _, name in found}
    twins = {name.replace(".", "-") for name in names if "." in name}
    return tuple(name for _, name in found if name not in twins)[:MOST]


def _blended(rows: Sequence[PriceRow], providers: set[str], at: datetime) -> dict[str, float]:
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        is_standard = row.processing == "standard" and not row.context_from and row.currency == "USD"
        if not (is_standard and row.valid_from <= at < row.valid_to) or any(part in row.model for part in OTHER_KINDS):
            continue
        if row.provider in providers and row.token_class in ("input", "output"):
            found.setdefault(f"{row.provider}/{row.model}", {})[row.token_class] = float(row.amount)
    return {
        name: by_class["input"] * (1 - OUTPUT_SHARE) + by_class["output"] * OUTPUT_SHARE
        for name, by_class in found.items()
        if len(by_class) == 2
    }

"""A router judged on a file of prompts that both models answered: `percall simulate routing --input FILE`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analytics.simulators.complexity import cross_fitted_scores
from analytics.simulators.embedders import DEFAULT, load_embedder
from analytics.simulators.labelled_file import numbers, read_labelled
from analytics.simulators.price_words import Price
from analytics.simulators.routing_quality import (
    LabelledSample,
    QualityCurve,
    apgr_interval,
    quality_curve,
    routellm_ten,
)
from warehouse.errors import InputError

SCORES = ("length", "embedding")
TOKEN_COLUMNS = {
    "prompt_tokens": ("prompt_tokens", "prompt_tokens_cl100k"),
    "strong_out_tokens": ("strong_out_tokens", "strong_out_tokens_cl100k"),
    "weak_out_tokens": ("weak_out_tokens", "weak_out_tokens_cl100k"),
}
"""Optional columns, and the names under which they are found."""

FEW = 300
"""Below so many prompts the interval is wide: the result says so."""


def simulate_routing_file(
    path: Path | str,
    score: str = "length",
    *,
    strong_price: Price | None = None,
    weak_price: Price | None = None,
    price_of: Callable[[str], Price] | None = None,
    embedder: str = DEFAULT,
    draws: int = 1000,
) -> dict[str, Any]:
    """What a router would have done to quality (and cost) on the prompts of the file.

    Columns: prompt, strong_correct, weak_correct (0 and 1, or a quality as a number); optional prompt_tokens, strong_out_tokens, weak_out_tokens (a
    suffix _cl100k is fine), strong_model and weak_model (one name each; `price_of` gives its price where none is given). Prices are USD per
    1,000,000 input and output tokens. score "length": characters of the prompt, longer goes to
    the strong model. "embedding": nearness to prompts that the weak model failed minus nearness to those that it answered, each half of the file
    scored by centroids of the other half.

    Result, ready for JSON; all shares between 0 and 1: score, n, rejected, strong_accuracy, weak_accuracy, apgr, apgr_interval (95 %,
    bootstrap), cpt50, cpt80 (every distinct threshold), routellm (apgr, cpt20, cpt50, cpt80 by RouteLLM's ten quantiles), baselines (random, and
    length beside another score), costs (strong, weak: USD of the sample; aiq; hull; None without tokens and prices), curve (points from all-weak
    to all-strong: threshold, strong_share, quality, pgr, cost per call), notes. apgr and cpt are None when the strong model is no better in the
    sample.

    Raises InputError for an unknown score, negative prices and a file that cannot be used; rows without prompt or labels are rejected and counted.
    """
    if score not in SCORES:
        raise InputError(f"prompts are scored by {' or '.join(SCORES)}, not by {score!r}")
    for price in (strong_price, weak_price):
        if price is not None and not all(0 <= each < float("inf") for each in price):
            raise InputError("prices must be numbers that are not negative, in USD per 1,000,000 tokens")
    table = read_labelled(path, ("prompt", "strong_correct", "weak_correct"))
    strong, weak = numbers(table["strong_correct"]), numbers(table["weak_correct"])
    keep = (table["prompt"].str.strip() != "") & strong.notna() & weak.notna()
    if not keep.any():
        raise InputError("no row has a prompt and both strong_correct and weak_correct as numbers", file=str(path))
    strong_price = strong_price or _price_of_column(table[keep], "strong_model", price_of)
    weak_price = weak_price or _price_of_column(table[keep], "weak_model", price_of)
    costs = _costs(table[keep], strong_price, weak_price)
    sample = LabelledSample(strong[keep].to_numpy(), weak[keep].to_numpy(), *costs)
    prompts = table.loc[keep, "prompt"].tolist()
    length = prompt_lengths(prompts)
    values = length
    if score == "embedding":
        values = cross_fitted_scores(prompts, sample.weak, load_embedder(embedder))
    curve = quality_curve(values, sample)
    interval = apgr_interval(values, sample, draws=draws)
    return {
        "score": score,
        "n": len(sample),
        "rejected": int((~keep).sum()),
        "strong_accuracy": float(sample.strong.mean()),
        "weak_accuracy": float(sample.weak.mean()),
        **_figures(curve),
        "apgr_interval": None if interval is None else list(interval),
        "routellm": routellm_ten(values, sample),
        "baselines": {
            "random": {"apgr": 0.5, "cpt50": 0.5, "cpt80": 0.8},
            "length": _figures(quality_curve(length, sample)),
        },
        "costs": _cost_figures(curve, sample),
        "curve": curve.points(),
        "notes": _notes(sample, interval) + _cost_notes(sample, strong_price, weak_price),
    }


def prompt_lengths(prompts: list[str]) -> NDArray[np.float64]:
    """Characters per prompt: the baseline that a router has to beat."""
    return np.array([len(prompt) for prompt in prompts], dtype=np.float64)


def _figures(curve: QualityCurve) -> dict[str, Any]:
    return {"apgr": curve.apgr, "cpt50": curve.cpt(0.5), "cpt80": curve.cpt(0.8)}


def _price_of_column(table: pd.DataFrame, column: str, price_of: Callable[[str], Price] | None) -> Price | None:
    """The price of the one model that the column names; None where there is no such column."""
    if price_of is None or column not in table.columns:
        return None
    names = sorted(set(table[column].str.strip()) - {""})
    if len(names) > 1:
        raise InputError(f"{column} names {len(names)} models ({', '.join(names[:3])}): one router has one of them")
    return price_of(names[0]) if names else None


def _costs(
    table: pd.DataFrame, strong_price: Price | None, weak_price: Price | None
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    """USD per prompt for both models; nothing unless every prompt has its tokens and both prices are given."""
    columns = {
        name: next((column for column in names if column in table.columns), None)
        for name, names in TOKEN_COLUMNS.items()
    }
    if strong_price is None or weak_price is None or None in columns.values():
        return None, None
    tokens = {name: numbers(table[str(column)]) for name, column in columns.items()}
    if any(values.isna().any() or (values < 0).any() for values in tokens.values()):
        raise InputError("with prices, every prompt needs its token counts as numbers that are not negative")

    def priced(price: Price, output: str) -> NDArray[np.float64]:
        return ((tokens["prompt_tokens"] * price[0] + tokens[output] * price[1]) / 1_000_000).to_numpy()

    return priced(strong_price, "strong_out_tokens"), priced(weak_price, "weak_out_tokens")


def _cost_figures(curve: QualityCurve, sample: LabelledSample) -> dict[str, Any] | None:
    if sample.strong_cost is None or sample.weak_cost is None:
        return None
    cost, quality = curve.hull()
    return {
        "strong": float(sample.strong_cost.sum()),
        "weak": float(sample.weak_cost.sum()),
        "aiq": curve.aiq,
        "hull": [{"cost": one, "quality": other} for one, other in zip(cost.tolist(), quality.tolist(), strict=True)],
    }


def _cost_notes(sample: LabelledSample, strong_price: Price | None, weak_price: Price | None) -> list[str]:
    """Why costs are not known, where a price says that somebody wants them."""
    if sample.strong_cost is not None or (strong_price is None and weak_price is None):
        return []
    if strong_price is None or weak_price is None:
        return ["Costs need the prices of both models."]
    return [f"Costs need the token counts of every prompt: the columns {', '.join(TOKEN_COLUMNS)}."]


def _notes(sample: LabelledSample, interval: tuple[float, float] | None) -> list[str]:
    notes = ["The thresholds are judged on the prompts they are swept over: calibrate on others before use."]
    if not sample.has_gap:
        notes.append("The strong model is no better than the weak one on this sample: there is no gap to recover.")
    if interval is not None and interval[0] <= 0.5:
        notes.append("This router cannot be told from drawing lots on this sample.")
    if len(sample) < FEW:
        notes.append(f"{len(sample)} prompts are few: label at least {FEW} for a usable interval.")
    return notes

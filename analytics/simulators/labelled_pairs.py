"""What a threshold is worth on pairs of texts that someone judged: same question or not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analytics.simulators.embedding import HASHED, Embedder, HashedCharacters
from analytics.simulators.near_duplicates import pair_cosines
from analytics.simulators.text_normalisation import normalised_texts
from analytics.simulators.wilson import wilson
from warehouse.errors import InputError

THRESHOLDS = (0.95, 0.92, 0.88, 0.80, 0.70)


def threshold_table(
    left: Sequence[str],
    right: Sequence[str],
    same: Sequence[int] | NDArray[np.integer],
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    normalize: str = "raw",
    embedder: Embedder | HashedCharacters = HASHED,
) -> pd.DataFrame:
    """Per threshold what a cache would have taken for the same.

    Columns: threshold, pairs (at or above it), same (of those, judged the same), precision (same / pairs; None without pairs), low, high (95 %,
    Wilson), recall (same / all that are the same; None when none is).
    """
    truth = _truth(same, len(left))
    cosines = pair_cosines(normalised_texts(left, normalize), normalised_texts(right, normalize), embedder)
    rows = []
    for threshold in thresholds:
        above = cosines >= threshold
        pairs, right_ones = int(above.sum()), int((above & truth).sum())
        low, high = wilson(right_ones, pairs) or (None, None)
        rows.append(
            {
                "threshold": threshold,
                "pairs": pairs,
                "same": right_ones,
                "precision": right_ones / pairs if pairs else None,
                "low": low,
                "high": high,
                "recall": right_ones / int(truth.sum()) if truth.any() else None,
            }
        )
    columns = ["threshold", "pairs", "same", "precision", "low", "high", "recall"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def separation(cosines: NDArray[np.floating], same: Sequence[int] | NDArray[np.integer]) -> float:
    """The chance that a pair that is the same is more alike than one that is not (area under the ROC curve; equals count half).

    Raises InputError unless there are pairs of both kinds.
    """
    truth = _truth(same, len(cosines))
    if truth.all() or not truth.any():
        raise InputError("judged pairs of both kinds are needed: the same, and not the same")
    _, inverse, counts = np.unique(cosines, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positive = int(truth.sum())
    return float((rank[truth].sum() - positive * (positive + 1) / 2) / (positive * (len(truth) - positive)))


def safe_threshold(table: pd.DataFrame, precision: float = 0.99) -> float | None:
    """The lowest threshold of the table from which on all thresholds have at least this precision; None when none has."""
    safe = None
    for row in table.sort_values("threshold", ascending=False).to_dict("records"):
        if row["precision"] is not None:
            if row["precision"] < precision:
                break
            safe = float(row["threshold"])
    return safe


def _truth(same: Sequence[int] | NDArray[np.integer], size: int) -> NDArray[np.bool_]:
    values = np.asarray(same)
    if len(values) != size or not np.isin(values, (0, 1)).all():
        raise InputError("every pair needs a label: 1 the same, 0 not the same")
    return values.astype(bool)

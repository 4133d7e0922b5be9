"""What a threshold is worth on pairs of texts that someone judged: same question or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analytics.simulators.embedding import HASHED, Embedder, HashedCharacters
from analytics.simulators.labelled_file import numbers, read_labelled
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


PAIR_LABELS = ("same", "label")
"""Names of the column that says whether both texts ask the same."""


@dataclass(frozen=True, eq=False)
class JudgedPairs:
    """Pairs of texts of a file that someone judged; same: 1 or 0. rejected: rows without both texts or without a label."""

    left: tuple[str, ...]
    right: tuple[str, ...]
    same: NDArray[np.int64]
    rejected: int

    def __len__(self) -> int:
        return len(self.left)

    def separation(self, normalize: str, embedder: Embedder | HashedCharacters) -> float | None:
        """`separation` of the pairs after normalising; None where all have one label."""
        if self.same.all() or not self.same.any():
            return None
        left, right = normalised_texts(self.left, normalize), normalised_texts(self.right, normalize)
        return separation(pair_cosines(left, right, embedder), self.same)


def read_pairs(path: Path | str) -> JudgedPairs:
    """Read judged pairs: columns text_a, text_b and same (or label): 1 or 0, true or false. CSV (gz too), JSON lines or Parquet.

    Raises InputError when the file cannot be read, lacks a column or has no row that can be used.
    """
    table = read_labelled(path, ("text_a", "text_b"))
    name = next((each for each in PAIR_LABELS if each in table.columns), None)
    if name is None:
        raise InputError("a column same must say 1 or 0: whether both texts ask the same", file=str(path))
    label = numbers(table[name])
    keep = (table["text_a"].str.strip() != "") & (table["text_b"].str.strip() != "") & label.isin([0.0, 1.0])
    if not keep.any():
        raise InputError(f"no row has text_a, text_b and {name} as 1 or 0", file=str(path))
    return JudgedPairs(
        tuple(table.loc[keep, "text_a"]),
        tuple(table.loc[keep, "text_b"]),
        label[keep].to_numpy().astype(np.int64),
        int((~keep).sum()),
    )

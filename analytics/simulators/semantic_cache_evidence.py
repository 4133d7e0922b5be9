"""Which questions a semantic cache would take for the same: pairs to read before believing a threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from analytics.simulators.near_duplicates import Neighbours
from analytics.simulators.semantic_cache import SemanticCache
from analytics.simulators.situation import Situation

COLUMNS = ("feature", "asked", "answered_by", "similarity", "hits", "same_answer")


def shared_answers(lever: SemanticCache, situation: Situation, limit: int = 50) -> pd.DataFrame:
    """Pairs of different questions of which one would be answered with the other's answer, the least alike first: there a threshold errs.

    Columns: feature; asked and answered_by (the normalised texts); similarity (cosine by the lever's embedder); hits (calls of the pair that the
    cache
    answers); same_answer (True or False where calls of both are labelled, else None). Questions of the same words are left out, and so are calls
    without a
    kept text. Empty without hits.
    """
    if not lever.capacity or lever.match != "text":
        return pd.DataFrame(columns=list(COLUMNS), dtype=object)
    prepared, answers = lever._prepared(situation), lever._answers(situation)
    _, neighbours, _, texts = lever._numbered(situation)
    hit = np.flatnonzero(answers >= 0)
    asked, source = prepared.queries.text[hit], prepared.queries.text[answers[hit]]
    differs = (asked != source) & (asked < len(texts)) & (source < len(texts))
    hit, asked, source = hit[differs], asked[differs], source[differs]
    pairs, first, counts = np.unique(
        np.column_stack([asked, source]), axis=0, return_index=True, return_counts=True
    )  # fmt: skip
    similarity = np.array([_cosine(neighbours, one, other) for one, other in pairs.tolist()])
    order = np.lexsort((-counts, np.round(similarity, 6)))[:limit]
    label = prepared.label
    feature = situation.workload.names["feature"]
    rows: list[dict[str, Any]] = []
    for place in order.tolist():
        at = int(hit[first[place]])
        mine, others = int(label[at]), int(label[answers[at]])
        code = int(situation.workload.feature[prepared.places[at]])
        rows.append(
            {
                "feature": feature[code] if code >= 0 else None,
                "asked": texts[int(pairs[place][0])],
                "answered_by": texts[int(pairs[place][1])],
                "similarity": float(similarity[place]),
                "hits": int(counts[place]),
                "same_answer": None if mine < 0 or others < 0 else mine == others,
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)


def _cosine(neighbours: Neighbours, one: int, other: int) -> float:
    mine = slice(int(neighbours.offsets[one]), int(neighbours.offsets[one + 1]))
    found = np.flatnonzero(neighbours.texts[mine] == other)
    return float(neighbours.cosines[mine][found[0]]) if len(found) else 1.0

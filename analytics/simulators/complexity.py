"""How hard each prompt is, as a router would have to guess it before any answer exists. A higher score means harder.

* ``logged``: the label `complexity` that the gateway's own router wrote.
* ``examples``: prompts are embedded; nearness to the mean of hard examples minus nearness to the mean of simple ones (cosines, -1 to 1). Needs kept
  texts and a few example prompts of both kinds.
* ``work``: without either, what calls like this one cost in work: the mean output of the calls of the same feature and about the same length of
  input (quarter octaves; few calls lean to their feature's mean), as a rank from 0 to 1 among all calls that are scored. It knows nothing of the
  prompt's words and is a rough order, no judgement.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.simulators.embedding import PLACES, Embedder, HashedCharacters, SparseVectors
from analytics.simulators.workload import Workload
from warehouse.errors import InputError

Floats = NDArray[np.float64]
SOURCES = ("auto", "logged", "examples", "work")
_BUCKETS = 128
_LEAN = 20.0
"""So many calls of the feature's mean are added to each cell, so that a cell of one call says little."""


@dataclass(frozen=True, eq=False)
class Centroids:
    """Directions of simple and of hard prompts, each of length 1, for one embedder."""

    embedder: Embedder | HashedCharacters
    simple: Floats
    hard: Floats

    def scores(self, texts: Sequence[str]) -> Floats:
        """Nearness to hard minus nearness to simple prompts, per text; a text without content has 0."""
        return _projected(_vectors(texts, self.embedder), self.hard - self.simple)


def centroids(simple: Sequence[str], hard: Sequence[str], embedder: Embedder | HashedCharacters) -> Centroids:
    """Centroids of example prompts. Raises InputError unless there is content of both kinds."""
    if not len(simple) or not len(hard):
        raise InputError("a router by examples needs prompts of both kinds: simple and hard")
    return Centroids(embedder, _direction(_vectors(simple, embedder)), _direction(_vectors(hard, embedder)))


def cross_fitted_scores(
    prompts: Sequence[str], weak_quality: NDArray[np.floating], embedder: Embedder | HashedCharacters
) -> Floats:
    """Scores of labelled prompts that no prompt's own label made: each half is scored by centroids of the other.

    Halves go by a checksum of the prompt, so that equal prompts share one. Hard are prompts whose weak answer is worse than the weak
    answers' mean, or, where all are alike, none: then every score is 0.
    """
    half = np.array([zlib.crc32(prompt.encode("utf-8", "surrogatepass")) & 1 for prompt in prompts], dtype=bool)
    is_hard = weak_quality < weak_quality.mean()
    scores = np.zeros(len(prompts))
    for side in (False, True):
        learn, judge = (np.flatnonzero(chosen).tolist() for chosen in (half != side, half == side))
        groups = [[prompts[place] for place in learn if is_hard[place] == kind] for kind in (False, True)]
        if len(judge) and all(groups):
            fitted = centroids(groups[0], groups[1], embedder)
            scores[judge] = fitted.scores([prompts[place] for place in judge])
    return scores


def logged_complexity(workload: Workload) -> Floats:
    """The logged label `complexity` per call; NaN where it is not logged."""
    return workload.heavy.numbers("complexity").astype(np.float64)


def example_complexity(
    workload: Workload, simple: Sequence[str], hard: Sequence[str], embedder: Embedder | HashedCharacters
) -> Floats:
    """Scores by examples for the calls whose text is kept; NaN for all others. Each distinct text is embedded once."""
    texts = workload.heavy.texts()
    scores = centroids(simple, hard, embedder).scores(texts.names) if texts.names else np.zeros(0)
    return np.append(scores, np.nan)[texts.codes]


def expected_work(workload: Workload, where: NDArray[np.bool_]) -> Floats:
    """The score ``work`` of the calls of the mask, 0 to 1; NaN for all others."""
    scores = np.full(len(workload), np.nan)
    at = np.flatnonzero(where)
    if not len(at):
        return scores
    output = workload.output_tokens[at].astype(np.float64) + workload.reasoning_tokens[at]
    weight = workload.weight[at]
    feature = workload.feature[at].astype(np.int64) + 1
    octave = np.minimum(4 * np.log2(1 + workload.input_tokens[at]), _BUCKETS - 1).astype(np.int64)
    cell = feature * _BUCKETS + octave
    size = int(cell.max()) + 1
    count, work = np.bincount(cell, weight, minlength=size), np.bincount(cell, weight * output, minlength=size)
    feature_mean = np.bincount(feature, weight * output) / np.maximum(np.bincount(feature, weight), 1e-9)
    expected = (work + _LEAN * feature_mean[np.arange(size) // _BUCKETS]) / (count + _LEAN)
    used = np.flatnonzero(count > 0)
    _, tied = np.unique(expected[used], return_inverse=True)
    mass = np.bincount(tied, count[used])
    # The middle of what is tied: half of it counts as below.
    rank = np.zeros(size)
    rank[used] = ((np.cumsum(mass) - mass / 2) / mass.sum())[tied]
    scores[at] = rank[cell]
    return scores


def _vectors(texts: Sequence[str], embedder: Embedder | HashedCharacters) -> SparseVectors | NDArray[np.float32]:
    return embedder.vectors(texts) if isinstance(embedder, HashedCharacters) else embedder.embed(list(texts))


def _direction(vectors: SparseVectors | NDArray[np.float32]) -> Floats:
    if isinstance(vectors, SparseVectors):
        total = np.bincount(vectors.places, weights=vectors.unit_values, minlength=PLACES)
    else:
        total = vectors.sum(axis=0, dtype=np.float64)
    length = float(np.linalg.norm(total))
    if not length:
        raise InputError("the example prompts have no content to compare with")
    return np.asarray(total / length)


def _projected(vectors: SparseVectors | NDArray[np.float32], on: Floats) -> Floats:
    if isinstance(vectors, SparseVectors):
        sums = np.bincount(vectors.rows, vectors.unit_values * on[vectors.places], minlength=len(vectors))
        return sums.astype(np.float64)
    return np.asarray(vectors.astype(np.float64) @ on)

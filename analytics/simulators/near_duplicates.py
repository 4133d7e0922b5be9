"""Which texts are alike: every pair of distinct texts with a cosine of at least a floor, found once, so that thresholds above it only filter.

The join is exact. Sparse vectors are first compared through a bound: places are folded into `FOLDS` buckets, each holding the length of the
vector's part in it, and by the inequality of Cauchy and Schwarz, bucket by bucket, the product of the folded vectors is never below the
cosine. Few pairs pass, and those are computed in double precision, in the order of the places, as a sparse matrix product does. Time grows with
the square of the number of texts (on two busy cores 10,000 questions took 1.3 to 3.5 s, 20,000 about 10 s).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.simulators.embedding import PLACES, Embedder, HashedCharacters, SparseVectors
from warehouse.errors import InputError

FOLDS = 256
FLOOR = 0.70
"""The lowest threshold of the cache slider."""

_BLOCK = 1024
_SLACK = 1e-5
"""What single precision may lose in a product of vectors of length 1."""

Pairs = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Texts alike by at least `floor`, in compressed rows, both directions, the most alike first.

    Text i has the neighbours `texts[offsets[i]:offsets[i + 1]]` with cosines `cosines[...]`; itself is not among them. Of equally alike texts
    the one whose first place shared with text i is the highest stands first, then the one with the highest number: the order in which a sparse
    matrix product (Gustavson's algorithm) lists them, which the published stream figures rest on. Dense vectors share all places: the highest
    number first.
    """

    offsets: NDArray[np.int64]
    texts: NDArray[np.int32]
    cosines: NDArray[np.float64]
    floor: float

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def rows(self) -> NDArray[np.int64]:
        """The text of each element."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def at_least(self, threshold: float) -> Neighbours:
        """Only neighbours at or above a threshold. Raises InputError below the floor, where nothing was looked for."""
        if threshold < self.floor:
            raise InputError(f"neighbours were only looked for down to {self.floor:g}, not {threshold:g}")
        return self._kept(self.cosines >= threshold)

    def within(self, group: NDArray[np.integer]) -> Neighbours:
        """Only neighbours of the same group (a number per text): texts that differ in their figures, for one."""
        return self._kept(group[self.rows] == group[self.texts])

    def _kept(self, keep: NDArray[np.bool_]) -> Neighbours:
        counts = np.bincount(self.rows[keep], minlength=len(self))
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return Neighbours(offsets, self.texts[keep], self.cosines[keep], self.floor)


def no_neighbours(size: int, floor: float = FLOOR) -> Neighbours:
    """Texts of which none is like another."""
    return Neighbours(np.zeros(size + 1, np.int64), np.zeros(0, np.int32), np.zeros(0), floor)


def find_neighbours(texts: Sequence[str], embedder: Embedder | HashedCharacters, floor: float = FLOOR) -> Neighbours:
    """All pairs of these distinct texts with a cosine of at least `floor` (0.5 to 1) by the embedder."""
    if not 0.5 <= floor <= 1:
        raise InputError(f"the lowest similarity must lie between 0.5 and 1, not {floor:g}")
    if len(texts) < 2:
        return no_neighbours(len(texts), floor)
    if isinstance(embedder, HashedCharacters):
        vectors = embedder.vectors(texts)
        first, second = _sparse_candidates(vectors, floor)
        cosines, shared = exact_cosines(vectors, first, second)
        keep = cosines >= floor
        first, second, cosines, shared = first[keep], second[keep], cosines[keep], shared[keep]
    else:
        first, second, cosines = _dense_pairs(_embedded(embedder, texts), floor)
        shared = np.zeros(len(first), dtype=np.int32)
    rows, others = np.concatenate([first, second]), np.concatenate([second, first])
    both = np.concatenate([cosines, cosines])
    order = np.lexsort((-others, -np.concatenate([shared, shared]), -both, rows))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(texts)))]).astype(np.int64)
    return Neighbours(offsets, others[order], both[order], floor)


def pair_cosines(
    left: Sequence[str], right: Sequence[str], embedder: Embedder | HashedCharacters
) -> NDArray[np.float64]:
    """The cosine of `left[i]` and `right[i]`; 0 where one of them is empty."""
    if len(left) != len(right):
        raise InputError(f"{len(left)} texts cannot be paired with {len(right)}")
    number: dict[str, int] = {}
    first, second = (
        np.array([number.setdefault(t, len(number)) for t in side], dtype=np.int64) for side in (left, right)
    )
    if isinstance(embedder, HashedCharacters):
        return exact_cosines(embedder.vectors(list(number)), first, second)[0]
    vectors = _embedded(embedder, list(number))
    return np.einsum("ij,ij->i", vectors[first], vectors[second], dtype=np.float64)


def exact_cosines(
    vectors: SparseVectors, first: NDArray[np.integer], second: NDArray[np.integer]
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Cosines of the rows `first[i]` and `second[i]`, and the lowest place that both have (-1: none)."""
    _, places = np.unique(vectors.places, return_inverse=True)
    values, offsets, lengths = vectors.unit_values, vectors.offsets, np.diff(vectors.offsets)
    scratch = np.zeros(int(places.max(initial=-1)) + 1)
    cosines, shared = np.zeros(len(first)), np.full(len(first), -1, dtype=np.int32)
    # A text without n-grams has no neighbour, and a sum over an empty list would take the next list's.
    filled = np.flatnonzero((lengths[first] > 0) & (lengths[second] > 0))
    order = filled[np.argsort(first[filled], kind="stable")]
    bounds = np.flatnonzero(np.diff(first[order], prepend=-1, append=-1) != 0)
    for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        pairs = order[start:end]
        row = int(first[pairs[0]])
        mine = slice(int(offsets[row]), int(offsets[row + 1]))
        scratch[places[mine]] = values[mine]
        others = second[pairs]
        size = lengths[others]
        ends = np.cumsum(size)
        at = np.repeat(offsets[others] - (ends - size), size) + np.arange(int(ends[-1]))
        weight = scratch[places[at]]
        # Sums one after the other, from the lowest place on, so that a cosine has the same last digit from either side.
        cosines[pairs] = np.bincount(np.repeat(np.arange(len(pairs)), size), weight * values[at], minlength=len(pairs))
        lowest = np.minimum.reduceat(np.where(weight > 0, vectors.places[at], PLACES), ends - size)
        shared[pairs] = np.where(lowest < PLACES, lowest, -1)
        scratch[places[mine]] = 0
    return cosines, shared


def _sparse_candidates(vectors: SparseVectors, floor: float) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    size, rows = len(vectors), vectors.rows
    bucket = (vectors.places.astype(np.int64) * 2654435761 >> 7) % FOLDS
    squares = np.bincount(rows * FOLDS + bucket, weights=vectors.counts.astype(np.float64) ** 2, minlength=size * FOLDS)
    length = np.sqrt(np.maximum(vectors.squares, 1)).reshape(-1, 1)
    folded = (np.sqrt(squares).reshape(size, FOLDS) / length).astype(np.float32)
    first, second, _ = _dense_pairs(folded, floor - _SLACK)
    return first, second


def _dense_pairs(vectors: NDArray[np.float32], floor: float) -> Pairs:
    """Pairs (first < second) of rows with a product of at least `floor`."""
    firsts, seconds, products = [], [], []
    for start in range(0, len(vectors), _BLOCK):
        product = vectors[start : start + _BLOCK] @ vectors[start:].T
        row, column = np.nonzero(product >= floor)
        keep = column > row
        row, column = row[keep], column[keep]
        firsts.append((row + start).astype(np.int32))
        seconds.append((column + start).astype(np.int32))
        products.append(product[row, column].astype(np.float64))
    return np.concatenate(firsts), np.concatenate(seconds), np.concatenate(products)


def _embedded(embedder: Embedder, texts: Sequence[str]) -> NDArray[np.float32]:
    vectors = np.ascontiguousarray(embedder.embed(list(texts)), dtype=np.float32)
    if vectors.ndim != 2 or len(vectors) != len(texts):
        raise InputError(f"{embedder.id} gave {len(vectors)} vectors for {len(texts)} texts")
    lengths = np.linalg.norm(vectors, axis=1)
    if not np.all((np.abs(lengths - 1) < 1e-3) | (lengths == 0)):
        raise InputError(f"the vectors of {embedder.id} must have length 1")
    return vectors

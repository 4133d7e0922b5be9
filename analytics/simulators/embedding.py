"""Vectors of texts: what makes them, and the default that needs neither a download nor a network.

`HashedCharacters` counts the 3- to 5-grams of characters within words, hashed into 2**20 places (murmurhash3, 32 bits): the same vectors, to the
bit, as scikit-learn's HashingVectorizer(analyzer="char_wb", ngram_range=(3, 5), n_features=2**20, alternate_sign=False, norm="l2").
Nothing is fitted, so the same text has the same vector everywhere. It sees spelling, not meaning: paraphrases in other words are missed (a lower
bound), look-alikes are taken for the same (measure false hits).

Thresholds belong to one embedder: 0.92 of a neural model says nothing about 0.92 here, and vectors of two embedders are never compared.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from warehouse.errors import InputError

NGRAMS = (3, 4, 5)
PLACES = 2**20
_SPACES = re.compile(r"\s\s+")


@runtime_checkable
class Embedder(Protocol):
    """What turns texts into dense vectors. `id` and `version` name the model: vectors that differ in them are never compared."""

    @property
    def id(self) -> str:
        """Names the kind and the model."""

    @property
    def version(self) -> str:
        """Of what makes the vectors."""

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        """Vectors of length 1, one row per text. Raises InputError when the model cannot be used."""


@dataclass(frozen=True, eq=False)
class SparseVectors:
    """Counts per text in compressed rows: text i has `counts[offsets[i]:offsets[i + 1]]` in the places `places[...]`, which rise.

    squares: the squared length of each row of counts, 0 for a text without n-grams.
    """

    offsets: NDArray[np.int64]
    places: NDArray[np.int32]
    counts: NDArray[np.int32]
    squares: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def unit_values(self) -> NDArray[np.float64]:
        """The values of the vectors of length 1, in the order of `places`."""
        return self.counts / np.repeat(np.sqrt(self.squares), np.diff(self.offsets))

    @property
    def rows(self) -> NDArray[np.int64]:
        """The row of each element."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))


@dataclass(frozen=True)
class HashedCharacters:
    """The offline default; see the module."""

    id: str = "hashed-characters"
    version: str = "char_wb 3-5, 2**20, murmurhash3"

    def vectors(self, texts: Sequence[str]) -> SparseVectors:
        """Sparse vectors of the texts, lower-cased first, one row per text."""
        word_code: dict[str, int] = {}
        codes: list[int] = []
        lengths = np.empty(len(texts), dtype=np.int64)
        for row, text in enumerate(texts):
            words = _SPACES.sub(" ", text.lower()).split()
            lengths[row] = len(words)
            codes += [word_code.setdefault(word, len(word_code)) for word in words]
        word_offsets, word_places = _words_places(list(word_code))
        at = np.array(codes, dtype=np.int64)
        rows, places = _gathered(np.repeat(np.arange(len(texts)), lengths), at, word_offsets, word_places)
        keys, counts = np.unique(rows * PLACES + places, return_counts=True)
        rows, places = keys // PLACES, keys % PLACES
        offsets = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(texts)))]).astype(np.int64)
        squares = np.bincount(rows, weights=counts.astype(np.float64) ** 2, minlength=len(texts))
        return SparseVectors(offsets, places.astype(np.int32), counts.astype(np.int32), squares.astype(np.int64))


HASHED = HashedCharacters()
"""The offline default."""


def murmurhash3(words: NDArray[np.uint8], seed: int = 0) -> NDArray[np.uint32]:
    """MurmurHash3 x86 32-bit (Austin Appleby, public domain) of rows of bytes of one length: uint8 [row, byte] -> uint32 [row]."""
    size, length = words.shape
    state = np.full(size, seed, dtype=np.uint32)
    whole = length // 4 * 4
    blocks = np.ascontiguousarray(words[:, :whole]).view("<u4").astype(np.uint32)
    with np.errstate(over="ignore"):
        for block in blocks.T:
            state ^= _scrambled(block)
            state = _turned(state, 13) * np.uint32(5) + np.uint32(0xE6546B64)
        if length > whole:
            tail = np.zeros(size, dtype=np.uint32)
            for place in range(whole, length):
                tail |= words[:, place].astype(np.uint32) << np.uint32(8 * (place - whole))
            state ^= _scrambled(tail)
        state ^= np.uint32(length)
        state ^= state >> np.uint32(16)
        state *= np.uint32(0x85EBCA6B)
        state ^= state >> np.uint32(13)
        state *= np.uint32(0xC2B2AE35)
        state ^= state >> np.uint32(16)
    return state


def _scrambled(block: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return _turned(block * np.uint32(0xCC9E2D51), 15) * np.uint32(0x1B873593)


def _turned(value: NDArray[np.uint32], by: int) -> NDArray[np.uint32]:
    return (value << np.uint32(by)) | (value >> np.uint32(32 - by))


def _words_places(words: list[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The places of each word's n-grams, blank at both ends included: offsets and places in compressed rows."""
    grams: dict[bytes, int] = {}
    codes: list[int] = []
    lengths = np.zeros(len(words), dtype=np.int64)
    for row, word in enumerate(words):
        padded = f" {word} "
        before = len(codes)
        for size in NGRAMS:
            # A word shorter than the n-gram counts once, as itself, with its first size alone.
            if size > len(padded):
                break
            codes += [
                grams.setdefault(padded[start : start + size].encode("utf-8", "surrogatepass"), len(grams))
                for start in range(len(padded) - size + 1)
            ]
            if size == len(padded):
                break
        lengths[row] = len(codes) - before
    places = _hashed_places(list(grams))
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), places[np.array(codes, dtype=np.int64)]


def _hashed_places(grams: list[bytes]) -> NDArray[np.int64]:
    places = np.zeros(len(grams), dtype=np.int64)
    sizes = np.array([len(gram) for gram in grams], dtype=np.int64)
    for size in np.unique(sizes).tolist():
        at = np.flatnonzero(sizes == size)
        raw = np.frombuffer(b"".join(grams[place] for place in at.tolist()), dtype=np.uint8).reshape(-1, size)
        signed = murmurhash3(raw).view(np.int32).astype(np.int64)
        # The absolute value of a signed hash, as the hashing trick with dropped signs has it.
        places[at] = np.abs(signed) % PLACES
    return places


def _gathered(
    rows: NDArray[np.int64], codes: NDArray[np.int64], offsets: NDArray[np.int64], values: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The values of the list `codes[k]`, each with the row `rows[k]`."""
    lengths = np.diff(offsets)[codes]
    starts = offsets[:-1][codes]
    ends = np.cumsum(lengths)
    at = np.repeat(starts - (ends - lengths), lengths) + np.arange(int(ends[-1]) if len(ends) else 0)
    return np.repeat(rows, lengths), values[at]


@dataclass(frozen=True, eq=False)
class StoredVectors:
    """Vectors that the log already carries, by text: `call_texts.vector`, made by the embedder `id`."""

    id: str
    texts: Sequence[str]
    stored: NDArray[np.float32]
    version: str = "stored"

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        """The stored vectors of these texts, of length 1. Raises InputError that counts the texts without one."""
        known = {text: row for row, text in enumerate(self.texts)}
        missing = [text for text in texts if text not in known]
        if missing:
            raise InputError(f"{len(missing)} of {len(texts)} texts have no stored vector of {self.id}")
        return unit_rows(self.stored[[known[text] for text in texts]])


def unit_rows(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """The rows scaled to length 1; rows of zeros stay zeros. Raises InputError for rows that hold no numbers."""
    vectors = np.asarray(vectors, dtype=np.float64)
    if vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise InputError("an embedder must give one row of numbers per text")
    lengths = np.sqrt((vectors**2).sum(axis=1, keepdims=True))
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0).astype(np.float32)

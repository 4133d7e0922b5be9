"""A semantic cache: calls whose question was asked before, in the same or nearly the same words, are answered from a store.

The calls are replayed in order of time (`analytics.simulators.cache_replay`); a hit is a call that is not made, and saves what it was logged to
cost, never a share of the bill: hits are cheap calls. Answers never cross the feature, the model and the scope. What it adds: an embedding per
call with a text, and a fee per look-up. A wrong hit costs trust, which no bill shows: where calls carry `answer_id`, false hits are counted
beside hits.

Calls without a kept text take part by their input's hash: an input whose text was kept elsewhere counts as that text, any other finds equal inputs
alone, a lower bound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analytics.simulators.cache_replay import FOREVER, CacheReplay, Queries, graph_of
from analytics.simulators.embedders import DEFAULT, load_embedder
from analytics.simulators.embedding import Embedder, HashedCharacters, StoredVectors
from analytics.simulators.lever import EVERY_CALL, Selection, checked, lever
from analytics.simulators.near_duplicates import FLOOR, Neighbours, find_neighbours, no_neighbours
from analytics.simulators.situation import Situation
from analytics.simulators.stored_vectors import chosen_vectors, is_stored, renamed
from analytics.simulators.text_normalisation import checked_step, normalised_texts, numbers_of
from analytics.simulators.wilson import wilson
from analytics.simulators.workload import EMBEDDING, Workload
from warehouse.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

SCOPES = ("shared", "tenant", "user")
MATCHES = ("text", "answer")
MOST_TEXTS = 20_000
"""Distinct texts that are compared with each other, the most asked first; all others are found again by equal words alone."""

THRESHOLDS = (0.70, 0.75, 0.80, 0.84, 0.86, 0.88, 0.90, 0.91, 0.92, 0.93, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99, 1.0)
CHARACTERS_PER_TOKEN = 4
VECTOR_DATABASE = "Vector database"


@lever
@dataclass(frozen=True)
class SemanticCache:
    """Calls that an earlier call's answer can serve are not made.

    threshold: cosine from which texts count as the same (0.7 to 1; 1: equal texts alone). normalize: raw, punctuation or stopwords. ttl_seconds:
    life of an answer, not prolonged by hits (inf: for ever). capacity: answers kept, the least recently used goes (0: no cache). scope: who may
    share answers: "shared" all, "tenant" calls of one project, "user" each user alone. match: "text", or "answer" for an ideal cache that knows
    which calls have the same labelled answer: what no threshold can beat. same_numbers: texts that differ in a number are never the same.
    embedding_price: USD per 1,000,000 tokens of the questions (four characters each); lookup_fee: USD per look-up.

    A capacity that is never reached costs no time; one that is has every call replayed one by one (about 5 s per million calls and threshold).
    """

    name: ClassVar[str] = "semantic-cache"
    title: ClassVar[str] = "Semantic cache"

    threshold: float = 0.97
    normalize: str = "punctuation"
    ttl_seconds: float = 86_400.0
    capacity: int = 1_000_000
    scope: str = "tenant"
    match: str = "text"
    same_numbers: bool = True
    calls: Selection = EVERY_CALL
    embedding_price: float = 0.02
    lookup_fee: float = 0.0
    embedder: str = DEFAULT

    def __post_init__(self) -> None:
        checked(self.threshold, "the threshold", FLOOR, 1)
        checked_step(self.normalize)
        if not self.ttl_seconds > 0:
            raise InputError("the life of an answer must be more than 0 seconds")
        if self.capacity < 0:
            raise InputError(f"the capacity must not be negative, not {self.capacity}")
        if self.scope not in SCOPES:
            raise InputError(f"answers are shared by {', '.join(SCOPES)}, not by {self.scope!r}")
        if self.match not in MATCHES:
            raise InputError(f"calls are matched by {' or '.join(MATCHES)}, not by {self.match!r}")
        checked(self.embedding_price, "the price of embeddings per million tokens", 0, 1000)
        checked(self.lookup_fee, "the fee per look-up", 0, 1)

    @classmethod
    def neutral(cls) -> SemanticCache:
        """A cache that keeps nothing."""
        return cls(capacity=0)

    def touches(self, situation: Situation) -> Mask:
        """Calls that ask the cache."""
        mask = np.zeros(len(situation.workload), dtype=bool)
        if self.capacity:
            mask[self._prepared(situation).places] = True
        return mask

    def apply(self, situation: Situation) -> Situation:
        """Raises InputError when no call carries what the matching needs."""
        if not self.capacity:
            return situation
        prepared = self._prepared(situation)
        asked, hits = (np.zeros(len(situation.workload), dtype=bool) for _ in range(2))
        asked[prepared.places] = True
        hits[prepared.places[self._answers(situation) >= 0]] = True
        workload = situation.workload.vanish(hits)
        workload = workload.add_overhead("question embeddings", EMBEDDING, prepared.embedding * self.embedding_price)
        workload = workload.add_overhead("cache look-ups", VECTOR_DATABASE, self.lookup_fee, asked)
        if workload is situation.workload:
            return situation
        notes = tuple(note for note in prepared.notes if note not in situation.notes)
        return replace(situation.with_workload(workload), notes=(*situation.notes, *notes))

    def assumptions(self) -> list[str]:
        """See `Lever`."""
        who = {"shared": "all users", "tenant": "the users of one project", "user": "the same user alone"}[self.scope]
        life = "for ever" if math.isinf(self.ttl_seconds) else f"for {self.ttl_seconds:,.0f} seconds"
        alike = (
            "the same labelled answer (an ideal cache)"
            if self.match == "answer"
            else f"a similarity of {self.threshold:g} by {self.embedder} after {self.normalize}"
        )
        return [
            f"An answer serves calls of the same feature, model and {who} with {alike}, {life}.",
            "A hit saves what the call was logged to cost. Only successful calls are stored and served.",
            "A wrong hit costs nothing here: judge the false hits of labelled calls.",
        ]

    def asked(self, situation: Situation) -> tuple[Ints, Floats, tuple[str, ...]]:
        """Places of the calls that ask the cache, millions of tokens of their texts, and what is left out, in sentences. Raises InputError as
        `apply`."""
        prepared = self._prepared(situation)
        return prepared.places, prepared.embedding[prepared.places], prepared.notes

    def served(self, situation: Situation) -> Ints:
        """Places of the calls that the cache answers."""
        return self._prepared(situation).places[self._answers(situation) >= 0]

    def counted(self, situation: Situation) -> CacheHits:
        """What the cache answers, without its money, and how often wrongly where calls are labelled."""
        if not self.capacity:
            return CacheHits(self.threshold, 0, 0, 0, 0, 0, 0.0, 0.0)
        prepared, answers = self._prepared(situation), self._answers(situation)
        hit = np.flatnonzero(answers >= 0)
        source = answers[hit]
        label, text = prepared.label, prepared.queries.text
        judged = (label[hit] >= 0) & (label[source] >= 0)
        return CacheHits(
            threshold=self.threshold,
            queries=len(prepared.places),
            hits=len(hit),
            exact_hits=int((text[hit] == text[source]).sum()),
            judged_hits=int(judged.sum()),
            false_hits=int((judged & (label[hit] != label[source])).sum()),
            avoided=0.0,
            added=0.0,
        )

    def hits(self, situation: Situation) -> CacheHits:
        """What the cache answers and saves, and how often wrongly where calls are labelled."""
        if not self.capacity:
            return self.counted(situation)
        workload, prepared = situation.workload, self._prepared(situation)
        fee = prepared.embedding * self.embedding_price
        fee[prepared.places] += self.lookup_fee
        return replace(
            self.counted(situation),
            avoided=float(workload.spent()[self.served(situation)].sum()),
            added=float((fee * workload.money).sum()),
        )

    def _answers(self, situation: Situation) -> Ints:
        """For each query the query that answers it, -1: none. Replayed once per setting."""
        life = FOREVER if math.isinf(self.ttl_seconds) else round(self.ttl_seconds * 1_000_000)
        threshold = 2.0 if self.threshold >= 1 or self.match == "answer" else self.threshold
        key = (self._key(situation), life, self.capacity)

        def cache() -> CacheReplay:
            prepared = self._prepared(situation)
            graph = graph_of(prepared.queries, prepared.neighbours)
            return CacheReplay(prepared.queries, graph, ttl=life, capacity=self.capacity)

        prepared_cache = situation.memo.get((self.name, "cache", key), cache)
        return situation.memo.get((self.name, "answers", key, threshold), lambda: prepared_cache.at(threshold))

    def _key(self, situation: Situation) -> tuple[Any, ...]:
        return (
            situation.workload.stamp, self.calls, self.scope, self.match, self.normalize, self.same_numbers, self.embedder,
        )  # fmt: skip

    def _prepared(self, situation: Situation) -> _Prepared:
        return situation.memo.get((self.name, "queries", self._key(situation)), lambda: self._prepare(situation))

    def _prepare(self, situation: Situation) -> _Prepared:
        workload = situation.workload
        notes: list[str] = []
        if self.match == "answer":
            number = _answer(situation)
            neighbours = no_neighbours(int(number.max(initial=-1)) + 1)
            if not (number >= 0).any():
                raise InputError("no call of this period carries an answer_id: match by text")
        else:
            number, neighbours, _, _ = self._numbered(situation)
            if not (number >= 0).any():
                raise InputError(
                    "no call of this period has a kept text or an input hash: keep normalised texts, or log input hashes"
                )
        may = self.calls.mask(workload) & workload.active & ~workload.is_cache_hit & ~workload.is_embedding
        if "success" in workload.names["status"]:
            may &= (workload.status < 0) | (workload.status == workload.code("status", "success"))
        if self.scope == "user":
            may &= workload.user >= 0
        known = may & (number >= 0)
        if known.sum() < may.sum():
            what = "a labelled answer" if self.match == "answer" else "a text or an input hash"
            notes.append(
                f"{known.sum():,} of {may.sum():,} calls that a semantic cache could serve carry {what}; the others stay as they are."
            )
        if workload.is_sample:
            notes.append("A sample of the calls holds fewer repetitions than all of them: a cache would find more.")
        if self.match == "text" and len(workload.heavy.texts().names) > MOST_TEXTS:
            notes.append(
                f"The {MOST_TEXTS:,} texts asked most are compared with each other; all others are found again by equal words alone."
            )
        if is_stored(self.embedder) and self.match == "text":
            names = workload.heavy.texts().names
            missing = len(names) - len(set(names) & set(chosen_vectors(self.embedder, workload.heavy.vectors()).texts))
            if missing:
                notes.append(
                    f"{missing:,} of {len(names):,} texts have no stored vector: they are found again by equal words alone."
                )
        places = np.flatnonzero(known)
        queries = Queries(number[places], _scope(workload, self.scope)[places], workload.started_at[places])
        embedding = np.zeros(len(workload))
        if self.match == "text":
            embedding[places] = self._numbered(situation)[2][number[places]]
        label = _answer(situation)[places]
        return _Prepared(places, queries, neighbours, label, embedding, tuple(notes))

    def _numbered(self, situation: Situation) -> tuple[Ints, Neighbours, Floats, tuple[str, ...]]:
        """The number of each call's text or, where none is kept, of its input's hash; which texts are alike; millions of tokens of each number; and
        the texts. The same in all states of the calls.
        """
        key = (self.name, "texts", self.normalize, self.same_numbers, self.embedder)

        def make() -> tuple[Ints, Neighbours, Floats, tuple[str, ...]]:
            heavy = situation.workload.heavy
            text = heavy.texts()
            known: dict[str, int] = {}
            normal = normalised_texts(text.names, self.normalize)
            # A text of which nothing is left is like no other.
            codes = [known.setdefault(each, len(known)) if each else -1 for each in normal]
            number = np.append(np.array(codes, dtype=np.int64), -1)[text.codes]
            neighbours = _alike(list(known), number, self._embedder(situation, text.names, normal), self.same_numbers)
            hashes = heavy.keys("input_hash")
            number = _known_by_hash(number, hashes)
            by_hash = np.flatnonzero((number < 0) & (text.codes < 0) & (hashes != 0))
            if len(by_hash):
                places, _ = pd.factorize(hashes[by_hash])
                number[by_hash] = len(known) + places
                more = np.full(int(places.max()) + 1, neighbours.offsets[-1])
                neighbours = replace(neighbours, offsets=np.concatenate([neighbours.offsets, more]))
            tokens = np.zeros(len(neighbours))
            tokens[: len(known)] = [len(each) / CHARACTERS_PER_TOKEN / 1_000_000 for each in known]
            return number, neighbours, tokens, tuple(known)

        return situation.memo.get(key, make)

    def _embedder(
        self, situation: Situation, names: Sequence[str], normal: Sequence[str]
    ) -> Embedder | HashedCharacters:
        if not is_stored(self.embedder):
            return load_embedder(self.embedder)
        return renamed(chosen_vectors(self.embedder, situation.workload.heavy.vectors()), names, normal)


@dataclass(frozen=True)
class CacheHits:
    """What a cache answers at one setting, of the calls that are held. avoided and added: USD of the window."""

    threshold: float
    queries: int
    hits: int
    exact_hits: int
    judged_hits: int
    false_hits: int
    avoided: float
    added: float

    def row(self) -> dict[str, Any]:
        """As a row of `SemanticCache.curve`, without its money."""
        low, high = wilson(self.false_hits, self.judged_hits) or (None, None)
        return {
            "threshold": self.threshold,
            "queries": self.queries,
            "hits": self.hits,
            "hit_rate": self.hits / self.queries if self.queries else None,
            "exact_hits": self.exact_hits,
            "judged_hits": self.judged_hits,
            "false_hits": self.false_hits if self.judged_hits else None,
            "false_hit_rate": self.false_hits / self.judged_hits if self.judged_hits else None,
            "false_low": low,
            "false_high": high,
        }


@dataclass(frozen=True, eq=False)
class _Prepared:
    """The calls at `places` as queries; label: code of their answer (-1: none); embedding: per call of the workload, millions of tokens of its
    text.
    """

    places: Ints
    queries: Queries
    neighbours: Neighbours
    label: Ints
    embedding: Floats
    notes: tuple[str, ...]


def _alike(texts: list[str], number: Ints, embedder: Embedder | HashedCharacters, same_numbers: bool) -> Neighbours:
    asked = np.bincount(number[number >= 0], minlength=len(texts))
    if isinstance(embedder, StoredVectors):
        # A text without a vector of this embedder is found again by equal words alone: another's would not compare.
        known = set(embedder.texts)
        asked = np.where([text in known for text in texts], asked, -1)
    order = np.argsort(-asked, kind="stable")
    chosen = np.sort(order[asked[order] >= 0][:MOST_TEXTS])
    found = find_neighbours([texts[place] for place in chosen.tolist()], embedder, FLOOR)
    counts = np.zeros(len(texts), dtype=np.int64)
    counts[chosen] = np.diff(found.offsets)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    neighbours = Neighbours(offsets, chosen[found.texts].astype(np.int32), found.cosines, found.floor)
    if not same_numbers:
        return neighbours
    signature: dict[tuple[str, ...], int] = {}
    return neighbours.within(np.array([signature.setdefault(numbers_of(text), len(signature)) for text in texts]))


def _answer(situation: Situation) -> Ints:
    """The code of each call's labelled answer, -1 where nothing says it. Equal inputs have equal answers."""
    heavy = situation.workload.heavy

    def make() -> Ints:
        return _known_by_hash(heavy.coded("answer").codes.astype(np.int64), heavy.keys("input_hash"))

    return situation.memo.get((SemanticCache.name, "labels"), make)


def _known_by_hash(number: Ints, hashes: NDArray[np.uint64]) -> Ints:
    """The numbers, and for calls without one the number of a call with the same input: texts are often kept for a part of the calls."""
    known = np.flatnonzero((number >= 0) & (hashes != 0))
    missing = np.flatnonzero((number < 0) & (hashes != 0))
    if not len(known) or not len(missing):
        return number
    distinct, first = np.unique(hashes[known], return_index=True)
    found = np.minimum(np.searchsorted(distinct, hashes[missing]), len(distinct) - 1)
    there = distinct[found] == hashes[missing]
    filled = number.copy()
    filled[missing[there]] = number[known[first[found[there]]]]
    return filled


def _scope(workload: Workload, scope: str) -> Ints:
    """One number per feature, model and who shares."""
    columns: dict[str, NDArray[Any]] = {"user": workload.user, "tenant": workload.project}
    who = columns.get(scope)
    shared = np.zeros(len(workload), dtype=np.int64) if who is None else who.astype(np.int64) + 1
    key = workload.feature.astype(np.int64) + 1
    key = key * (len(workload.models) + 1) + workload.model + 1
    return key * (int(shared.max(initial=0)) + 1) + shared

"""A semantic cache replayed in order of time: which calls it would have answered, from which earlier call.

A query looks at the entries of its own scope that are there and not expired: its own text first, then texts alike by at least the threshold. The
most alike answers; of equals, the one that stands first in `Neighbours`. Only what no entry answers is stored. An entry expires when it is older
than `ttl` (a hit does not prolong its life), and when more than `capacity` entries are there the least recently used goes (storing and answering
are uses).

Without expiry entries only accumulate, and the replay is a few passes over arrays; with it there is one pass in order of time over the calls that may
meet another text, while texts without neighbours jump from one stored call to the next. Only where more answers are alive than fit are all calls
replayed one by one.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analytics.simulators.near_duplicates import Neighbours, no_neighbours

FOREVER = np.iinfo(np.int64).max
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Queries:
    """Calls in order of time: `text` (number of the normalised text), `scope` (number; answers never cross it), `time` (any rising whole
    number).
    """

    text: Ints
    scope: Ints
    time: Ints

    def __len__(self) -> int:
        return len(self.text)


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes: the distinct pairs of scope and text, in order of their first query; edges: neighbours within a scope.

    node: each query's node. edges: neighbours of nodes.
    """

    node: Ints
    edges: Neighbours


def graph_of(queries: Queries, neighbours: Neighbours) -> Graph:
    """The graph of these queries; made once per scope, since it holds for every threshold down to the neighbours' floor."""
    texts = len(neighbours)
    # Numbers in order of first appearance, by hashing: a tenth of the time of sorting.
    node, pairs = pd.factorize(queries.scope * texts + queries.text)
    if not len(neighbours.texts):
        return Graph(node, no_neighbours(len(pairs), neighbours.floor))
    place = np.argsort(pairs, kind="stable")
    distinct = pairs[place]
    text, scope = pairs % texts, pairs // texts
    sizes = np.diff(neighbours.offsets)[text]
    ends = np.cumsum(sizes)
    at = np.repeat(neighbours.offsets[text] - (ends - sizes), sizes) + np.arange(int(sizes.sum()))
    rows = np.repeat(np.arange(len(pairs)), sizes)
    wanted = scope[rows] * texts + neighbours.texts[at]
    found = np.minimum(np.searchsorted(distinct, wanted), len(distinct) - 1)
    there = distinct[found] == wanted
    offsets = np.concatenate([[0], np.cumsum(np.bincount(rows[there], minlength=len(pairs)))]).astype(np.int64)
    edges = Neighbours(offsets, place[found[there]].astype(np.int32), neighbours.cosines[at[there]], neighbours.floor)
    return Graph(node, edges)


class CacheReplay:
    """One cache over the same queries, for any threshold.

    `ttl` in the unit of `queries.time`; `capacity` None: no limit, 0: no cache. What no threshold changes (queries of texts without any neighbour) is
    replayed once.
    """

    def __init__(self, queries: Queries, graph: Graph, *, ttl: int = FOREVER, capacity: int | None = None) -> None:
        self.queries, self.graph, self.ttl, self.capacity = queries, graph, ttl, capacity

    def at(self, threshold: float) -> Ints:
        """For each query the query whose stored answer it gets, -1 where the model is asked. A threshold above 1 finds equal texts alone."""
        if self.capacity == 0 or not len(self.queries):
            return np.full(len(self.queries), -1, dtype=np.int64)
        edges = self.graph.edges
        if not len(edges.texts):
            return self._equal_texts
        return self._at(edges.at_least(threshold) if threshold <= 1 else no_neighbours(len(edges), edges.floor))

    @cached_property
    def _equal_texts(self) -> Ints:
        """The answers where no text is like another: the same at every threshold."""
        return self._at(self.graph.edges)

    def _at(self, edges: Neighbours) -> Ints:
        answer = self._without_eviction(edges)
        # As long as no more answers are alive than fit, none was ever evicted.
        if self.capacity is None or self._never_full or self._most_alive(answer) <= self.capacity:
            return answer
        everything = np.arange(len(self.queries))
        return _in_order(self.queries, self.graph.node, edges, everything, self.ttl, self.capacity)

    def _without_eviction(self, edges: Neighbours) -> Ints:
        if self.ttl >= FOREVER:
            return _accumulated(self.graph.node, edges)
        at = self._linked
        if not len(at):
            return self._alone
        answer = self._alone.copy()
        answer[at] = _in_order(self.queries, self.graph.node, edges, at, self.ttl, None)
        return answer

    @cached_property
    def _linked(self) -> Ints:
        """Queries of texts that are like another at the lowest threshold."""
        return np.flatnonzero(np.diff(self.graph.edges.offsets)[self.graph.node] > 0)

    @cached_property
    def _alone(self) -> Ints:
        """The answers of all other queries."""
        answer = np.full(len(self.queries), -1, dtype=np.int64)
        may = np.bincount(self.graph.node)[self.graph.node] > 1
        may[self._linked] = False
        at = np.flatnonzero(may)
        answer[at] = _equal_within(self.graph.node[at], self.queries.time[at], at, self.ttl)
        return answer

    @cached_property
    def _never_full(self) -> bool:
        """Whether no more queries come within any life than fit, told from their number in spans as long as a life: any life lies in two of them."""
        if self.capacity is None:
            return True
        if len(self.queries) <= self.capacity:
            return True
        time = self.queries.time
        if self.ttl > int(np.ptp(time)):
            return False
        span = np.bincount((time - time[0]) // self.ttl)
        return int((span[1:] + span[:-1]).max(initial=0)) <= self.capacity

    def _most_alive(self, answer: Ints) -> int:
        stored = self.queries.time[answer < 0]
        if self.ttl >= FOREVER:
            return len(stored)
        first = np.searchsorted(stored, stored - self.ttl, side="left")
        return int((np.arange(1, len(stored) + 1) - first).max(initial=0))


def _accumulated(node: Ints, edges: Neighbours) -> Ints:
    """Nothing ever leaves: a node is stored by its first query when no earlier stored node is alike."""
    size = len(edges)
    first = np.full(size, -1, dtype=np.int64)
    first[node[::-1]] = np.arange(len(node))[::-1]
    stored = _stored(edges)
    # A query of a stored node gets its first query's answer: its own text is as like as can be, and no equal of it was stored before.
    answer = np.where(stored[node], first[node], -1)
    answer[first[stored]] = -1
    others = np.flatnonzero(~stored[node])
    if not len(others):
        return answer
    sizes = np.diff(edges.offsets)[node[others]]
    ends = np.cumsum(sizes)
    at = np.repeat(edges.offsets[node[others]] - (ends - sizes), sizes) + np.arange(int(sizes.sum()))
    query = np.repeat(others, sizes)
    source = first[edges.texts[at]]
    there = stored[edges.texts[at]] & (source < query)
    # Neighbours stand in order: the first that is there is the best.
    best, place = np.unique(query[there], return_index=True)
    answer[best] = source[there][place]
    return answer


def _stored(edges: Neighbours) -> NDArray[np.bool_]:
    """Nodes without an earlier stored neighbour, decided in rounds: each round settles all whose earlier neighbours are settled."""
    earlier = edges.texts < edges.rows
    later, before = edges.rows[earlier], edges.texts[earlier]
    stored, settled = np.zeros(len(edges), dtype=bool), np.zeros(len(edges), dtype=bool)
    waiting = np.bincount(later, minlength=len(edges))
    stored[waiting == 0] = settled[waiting == 0] = True
    while len(later):
        beaten = later[stored[before]]
        settled[beaten] = True
        keep = ~settled[later] & ~(settled[before] & ~stored[before])
        later, before = later[keep], before[keep]
        open_nodes = np.flatnonzero(~settled)
        waits = np.zeros(len(edges), dtype=bool)
        waits[later] = True
        free = open_nodes[~waits[open_nodes]]
        stored[free] = settled[free] = True
    return stored


def _equal_within(node: Ints, time: Ints, query: Ints, ttl: int) -> Ints:
    """Texts without neighbours that expire: per text, the first query after the last stored one's life is stored again."""
    order = np.argsort(node, kind="stable")
    # The first query, of any text, that a life begun by this query does not reach: whole numbers that stay small, unlike times.
    life = min(ttl, int(np.ptp(time)) + 1) if len(time) else 0
    beyond = np.searchsorted(time, time + life, side="right")[order]
    node = node[order]
    base = (np.cumsum(np.diff(node, prepend=-1) != 0) - 1) * (len(node) + 1)
    key = base + order
    current = np.flatnonzero(np.diff(node, prepend=-1) != 0)
    ends = np.append(current[1:], len(node))
    chain = [current]
    while len(current):
        following = np.searchsorted(key, base[current] + beyond[current], side="left")
        alive = following < ends
        current, ends = following[alive], ends[alive]
        chain.append(current)
    stored = np.zeros(len(node), dtype=bool)
    stored[np.concatenate(chain)] = True
    source = np.maximum.accumulate(np.where(stored, np.arange(len(node)), 0))
    answer = np.full(len(node), -1, dtype=np.int64)
    answer[order] = np.where(stored, -1, query[order][source] if len(node) else -1)
    return answer


def _in_order(queries: Queries, node: Ints, edges: Neighbours, places: Ints, ttl: int, capacity: int | None) -> Ints:
    """The queries at `places`, one after the other."""
    offsets, alike = edges.offsets.tolist(), edges.texts.tolist()
    times, nodes = queries.time[places].tolist(), node[places].tolist()
    entries: OrderedDict[int, int] = OrderedDict()
    expiry: deque[tuple[int, int]] = deque()
    answers = [-1] * len(nodes)
    expires = ttl < FOREVER
    for query, (mine, now) in enumerate(zip(nodes, times, strict=True)):
        while expires and expiry and now - times[expiry[0][0]] > ttl:
            old, owner = expiry.popleft()
            if entries.get(owner) == old:
                del entries[owner]
        owner, best = mine, entries.get(mine, -1)
        if best < 0:
            for owner in alike[offsets[mine] : offsets[mine + 1]]:
                best = entries.get(owner, -1)
                if best >= 0:
                    break
        if best >= 0:
            answers[query] = best
            if capacity is not None:
                entries.move_to_end(owner)
            continue
        entries[mine] = query
        if expires:
            expiry.append((query, mine))
        if capacity is not None and len(entries) > capacity:
            entries.popitem(last=False)
    found = np.array(answers, dtype=np.int64)
    return np.where(found >= 0, places[found], -1)

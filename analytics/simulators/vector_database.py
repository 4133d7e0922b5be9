"""A vector database as a managed service, paid by storage, reads and writes, against nodes of one's own, paid by their memory.

Managed = max(minimum, GB x storage price + reads x read units x price + writes x write units x price), where a query costs one read unit per GB
of the namespace that it searches, at least 0.25 (Pinecone's rule). Own = nodes with enough memory for vectors x dimensions x bytes x 1.5 (the
graph of an HNSW index beside the vectors), times copies, and disk, backups and hours of work.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from analytics.simulators.infrastructure import CostLine
from analytics.simulators.lever import checked, lever
from analytics.simulators.situation import Situation
from warehouse.configuration import DATA
from warehouse.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

FILE = DATA / "vector_database_prices.csv"
CATEGORY = "Vector database"
HNSW_FACTOR = 1.5
LEAST_READ_UNITS = 0.25
GB = 10**9
HOURS_OF_A_MONTH = 730


@dataclass(frozen=True)
class ManagedPrice:
    """USD of a managed service: per GB and month, per 1,000,000 read and write units, and the least per month."""

    name: str
    per_gb_month: float
    per_million_reads: float
    per_million_writes: float
    minimum: float
    source: str


@dataclass(frozen=True)
class Node:
    """A machine: GB of memory and USD per hour on demand."""

    name: str
    memory_gb: float
    usd_per_hour: float
    source: str


@dataclass(frozen=True)
class Prices:
    """What `data/vector_database_prices.csv` holds; disk: USD per GB and month."""

    managed: tuple[ManagedPrice, ...]
    nodes: tuple[Node, ...]
    disk: float


def read_prices(path: Path | None = None) -> Prices:
    """The price file (edit it freely). Raises InputError that names file and row for what is unreadable."""
    file = path or FILE
    managed: list[ManagedPrice] = []
    nodes: list[Node] = []
    disk: float | None = None
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
    except FileNotFoundError as error:
        raise InputError("there are no prices of vector databases", file=file.name) from error
    for number, row in enumerate(rows, start=2):
        try:
            if row["kind"] == "managed":
                managed.append(
                    ManagedPrice(
                        row["name"], float(row["usd_per_gb_month"]), float(row["usd_per_million_reads"]),
                        float(row["usd_per_million_writes"]), float(row["minimum_usd_per_month"]), row["source"],
                    )
                )  # fmt: skip
            elif row["kind"] == "node":
                nodes.append(Node(row["name"], float(row["memory_gb"]), float(row["usd_per_hour"]), row["source"]))
            elif row["kind"] == "disk":
                disk = float(row["usd_per_gb_month"])
            else:
                raise ValueError(f"unknown kind {row['kind']!r}: choose managed, node or disk")
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"not a usable price: {error}", file=file.name, row=number) from error
    if not managed or not nodes or disk is None:
        raise InputError("a managed service, a node and a disk must have prices", file=file.name)
    return Prices(tuple(managed), tuple(nodes), disk)


def vector_bytes(vectors: float, dimensions: int, bytes_each: int = 4) -> float:
    """Bytes of the vectors alone. Raises InputError for settings out of range."""
    checked(vectors, "the number of vectors", 0, 1e12)
    checked(dimensions, "the dimensions", 1, 100_000)
    if bytes_each not in (1, 2, 4):
        raise InputError(f"a number of a vector has 4, 2 or 1 bytes, not {bytes_each}")
    return vectors * dimensions * bytes_each


def memory_gb(vectors: float, dimensions: int, bytes_each: int = 4) -> float:
    """GB of memory that one copy of an HNSW index takes."""
    return vector_bytes(vectors, dimensions, bytes_each) * HNSW_FACTOR / GB


def managed_cost(
    price: ManagedPrice, *, stored_gb: float, queries: float, writes: float = 0.0, namespace_gb: float | None = None
) -> float:
    """USD per month of `queries`, each searching one namespace (None: all that is stored), and `writes` in write units."""
    searched = stored_gb if namespace_gb is None else namespace_gb
    checked(stored_gb, "the stored GB", 0, 1e15)
    checked(queries, "the queries", 0, 1e15)
    checked(writes, "the writes", 0, 1e15)
    checked(searched, "the namespace's GB", 0, 1e15)
    reads = queries * max(searched, LEAST_READ_UNITS)
    used = stored_gb * price.per_gb_month + (reads * price.per_million_reads + writes * price.per_million_writes) / 1e6
    return max(price.minimum, used)


@dataclass(frozen=True)
class OwnCost:
    """USD per month of nodes, disk and work; how many nodes of which kind."""

    nodes: int
    node: str
    node_cost: float
    disk_cost: float
    work_cost: float

    @property
    def total(self) -> float:
        """USD per month in all."""
        return self.node_cost + self.disk_cost + self.work_cost


def own_cost(
    prices: Prices,
    *,
    needed_gb: float,
    stored_gb: float,
    copies: int = 2,
    node: str | None = None,
    price_ratio: float = 1.0,
    hours_of_work: float = 8.0,
    usd_per_hour_of_work: float = 0.0,
    backups: int = 1,
) -> OwnCost:
    """Nodes for `copies` of an index of `needed_gb` in memory, the cheapest kind that does it (or `node`), at `price_ratio` of on demand.

    Disk holds every copy and `backups` more. Raises InputError for an unknown node and settings out of range.
    """
    checked(copies, "the copies", 1, 100)
    checked(price_ratio, "the price against on demand", 0, 1)
    checked(hours_of_work, "the hours of work per month", 0, 1000)
    checked(usd_per_hour_of_work, "the price of an hour of work", 0, 10_000)
    checked(backups, "the backups", 0, 1000)
    kinds = [each for each in prices.nodes if node in (None, each.name)]
    if not kinds:
        raise InputError(f"there is no node {node!r}; choose {', '.join(each.name for each in prices.nodes)}")
    sized = [(copies * max(1, math.ceil(needed_gb / each.memory_gb)), each) for each in kinds]
    count, best = min(sized, key=lambda one: (one[0] * one[1].usd_per_hour, one[0]))
    return OwnCost(
        count,
        best.name,
        count * best.usd_per_hour * price_ratio * HOURS_OF_A_MONTH,
        stored_gb * (copies + backups) * prices.disk,
        hours_of_work * usd_per_hour_of_work,
    )


@lever
@dataclass(frozen=True)
class VectorDatabase:
    """to: "own" nodes or a "managed" service (None: stay) instead of the vector database that is billed.

    vectors, dimensions, bytes_each: what is stored; metadata_bytes beside each vector. queries, writes: per month. node, copies, price_ratio (spot
    against on demand), hours_of_work, usd_per_hour_of_work: of own nodes.
    """

    name: ClassVar[str] = "vector-database"
    title: ClassVar[str] = "Vector database"
    to: str | None = None
    vectors: float = 10_000_000
    dimensions: int = 1536
    bytes_each: int = 4
    metadata_bytes: float = 1000
    queries: float = 3_000_000
    writes: float = 0.0
    namespace_gb: float | None = None
    node: str | None = None
    copies: int = 2
    price_ratio: float = 1.0
    hours_of_work: float = 8.0
    usd_per_hour_of_work: float = 0.0

    def __post_init__(self) -> None:
        if self.to not in (None, "own", "managed"):
            raise InputError(f'a vector database is "own" or "managed", not {self.to!r}')
        checked(self.metadata_bytes, "the bytes beside each vector", 0, 10_000_000)
        self.cost_per_month()

    @classmethod
    def neutral(cls) -> VectorDatabase:
        return cls()

    @property
    def stored_gb(self) -> float:
        """GB of vectors and what lies beside them."""
        return (vector_bytes(self.vectors, self.dimensions, self.bytes_each) + self.vectors * self.metadata_bytes) / GB

    def own(self) -> OwnCost:
        """Own nodes under this setting."""
        return own_cost(
            read_prices(), needed_gb=memory_gb(self.vectors, self.dimensions, self.bytes_each), stored_gb=self.stored_gb,
            copies=self.copies, node=self.node, price_ratio=self.price_ratio, hours_of_work=self.hours_of_work,
            usd_per_hour_of_work=self.usd_per_hour_of_work,
        )  # fmt: skip

    def managed(self) -> float:
        """USD per month of the managed service under this setting."""
        return managed_cost(
            read_prices().managed[0], stored_gb=self.stored_gb, queries=self.queries, writes=self.writes,
            namespace_gb=self.namespace_gb,
        )  # fmt: skip

    def cost_per_month(self) -> dict[str, float]:
        """USD per month of both."""
        return {"own": self.own().total, "managed": self.managed()}

    def touches(self, situation: Situation) -> NDArray[np.bool_]:
        return np.zeros(len(situation.workload), dtype=bool)

    def apply(self, situation: Situation) -> Situation:
        if self.to is None:
            return situation
        lines = situation.infrastructure.matching(category=CATEGORY)
        if not lines:
            raise InputError("no vector database is billed in this period")
        window = situation.window
        daily = np.full(window.days, self.cost_per_month()[self.to] / window.scale_to_month / window.days)
        own = self.own()
        name = f"{own.nodes} x {own.node}" if self.to == "own" else read_prices().managed[0].name
        features = {line.feature for line in lines}
        feature = features.pop() if len(features) == 1 else None
        after = situation.infrastructure.mapped(lambda line: None if line in lines else line)
        line = CostLine(CATEGORY, name, None, daily, None, None, feature, "what-if")
        return situation.with_infrastructure(after.adding(line))

    def assumptions(self) -> list[str]:
        return [
            f"{self.vectors:,.0f} vectors of {self.dimensions} dimensions with {self.bytes_each} bytes each, and "
            f"{self.queries:,.0f} queries a month; an index in memory takes {HNSW_FACTOR:g} times its vectors.",
            f"Own nodes: {self.copies} copies, at {self.price_ratio:.0%} of the on-demand price, {self.hours_of_work:g} hours of work a month"
            + (
                " that are not reckoned."
                if not self.usd_per_hour_of_work
                else f" at {self.usd_per_hour_of_work:g} USD."
            ),
            "Memory decides how many nodes there are; that they also answer so many queries fast enough must be tested.",
        ]

"""Parts: what a new file of a billing period (or month) does to the files that are there already.

Row keys in billing exports are not keys, so rows are never matched one by one. A partition (source, account, billing period) consists of
*parts*, one per file. A new part is compared with each present part by counting equal lines (as multisets, over hashes):

* it repeats most of the other's lines, or describes the same facts with other amounts: it is a **newer version**, the other is superseded;
* it has (almost) nothing in common: it is a **further part**, both count;
* every line is there already, within a part that covers more: **nothing new**;
* anything between is **ambiguous** and refused in words, since either guess could make the total wrong.

A manifest's delivery settles the matter without comparing. So parts may arrive in any order, in one command or in several, and a
reload changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import duckdb

from warehouse.schema import Table

MOSTLY = 0.5
SAME_FACTS = 0.9


class Relation(Enum):
    """What a new part is to a present one."""

    NEWER_VERSION = "newer version"
    FURTHER_PART = "further part"
    NOTHING_NEW = "nothing new"
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True)
class Part:
    """A present or new part of one partition. Negative ids are new (staged), positive ones are load ids."""

    part_id: int
    file: str
    delivery: str | None
    rows: int
    first: object
    last: object


def partition_expression(table: Table) -> str:
    """SQL for the partition of a row: `source/account/2026-03` for charges, `source/2026-03` for other dated tables."""
    if table.name == "charges":
        return "concat_ws('/', x_Source, coalesce(BillingAccountId, '-'), strftime(BillingPeriodStart, '%Y-%m'))"
    if table.name == "prices":
        return "book"
    if table.name == "fx_rates":
        return "concat_ws('/', 'fx', strftime(date, '%Y-%m'))"
    if table.name in ("calls", "call_texts", "scores"):
        return f"concat_ws('/', source, strftime({table.month_column}, '%Y-%m-%d'))"
    return f"concat_ws('/', source, strftime({table.month_column}, '%Y-%m'))"


def fingerprint(table: Table, partition: str, part: str) -> str:
    """SELECT list for (partition, part_id, exact, facts, moment): hashes of a whole row and of its identity, and its time."""
    internal = {"load_id", "x_LoadId", "x_RowNumber", "x_CostCategory", "source", "x_Source"}
    whole = ", ".join(f'"{name}"' for name in table.names if name not in internal)
    facts = ", ".join(f'"{name}"' for name in table.identity)
    at = (
        "ChargePeriodStart"
        if table.name == "charges"
        else table.month_column or ("date" if table.name == "fx_rates" else "valid_from")
    )
    return f"{partition} AS partition, {part} AS part_id, hash({whole}) AS exact, hash({facts}) AS facts, CAST({at} AS TIMESTAMP) AS moment"


def relate(connection: duckdb.DuckDBPyConnection, prints: str, new: Part, present: Part) -> Relation:
    """Compare two parts whose fingerprints lie in the table `prints` (already of one partition)."""
    if new.delivery is not None and new.delivery == present.delivery:
        return Relation.NEWER_VERSION
    same = _common(connection, prints, new.part_id, present.part_id, "exact")
    smaller = max(1, min(new.rows, present.rows))
    if same == new.rows and present.rows > new.rows:
        covers_as_much = (new.first, new.last) == (present.first, present.last) and same >= MOSTLY * present.rows
        return Relation.NEWER_VERSION if covers_as_much else Relation.NOTHING_NEW
    if same >= MOSTLY * present.rows:
        return Relation.NEWER_VERSION
    facts = _common(connection, prints, new.part_id, present.part_id, "facts")
    if facts >= SAME_FACTS * max(new.rows, present.rows):
        return Relation.NEWER_VERSION
    if present.file == new.file and facts >= MOSTLY * smaller:
        return Relation.NEWER_VERSION
    if same < 0.05 * smaller and (facts < MOSTLY * smaller or _siblings(new.file, present.file)):
        return Relation.FURTHER_PART
    return Relation.AMBIGUOUS


def _common(connection: duckdb.DuckDBPyConnection, prints: str, left: int, right: int, column: str) -> int:
    """Size of the multiset intersection of two parts."""
    row = connection.execute(
        f"""SELECT coalesce(sum(least(a.n, b.n)), 0)::BIGINT
            FROM (SELECT {column} AS h, count(*) AS n FROM {prints} WHERE part_id = ? GROUP BY 1) a
            JOIN (SELECT {column} AS h, count(*) AS n FROM {prints} WHERE part_id = ? GROUP BY 1) b USING (h)""",
        [left, right],
    ).fetchone()
    return row[0] if row else 0


def _siblings(left: str, right: str) -> bool:
    """Whether two file names differ only in a part number: report-1.csv.gz and report-2.csv.gz."""

    def stem(name: str) -> str:
        return re.sub(r"\d+(?=(\.[A-Za-z0-9]+)*$)", "#", name)

    return left != right and stem(left) == stem(right)


def describe(partition: str, new: Part, present: Part) -> str:
    """The sentence for an ambiguous part."""
    return (
        f"{new.file} shares some but not most of its lines with {present.file}, loaded earlier for {partition}: "
        "say `--replace` if it is a newer version of that period, or `--add` if it is a further part of it"
    )


def superseded(relations: Sequence[tuple[Part, Relation]]) -> list[Part]:
    """The present parts that a new part replaces."""
    return [part for part, relation in relations if relation is Relation.NEWER_VERSION]

"""Parts: what a new file of a billing period (or month) does to the files that are there already.

Row keys in billing exports are not keys, so rows are never matched one by one. A partition (source, account, billing period) consists of
*parts*, one per file. A new part is compared with each present part by counting equal lines (as multisets, over hashes):

* it repeats most of the other's lines, or describes the same facts with other amounts, and covers all of its days: it is a **newer
  version**, the other is superseded;
* it has (almost) nothing in common: it is a **further part**, both count;
* every line is there already, within a part that covers more: **nothing new**;
* anything between is **ambiguous** and refused in words, since either guess could make the total wrong.

A manifest's delivery settles the matter without comparing. So do *pieces*: a source that is read bit by bit (a table that only grows, an
account's invoices month by month) names its files `<family>@<piece>.<suffix>`; with `PIECES` a file replaces the present one of its own name
and adds to the others of its family, while parts of other origin are compared as above. So parts may arrive in any order, in one command
or in several, and a reload changes nothing.
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
HARDLY = 0.05

PIECES = "pieces"
"""The way of loading (`on_overlap`) in which files of one family add up and each replaces only its own earlier version."""


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
    """SELECT list for (partition, part_id, exact, facts, moment, vendor): hashes of a whole row and of its identity, its time, and who sends
    the bill where no account does ("" elsewhere)."""
    internal = {"load_id", "x_LoadId", "x_RowNumber", "x_CostCategory", "source", "x_Source"}
    whole = ", ".join(f'"{name}"' for name in table.names if name not in internal)
    facts = ", ".join(f'"{name}"' for name in table.identity)
    at = (
        "ChargePeriodStart"
        if table.name == "charges"
        else table.month_column or ("date" if table.name == "fx_rates" else "valid_from")
    )
    vendor = "CASE WHEN BillingAccountId IS NULL THEN coalesce(ServiceProviderName, InvoiceIssuerName, '') ELSE '' END"
    return (
        f"{partition} AS partition, {part} AS part_id, hash({whole}) AS exact, hash({facts}) AS facts, "
        f"CAST({at} AS TIMESTAMP) AS moment, {vendor if table.name == 'charges' else chr(39) * 2} AS vendor"
    )


def relate(
    connection: duckdb.DuckDBPyConnection, prints: str, new: Part, present: Part, *, keyed: bool = False
) -> Relation:
    """Compare two parts whose fingerprints lie in the table `prints` (already of one partition).

    `keyed` says that a row's identity is a key of its table, as it is for all but billing lines: two parts that both tell one
    fact are then never two further parts.
    """
    if new.delivery is not None and new.delivery == present.delivery:
        return Relation.NEWER_VERSION
    same = _common(connection, prints, new.part_id, present.part_id, "exact")
    smaller = max(1, min(new.rows, present.rows))
    if same == new.rows and present.rows > new.rows:
        covers_as_much = (new.first, new.last) == (present.first, present.last) and same >= MOSTLY * present.rows
        return Relation.NEWER_VERSION if covers_as_much else Relation.NOTHING_NEW
    facts = _common(connection, prints, new.part_id, present.part_id, "facts")
    if (
        same >= MOSTLY * present.rows
        or facts >= SAME_FACTS * max(new.rows, present.rows)
        or (present.file == new.file and facts >= MOSTLY * smaller)
    ):
        return Relation.AMBIGUOUS if _leaves_days(connection, prints, new, present) else Relation.NEWER_VERSION
    if keyed:
        return Relation.AMBIGUOUS if facts else Relation.FURTHER_PART
    if same < HARDLY * smaller and facts < (MOSTLY if _siblings(new.file, present.file) else HARDLY) * smaller:
        return Relation.FURTHER_PART
    return Relation.AMBIGUOUS


def _leaves_days(connection: duckdb.DuckDBPyConnection, prints: str, new: Part, present: Part) -> bool:
    """Whether the present part tells of days before the first or after the last of the new one: a window that moved on ("the last 30
    days") repeats most lines as a newer version does, but says nothing of the days that it left."""
    row = connection.execute(
        f"SELECT count(*) FROM {prints} WHERE part_id = ? AND CAST(moment AS DATE) NOT BETWEEN CAST(? AS DATE) AND CAST(? AS DATE)",
        [present.part_id, new.first, new.last],
    ).fetchone()
    return bool(row and row[0])


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
    """Whether two file names differ only in a part number: report-1.csv.gz and report-2.csv.gz, but not in a date."""

    def stem(name: str) -> str:
        return re.sub(r"\d+(?=(\.[A-Za-z0-9]+)*$)", "#", name)

    dated = re.compile(r"\d{4}[-_.]?\d{2}[-_.]?\d{2}(?=(\.[A-Za-z0-9]+)*$)")
    return left != right and stem(left) == stem(right) and not dated.search(left)


def of_one_family(left: str, right: str) -> bool:
    """Whether two file names are pieces of one source: `gcp-prod@2026-03-05.jsonl.gz` and `gcp-prod@2026-03-06.jsonl.gz`."""
    family, at, _piece = left.partition("@")
    return bool(family and at) and right.partition("@")[:2] == (family, at)


def describe(partition: str, new: Part, present: Part) -> str:
    """The sentence for an ambiguous part."""
    return (
        f"{new.file} shares lines with {present.file}, loaded earlier for {partition}, but is neither plainly a newer version of it nor "
        "plainly a further part: say `--replace` if it tells that whole period anew, `--add` if none of its lines is loaded yet, "
        "or export the whole period into one file"
    )


def superseded(relations: Sequence[tuple[Part, Relation]]) -> list[Part]:
    """The present parts that a new part replaces."""
    return [part for part, relation in relations if relation is Relation.NEWER_VERSION]

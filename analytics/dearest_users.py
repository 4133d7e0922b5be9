"""A feature's dearest users of whole months, from the lists that a load writes, without adding up everybody."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import ibis
import ibis.expr.types as ir

from analytics.filters import Filters, first_day, matching
from analytics.frames import Row, rows_of
from analytics.ledger import MONEY
from warehouse.feature_users import NAME
from warehouse.reader import Warehouse

FEWEST_NAMED = 100
"""So many dearest users must be certain; fewer are found by adding up everybody."""

_ZERO = Decimal(0)


def dearest_order(sums: ir.Table, by: str) -> list[ir.Value]:
    """How users (or prompts) are ordered: the dearest first, a cost that is not known last, then by calls and name."""
    return [sums.cost.fill_null(Decimal(-1)).desc(), sums.calls.desc(), sums[by].asc(nulls_first=True)]


def listed_users(warehouse: Warehouse, filters: Filters, most: int) -> list[Row] | None:
    """The dearest users of one feature (`filters` name it and nothing else), at most `most` and at least `FEWEST_NAMED` where there are so many,
    and all others in one row; None where the lists of `warehouse.feature_users` cannot tell: there are none, a month is cut, or somebody whom
    a month leaves out could be among the dearest.

    Columns: user, cost (USD as traced; None: nothing of it is known), calls, unpriced_calls, is_others. The rows sum to the feature. The others
    are named "1,234 others", or "all others" where users of several months would have to be counted.

    Sums of what is listed are exact for whoever stands in every list that leaves somebody out. All others may have cost as much more as the lists
    that miss them leave out at most (Fagin's threshold, https://doi.org/10.1016/S0022-0000(03)00026-6): whoever has cost more than any of them
    could have is one of the dearest. At 10 million calls of three months 0.02 s of CPU, where adding up all users takes 0.12; and it is the same
    for ten times as many.
    """
    if (
        {name for name, _ in filters.where} != {"feature"}
        or not warehouse.has_table(NAME)
        or not _whole(warehouse, filters)
    ):
        return None
    lists = warehouse.table(NAME)
    months = (ibis.date(first_day(day, "month").isoformat()) for day in (filters.start, filters.end))
    lists = matching(lists.filter(lists.month.between(*months)), filters)
    listed = lists.filter(lists.is_listed)
    sums = listed.group_by(user=listed.user_id).agg(
        cost=listed.cost.sum().cast(MONEY), calls=listed.calls.sum().cast("int64"),
        unpriced_calls=listed.unpriced_calls.sum().cast("int64"),
        lists=listed.most_left_out.count(), most=listed.most_left_out.sum().fill_null(_ZERO).cast(MONEY),
    )  # fmt: skip
    dearest = sums.order_by(dearest_order(sums, "user")).limit(most)
    dearest = dearest.mutate(part=ibis.literal("dearest"), users=ibis.literal(1, "int64"))
    could = sums.group_by("lists").agg(
        most=(sums.cost.fill_null(_ZERO) - sums.most).max().cast(MONEY), users=sums.count()
    )  # fmt: skip
    could = could.mutate(part=ibis.literal("could"), **_nothing("user", "cost", "calls", "unpriced_calls"))
    whole = lists.agg(
        cost=lists.cost.sum().cast(MONEY), calls=lists.calls.sum().cast("int64"),
        unpriced_calls=lists.unpriced_calls.sum().cast("int64"), users=lists.users.sum().cast("int64"),
        lists=(~lists.is_listed).sum().cast("int64"), most=lists.most_left_out.sum(where=~lists.is_listed).fill_null(_ZERO).cast(MONEY),
        files=lists.file.nunique(), months=lists.month.nunique(),
    )  # fmt: skip
    alone = ((whole.files == 1) & (whole.months == 1)).ifelse("alone", "whole")
    whole = whole.mutate(part=alone, **_nothing("user"))
    columns = ("part", "user", "cost", "calls", "unpriced_calls", "users", "lists", "most")
    found = rows_of(warehouse, ibis.union(*(table.select(*columns) for table in (dearest, could, whole))))
    return _told(found, most)


def _told(found: list[Row], most: int) -> list[Row] | None:
    """The dearest and the others, once it is certain that they are."""
    named = [row | {"is_others": False} for row in found if row["part"] == "dearest"]
    could = [row for row in found if row["part"] == "could"]
    rest = next(row for row in found if row["part"] in ("alone", "whole"))
    left_out = rest["lists"]
    if left_out:
        could_be = rest["most"] + max([_ZERO, *(row["most"] for row in could if row["lists"] < left_out)])
        named = [row for row in named if row["cost"] is not None and row["cost"] > could_be]
        if len(named) < min(most, FEWEST_NAMED):
            return None
        users = rest["users"] - len(named) if rest["part"] == "alone" else None
    else:
        users = sum(row["users"] for row in could) - len(named)
    for row in named:
        for name in ("calls", "unpriced_calls"):
            rest[name] -= row[name]
        if row["cost"] is not None:
            rest["cost"] -= row["cost"]
    if rest["calls"]:
        # Nothing is left of the sum where no cost of the others is known: that is unknown, not zero.
        known = rest["calls"] > rest["unpriced_calls"]
        name = "all others" if users is None else f"{users:,} others"
        named.append(rest | {"user": name, "cost": rest["cost"] if known else None, "is_others": True})
    return named


def _whole(warehouse: Warehouse, filters: Filters) -> bool:
    """Whether the period cuts no month in which there are data."""
    span = warehouse.span()
    if span is None:
        return False
    begins = filters.start.day == 1 or filters.start <= span[0]
    return begins and ((filters.end + timedelta(days=1)).day == 1 or filters.end >= span[1])


def _nothing(*names: str) -> dict[str, ir.Value]:
    """Columns without a value."""
    types = {"user": "string", "cost": MONEY}
    return {name: ibis.null(types.get(name, "int64")) for name in names}

"""SQL kept by shape is what Ibis makes of each question, but for the breaks of lines, which depend on their lengths."""

from __future__ import annotations

from datetime import date, datetime

import ibis
import ibis.expr.types as ir
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse import compiling

DAYS = st.dates(date(1, 1, 1), date(9999, 12, 31))
MOMENTS = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31))
NAMES = st.one_of(
    st.text(max_size=5), st.sampled_from(["chat", "it's", "a\\b\n", "MAKE_DATE(9000, 1, 1)", "percall-name-9000"])
)
NUMBERS = st.sampled_from([1, 0, True, False, 1.0, None])


def direct(expression: ir.Expr) -> str:
    return one_line(str(ibis.to_sql(expression, dialect="duckdb")))


def kept(expression: ir.Expr) -> str:
    return one_line(compiling.sql_of(expression.op()))


def one_line(sql: str) -> str:
    return "".join(sql.split())


def question(first: date, last: date, at: datetime, number: object, name: str) -> ir.Table:
    """Days and moments wherever questions have them: between, in a list, in a column, in a window and in a join."""
    table = ibis.table({"date": "date", "at": "timestamp", "n": "int64", "name": "string"}, name="t")
    chosen = table.filter(table.date.between(ibis.date(first.isoformat()), ibis.literal(last)), table.name == name)
    chosen = chosen.filter(chosen.name.isin([name, "b", "c"]) | ~chosen.name.like("c%"), chosen.name != "c")
    chosen = chosen.mutate(
        since=ibis.literal(at), is_first=chosen.date.isin([first, last]), number=ibis.literal(number, "int64")
    )
    later = table.filter(table.at > ibis.timestamp(at.isoformat())).select(other=table.date)
    joined = chosen.left_join(later, chosen.date == later.other)
    return joined.group_by("date", month=joined.date.truncate("M")).agg(
        n=joined.n.sum(where=joined.is_first), newest=joined.since.max(), number=joined.number.max()
    )


@settings(deadline=None, max_examples=80)
@given(DAYS, DAYS, MOMENTS, NUMBERS, NAMES)
def test_kept_sql_is_what_ibis_writes(first: date, last: date, at: datetime, number: object, name: str) -> None:
    asked = question(first, last, at, number, name)
    assert kept(asked) == direct(asked)
    # And once more, now that the shape is known.
    assert kept(asked) == direct(asked)


def test_another_month_and_another_feature_are_not_compiled_again() -> None:
    compiling.forget()
    for month in range(1, 13):
        asked = question(
            date(2026, month, 1), date(2026, month, 28), datetime(2026, month, 1, 12), 1, f"feature {month}"
        )
        assert kept(asked) == direct(asked)
    assert compiling.known_shapes() == 1


def test_numbers_that_python_holds_equal_stay_apart() -> None:
    table = ibis.table({"n": "int64"}, name="t")
    asked = [table.mutate(x=ibis.literal(value)) for value in (1, True, 1.0)]
    assert len({kept(one) for one in asked}) == 3
    assert [kept(one) for one in asked] == [direct(one) for one in asked]

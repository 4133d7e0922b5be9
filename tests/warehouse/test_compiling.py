"""SQL kept by shape is what Ibis makes of each question, but for the breaks of lines, which depend on their lengths."""

from __future__ import annotations

from datetime import date, datetime

import ibis
import ibis.expr.types as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse import compiling
from warehouse.engines import clickhouse_dialect, spark_dialect

DAYS = st.dates(date(1, 1, 1), date(9999, 12, 31))
MOMENTS = st.one_of(
    st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)),
    st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)).map(lambda at: at.replace(microsecond=0)),
)
NAMES = st.one_of(
    st.text(max_size=5),
    st.sampled_from(["chat", "it's", "a\\b\n", "MAKE_DATE(9000, 1, 1)", "percall-name-9000", "9000-01-01"]),
)
NUMBERS = st.sampled_from([1, 0, True, False, 1.0, None])


LANGUAGES = {
    language.name: language for language in (compiling.DUCKDB, spark_dialect.LANGUAGE, clickhouse_dialect.LANGUAGE)
}


def direct(expression: ir.Expr, language: str = "duckdb") -> str:
    if language == "duckdb":
        return one_line(str(ibis.to_sql(expression, dialect="duckdb")))
    compiler = {"spark": spark_dialect.COMPILER, "clickhouse": clickhouse_dialect.COMPILER}[language]
    return one_line(str(compiler.to_sqlglot(expression).sql(dialect=compiler.dialect)))


def kept(expression: ir.Expr, language: str = "duckdb") -> str:
    return one_line(compiling.sql_of(expression.op(), LANGUAGES[language]))


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


@pytest.mark.parametrize("language", list(LANGUAGES))
@settings(deadline=None, max_examples=40)
@given(DAYS, DAYS, MOMENTS, NUMBERS, NAMES)
def test_kept_sql_is_what_ibis_writes(
    language: str, first: date, last: date, at: datetime, number: object, name: str
) -> None:
    asked = question(first, last, at, number, name)
    assert kept(asked, language) == direct(asked, language)
    # And once more, now that the shape is known.
    assert kept(asked, language) == direct(asked, language)


@pytest.mark.parametrize("language", list(LANGUAGES))
def test_another_month_and_another_feature_are_not_compiled_again(language: str) -> None:
    compiling.forget()
    for month in range(1, 13):
        asked = question(
            date(2026, month, 1), date(2026, month, 28), datetime(2026, month, 1, 12), 1, f"feature {month}"
        )
        assert kept(asked, language) == direct(asked, language)
    assert compiling.known_shapes() == 1


def test_numbers_that_python_holds_equal_stay_apart() -> None:
    table = ibis.table({"n": "int64"}, name="t")
    asked = [table.mutate(x=ibis.literal(value)) for value in (1, True, 1.0)]
    assert len({kept(one) for one in asked}) == 3
    assert [kept(one) for one in asked] == [direct(one) for one in asked]

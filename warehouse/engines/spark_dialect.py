"""Ibis for Spark, to the last digit as DuckDB answers.

Ibis' own compiler is right for Spark in general. What differs, and changed digits, is here: how a binary fraction becomes a decimal, that
decimals divided give a binary fraction, which of several most frequent values is taken, and what lies beyond a list.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Any

import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import sqlglot.expressions as sge
from ibis.backends.sql.compilers.base import SQLGlotCompiler
from ibis.backends.sql.compilers.pyspark import PySparkCompiler
from ibis.common.graph import Node

from warehouse.compiling import NAME_PLACE, Language, Value, sql_of


class ExactCompiler(PySparkCompiler):
    """Ibis' compiler with the few operations whose answers would differ in a digit. Methods are named by the operation that they compile."""

    __slots__ = ()

    SIMPLE_OPS = {ops.Hash: "xxhash64"}  # noqa: RUF012 - Ibis reads it once, when the class is made
    """Keys of 64 bits: of 32, as Ibis takes, some of 100,000 users would be one."""

    def visit_Field(self, op: ops.Field, *, rel: Any, name: str) -> Any:  # noqa: N802
        """A column. NaN stays NaN: Ibis asks an option of a backend that is not loaded here."""
        return SQLGlotCompiler.visit_Field(self, op, rel=rel, name=name)

    def visit_NonNullLiteral(self, op: ops.Literal, *, value: Any, dtype: dt.DataType) -> Any:  # noqa: N802
        """A literal. Decimals without a stated precision get the one that they are written with."""
        if dtype.is_floating():
            return None
        if dtype.is_decimal() and Decimal(value).is_finite():
            scale = dtype.scale if dtype.scale is not None else max(0, -int(Decimal(value).as_tuple().exponent))
            return self.cast(f"{Decimal(value):f}", dt.Decimal(dtype.precision or 38, scale))
        return super().visit_NonNullLiteral(op, value=value, dtype=dtype)

    def visit_Cast(self, op: ops.Cast, *, arg: Any, to: dt.DataType) -> Any:  # noqa: N802
        """Casts. A binary fraction is multiplied by its power of ten and rounded half away from zero; Spark would take the shortest text of the
        number instead, which ends in another digit now and then. Right up to 9.2e18 units of the last digit."""
        if op.arg.dtype.is_floating() and to.is_decimal():
            scale = to.scale or 0
            scaled = sge.Mul(this=sge.paren(arg, copy=False), expression=self.cast(f"1e{scale}", dt.float64))
            size = self.f.abs(scaled)
            rounded = self.f.floor(sge.Add(this=size, expression=self.cast("0.5", dt.float64)))
            whole = self.if_(size < self.cast("4503599627370496", dt.float64), rounded, self.cast(size, dt.int64))
            signed = sge.Mul(this=self.cast(self.f.signum(scaled), dt.int64), expression=sge.paren(whole))
            unit = self.cast(f"{Decimal(1).scaleb(-scale):f}", dt.Decimal(scale + 1, scale))
            return self.cast(sge.Mul(this=self.cast(signed, dt.Decimal(20, 0)), expression=unit), to)
        return super().visit_Cast(op, arg=arg, to=to)

    def visit_Divide(self, op: ops.Divide, *, left: Any, right: Any) -> Any:  # noqa: ARG002, N802
        """Division is of binary fractions, as in DuckDB."""
        sides = (self.cast(arg, dt.float64) for arg in (left, right))
        return sge.Div(this=next(sides), expression=next(sides))

    def visit_ArrayIndex(self, op: ops.ArrayIndex, *, arg: Any, index: Any) -> Any:  # noqa: ARG002, N802
        """One of a list, counted from 0, or from the end where negative. NULL beyond it, as in DuckDB; Spark would refuse the question, as it refuses
        places of 64 bits."""
        place = self.cast(index, dt.int32)
        return self.f.anon.try_element_at(arg, self.if_(place >= 0, place + 1, place))

    def visit_Mode(self, op: ops.Mode, *, arg: Any, where: Any) -> Any:  # noqa: ARG002, N802
        """The most frequent value, the first by name of several."""
        return self.f.anon.mode(arg if where is None else self.if_(where, arg, sge.null()), sge.true())


COMPILER = ExactCompiler()


def _compiled(operation: Node) -> str:
    return str(COMPILER.to_sqlglot(operation.to_expr()).sql(dialect=COMPILER.dialect))


def _written(value: Value) -> str:
    if isinstance(value, str):
        return str(sge.Literal.string(value).sql(dialect=COMPILER.dialect))
    if isinstance(value, datetime):
        return f"'{value.isoformat()}'"
    return f"MAKE_DATE({value.year}, {value.month}, {value.day})"


LANGUAGE = Language(
    "spark",
    _compiled,
    _written,
    re.compile(rf"MAKE_DATE\((9\d{{3}}), 1, 1\)|'(9\d{{3}})-01-01T00:00:00'|{NAME_PLACE}"),
)


def compiled(operation: Node) -> str:
    """Spark SQL of an Ibis operation, compiled once per shape."""
    return sql_of(operation, LANGUAGE)


def column_type(dtype: dt.DataType) -> str:
    """Spark's name of a column's type in a Parquet file: times without a zone; whole numbers of 64 bits without a sign are decimals there."""
    if dtype.is_timestamp():
        return "TIMESTAMP_NTZ"
    if dtype.is_unsigned_integer():
        return "DECIMAL(20, 0)"
    if isinstance(dtype, dt.Array):
        return f"ARRAY<{column_type(dtype.value_type)}>"
    return str(COMPILER.type_mapper.to_string(dtype))

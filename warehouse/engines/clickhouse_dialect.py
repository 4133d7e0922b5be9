"""Ibis for ClickHouse, to the last digit as DuckDB answers.

ClickHouse is approximate where exactness costs (distinct counts, quantiles), truncates where DuckDB rounds, and keeps decimals in divisions.
What would change a digit is compiled otherwise here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import sqlglot.expressions as sge
from ibis.backends.sql.compilers.clickhouse import ClickHouseCompiler
from ibis.common.graph import Node

from warehouse.compiling import NAME_PLACE, Language, Value, sql_of

_EXACT = 2.0**53
"""Up to here every whole number is a binary fraction."""


class ExactCompiler(ClickHouseCompiler):
    """Ibis' compiler with the operations whose answers would differ. Methods are named by the operation that they compile."""

    __slots__ = ()

    SIMPLE_OPS = {ops.CountDistinct: "uniqExact"}  # noqa: RUF012 - Ibis reads it once, when the class is made

    def visit_Quantile(self, op: ops.Quantile, *, arg: Any, quantile: Any, where: Any) -> Any:  # noqa: N802
        """The exact quantile, interpolated between neighbours."""
        return self._visit_quantile("quantileExactInclusive", self._binary(op.arg, arg), quantile, where)

    def visit_Median(self, op: ops.Median, *, arg: Any, where: Any) -> Any:  # noqa: N802
        """The exact median, interpolated between neighbours."""
        return self._visit_quantile("quantileExactInclusive", self._binary(op.arg, arg), sge.convert(0.5), where)

    def visit_Mean(self, op: ops.Mean, *, arg: Any, where: Any) -> Any:  # noqa: N802
        """The mean of binary fractions."""
        return self.agg.avg(self._binary(op.arg, arg), where=where)

    def visit_Mode(self, op: ops.Mode, *, arg: Any, where: Any) -> Any:  # noqa: ARG002, N802
        """The most frequent value, exactly; the first by name of several."""
        call = self.f.anon
        counted = call.isNotNull(arg) if where is None else call["and"](call.isNotNull(arg), where)
        counts = call.sumMapIf(self.f.array(call.assumeNotNull(arg)), self.f.array(sge.convert(1)), counted)
        names, numbers = call.tupleElement(counts, 1), call.tupleElement(counts, 2)
        most = call.indexOf(numbers, call.arrayMax(numbers))
        return self.if_(call.length(names) > 0, call.arrayElement(names, most), sge.null())

    def visit_Divide(self, op: ops.Divide, *, left: Any, right: Any) -> Any:  # noqa: N802
        """Division is of binary fractions."""
        return self.f.anon.divide(self._binary(op.left, left), self._binary(op.right, right))

    def visit_ArrayIndex(self, op: ops.ArrayIndex, *, arg: Any, index: Any) -> Any:  # noqa: ARG002, N802
        """An element by its place from 0, or from the end; ClickHouse counts from 1, which Ibis sees to for literals only."""
        call = self.f.anon
        return call.arrayElement(arg, self.if_(index >= 0, call.plus(index, 1), index))

    def visit_Cast(self, op: ops.Cast, *, arg: Any, to: dt.DataType) -> Any:  # noqa: N802
        """Casts. A binary fraction becomes a decimal as in DuckDB: multiplied by its power of ten and rounded half away from zero."""
        source, call = op.arg.dtype, self.f.anon
        if source.is_decimal() and to.is_floating():
            return self._binary(op.arg, arg)
        if source.is_floating() and to.is_decimal():
            scale = to.scale or 0
            scaled = call.multiply(arg, sge.convert(10.0**scale))
            size = call.abs(scaled)
            rounded = self.if_(size < _EXACT / 2, call.floor(call.plus(size, 0.5)), size)
            number = call.toInt128(call.multiply(call.sign(scaled), rounded))
            arg = call.multiply(call.toDecimal128(number, 0), self._decimal(Decimal(1).scaleb(-scale), scale))
        return super().visit_Cast(op, arg=arg, to=to)

    def visit_Coalesce(self, op: ops.Coalesce, *, arg: Any) -> Any:  # noqa: N802
        """The first known value; decimals of several scales are brought to one."""
        return self.f.coalesce(*self._one_scale(op.arg, arg))

    def visit_IfElse(self, op: ops.IfElse, *, bool_expr: Any, true_expr: Any, false_null_expr: Any) -> Any:  # noqa: N802
        """One of two values; decimals of several scales are brought to one."""
        return self.if_(bool_expr, *self._one_scale((op.true_expr, op.false_null_expr), (true_expr, false_null_expr)))

    def visit_NonNullLiteral(self, op: ops.Literal, *, value: Any, dtype: dt.DataType) -> Any:  # noqa: N802
        """Literals: decimals as written, dates beyond 2149, intervals below a second."""
        if dtype.is_decimal():
            known = dtype.scale if dtype.scale is not None else max(0, -int(Decimal(value).as_tuple().exponent))
            return self._decimal(Decimal(value), known)
        if dtype.is_interval() and dtype.unit.short in ("ms", "us"):
            unit = {"ms": "Millisecond", "us": "Microsecond"}[dtype.unit.short]
            return self.f.anon[f"toInterval{unit}"](int(value))
        if dtype.is_date():
            return self.f.anon.toDate32(value.isoformat())
        return super().visit_NonNullLiteral(op, value=value, dtype=dtype)

    def _decimal(self, value: Decimal, scale: int) -> Any:
        return self.f.anon.toDecimal128(sge.Literal.string(f"{value:f}"), scale)

    def _binary(self, node: ops.Value, arg: Any) -> Any:
        """A decimal as the nearest binary fraction: dividing a long number by its power of ten rounds twice, reading its text once."""
        if not node.dtype.is_decimal():
            return arg
        plain = self.f.anon.toFloat64(arg)
        scale = node.dtype.scale if node.dtype.scale is not None else 15
        read = self.f.anon.toFloat64(self.f.anon.toString(arg))
        return self.if_(self.f.anon.abs(plain) < _EXACT / 10**scale, plain, read)

    def _one_scale(self, nodes: Sequence[ops.Value], parts: Sequence[Any]) -> Sequence[Any]:
        kinds = [node.dtype for node in nodes]
        scales = {kind.scale or 0 for kind in kinds if kind.is_decimal()}
        if not scales or all(kind == kinds[0] for kind in kinds):
            return parts
        return [self.cast(part, dt.Decimal(38, max(scales))) for part in parts]


COMPILER = ExactCompiler()


def _compiled(operation: Node) -> str:
    return str(COMPILER.to_sqlglot(operation.to_expr()).sql(dialect=COMPILER.dialect))


def _written(value: Value) -> str:
    if isinstance(value, str):
        return str(sge.Literal.string(value).sql(dialect=COMPILER.dialect))
    return f"'{value.isoformat()}'"


LANGUAGE = Language(
    "clickhouse", _compiled, _written, re.compile(rf"'(9\d{{3}})-01-01'|'(9\d{{3}})-01-01T00:00:00'|{NAME_PLACE}")
)


def compiled(operation: Node) -> str:
    """ClickHouse SQL of an Ibis operation, compiled once per shape."""
    return sql_of(operation, LANGUAGE)


def column_type(dtype: dt.DataType) -> str:
    """ClickHouse's name of a column's type."""
    return str(COMPILER.type_mapper.to_string(dtype))

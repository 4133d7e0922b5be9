"""Answers of the ten questions in one form, so that engines can be compared to the last digit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from benchmarks.catalogue import UNITS

Row = tuple[Any, ...]


class DifferentAnswersError(AssertionError):
    """Two engines answered one question differently."""


def compare(question: str, answers: Mapping[str, Sequence[Row]]) -> None:
    """Raises DifferentAnswersError, with the first row that differs, unless all engines gave the same rows in whatever order.

    Nothing is rounded: amounts are decimals, counts whole numbers, shares and milliseconds floats of equal bits.
    """
    (first, expected), *others = ((engine, ordered(rows)) for engine, rows in answers.items())
    if not expected:
        raise DifferentAnswersError(f"{question}: {first} found no row at all")
    for engine, rows in others:
        if len(rows) != len(expected):
            raise DifferentAnswersError(f"{question}: {engine} has {len(rows)} rows, {first} {len(expected)}")
        for mine, theirs in zip(rows, expected, strict=True):
            if mine != theirs:
                raise DifferentAnswersError(f"{question}: {engine} says {mine}, {first} {theirs}")


def ordered(rows: Iterable[Row]) -> list[Row]:
    """Rows in an order of their own; a missing value comes last."""
    return sorted(rows, key=lambda row: tuple((value is None, _sortable(value)) for value in row))


def _sortable(value: Any) -> Any:
    return "" if value is None else value


def dollars(units: int | None) -> Decimal | None:
    """An amount in whole units as exact dollars."""
    return None if units is None else Decimal(int(units)) / UNITS

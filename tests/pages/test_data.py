"""Answers are computed once per snapshot and question, and never from another snapshot or question."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import streamlit as st

from analytics.filters import Filters
from pages import _data
from tests.pages import small_store
from tests.pages.sample import figures

MAY = Filters(date(2026, 5, 1), date(2026, 5, 31))


@pytest.fixture(autouse=True)
def a_session() -> None:
    st.session_state.clear()
    figures.ASKED.clear()


def echo(_warehouse: object, value: object) -> str:
    """The value as text, so that two questions taken for one give a wrong text."""
    return repr(value)


def test_an_answer_is_computed_once_and_handed_out_as_a_copy() -> None:
    first = _data.answer(figures.daily_costs, MAY)
    first["cost"] = None
    second = _data.answer(figures.daily_costs, MAY)
    assert sum(second["cost"], Decimal(0)) == sum(small_store.DAILY.values()) * 31
    assert figures.ASKED == ["snapshot-000001"]


def test_another_question_is_another_answer() -> None:
    april = Filters(date(2026, 4, 1), date(2026, 4, 30), basis="list")
    assert sum(_data.answer(figures.daily_costs, MAY)["cost"], Decimal(0)) == Decimal("271.05") * 31
    assert sum(_data.answer(figures.daily_costs, april)["cost"], Decimal(0)) == Decimal("271.05") * 30 * 2


def test_a_new_snapshot_gives_new_answers_and_the_old_session_keeps_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    small_store.build(store, months=("2026-05",))
    monkeypatch.setenv(_data.STORE_VARIABLE, str(store))
    assert _data.look_up_snapshot() == "snapshot-000001"
    assert _data.span() == (date(2026, 5, 1), date(2026, 5, 31))
    small_store.build(store, months=("2026-04", "2026-05"))
    # Within one run of a page nothing moves.
    assert _data.span() == (date(2026, 5, 1), date(2026, 5, 31))
    assert _data.look_up_snapshot() == "snapshot-000002"
    assert _data.span() == (date(2026, 4, 1), date(2026, 5, 31))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (1, "1"),
        (1, Decimal(1)),
        (1.0, 1),
        (None, "None"),
        (("a", ("b",)), (("a", "b"),)),
        (("ab",), ("a", "b")),
        (("a", "bc"), ("ab", "c")),
        (date(2026, 5, 1), "2026-05-01"),
        (Decimal("1.0"), Decimal("1.00")),
    ],
    ids=repr,
)
def test_questions_that_look_alike_are_told_apart(one: object, other: object) -> None:
    assert [_data.answer(echo, one), _data.answer(echo, other)] == [repr(one), repr(other)]


@pytest.mark.parametrize(
    "value",
    [pd.DataFrame({"a": [1]}), pd.Series([1]), np.arange(3), [1, 2], {"a": 1}, {1, 2}, object(), (1, [2])],
    ids=lambda value: type(value).__name__,
)
def test_frames_and_anything_mutable_are_refused(value: object) -> None:
    with pytest.raises(TypeError, match="cannot be part of a cached question"):
        _data.answer(echo, value)


def test_a_function_without_a_name_of_its_own_is_refused() -> None:
    with pytest.raises(TypeError, match="no top-level function"):
        _data.answer(lambda warehouse: 1)


def test_an_error_is_not_kept() -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            _data.answer(figures.broken)


def test_equal_statements_are_asked_once_until_answers_are_forgotten() -> None:
    warehouse = _data.warehouse()
    expression = warehouse.table("charges_daily").group_by("x_CostCategory").count()
    first = warehouse.arrow(expression)
    assert warehouse.arrow(expression) is first
    _data.forget_answers()
    again = warehouse.arrow(expression)
    assert again is not first
    assert sorted(map(str, again.to_pylist())) == sorted(map(str, first.to_pylist()))

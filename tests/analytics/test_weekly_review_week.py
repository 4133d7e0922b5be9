"""The week of a review: Monday to Sunday, read by its name and by its days."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.weekly_review_week import read_week, week_of
from warehouse.errors import InputError


@pytest.mark.parametrize("text", ["2026-W54", "W22", "last week", "2026-05-32", ""])
def test_a_week_that_there_is_not_is_refused_in_words(text: str) -> None:
    with pytest.raises(InputError, match="2026-W22"):
        read_week(text)


@given(st.dates(date(1990, 1, 1), date(2100, 1, 1)))
def test_a_week_is_monday_to_sunday_and_is_read_by_its_name_and_by_its_days(day: date) -> None:
    week = week_of(day)
    assert week.start.weekday() == 0
    assert week.start <= day <= week.end
    assert (week.end - week.start).days == 6
    assert read_week(week.name) == week == read_week(day.isoformat())
    assert week.before().end == week.start - timedelta(days=1)
    assert sorted([week.name, week.before().name]) == [week.before().name, week.name]

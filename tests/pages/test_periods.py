"""Periods by name, worked out by hand on a calendar."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pages import _periods

DEMO = (date(2026, 3, 1), date(2026, 5, 31))


def test_the_presets_of_three_whole_months() -> None:
    assert dict(_periods.presets(DEMO)) == {
        "Latest full month": (date(2026, 5, 1), date(2026, 5, 31)),
        "This month": (date(2026, 5, 1), date(2026, 5, 31)),
        "Last month": (date(2026, 4, 1), date(2026, 4, 30)),
        "Last 7 days": (date(2026, 5, 25), date(2026, 5, 31)),
        "Last 28 days": (date(2026, 5, 4), date(2026, 5, 31)),
        "Last 90 days": (date(2026, 3, 3), date(2026, 5, 31)),
        "All data": DEMO,
        "May 2026": (date(2026, 5, 1), date(2026, 5, 31)),
        "April 2026": (date(2026, 4, 1), date(2026, 4, 30)),
        "March 2026": (date(2026, 3, 1), date(2026, 3, 31)),
    }


@pytest.mark.parametrize(
    ("first", "last", "month"),
    [
        (date(2026, 3, 1), date(2026, 5, 30), date(2026, 4, 1)),  # May lacks its last day
        (date(2026, 3, 1), date(2026, 5, 31), date(2026, 5, 1)),
        (date(2026, 5, 3), date(2026, 5, 20), date(2026, 5, 1)),  # no whole month at all
        (date(2025, 11, 20), date(2026, 1, 5), date(2025, 12, 1)),  # over the turn of the year
        (date(2028, 1, 1), date(2028, 2, 28), date(2028, 1, 1)),  # a leap February ends on the 29th
    ],
)
def test_the_latest_full_month(first: date, last: date, month: date) -> None:
    assert _periods.latest_full_month((first, last)) == _periods.month_of(month)


@given(st.dates(date(2020, 1, 1), date(2030, 1, 1)), st.integers(min_value=0, max_value=800))
def test_every_preset_holds_a_day_with_data(first: date, days: int) -> None:
    span = (first, first + timedelta(days=days))
    presets = _periods.presets(span)
    assert next(iter(presets)) == _periods.LATEST_FULL_MONTH
    assert presets["All data"] == span
    for start, end in presets.values():
        assert start <= end
        assert start <= span[1]
        assert end >= span[0]


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        (date(2026, 5, 1), date(2026, 5, 31), "1 – 31 May 2026"),
        (date(2026, 4, 28), date(2026, 5, 4), "28 April – 4 May 2026"),
        (date(2025, 12, 28), date(2026, 1, 3), "28 December 2025 – 3 January 2026"),
        (date(2026, 5, 2), date(2026, 5, 2), "2 May 2026"),
    ],
)
def test_a_period_in_words(start: date, end: date, words: str) -> None:
    assert _periods.describe((start, end)) == words

"""CSV files read back, as Python and a spreadsheet would read them."""

from __future__ import annotations

import csv
import io
from datetime import date, datetime
from decimal import Decimal

import duckdb
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.csv_export import cell, frame_to_csv, neutralise


def _read(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("utf-8"), newline="")))


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+cmd|' /C calc'!A0",
        "-2+3+cmd",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "  =HYPERLINK(1)",
        '=IMPORTXML("x")',
        "-",
        "+",
        "=-1",
    ],
)
def test_formulas_are_shown_and_not_run(text: str) -> None:
    assert neutralise(text) == "'" + text


@pytest.mark.parametrize(
    "text", ["-12.5", "+3", "-1e-7", ".5", "-.5", "search", "a=b", "", "user@example.com", "Tìm kiếm"]
)
def test_numbers_and_plain_text_stay_as_they_are(text: str) -> None:
    assert neutralise(text) == text


@given(st.text())
def test_no_cell_starts_like_a_formula_unless_it_is_a_number(text: str) -> None:
    written = neutralise(text)
    if written and written[0] in "=+-@\t\r":
        float(written)
    assert written.removeprefix("'") == text.removeprefix("'")


def test_a_frame_reads_back_to_the_last_digit() -> None:
    frame = (
        duckdb.sql(
            """
        SELECT DATE '2026-05-01' AS day, 'tóm tắt' AS feature, 47231.123456789012::DECIMAL(38,12) AS cost,
               9007199254740993 AS calls, 0.1::DOUBLE AS share
        UNION ALL SELECT DATE '2026-05-02', '=x', NULL, NULL, NULL
        UNION ALL SELECT NULL, NULL, -0.000000000001::DECIMAL(38,12), 0, -0.25
        """
        )
        .to_arrow_table()
        .to_pandas()
    )
    header, first, second, third = _read(frame_to_csv(frame))
    assert header == ["day", "feature", "cost", "calls", "share"]
    assert first[:3] + first[4:] == ["2026-05-01", "tóm tắt", "47231.123456789012", "0.1"]
    assert second == ["2026-05-02", "'=x", "", "", ""]
    assert third == ["", "", "-0.000000000001", "0", "-0.25"]


def test_decimals_and_large_integers_keep_every_digit() -> None:
    frame = pd.DataFrame(
        {
            "cost": [Decimal("47231.123456789012"), Decimal("-0.000000000001"), None],
            "calls": pd.array([9007199254740993, None, 0], dtype="Int64"),
        }
    )
    assert _read(frame_to_csv(frame))[1:] == [
        ["47231.123456789012", "9007199254740993"],
        ["-0.000000000001", ""],
        ["", "0"],
    ]


def test_times_keep_their_hours_and_days_stay_days() -> None:
    frame = pd.DataFrame(
        {
            "started_at": [datetime(2026, 5, 1, 17, 30), datetime(2026, 5, 2)],
            "day": [pd.Timestamp("2026-05-01"), pd.NaT],
            "plain": [date(2026, 5, 1), None],
        }
    )
    assert _read(frame_to_csv(frame))[1:] == [
        ["2026-05-01 17:30:00", "2026-05-01", "2026-05-01"],
        ["2026-05-02 00:00:00", "", ""],
    ]


def test_commas_quotes_and_line_ends_survive() -> None:
    text = 'a "quoted", thing\nover two lines'
    assert _read(frame_to_csv(pd.DataFrame({"text": [text]})))[1] == [text]


def test_header_names_are_neutralised_too() -> None:
    assert _read(frame_to_csv(pd.DataFrame({"=cmd": [1]})))[0] == ["'=cmd"]


def test_lists_and_maps_are_json() -> None:
    assert cell(["a", Decimal("1.50")]) == '["a", "1.50"]'
    assert cell({"b": 1, "a": "=x"}) == '{"a": "\'=x", "b": "1"}'


def test_missing_and_impossible_numbers_are_empty() -> None:
    assert [cell(value) for value in (None, float("nan"), float("inf"), pd.NA, pd.NaT, Decimal("NaN"))] == [""] * 6

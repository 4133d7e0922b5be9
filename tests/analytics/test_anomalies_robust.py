"""The default detector against published days, labelled series, and cases by hand."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.anomalies import RULE
from analytics.anomalies_detect import detect
from analytics.anomalies_plain import plain_flags, read_plain_series
from analytics.anomalies_robust import judge, median, robust
from analytics.anomalies_young import new_costs
from warehouse.errors import InputError

FOLDER = Path(__file__).parent.parent / "data" / "anomaly"
DAYS = 180


def taxis() -> tuple[list[dict[str, str]], np.ndarray]:
    with (FOLDER / "nyc_taxi_daily.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return rows, np.array([[float(row["value"]) for row in rows]])


@pytest.mark.parametrize(("spreads", "number", "inside"), [(7, 6, 6), (5, 10, 9)])
def test_the_published_days_of_the_new_york_taxis(spreads: float, number: int, inside: int) -> None:
    rows, costs = taxis()
    judged = judge(costs)
    found = [row for row, z in zip(rows, judged.z[0], strict=True) if abs(z) >= spreads]
    assert (len(found), sum(row["in_window"] == "1" for row in found)) == (number, inside)
    if spreads == 7:
        assert [row["date"] for row in found] == [
            "2014-11-27", "2014-12-25", "2014-12-26", "2014-12-27", "2015-01-26", "2015-01-27",
        ]  # fmt: skip


def labelled() -> tuple[
    dict[str, dict[date, Decimal]], set[tuple[str, date]], dict[str, list[tuple[int, int, str]]], date
]:
    costs = read_plain_series(FOLDER / "synthetic_daily_seed1.csv.gz").costs
    with gzip.open(FOLDER / "synthetic_daily_seed1.csv.gz", "rt", encoding="utf-8") as stream:
        open_days = {
            (row["series"], date.fromisoformat(row["date"]))
            for row in csv.DictReader(stream)
            if row["incomplete"] == "1"
        }
    events: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    with (FOLDER / "synthetic_events_seed1.csv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            if row["event"] != "none":
                events[row["series"]].append((int(row["start_day"]), int(row["end_day"]), row["event"]))
    return costs, open_days, events, min(min(days) for days in costs.values())


def scored(
    flags: set[tuple[str, date]], events: dict[str, list[tuple[int, int, str]]], start: date
) -> tuple[int, float, float]:
    """Alerts, precision and recall, as the series' makers define them."""
    days: dict[str, list[int]] = defaultdict(list)
    for series, day in sorted(flags):
        if (day - start).days >= 60:
            days[series].append((day - start).days)
    alerts = right = 0
    found = set()
    for series, numbers in days.items():
        runs: list[list[int]] = []
        for number in numbers:
            if runs and number - runs[-1][-1] <= 3:
                runs[-1].append(number)
            else:
                runs.append([number])
        for run in runs:
            hit = [event for event in events[series] if run[0] <= event[1] - 1 + 3 and run[-1] >= event[0]]
            alerts, right = alerts + 1, right + bool(hit)
            found |= {(series, event) for event in hit}
    return alerts, right / alerts, len(found) / sum(map(len, events.values()))


def test_labelled_series() -> None:
    costs, open_days, events, start = labelled()
    known = {
        name: {day: cost for day, cost in days.items() if (name, day) not in open_days} for name, days in costs.items()
    }
    frame = plain_flags(known, open_days=0)
    up = {(row.series, row.date) for row in frame.itertuples() if row.direction == "up"}
    alerts, precision, recall = scored(up, events, start)
    assert precision > 0.88
    assert recall > 0.90
    assert alerts < 220
    # Days that are not complete are no drops, even where nothing says that they are not complete.
    down = plain_flags(costs)
    assert not {(row.series, row.date) for row in down.itertuples() if row.direction == "down"} & open_days


def test_the_rule_on_the_labelled_series_counts_as_published() -> None:
    costs, _, events, start = labelled()
    frame = plain_flags(costs, RULE)
    alerts, precision, _ = scored(set(zip(frame["series"], frame["date"], strict=True)), events, start)
    assert alerts == 1529
    assert precision == pytest.approx(0.190, abs=0.0005)


def steady(days: int = 100, level: float = 100.0, seed: int = 1) -> np.ndarray:
    random = np.random.default_rng(seed)
    week = np.where(np.arange(days) % 7 >= 5, 0.4, 1.0)
    return level * week * np.exp(random.normal(0, 0.03, days))


def kinds(values: np.ndarray) -> dict[int, tuple[str, str]]:
    hits, _ = detect(values[None, :])
    return {hit.day: (hit.kind, hit.direction) for hit in hits}


def test_weekends_are_ordinary_and_a_dear_weekend_day_is_not() -> None:
    assert kinds(steady()) == {}
    dear = steady()
    dear[82] *= 2.2  # A Saturday that costs as much as a Friday: no rule on plain averages could tell.
    assert kinds(dear) == {82: ("spike", "up")}


def test_a_step_is_told_for_two_weeks_and_is_then_the_new_level() -> None:
    values = steady(140)
    values[80:] *= 1.8
    found = kinds(values)
    assert found[80] == found[81] == ("spike", "up")
    assert found[82] == ("step", "up")
    assert 8 <= len([day for day in found if day >= 80]) <= 16
    assert max(found) < 100


def test_a_spike_does_not_hide_the_next_one() -> None:
    values = steady()
    values[[80, 84, 88]] *= 2
    assert {80, 84, 88} <= set(kinds(values))


def test_what_costs_nothing_suddenly_is_a_drop() -> None:
    values = steady()
    values[90:92] = 0
    assert kinds(values) == {90: ("drop", "down"), 91: ("drop", "down")}


def test_slow_growth_is_a_leak_and_ordinary_growth_is_not() -> None:
    ramp = np.concatenate([np.ones(80), np.linspace(1, 2, 30), np.full(20, 2.0)])
    leaking = kinds(steady(130) * ramp)
    assert any(kind == "leak" for kind, _ in leaking.values())
    assert min(leaking) >= 85
    growing = steady(130) * np.exp(0.004 * np.arange(130))
    assert kinds(growing) == {}


def test_a_monthly_charge_is_news_once() -> None:
    values = steady(150)
    values[[70, 100, 130]] += 100
    assert set(kinds(values)) == {70}


def test_a_new_cost_is_told_for_a_week() -> None:
    total, new = steady(60, 1000.0), np.zeros(60)
    new[40:] = 30.0
    hits, _ = detect(np.array([total, np.where(np.arange(60) < 40, np.nan, new)]))
    assert [(hit.series, hit.day, hit.kind, hit.expected) for hit in hits] == [
        (1, day, "new cost", 0.0) for day in range(40, 47)
    ]
    # Nothing is new in a store that is itself new, nor what is too little to tell.
    young, _ = new_costs(np.array([new[35:]]), total[35:], np.arange(25.0), np.zeros((1, 25), dtype=bool))
    assert not young.any()
    small, _ = detect(np.array([total, np.where(np.arange(60) < 40, np.nan, new / 10)]))
    assert small == []


def test_a_young_series_is_told_with_low_confidence() -> None:
    values = steady(20)
    values[15:] *= 3
    hits, _ = detect(values[None, :])
    assert hits[0].day == 15
    assert {hit.confidence for hit in hits} == {"low"}


@settings(max_examples=20, deadline=None)
@given(st.integers(60, 99), st.floats(0.2, 5), st.integers(0, 5))
def test_a_day_is_judged_by_earlier_days_alone(last: int, factor: float, seed: int) -> None:
    """Flags of a day stay what they are when later days come, and wherever the evaluation begins."""
    values = np.array([steady(100, seed=seed), steady(100, seed=seed + 10)])
    values[0, 70] *= factor
    values[1, 75:] *= factor
    whole, _ = detect(values)
    cut, _ = detect(values[:, : last + 1])
    late, _ = detect(values, first=last)
    assert [hit for hit in whole if hit.day <= last] == cut
    assert [hit for hit in whole if hit.day >= last] == late


@settings(max_examples=20, deadline=None)
@given(st.floats(0.5, 1000), st.integers(0, 20))
def test_the_currency_does_not_matter_above_the_least_amount(factor: float, seed: int) -> None:
    values = steady(100, 1000.0, seed)
    values[80] *= 1.9
    one, other = robust(values[None, :]), robust(values[None, :] * factor)
    assert (one.up == other.up).all()
    assert (one.down == other.down).all()


@given(
    st.lists(
        st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(float("nan"))), min_size=5, max_size=5), min_size=1, max_size=4
    )
)
def test_the_median_is_numpys(rows: list[list[float]]) -> None:
    values = np.array(rows)
    expected = [np.nan if np.isnan(row).all() else np.nanmedian(row) for row in values]
    assert median(values) == pytest.approx(expected, nan_ok=True)


def test_a_file_of_plain_series_says_which_rows_it_leaves_out(tmp_path: Path) -> None:
    path = tmp_path / "costs.csv"
    lines = [f"{date(2026, 1, 1) + timedelta(days=day)},10" for day in range(10)]
    path.write_text("\n".join(["date,cost", *lines, "yesterday,5", "2026-01-02,much", "2026-01-05,2.5"]))
    found = read_plain_series(path)
    assert found.costs == {
        "cost": {
            date(2026, 1, 1) + timedelta(days=day): Decimal("12.5") if day == 4 else Decimal(10) for day in range(10)
        }
    }
    assert [line.split(": ")[0].rpartition(", ")[2] for line in found.rejected] == ["row 11", "row 12"]
    path.write_text("day,cost\n2026-01-01,5\n")
    with pytest.raises(InputError, match="no column 'date'"):
        read_plain_series(path)

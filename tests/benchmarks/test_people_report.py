"""The page about many people says what was measured: ratios to the floor, growth of memory, and failures where there were any."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.people import measure_people
from benchmarks.report_people import people_report
from pages._registry import REGISTRY
from tests.pages import small_store

MIB = 2**20


def measured(errors: tuple[str, ...] = ()) -> dict[str, Any]:
    """A run of round figures."""
    floor = {
        "actions": {"slider": 400, "page": 100},
        "median": {"slider": 0.010, "page": 0.020, "any": 0.011},
        "p95": {"slider": 0.050, "page": 0.060, "any": 0.055},
        "cpu_seconds_per_action": 0.004,
    }
    product = {
        "actions": {"slider": 1500, "page": 500},
        "median": {"slider": 0.025, "page": 0.080, "any": 0.030},
        "p95": {"slider": 0.150, "page": 0.200, "any": 0.160},
        "cpu_seconds_per_action": 0.014,
        "errors": len(errors),
        "first_errors": list(errors),
        "visits": 240,
        "samples": [
            {"seconds": 0.0, "actions": 0, "resident": 500 * MIB},
            {"seconds": 60.0, "actions": 660, "resident": 545 * MIB},
            {"seconds": 90.0, "actions": 1000, "resident": 530 * MIB},
            {"seconds": 120.0, "actions": 1300, "resident": 533 * MIB},
            {"seconds": 180.0, "actions": 2000, "resident": 540 * MIB},
        ],
    }
    result = {
        "people": 240, "interval_seconds": 5.0, "minutes": 3.0, "slider_share": 0.8, "processes": 2, "full_speed": False, "floor": floor,
        "product": product,
    }  # fmt: skip
    return {"machine": {"cores": "2"}, "results": [result], "command": "python -m benchmarks people"}


def _rows(text: str, start: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[2:-1]] for line in text.splitlines() if line.startswith(start)]


def test_the_page_holds_every_kind_against_the_floor() -> None:
    text = people_report(measured())
    assert _rows(text, "| a slider") == [["1,500", "25", "10", "2.5"], ["1,500", "150", "50", "3.0"]]
    assert _rows(text, "| another page") == [["500", "80", "10", "8.0"], ["500", "200", "50", "4.0"]]
    assert _rows(text, "| servers' CPU") == [["2,000", "14.0", "4.0", "3.5"]]
    assert _rows(text, "| any action") == [["2,000", "30", "10", "3.0"], ["2,000", "160", "50", "3.2"]]


def test_memory_is_told_for_each_third_and_its_growth_in_the_last() -> None:
    # From 533 MiB after 1,300 actions, the reading next to two thirds of 2,000, to 540 after 700 more.
    text = people_report(measured())
    assert _rows(text, "| after two thirds") == [["1,300", "120", "533"]]
    assert _rows(text, "| at the end") == [["2,000", "180", "540"]]
    assert "The last third grew by +10.0 MiB per 1,000 actions; the most was 545 MiB" in text
    assert "No action failed." in text


def test_a_run_at_full_speed_says_that_its_times_are_those_of_a_queue() -> None:
    part = measured()
    part["results"][0] |= {"full_speed": True, "interval_seconds": 0.0}
    text = people_report(part)
    assert "2,000 actions in all" in text
    assert "times are those of a queue" in text
    assert "did not keep up" not in text


def test_a_server_that_does_not_keep_up_is_told() -> None:
    # 240 people for 3 minutes, each every 5 seconds: 8,640 actions wanted, 2,000 made.
    assert "people got 23% of the actions" in people_report(measured())


def test_every_crowd_has_its_section() -> None:
    part = measured()
    part["results"].append({**part["results"][0], "people": 25, "minutes": 6.0})
    text = people_report(part)
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## 240 people, 2 server processes",
        "## 25 people, 2 server processes",
    ]
    # 25 people for 6 minutes want 1,800 actions: 2,000 are no fewer.
    assert text.count("did not keep up") == 1


def test_failures_are_told() -> None:
    text = people_report(measured(("batch: TimeoutError ", "rag: TimeoutError ")))
    assert "2 failures, the first: batch: TimeoutError" in text
    assert "No action failed" not in text


def test_a_few_people_are_measured_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = tmp_path / "store"
    small_store.build(store)
    monkeypatch.setattr(
        "benchmarks.people.REGISTRY", REGISTRY[:1] + tuple(e for e in REGISTRY if e.url_path == "volume")
    )
    result = measure_people(store, tmp_path, people=2, interval=0.2, minutes=0.03, floor_minutes=0.02, actions=60)
    for side in ("floor", "product"):
        assert result[side]["errors"] == 0
        assert sum(result[side]["actions"].values()) > 0
        assert result[side]["cpu_seconds_per_action"] > 0
        assert result[side]["samples"][0]["resident"] > 10 * MIB
    # Each person may be at work when the last action is counted.
    assert 60 <= sum(result["product"]["actions"].values()) <= 61
    page = tmp_path / "people.md"
    page.write_text(people_report({"machine": {"cores": "2"}, "results": [result], "command": "people"}))
    assert str(tmp_path) not in page.read_text()

"""The page about many people says what was measured: ratios to the floor, growth of memory, and failures where there were any."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.people import measure_people
from benchmarks.report import people_report
from pages._registry import REGISTRY
from tests.pages import small_store

MIB = 2**20


def measured(errors: tuple[str, ...] = ()) -> dict[str, Any]:
    """A run of round figures."""
    floor = {
        "actions": {"slider": 400, "page": 100},
        "median": {"slider": 0.010, "page": 0.020},
        "p95": {"slider": 0.050, "page": 0.060},
        "cpu_seconds_per_action": 0.004,
    }
    product = {
        "actions": {"slider": 1500, "page": 500},
        "median": {"slider": 0.025, "page": 0.080},
        "p95": {"slider": 0.150, "page": 0.200},
        "cpu_seconds_per_action": 0.014,
        "errors": len(errors),
        "first_errors": list(errors),
        "resident": {"begin": 500 * MIB, "half": 530 * MIB, "end": 540 * MIB},
    }
    result = {"people": 240, "interval_seconds": 5.0, "minutes": 3.0, "slider_share": 0.8, "floor": floor, "product": product}  # fmt: skip
    return {"machine": {"cores": "2"}, "results": [result]}


def _rows(text: str, start: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[2:-1]] for line in text.splitlines() if line.startswith(start)]


def test_the_page_holds_every_kind_against_the_floor() -> None:
    text = people_report(measured())
    assert _rows(text, "| a slider") == [["1,500", "25", "10", "2.5"], ["1,500", "150", "50", "3.0"]]
    assert _rows(text, "| another page") == [["500", "80", "10", "8.0"], ["500", "200", "50", "4.0"]]
    assert _rows(text, "| server") == [["2,000", "14.0", "4.0", "3.5"]]


def test_memory_is_told_per_thousand_actions_and_for_the_second_half() -> None:
    # 40 MiB over 2,000 actions; 10 MiB over the 1,000 of the second half.
    text = people_report(measured())
    assert (
        "500 MiB when all had arrived, 530 half way, 540 at the end: +20.0 MiB per 1,000 actions, +10.0 in the second half"
        in text
    )
    assert "No action failed." in text


def test_a_server_that_does_not_keep_up_is_told() -> None:
    # 240 people for 3 minutes, each every 5 seconds: 8,640 actions wanted, 2,000 made.
    assert "people got 23% of the actions" in people_report(measured())


def test_every_crowd_has_its_section() -> None:
    part = measured()
    part["results"].append({**part["results"][0], "people": 25, "minutes": 6.0})
    text = people_report(part)
    assert [line for line in text.splitlines() if line.startswith("## ")] == ["## 240 people", "## 25 people"]
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
    result = measure_people(store, tmp_path, people=2, interval=0.2, minutes=0.03, floor_minutes=0.02)
    for side in ("floor", "product"):
        assert result[side]["errors"] == 0
        assert sum(result[side]["actions"].values()) > 0
        assert result[side]["cpu_seconds_per_action"] > 0
        assert result[side]["resident"]["begin"] > 10 * MIB
    page = tmp_path / "people.md"
    page.write_text(people_report({"machine": {"cores": "2"}, "results": [result]}))
    assert str(tmp_path) not in page.read_text()

"""The benchmark of sliders on a few thousand calls: every lever has something to act on, and the page tells every lever. Times are never judged."""

from __future__ import annotations

from pathlib import Path

from analytics.simulators.lever_pages import PAGES
from benchmarks.sliders import measure_sliders, report
from benchmarks.sliders_store import store_with_gpu

FACTS = dict.fromkeys(
    ("floor_ms", "floor_p95_ms", "chart_ms", "chart_p95_ms", "answer_ms", "answer_p95_ms", "ratio", "p95_ratio", "answer_ratio"), 1.0
)  # fmt: skip


def test_every_lever_is_measured_and_told(tmp_path: Path) -> None:
    store = store_with_gpu(tmp_path, 4000)
    assert store_with_gpu(tmp_path, 4000) == store
    server = measure_sliders(store, 3)
    assert server["calls"] == 4000
    assert set(server["levers"]) == set(PAGES)
    titles = {name: {"title": page.kind.title, **FACTS} for name, page in PAGES.items()}
    page = report(server, titles)
    for each in PAGES.values():
        assert page.count(f"| {each.kind.title} |") == 2

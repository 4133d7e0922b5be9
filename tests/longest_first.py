"""In which order workers share the test files: the longest first, so that at the end none waits for the others."""

from __future__ import annotations

from typing import Any

from xdist.scheduler import LoadFileScheduling

TOGETHER = ("tests/engines", "tests/browser", "tests/connectors/demo_company")
"""Folders that one worker runs whole: their files share what is dear to start, a Spark cluster, a browser with its servers, a made-up company."""

LONGEST = (
    "tests/engines",
    # Does not read the demo company's store, which the worker with the engines makes meanwhile.
    "tests/connectors/demo_company",
    "tests/browser",
    "tests/operations/test_export_command.py",
    "tests/pages/test_optimize_pages.py",
    "tests/benchmarks/test_small_run.py",
    "tests/connectors/test_litellm.py",
    "tests/analytics/test_weekly_review.py",
    "tests/operations/test_samples.py",
    "tests/operations/test_alerts.py",
    "tests/operations/test_sync.py",
    "tests/analytics/simulators/test_realised.py",
    "tests/connectors/test_langfuse_export.py",
    "tests/connectors/test_plain.py",
    "tests/analytics/test_allocation.py",
    "tests/warehouse/test_review_cases.py",
    "tests/connectors/test_gcp_export.py",
    "tests/connectors/test_files.py",
    "tests/operations/test_review_command.py",
    "tests/operations/test_bad_input.py",
    "tests/connectors/test_focus.py",
    "tests/analytics/test_snapshot_report.py",
    "tests/pages/test_cold_start.py",
)
"""By CPU time, the longest first; each takes ten seconds or more. All others follow, those with many tests first."""


class LongestFirst(LoadFileScheduling):
    """A worker that has nothing left takes the longest file that nobody has taken."""

    def _split_scope(self, nodeid: str) -> str:
        return next((folder for folder in TOGETHER if nodeid.startswith(f"{folder}/")), super()._split_scope(nodeid))

    def _assign_work_unit(self, node: Any) -> None:
        self.workqueue.move_to_end(min(self.workqueue, key=self._rank), last=False)
        super()._assign_work_unit(node)

    def _rank(self, unit: str) -> tuple[int, int]:
        return LONGEST.index(unit) if unit in LONGEST else len(LONGEST), -len(self.workqueue[unit])

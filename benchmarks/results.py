"""What was measured, kept as JSON beside this module: one file per number of calls, from which docs/benchmarks.md is written.

A part that is measured anew takes the place of the old one; the others stay as they were, each with its own day and machine.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent / "results"

Part = dict[str, Any]
"""`machine` (facts in words, its day among them), `result`, and `peak_bytes` of the measuring process."""


def known(folder: Path = FOLDER) -> dict[int, dict[str, Part]]:
    """Number of calls -> name of a part -> what was measured last, fewer calls first."""
    found = {int(path.stem): json.loads(path.read_text()) for path in folder.glob("*.json")}
    return dict(sorted(found.items()))


def record(calls: int, parts: dict[str, Part], folder: Path = FOLDER) -> None:
    """Keep these parts in the place of what was measured before."""
    folder.mkdir(exist_ok=True)
    before = known(folder).get(calls, {})
    (folder / f"{calls}.json").write_text(json.dumps(before | parts, indent=1, sort_keys=True) + "\n")


def smaller(calls: int, folder: Path = FOLDER) -> tuple[int, dict[str, Any]] | None:
    """The ten questions on the next smaller number of calls, and that number; None when nobody asked them."""
    below = [
        (size, parts["questions"]["result"])
        for size, parts in known(folder).items()
        if size < calls and "questions" in parts
    ]
    return below[-1] if below else None

"""The ten questions, asked in turn of Percall and of every peer that is there, each in a process of its own, in one run.

All answers must be equal to the last digit before anything is timed. What a peer cannot do on this machine is said with its reason.
"""

from __future__ import annotations

import shutil
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.answers import Row, compare
from benchmarks.measuring import Usage, available_bytes, median
from benchmarks.peers import OWN, PEERS, Asked, Peer
from benchmarks.rows import Rows, write_rows
from benchmarks.ten import HOW, TITLES

SAFE_CALLS = 20_000_000
"""Up to so many calls every engine is tried, whatever it may need."""

ROOM_TO_SORT = 4 / 3
"""Disk that building a table with its indexes takes for a while, for each byte that they take in the end."""

PATIENCE_SECONDS = 20.0
"""An engine is asked a question `repeats` times, or as often as fits into this time, but once at least."""


def measure_questions(
    store: Path, folder: Path, repeats: int = 5, smaller: tuple[int, dict[str, Any]] | None = None
) -> dict[str, Any]:
    """Ask everything once and compare, then up to `repeats` times, the engines taking turns.

    `folder` keeps the peers' data. `smaller` is the result of a run on fewer calls (their number, and what this function returned): a peer
    whose need grows beyond what is free by its figures is left out.

    Returns per engine what opening took, its version and facts, or why it was left out (`reason`); per question the way Percall answers, the number
    of rows and every engine's median seconds, median CPU seconds, peak memory and number of times. Raises DifferentAnswersError.
    """
    rows = write_rows(store, folder / "rows")
    engines: dict[str, dict[str, Any]] = {}
    questions: dict[str, dict[str, Any]] = {}
    with ExitStack() as stack:
        asked: list[Asked] = []
        for peer in PEERS:
            reason = peer.absent or _too_large(peer, rows, smaller)
            if reason:
                engines[peer.name] = {"reason": reason}
                continue
            _say(f"opening {peer.name}")
            one = stack.enter_context(Asked(peer, rows))
            opening, facts = one.opened()
            engines[peer.name] = {"version": peer.version, "open": _facts([opening]), **facts}
            asked.append(one)
        for question, title in TITLES.items():
            _say(f"{question} {title}")
            questions[question] = _ask_in_turn(question, asked, repeats)
    return {"repeats": repeats, "calls": rows.count, "engines": engines, "questions": questions}


def _ask_in_turn(question: str, asked: list[Asked], repeats: int) -> dict[str, Any]:
    answers: dict[str, list[Row]] = {}
    taken: dict[str, list[Usage]] = {one.peer.name: [] for one in asked}
    left: dict[str, int] = {}
    for one in asked:
        usage, answers[one.peer.name] = one.ask(question, exact=True)
        left[one.peer.name] = max(1, min(repeats, int(PATIENCE_SECONDS / max(usage.seconds, 0.001))))
    compare(question, answers)
    for turn in range(repeats):
        for one in asked:
            if turn < left[one.peer.name]:
                taken[one.peer.name].append(one.ask(question)[0])
    return {
        "how": HOW[question],
        "rows": len(answers[OWN]),
        "engines": {name: _facts(usages) for name, usages in taken.items()},
    }


def _facts(usages: list[Usage]) -> dict[str, Any]:
    return {
        "seconds": median([usage.seconds for usage in usages]),
        "cpu_seconds": median([usage.cpu_seconds for usage in usages]),
        "peak_bytes": max(usage.peak_bytes for usage in usages),
        "times": len(usages),
    }


def _too_large(peer: Peer, rows: Rows, smaller: tuple[int, dict[str, Any]] | None) -> str | None:
    """Why so many calls are too many for a peer on this machine, by what it took on fewer; None when they are not."""
    if not peer.bound:
        return None
    calls, result = smaller or (0, {"engines": {}})
    known = result["engines"].get(peer.name, {"reason": "not asked"})
    if "reason" in known:
        unknown = "nobody knows what so many take: measure fewer first"
        return unknown if rows.count > SAFE_CALLS else None
    if peer.bound == "disk":
        taken = int(known["disk_bytes"] * ROOM_TO_SORT)
        free, what = shutil.disk_usage(rows.folder).free, "of disk, indexes and room to sort for them included"
    else:
        peaks = [facts["engines"][peer.name]["peak_bytes"] for facts in result["questions"].values()]
        taken, free, what = max(known["open"]["peak_bytes"], *peaks), available_bytes(), "of memory at its peak"
    needed = taken * rows.count / calls
    if needed <= free:
        return None
    return f"{calls:,} calls took {taken / 2**30:.1f} GiB {what}; so many would need about {needed / 2**30:.0f}, and {free / 2**30:.0f} were free"


def _say(what: str) -> None:
    sys.stderr.write(f"benchmarks: {what}\n")

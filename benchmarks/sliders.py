"""What the server works on a lever's page: preparing it, and moving a slider. CPU time of this process, so that other work does not count.

python -m benchmarks.sliders                        10 million calls; measures, and writes docs/benchmarks-sliders.md
python -m benchmarks.sliders server                 one part alone: server or browser; the page is written once both are there

The data and the store of the other benchmarks are used where they are there (`--folder`), and stay as they are.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from analytics.filters import Filters
from analytics.simulators.build_situation import build_situation
from analytics.simulators.lever_page import LeverPage
from analytics.simulators.lever_pages import PAGES, defaults
from analytics.simulators.run_scenario import run, today
from analytics.simulators.situation import Situation
from benchmarks.browser_sliders import measure_browser_sliders
from benchmarks.catalogue import DAYS, FIRST_DAY
from benchmarks.load import ROOT
from benchmarks.measuring import machine, median
from benchmarks.sliders_store import CHOSEN, store_with_gpu
from warehouse.configuration import read_configuration
from warehouse.reader import open_current

DEFAULT_CALLS = 10_000_000
PARTS = ("server", "browser")
OTHER: dict[str, tuple[str, float]] = {
    "model-routing": ("escalation", 1.0), "semantic-cache": ("embedding", 0.01), "prompt-cache": ("features", 0), "output-limit": ("retry", -1.0),
    "batch": ("features", 0), "rag": ("chunk", 16), "gpu-rightsizing": ("cold", 10.0), "self-host": ("other", 100.0), "spot": ("price", 1.0),
    "committed-use": ("discount", 1.0), "vector-database": ("queries", 1.0), "switch-off": ("tiers", 0), "volume": ("features", 0),
}  # fmt: skip
"""Another control of each page, and by how much it is moved."""


def measure_sliders(store: Path, moves: int) -> dict[str, Any]:
    """Seconds of CPU (`read`) and of the clock (`read_wall`) for reading the calls, bytes of the process, and by lever: `prepare` (CPU seconds of
    the first sight; `prepare_wall`), `replay` (one replay of the default setting, as without preparation), `move` and `move_max` (CPU ms of the
    whole answer at another step of the main slider), `other` (at another value of another control).
    """
    warehouse = open_current(store, read_configuration(None))
    filters = Filters(FIRST_DAY, FIRST_DAY + timedelta(days=DAYS - 1))
    started, wall = time.process_time(), time.perf_counter()
    situation = build_situation(warehouse, filters)
    today(situation)
    facts: dict[str, Any] = {
        "calls": len(situation.workload),
        "read": time.process_time() - started,
        "read_wall": time.perf_counter() - wall,
        "bytes": _resident(),
        "levers": {name: _lever(page, situation, moves) for name, page in PAGES.items()},
    }
    return facts | {"bytes_after": _resident()}


def _lever(page: LeverPage, situation: Situation, moves: int) -> dict[str, Any]:
    setting = {**defaults(page, situation), **CHOSEN.get(page.kind.name, {})}
    main = page.main(situation)
    started, wall = time.process_time(), time.perf_counter()
    _answer(page, situation, setting)
    prepare, prepare_wall = time.process_time() - started, time.perf_counter() - wall
    lever = page.outcome(situation, setting).lever
    started = time.process_time()
    run(situation, (lever,))
    replay = time.process_time() - started
    steps = [main.options[place % len(main.options)] for place in range(moves)]
    times = [_milliseconds(page, situation, {**setting, main.name: step}) for step in steps]
    name, by = OTHER[page.kind.name]
    others = []
    for place in range(moves):
        value: Any = setting[name] + by * (place + 1) if by else (_names(page, situation, name)[place % 3],)
        others.append(_milliseconds(page, situation, {**setting, name: value}))
    return {
        "title": page.kind.title,
        "prepare": prepare,
        "prepare_wall": prepare_wall,
        "replay": replay,
        "move": median(times),
        "move_max": max(times),
        "other": median(others),
    }


def _names(page: LeverPage, situation: Situation, control: str) -> tuple[str, ...]:
    return next(each.options for each in page.drawn(situation) if each.name == control)


def _answer(page: LeverPage, situation: Situation, setting: dict[str, Any]) -> None:
    """All that a page shows of a setting, but for what it draws it with."""
    page.curve(situation, setting)
    outcome = page.outcome(situation, setting)
    outcome.by_feature()
    page.quality(situation, outcome.lever, setting)
    outcome.lever.assumptions()


def _milliseconds(page: LeverPage, situation: Situation, setting: dict[str, Any]) -> float:
    started = time.process_time()
    _answer(page, situation, setting)
    return 1000 * (time.process_time() - started)


def _table(header: list[str], rows: list[list[str]]) -> str:
    align = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, align, *rows))


def _resident() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no resident memory is known")


def report(server: dict[str, Any], browser: dict[str, dict[str, Any]]) -> str:
    """The page docs/benchmarks-sliders.md."""
    gib = 2**30
    rows = [
        [
            each["title"], f"{each['replay']:.1f}", f"{each['prepare']:.1f}", f"{each['prepare_wall']:.1f}", f"{each['move']:.1f}",
            f"{each['move_max']:.1f}", f"{each['other']:.1f}",
        ]
        for each in server["levers"].values()
    ]  # fmt: skip
    lines = [
        [
            each["title"], f"{each['floor_ms']:.0f}", f"{each['chart_ms']:.0f}", f"{each['chart_p95_ms']:.0f}", f"{each['ratio']:.2f}",
            f"{each['p95_ratio']:.2f}", f"{each['answer_ms']:.0f}", f"{each['answer_ratio']:.1f}",
        ]
        for each in browser.values()
    ]  # fmt: skip
    return "\n".join(
        [
            "# Benchmarks of sliders",
            "",
            f"Written by `python -m benchmarks.sliders`: {server['calls']:,} synthetic calls of {DAYS} days in memory, all of them replayed.",
            "Read the ratios, not the seconds: the machine did other work at the same time.",
            "",
            _table(["Machine", "Value"], [[name, value] for name, value in machine().items()]),
            "",
            "## The server's work",
            "",
            f"Reading the calls takes {server['read']:.1f} s of CPU ({server['read_wall']:.1f} s by the clock), once per snapshot and filters;",
            f"the process then holds {server['bytes'] / gib:.1f} GiB, {server['bytes'] / server['calls']:.0f} bytes per call, and",
            f"{server['bytes_after'] / gib:.1f} GiB after every lever was prepared.",
            "",
            "A replay is what one answer would take without preparation. A lever is prepared at the first sight of its page, for all steps of its",
            "slider. A move is the whole answer at another step: headline with range, curve, breakdown by feature, counts. Another control is one",
            "that is a factor of prepared sums (a fee, a share, the features); a control that changes every call anew (the target model, the length of",
            "answers, the life of a cached answer) is prepared again, as at first sight.",
            "",
            _table(
                ["Lever", "Replay, CPU s", "Preparing, CPU s", "by the clock, s", "Move, CPU ms", "longest, ms", "Another control, ms"], rows
            ),
            "",
            "## From the slider to the painted chart",
            "",
            "Chromium against the product's app, one arrow key at a time, medians and 95th percentiles. Floor: a fragment that changes one text, on",
            "an empty page, in turns with the page. Chart: the point on the curve and the cost beside it, which follow the thumb in the browser.",
            "Answer: the server's, with the headline, its range and the figures.",
            "",
            _table(
                ["Page", "Floor, ms", "Chart, ms", "Chart p95, ms", "Chart : floor", "Chart p95 : floor", "Answer, ms", "Answer : floor"], lines
            ),
            "",
        ]
    )  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    """Entry point of `python -m benchmarks.sliders`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sliders", description="Speed of the levers' pages.")
    parser.add_argument("part", nargs="?", default="all", choices=("all", *PARTS))
    parser.add_argument("--calls", type=int, default=DEFAULT_CALLS, help="number of calls (default: 10 million)")
    parser.add_argument("--moves", type=int, default=40, help="moves of every slider (default: 40)")
    parser.add_argument("--folder", type=Path, help="where data and store lie (default: the temporary folder)")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "benchmarks-sliders.md")
    options = parser.parse_args(arguments)
    folder = options.folder or Path(tempfile.gettempdir()) / "percall-benchmarks" / str(options.calls)
    store = store_with_gpu(folder, options.calls)
    results = {part: folder / f"sliders-{part}.json" for part in PARTS}
    for part, measure in (("server", measure_sliders), ("browser", measure_browser_sliders)):
        if options.part in ("all", part):
            results[part].write_text(json.dumps(measure(store, options.moves)), encoding="utf-8")
    if all(path.exists() for path in results.values()):
        found = [json.loads(path.read_text(encoding="utf-8")) for path in results.values()]
        options.output.write_text(report(*found), encoding="utf-8")


if __name__ == "__main__":
    main()

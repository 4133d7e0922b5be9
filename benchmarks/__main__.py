"""Runs the benchmarks.

python -m benchmarks                          all, 10 million calls; keeps the figures in benchmarks/results, writes docs/benchmarks.md, removes its files
python -m benchmarks --calls 100000000        the same for 100 million
python -m benchmarks load --calls 200000      one part: load, questions or pages; shows its tables, and its files stay for the next part
python -m benchmarks questions --record       one part, whose figures are kept and written into docs/benchmarks.md
python -m benchmarks people                   60 and 240 people at once on the demo company's store; writes docs/benchmarks-people.md
python -m benchmarks people --processes 2     the same on two server processes
python -m benchmarks people --people 60 --actions 43200    as many actions as 60 people make in an hour, at full speed: what they leave in memory;
                                              writes docs/benchmarks-people-memory.md
python -m benchmarks clean                    removes the files
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.generate import Dataset, generate
from benchmarks.load import ROOT, measure_load, percall
from benchmarks.measuring import machine, run_child
from benchmarks.report import report
from benchmarks.report_people import people_report

PARTS = ("load", "questions", "pages")
PEOPLE = "people"
DEFAULT_CALLS = 10_000_000


def run_part(part: str, folder: Path, calls: int, repeats: int, pages: tuple[str, ...] = ()) -> dict[str, Any]:
    """The results of one part, measured in this process; of the part "pages" those of these addresses (none: all). Data and store in `folder` are
    made where they are missing."""
    dataset, store = generate(folder, calls), folder / "store"
    facts = machine()
    if part == "load":
        return {"machine": facts, "result": measure_load(dataset, store)}
    _fill(dataset, store)
    # Each part imports what it alone needs, so that its memory is its own.
    if part == "questions":
        from benchmarks.questions import measure_questions  # noqa: PLC0415

        return {"machine": facts, "result": measure_questions(store, folder, repeats, results.smaller(calls))}
    from benchmarks.pages import measure_pages  # noqa: PLC0415

    return {"machine": facts, "result": measure_pages(store, repeats, pages)}


def _fill(dataset: Dataset, store: Path) -> None:
    """Load everything into the store unless it is there."""
    if not (store / "current").exists():
        percall(store, "load", str(dataset.calls))
    percall(store, "load", str(dataset.bill))


def run_parts(
    parts: tuple[str, ...], folder: Path, calls: int, repeats: int, pages: tuple[str, ...] = ()
) -> dict[str, dict[str, Any]]:
    """The results of several parts, each measured in a process of its own."""
    found = {}
    for part in parts:
        output = folder.with_suffix(f".{part}.json")
        options = (
            "--calls",
            str(calls),
            "--repeats",
            str(repeats),
            "--folder",
            str(folder),
            "--result",
            str(output),
            "--pages",
            *pages,
        )
        sys.stderr.write(f"benchmarks: {part}, {calls:,} calls\n")
        child = run_child((sys.executable, "-m", "benchmarks", part, *options), cwd=ROOT)
        found[part] = {**json.loads(output.read_text()), "peak_bytes": child.peak_bytes}
        output.unlink()
    return found


def run_people(
    store: Path | None, crowds: list[int], minutes: float, processes: list[int], actions: int | None
) -> dict[str, Any]:
    """The results of the part "people" for crowds of these sizes, on this store or on a demo company's made for it."""
    from benchmarks.people import measure_people  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="percall-people-") as folder:
        if store is None:
            store = Path(folder) / "store"
            percall(store, "demo")
        facts = machine()
        found = [
            measure_people(store, Path(folder), people, minutes=minutes, processes=servers, actions=actions)
            for servers in processes
            for people in crowds
        ]
        return {"machine": facts, "results": found, "command": _people_command(crowds, minutes, processes, actions)}


def _people_command(crowds: list[int], minutes: float, processes: list[int], actions: int | None) -> str:
    words = ["python -m benchmarks people", "--people", *map(str, crowds), "--processes", *map(str, processes)]
    return " ".join([*words, *(["--minutes", f"{minutes:g}"] if actions is None else ["--actions", str(actions)])])


def _run(options: argparse.Namespace, folder: Path) -> None:
    """Run a part or all of them, and write down or show what was measured. What is kept is kept after every part."""
    generate(folder, options.calls)
    everything = options.part == "all"
    kept = options.output is None and (everything or options.record)
    found: dict[str, dict[str, Any]] = {}
    for part in PARTS if everything else (options.part,):
        found |= run_parts((part,), folder, options.calls, options.repeats, tuple(options.pages))
        if kept:
            results.record(options.calls, found)
            (ROOT / "docs" / "benchmarks.md").write_text(report(results.known()))
    if options.output is not None:
        options.output.write_text(report({options.calls: found}))
    elif not kept:
        sys.stdout.write(report({options.calls: found}))
    if everything and not options.keep:
        shutil.rmtree(folder, ignore_errors=True)


def main(arguments: list[str] | None = None) -> None:
    """Entry point of `python -m benchmarks`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Speed of Percall on synthetic calls.")
    parser.add_argument("part", nargs="?", default="all", choices=("all", *PARTS, PEOPLE, "clean"))
    parser.add_argument("--calls", type=int, default=DEFAULT_CALLS, help="number of calls (default: 10 million)")
    parser.add_argument("--repeats", type=int, default=5, help="medians are of so many (default: 5)")
    parser.add_argument("--folder", type=Path, help="where data and store lie (default: the temporary folder)")
    parser.add_argument("--keep", action="store_true", help="keep data and store after a run of all parts")
    parser.add_argument("--record", action="store_true", help="keep the figures of one part for docs/benchmarks.md")
    parser.add_argument(
        "--output",
        type=Path,
        help="write the page of this run alone here, and keep no figures (people: default in docs)",
    )
    parser.add_argument(
        "--people", type=int, nargs="+", default=[60, 240], help="so many at once (default: 60, then 240)"
    )
    parser.add_argument("--minutes", type=float, default=3.0, help="how long people act (default: 3)")
    parser.add_argument(
        "--processes", type=int, nargs="+", default=[1], help="so many server processes for them (default: 1)"
    )
    parser.add_argument(
        "--actions", type=int, help="instead of minutes: so many actions without a pause, by people who come and go"
    )
    parser.add_argument("--store", type=Path, help="store that people look at (default: the demo company's)")
    parser.add_argument(
        "--result", type=Path, help="write the figures of one part as JSON here instead of showing them"
    )
    parser.add_argument(
        "--pages",
        nargs="*",
        default=[],
        metavar="ADDRESS",
        help="part pages: these alone, such as waste (default: all)",
    )
    options = parser.parse_args(arguments)
    if options.pages and options.record:
        parser.error("--pages: the figures of some pages are not kept in the place of all")
    if options.calls < 1000:
        parser.error("--calls: at least 1000")
    folder = options.folder or Path(tempfile.gettempdir()) / "percall-benchmarks" / str(options.calls)
    if options.part == "clean":
        shutil.rmtree(folder, ignore_errors=True)
    elif options.part == PEOPLE:
        # What is told of memory stands beside what is told of times.
        page = options.output or ROOT / "docs" / f"benchmarks-people{'-memory' if options.actions else ''}.md"
        page.write_text(
            people_report(
                run_people(options.store, options.people, options.minutes, options.processes, options.actions)
            )
        )
    elif options.result:
        options.result.write_text(
            json.dumps(run_part(options.part, folder, options.calls, options.repeats, tuple(options.pages)))
        )
    else:
        _run(options, folder)


if __name__ == "__main__":
    main()

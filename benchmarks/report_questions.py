"""The ten questions as a section of docs/benchmarks.md: every engine's time, ratios, who is ahead, and how answers grow with the calls."""

from __future__ import annotations

from typing import Any

from benchmarks.peers import BY_HAND, OWN, PEERS
from benchmarks.results import Part
from benchmarks.tables import table
from benchmarks.ten import HOW, ON_CALLS, ON_PAGES, TITLES

Result = dict[str, Any]

ALLOWED = 1.3
"""So many times DuckDB by hand an answer from single calls may take."""

STEADY = 2.0
"""An answer that takes at most so many times the CPU on ten times the calls is called steady: noise of a busy machine is within that."""

_MEASURED = 0.001
"""Seconds of CPU below which a clock tells nothing."""


def questions(part: Part) -> str:
    """The section, of one number of calls."""
    result = part["result"]
    names = _asked(result)
    left_out = [f"* {name}: {facts['reason']}." for name, facts in result["engines"].items() if "reason" in facts]
    own = result["engines"][OWN]
    sections = [
        "## Ten questions\n",
        f"Medians of {result['repeats']} (of fewer where an answer takes seconds, of one at least), engines in turn in one run, each in a process of its own; "
        "all answers were equal to the last digit before they were timed. Views answer more than the question (other columns, the period before, "
        "coverage). Views and roll-ups read sums that were written by the load; all others scan single calls: DuckDB by hand the tables of the same store, DuckDB "
        "on Parquet and Polars (lazy, streaming) a file per day, ClickHouse's engine a MergeTree table ordered by feature and time, pandas columns in memory, its "
        "inputs and prefixes as 64-bit hashes, PostgreSQL the spend-log table of LiteLLM's proxy with its indexes.\n",
        "Milliseconds:\n",
        _times(result, names),
        "Times what Percall takes (more than 1: Percall is ahead):\n",
        _ratios(result, names),
        _verdict(result, names),
        "Seconds of CPU, which other work on the machine hardly changes:\n",
        _cpu(result, names),
        _engines(result, names),
        f"Percall's opening: the snapshot {own['open_seconds']:.2f} s, its ledger {own['ledger_seconds']:.2f} s, once per snapshot. Memory is that of the engine's "
        "process, its libraries included; DuckDB and Percall may take 3 GB before they go to disk.\n",
    ]
    if left_out:
        sections.append("Left out:\n\n" + "\n".join(left_out) + "\n")
    return "\n".join(sections)


def growth(by_calls: dict[int, Result]) -> str:
    """How much more CPU answers take on the most calls than on the fewest, per engine that answered both.

    By seconds of CPU, because the two sizes are asked in two runs, and a machine that does other work stretches all others.
    """
    few, many = min(by_calls), max(by_calls)
    first, last = by_calls[few], by_calls[many]
    names = [name for name in _asked(first) if name in _asked(last)]
    rows = []
    for question, title in TITLES.items():
        rise = (_cpu_of(last, question, name) / max(_cpu_of(first, question, name), _MEASURED) for name in names)
        rows.append([f"{question} {title}", HOW[question], *(f"{times:.1f}" for times in rise)])
    own = {
        question: _cpu_of(last, question, OWN) / max(_cpu_of(first, question, OWN), _MEASURED) for question in TITLES
    }
    growing = [f"{question} ({own[question]:.1f})" for question in ON_PAGES if own[question] > STEADY]
    linear = many / few
    beyond = [f"{question} ({own[question]:.1f})" for question in TITLES if own[question] > linear]
    return (
        f"# From {few:,} to {many:,} calls\n\nHow many times the CPU an answer takes on {linear:g} times the calls (the two sizes were asked in two runs, whose "
        f"seconds are not those of one machine at one time):\n\n{table(['Question', 'Percall asks', *names], rows)}\n"
        + _list(
            "What pages ask does not grow with the calls",
            "What pages ask does not grow with the calls (at most twice the CPU)",
            growing,
        )
        + _list(
            f"No answer of Percall grows faster than the calls ({linear:g} times)",
            f"Percall's answers grow no faster than the calls ({linear:g} times)",
            beyond,
        )
    )


def _list(all_good: str, most: str, exceptions: list[str]) -> str:
    return f"{all_good}.\n\n" if not exceptions else f"{most}, except {', '.join(exceptions)}.\n\n"


def _asked(result: Result) -> list[str]:
    names = [peer.name for peer in PEERS if peer.name in result["engines"]]
    return [name for name in names if "reason" not in result["engines"][name]]


def _in_order(result: Result) -> list[tuple[str, Result]]:
    return [(question, result["questions"][question]) for question in TITLES if question in result["questions"]]


def _seconds(result: Result, question: str, engine: str) -> float:
    return float(result["questions"][question]["engines"][engine]["seconds"])


def _cpu_of(result: Result, question: str, engine: str) -> float:
    return float(result["questions"][question]["engines"][engine]["cpu_seconds"])


def _times(result: Result, names: list[str]) -> str:
    rows = [
        [
            f"{question} {TITLES[question]}",
            facts["how"],
            f"{facts['rows']:,}",
            *(f"{facts['engines'][name]['seconds'] * 1000:,.0f}" for name in names),
        ]
        for question, facts in _in_order(result)
    ]
    return table(["Question", "Percall asks", "Rows", *names], rows)


def _ratios(result: Result, names: list[str]) -> str:
    others = [name for name in names if name != OWN]
    rows = [
        [
            f"{question}, {facts['how']}",
            *(_ratio(_seconds(result, question, name) / _seconds(result, question, OWN)) for name in others),
        ]
        for question, facts in _in_order(result)
    ]
    return table(["Question", *others], rows)


def _ratio(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2f}"


def _verdict(result: Result, names: list[str]) -> str:
    behind = [
        f"{question} ({name} {_seconds(result, question, name) / _seconds(result, question, OWN):.2f})"
        for question in ON_PAGES
        for name in names
        if name != OWN and _seconds(result, question, name) < _seconds(result, question, OWN)
    ]
    slower = []
    for question in ON_CALLS:
        ratio = _seconds(result, question, OWN) / _seconds(result, question, BY_HAND)
        if ratio > ALLOWED:
            cpu = _cpu_of(result, question, OWN) / _cpu_of(result, question, BY_HAND)
            slower.append(f"{question} ({ratio:.2f}, of CPU {cpu:.2f})")
    pages = f"What pages ask ({', '.join(ON_PAGES)}): Percall is ahead of every other engine"
    calls = f"Single calls ({', '.join(ON_CALLS)}): Percall takes at most {ALLOWED} times what DuckDB takes by hand"
    return _list(pages, pages, behind) + _list(calls, calls, slower)


def _cpu(result: Result, names: list[str]) -> str:
    rows = [
        [f"{question}, {facts['how']}", *(f"{_cpu_of(result, question, name):.2f}" for name in names)]
        for question, facts in _in_order(result)
    ]
    return table(["Question", *names], rows)


def _engines(result: Result, names: list[str]) -> str:
    rows = []
    for name in names:
        facts = result["engines"][name]
        peaks = [answer["engines"][name]["peak_bytes"] for answer in result["questions"].values()]
        disk = facts["disk_bytes"]
        rows.append(
            [
                name,
                facts["version"],
                f"{facts['open']['seconds']:,.1f}",
                f"{disk / 2**30:.1f}" if disk else "",
                f"{disk / result['calls']:,.0f}" if disk else "",
                f"{facts['open']['peak_bytes'] / 2**30:.1f}",
                f"{max(peaks) / 2**30:.1f}",
            ]
        )
    header = [
        "Engine",
        "Version",
        "Making its data ready, s",
        "Disk, GiB",
        "Disk, bytes per call",
        "Peak memory ready, GiB",
        "asked, GiB",
    ]
    return table(header, rows)

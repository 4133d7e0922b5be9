"""The results as a page of Markdown: docs/benchmarks.md."""

from __future__ import annotations

from typing import Any

from benchmarks.catalogue import DAYS, FEATURES, MODELS
from benchmarks.load import SHARE
from benchmarks.questions import ENGINES, TITLES

Part = dict[str, Any]

INTRODUCTION = f"""# Benchmarks

Written by `make bench` (`python -m benchmarks`). Data are synthetic: {{calls:,}} calls of {DAYS} days, {len(FEATURES)} features and
{len(MODELS)} models, users by Zipf's law, and three months of a cloud bill. Read the ratios, not the seconds: the machine may do other work at
the same time, but the two sides of each ratio were measured in one run.
"""


def report(calls: int, parts: dict[str, Part]) -> str:
    """The whole page from the results of the parts "load", "questions" and "pages"; a part that was not run is left out."""
    sections = [INTRODUCTION.format(calls=calls)]
    if parts:
        sections.append(_machine(next(iter(parts.values()))["machine"]))
    for name, section in (("load", _load), ("questions", _questions), ("pages", _pages)):
        if name in parts:
            sections.append(section(parts[name]))
    return "\n".join(sections)


def _table(header: list[str], rows: list[list[str]]) -> str:
    align = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, align, *rows)) + "\n"


def _machine(facts: dict[str, str]) -> str:
    return _table(["Machine", "Value"], [[name, value] for name, value in facts.items()])


def _load(part: Part) -> str:
    result = part["result"]
    whole = result["parquet"]
    names = {
        "parquet": f"Parquet, {DAYS} files of a day",
        "unchanged": "the same files again (nothing changed)",
        "day": "one corrected day",
        "jsonl": f"JSON lines, one call in {SHARE}",
        "csv.gz": f"CSV, gzip, one call in {SHARE}",
    }
    rows = []
    for key, name in names.items():
        facts = result[key]
        rows.append(
            [
                name,
                f"{facts['rows']:,}",
                f"{facts['seconds']:.1f}",
                f"{facts['cpu_seconds']:.1f}",
                *(
                    "" if key == "unchanged" else f"{facts['rows'] / facts[time]:,.0f}"
                    for time in ("seconds", "cpu_seconds")
                ),
                f"{facts['peak_bytes'] / 2**30:.2f}",
                f"{facts['cpu_seconds'] / whole['cpu_seconds']:.3f}",
            ]
        )
    header = ["`percall load`", "Calls", "s", "CPU s", "Calls/s", "Calls/CPU s", "Peak memory, GiB", "CPU : the whole"]
    per_call = result["store_bytes"] / result["rows"]
    return (
        "## Loading\n\nEach load is a process of its own, start of Python and all checks of sums included.\n\n"
        f"{_table(header, rows)}\nThe store takes {per_call:.0f} bytes per call, roll-ups included; "
        f"the Parquet files take {whole['bytes'] / result['rows']:.0f}.\n"
    )


def _questions(part: Part) -> str:
    result = part["result"]
    rows = []
    for key, facts in result["questions"].items():
        own, by_hand, frames = (facts["seconds"][engine] for engine in ENGINES)
        times = [f"{seconds * 1000:,.0f}" for seconds in (own, by_hand, frames)]
        rows.append(
            [
                f"{key} {TITLES[key]}",
                facts["how"],
                f"{facts['rows']:,}",
                *times,
                f"{own / by_hand:.2f}",
                f"{frames / own:.1f}",
            ]
        )
    header = [
        "Question",
        "Percall asks",
        "Rows",
        *(f"{engine}, ms" for engine in ENGINES),
        "Percall : by hand",
        "pandas : Percall",
    ]
    return (
        f"## Ten questions\n\nMedians of {result['repeats']}, engines in turn in one process; all answers equal to the last digit. "
        "A view answers more than the question (other columns, the period before, coverage); "
        "DuckDB by hand scans the single calls of the same store. "
        "Views and roll-ups read sums that were written by the load. pandas' columns are in memory already, "
        "its inputs and prefixes as 64-bit hashes.\n\n"
        f"{_table(header, rows)}\n"
        f"Once per open snapshot: opening {result['open_seconds']:.2f} s, building the ledger {result['ledger_seconds']:.2f} s. "
        f"pandas first reads its columns for {result['pandas_seconds']:.0f} s into {result['pandas_bytes'] / 2**30:.1f} GiB. "
        f"Peak memory of the process, all engines together: {part['peak_bytes'] / 2**30:.1f} GiB.\n"
    )


def _pages(part: Part) -> str:
    result = part["result"]
    floor = result["floor"]
    rows = [
        [
            title,
            *(f"{by_state[state] * 1000:,.0f}" for state in by_state),
            *(f"{by_state[s] / floor:,.0f}" for s in by_state),
        ]
        for title, by_state in result["pages"].items()
    ]
    header = ["Page", "cold, ms", "new, ms", "warm, ms", "cold : floor", "new : floor", "warm : floor"]
    return (
        f"## Pages\n\nTime of the server's script, without browser; medians of {result['repeats']}. Floor: a page with one line of text, "
        f"{floor * 1000:.1f} ms. Cold: the snapshot is opened and its ledger built. New: both are there, no answer is known, as after a change of "
        f"the period. Warm: every answer is known.\n\n{_table(header, rows)}\n"
        f"Peak memory of the process: {part['peak_bytes'] / 2**30:.1f} GiB.\n"
    )

"""The results as a page of Markdown: docs/benchmarks.md."""

from __future__ import annotations

from benchmarks.catalogue import DAYS, FEATURES, MODELS
from benchmarks.report_questions import growth, questions
from benchmarks.results import Part
from benchmarks.tables import table

INTRODUCTION = f"""# Benchmarks

Written by `make bench` (`python -m benchmarks`, with `--calls` for another size). Data are synthetic: calls of {DAYS} days, {len(FEATURES)} features and
{len(MODELS)} models, users by Zipf's law, and three months of a cloud bill. Read the ratios, not the seconds: the machine may do other work at
the same time, but the two sides of each ratio were measured in one run.
"""


def report(found: dict[int, dict[str, Part]]) -> str:
    """The whole page from the parts "load", "questions" and "pages" by number of calls; a part that was not run is left out."""
    pages = [INTRODUCTION]
    for calls, parts in found.items():
        pages.append(f"# {calls:,} calls\n")
        pages.append(_machines(parts))
        sections = (("load", _load), ("questions", questions), ("pages", _pages))
        pages += [section(parts[name]) for name, section in sections if name in parts]
    asked = {calls: parts["questions"]["result"] for calls, parts in found.items() if "questions" in parts}
    if len(asked) > 1:
        pages.append(growth(asked))
    return "\n".join(pages)


def _machine(facts: dict[str, str]) -> str:
    return table(["Machine", "Value"], [[name, value] for name, value in facts.items()])


def _machines(parts: dict[str, Part]) -> str:
    """On which machine every part was measured: a column for each that differs from the others."""
    names = list(dict.fromkeys(name for part in parts.values() for name in part["machine"]))
    columns: dict[tuple[str, ...], list[str]] = {}
    for part, facts in parts.items():
        columns.setdefault(tuple(facts["machine"].get(name, "") for name in names), []).append(part)
    header = ["Machine", *(", ".join(those) for those in columns.values())]
    return table(header, [[name, *(values[place] for values in columns)] for place, name in enumerate(names)])


def _load(part: Part) -> str:
    result = part["result"]
    whole = result["parquet"]
    names = {
        "parquet": f"Parquet, {DAYS} files of a day",
        "floor": "DuckDB alone writes the same columns from the same files",
        "unchanged": "the same files again (nothing changed)",
        "day": "one corrected day",
        "jsonl": f"JSON lines, one call in {result.get('share')}",
        "csv.gz": f"CSV, gzip, one call in {result.get('share')}",
    }
    rows = []
    for key, name in names.items():
        facts = result.get(key)
        if facts is None:
            continue
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
        f"{table(header, rows)}\nThe store takes {per_call:.0f} bytes per call, roll-ups included; "
        f"the Parquet files take {whole['bytes'] / result['rows']:.0f}.\n{_distance(part)}"
    )


def _distance(part: Part) -> str:
    """How far a load is from what DuckDB takes to write its columns; nothing where that was not measured."""
    result, cores = part["result"], int(part["machine"]["cores"])
    if "floor" not in result:
        return ""
    whole, floor = result["parquet"], result["floor"]
    return (
        f"\nThe floor: DuckDB writes the same columns from the same files into one table, and nothing is checked, priced, deduplicated or "
        f"summed up. The load takes {whole['cpu_seconds'] / floor['cpu_seconds']:.2f} times its CPU and "
        f"{whole['seconds'] / floor['seconds']:.2f} times its seconds. With all of {cores} cores at work all the time, DuckDB alone would "
        f"write {cores * floor['rows'] / floor['cpu_seconds']:,.0f} calls/s: no load into such tables can be faster on this machine.\n"
    )


def _pages(part: Part) -> str:
    result = part["result"]
    floor, cpu = result["floor"], result.get("cpu", {})
    states = list(next(iter(result["pages"].values())))
    rows = [
        [
            title,
            *(f"{by_state[state] * 1000:,.0f}" for state in states),
            *(f"{cpu[title][state] * 1000:,.0f}" for state in states if cpu),
            *(f"{by_state[state] / floor:,.0f}" for state in states),
        ]
        for title, by_state in result["pages"].items()
    ]
    header = ["Page", *(f"{state}, ms" for state in states), *(f"{state}, CPU ms" for state in states if cpu)]
    header += [f"{state} : floor" for state in states]
    ahead = ""
    if "ahead" in result:
        taken = result["ahead"]
        ahead = (
            " First, measured once: as cold, and nothing was found out ahead, as in the first seconds after the very first load; with a million calls and "
            "more a part may then be said to be being found out, whole: until it is there. In all other "
            "states the store's folder keeps what a sync, or the server in its background, finds out ahead of the pages, which took "
            f"{taken['seconds']:.1f} s ({taken['cpu_seconds']:.1f} s of CPU)."
        )
    return (
        f"## Pages\n\nTime of the server's script, without browser; medians of {result['repeats']}. Floor: a page with one line of text, "
        f"{floor * 1000:.1f} ms. Cold: the snapshot is opened, its ledger built, and every question compiled. Month: another month is chosen, "
        "which nobody has asked about. New: the snapshot is open, no answer is known. Warm: every answer is known. CPU is that of all "
        f"threads.{ahead}\n\n{table(header, rows)}\nPeak memory of the process: {part['peak_bytes'] / 2**30:.1f} GiB.\n"
    )

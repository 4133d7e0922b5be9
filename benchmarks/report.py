"""The results as pages of Markdown: docs/benchmarks.md and docs/benchmarks-people.md."""

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
    header = ["Machine", *(", ".join(those) for those in columns)]
    return table(header, [[name, *(values[place] for values in columns)] for place, name in enumerate(names)])


def _load(part: Part) -> str:
    result = part["result"]
    whole = result["parquet"]
    names = {
        "parquet": f"Parquet, {DAYS} files of a day",
        "unchanged": "the same files again (nothing changed)",
        "day": "one corrected day",
        "jsonl": f"JSON lines, one call in {result['share']}",
        "csv.gz": f"CSV, gzip, one call in {result['share']}",
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
        f"{table(header, rows)}\nThe store takes {per_call:.0f} bytes per call, roll-ups included; "
        f"the Parquet files take {whole['bytes'] / result['rows']:.0f}.\n"
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
        f"the period. Warm: every answer is known.\n\n{table(header, rows)}\n"
        f"Peak memory of the process: {part['peak_bytes'] / 2**30:.1f} GiB.\n"
    )


PEOPLE_INTRODUCTION = """# Many people at once

Written by `python -m benchmarks people`, on the demo company's store. Read the ratios, not the seconds: the machine may do other work at the same
time, but both sides of each ratio were measured in one run.

"""


def people_report(part: Part) -> str:
    """The page docs/benchmarks-people.md from the part "people": its `machine`, and its `results`, one for each number of people."""
    return "\n".join(
        [PEOPLE_INTRODUCTION + _machine(part["machine"]), *(_people(result) for result in part["results"])]
    )


def _people(result: Part) -> str:
    floor, product = result["floor"], result["product"]
    rows = []
    for kind, name in (
        ("slider", "a slider is moved (its fragment runs)"),
        ("page", "another page (the whole script runs)"),
    ):
        for measure, words in (("median", "median"), ("p95", "95th percentile")):
            # A page of the floor has nothing but its slider, so that either kind is held against the floor's fragment.
            least, own = floor[measure]["slider"], product[measure].get(kind)
            if own is not None:
                figures = (f"{own * 1000:,.0f}", f"{least * 1000:,.0f}", f"{own / least:,.1f}")
                rows.append([f"{name}, {words}", f"{product['actions'][kind]:,}", *figures])
    cpu = [side["cpu_seconds_per_action"] * 1000 for side in (product, floor)]
    actions = sum(product["actions"].values())
    rows.append(
        ["server's CPU per action, mean", f"{actions:,}", *(f"{ms:,.1f}" for ms in cpu), f"{cpu[0] / cpu[1]:,.1f}"]
    )
    resident = product["resident"]
    growth = (resident["end"] - resident["begin"]) / max(1, actions) * 1000 / 2**20
    later = (resident["end"] - resident["half"]) / max(1, actions / 2) * 1000 / 2**20
    wanted = result["people"] * result["minutes"] * 60 / result["interval_seconds"]
    errors = (
        "No action failed."
        if not product["errors"]
        else f"{product['errors']} failures, the first: {product['first_errors'][0]}"
    )
    return (
        f"## {result['people']} people\n\n{result['people']} sessions on one server process, each with an action every "
        f"{result['interval_seconds']:g} s for {result['minutes']:g} minutes. On a page with sliders {result['slider_share']:.0%} of the actions "
        "move one of them to any position; all else goes to another page. Every page and every slider had been seen once before. "
        "Time runs from sending an action to the end of its script, the sender on the same machine. "
        "Floor: the same crowd in the same run on a server whose only page is a slider in a fragment that changes one text.\n\n"
        f"{table(['Action', 'Actions', 'ms', 'Floor, ms', 'Ratio'], rows)}\n{errors} {_kept_up(actions, wanted)}"
        f"Memory of the server: {resident['begin'] / 2**20:,.0f} MiB when all had arrived, {resident['half'] / 2**20:,.0f} half way, "
        f"{resident['end'] / 2**20:,.0f} at the end: {growth:+.1f} MiB per 1,000 actions, {later:+.1f} in the second half.\n"
    )


def _kept_up(actions: int, wanted: float) -> str:
    """Whether the server did what people asked in their time; nobody acts anew before the last action is answered."""
    share = actions / wanted
    if share >= 0.9:
        return ""
    return f"The server did not keep up: people got {share:.0%} of the actions that they would have made, and waited in line for the others. "

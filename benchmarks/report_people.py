"""The page docs/benchmarks-people.md."""

from __future__ import annotations

from typing import Any

from benchmarks.people import VISIT_ACTIONS
from benchmarks.results import Part
from benchmarks.tables import table

INTRODUCTION = """# Many people at once

Written by `{command}`, on the demo company's store. Read the ratios, not the seconds: the machine may do other work at the same
time, but both sides of each ratio were measured in one run.

Every page and every slider had been seen once before. On a page with sliders {share:.0%} of the actions move one of them to any position; all else goes
to another page. Time runs from sending an action to the end of its script, the sender on the same machine. Floor: the same crowd in the same run on as
many server processes whose only page is a slider in a fragment that changes one text. With several processes people are dealt to them in turn and stay
there, as behind a proxy with sessions that stick (`percall serve --processes`, [how to deploy](how-to-deploy.md)); CPU and memory are those of all
processes together.

"""

MIB = 2**20


def people_report(part: Part) -> str:
    """The page from the part "people": its `machine`, its `command`, and its `results`, one for each number of people."""
    results = part["results"]
    introduction = INTRODUCTION.format(command=part["command"], share=results[0]["slider_share"])
    machine = table(["Machine", "Value"], [[name, value] for name, value in part["machine"].items()])
    return "\n".join([introduction + machine, *(_crowd(result) for result in results)])


def _crowd(result: Part) -> str:
    product = result["product"]
    servers = "one server process" if result["processes"] == 1 else f"{result['processes']} server processes"
    actions = sum(product["actions"].values())
    errors = (
        "No action failed."
        if not product["errors"]
        else f"{product['errors']} failures, the first: {product['first_errors'][0]}"
    )
    if result["full_speed"]:
        how = (
            f"{result['people']} sessions on {servers}, each acting again as soon as the last action has ended, {actions:,} actions in all. After "
            f"{VISIT_ACTIONS} actions a person leaves and comes back as a new session: {product['visits']:,} sessions. What matters here is memory; "
            "times are those of a queue."
        )
        kept_up = ""
    else:
        how = (
            f"{result['people']} sessions on {servers}, each with an action every {result['interval_seconds']:g} s for {result['minutes']:g} "
            "minutes."
        )
        kept_up = _kept_up(actions, result["people"] * result["minutes"] * 60 / result["interval_seconds"])
    header = ["Action", "Actions", "ms", "Floor, ms", "Ratio"]
    return (
        f"## {result['people']} people, {servers}{', at full speed' if result['full_speed'] else ''}\n\n{how}\n\n"
        f"{table(header, _times(result))}\n{errors} {kept_up}\n\n{_memory(product['samples'])}"
    )


def _times(result: Part) -> list[list[str]]:
    floor, product = result["floor"], result["product"]
    rows = []
    for kind, name in (
        ("slider", "a slider is moved (its fragment runs)"),
        ("page", "another page (the whole script runs)"),
        ("any", "any action"),
    ):
        for measure, words in (("median", "median"), ("p95", "95th percentile")):
            # A page of the floor has nothing but its slider, so that either kind is held against the floor's fragment.
            least, own = floor[measure]["slider"], product[measure].get(kind)
            if own is not None:
                count = product["actions"].get(kind, sum(product["actions"].values()))
                figures = (f"{own * 1000:,.0f}", f"{least * 1000:,.0f}", f"{own / least:,.1f}")
                rows.append([f"{name}, {words}", f"{count:,}", *figures])
    cpu = [side["cpu_seconds_per_action"] * 1000 for side in (product, floor)]
    actions = sum(product["actions"].values())
    return [
        *rows,
        ["servers' CPU per action, mean", f"{actions:,}", *(f"{ms:,.1f}" for ms in cpu), f"{cpu[0] / cpu[1]:,.1f}"],
    ]


def _memory(samples: list[dict[str, Any]]) -> str:
    """Resident memory at the beginning, after each third of the actions and at the end, and how much it grew in the last third."""
    total = samples[-1]["actions"]
    thirds = [min(samples, key=lambda one: abs(one["actions"] - total * part / 3)) for part in range(4)]
    thirds[0], thirds[3] = samples[0], samples[-1]
    names = ("when all had arrived", "after a third of the actions", "after two thirds", "at the end")
    rows = [
        [name, f"{one['actions']:,.0f}", f"{one['seconds']:,.0f}", f"{one['resident'] / MIB:,.0f}"]
        for name, one in zip(names, thirds, strict=True)
    ]
    later = thirds[3]["actions"] - thirds[2]["actions"]
    growth = (thirds[3]["resident"] - thirds[2]["resident"]) / MIB / max(1, later) * 1000
    most = max(one["resident"] for one in samples) / MIB
    return (
        f"{table(['Memory of the servers', 'Actions', 's', 'MiB'], rows)}\n"
        f"The last third grew by {growth:+.1f} MiB per 1,000 actions; the most was {most:,.0f} MiB, of {len(samples)} readings.\n"
    )


def _kept_up(actions: int, wanted: float) -> str:
    """Whether the server did what people asked in their time; nobody acts anew before the last action is answered."""
    share = actions / wanted
    if share >= 0.9:
        return ""
    return f"The server did not keep up: people got {share:.0%} of the actions that they would have made, and waited in line for the others."

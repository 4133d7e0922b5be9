"""Many people at once: sessions that each click every few seconds, against one or more server processes, over the wire as a browser speaks.

Before the measured time one visitor of each process has opened every page and moved every slider once. Then each session opens a page of its own and
acts every `interval` seconds until the time is up: mostly it moves a slider of a lever's page to any of its positions (one fragment runs), at times it
goes to another page (the whole script runs). The time of an action is from sending it to the server's word that the script has finished. People are
dealt to the processes in turn and stay there, as behind a proxy that keeps visitors where they are.

The floor is the same crowd, in the same run, on as many servers whose only page has a slider in a fragment that changes one text: what the wire, the
machine and Streamlit take without any of our work.

With a number of actions instead of a time, nobody waits between two actions, and everybody leaves after `VISIT_ACTIONS` and comes back as a new
session: many hours of use in minutes, for what they leave in memory. Times are then those of a queue, and say nothing.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import websockets

from benchmarks.crowd import Outcome, Person, connect, move_slider, open_page
from benchmarks.measuring import median
from operations.serve_processes import MEMORY_SETTINGS
from pages._registry import REGISTRY
from tests.browser.server import APP, Server, running

SLIDER_SHARE = 0.8
"""So many of all actions move a slider; the others go to another page."""

SAMPLE_SECONDS = 10.0
VISIT_ACTIONS = 50

FLOOR_APP = """import streamlit as st


@st.fragment
def text():
    chosen = st.slider("Step", 0, 20, 1)
    st.write(f"Step {chosen}")


text()
"""


@dataclass(frozen=True)
class Usage:
    """What the server's processes had taken at one moment: CPU seconds since their start, resident bytes."""

    cpu_seconds: float
    resident: int


@dataclass(frozen=True)
class Pace:
    """How long and how fast people act: every `interval` seconds for `seconds`, or, with `actions`, so many without a pause."""

    interval: float
    seconds: float
    actions: int | None = None

    def is_over(self, begun: float, outcome: Outcome) -> bool:
        """Whether it is time to go home."""
        if self.actions is not None:
            return outcome.actions >= self.actions
        return time.monotonic() - begun >= self.seconds


def measure_people(
    store: Path,
    folder: Path,
    people: int = 240,
    interval: float = 5.0,
    minutes: float = 3.0,
    floor_minutes: float = 0.5,
    processes: int = 1,
    actions: int | None = None,
) -> dict[str, Any]:
    """Let `people` sessions act every `interval` seconds for `minutes` on the store's dashboard, after `floor_minutes` on the floor; with `actions`,
    until there were so many, without a pause.

    Returns for "floor" and "product" each: the number of actions, the median and 95th percentile of their seconds by kind ("slider", "page") and of
    "any", the servers' CPU seconds per action, the number of errors with the first of them, of visits, and `samples`, every 10 s: seconds, actions
    and resident bytes of all processes together.
    """
    pace = Pace(0.0 if actions else interval, minutes * 60, actions)
    floor = folder / "floor.py"
    floor.write_text(FLOOR_APP)
    least_pace = Pace(pace.interval, floor_minutes * 60)
    with ExitStack() as stack:
        servers = [
            stack.enter_context(running(floor, store, folder, environment=MEMORY_SETTINGS)) for _ in range(processes)
        ]
        least = _alone(_visit(servers, people, least_pace, [""]))
    with ExitStack() as stack:
        servers = [
            stack.enter_context(running(APP, store, folder, environment=MEMORY_SETTINGS)) for _ in range(processes)
        ]
        for server in servers:
            _alone(_see_everything(server))
        product = _alone(_visit(servers, people, pace, _addresses()))
    return {
        "people": people, "interval_seconds": pace.interval, "minutes": minutes, "slider_share": SLIDER_SHARE, "processes": processes,
        "full_speed": actions is not None, "floor": least, "product": product,
    }  # fmt: skip


def _addresses() -> list[str]:
    return [entry.url_path for entry in REGISTRY]


async def _see_everything(server: Server) -> None:
    """One visitor opens every page and moves each of its sliders once. Raises RuntimeError for a page that fails alone already."""
    outcome = Outcome()
    visitor = await connect(server, random.Random(0))
    for page in _addresses():
        await open_page(visitor, page, outcome)
        for slider in sorted(visitor.sliders):
            if slider in visitor.sliders:
                await move_slider(visitor, outcome, slider)
    await visitor.socket.close()
    if outcome.errors:
        raise RuntimeError(f"before any crowd: {outcome.errors[0]}")


_Answer = TypeVar("_Answer")


def _alone(talk: Coroutine[Any, Any, _Answer]) -> _Answer:
    """Run a conversation to its end in a thread of its own: this one may have an event loop already, as a driven browser's has."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, talk).result()


async def _visit(servers: list[Server], people: int, pace: Pace, pages: list[str]) -> dict[str, Any]:
    pids = [_process_of(server) for server in servers]
    outcome = Outcome()
    crowd = []
    for number in range(people):
        person = await connect(servers[number % len(servers)], random.Random(number))
        await _arrive(person, outcome, pages)
        crowd.append(person)
    begun, usage = time.monotonic(), _usage(pids)
    samples = [_sample(begun, outcome, usage)]
    sampling = asyncio.create_task(_watch(pids, begun, outcome, samples))
    await asyncio.gather(*(_act_until(person, pace, begun, outcome, pages) for person in crowd))
    sampling.cancel()
    ended = _usage(pids)
    samples.append(_sample(begun, outcome, ended))
    seconds = {**outcome.seconds, "any": [each for values in outcome.seconds.values() for each in values]}
    return {
        "actions": {kind: len(values) for kind, values in outcome.seconds.items()},
        "median": {kind: median(values) for kind, values in seconds.items() if values},
        "p95": {kind: _quantile(values, 0.95) for kind, values in seconds.items() if values},
        "cpu_seconds_per_action": (ended.cpu_seconds - usage.cpu_seconds) / max(1, outcome.actions),
        "errors": len(outcome.errors),
        "first_errors": outcome.errors[:3],
        "visits": outcome.visits,
        "samples": samples,
    }


def _sample(begun: float, outcome: Outcome, usage: Usage) -> dict[str, float]:
    return {"seconds": time.monotonic() - begun, "actions": outcome.actions, "resident": usage.resident}


async def _watch(pids: list[int], begun: float, outcome: Outcome, samples: list[dict[str, float]]) -> None:
    while True:
        await asyncio.sleep(SAMPLE_SECONDS)
        samples.append(_sample(begun, outcome, _usage(pids)))


async def _arrive(person: Person, outcome: Outcome, pages: list[str]) -> None:
    outcome.visits += 1
    await open_page(person, _page_with_sliders(person, pages), outcome)


async def _act_until(person: Person, pace: Pace, begun: float, outcome: Outcome, pages: list[str]) -> None:
    # Everybody starts at another moment, as people do.
    await asyncio.sleep(person.random.uniform(0, pace.interval))
    done = 0
    try:
        while not pace.is_over(begun, outcome):
            started = time.perf_counter()
            await _act(person, outcome, pages)
            done += 1
            if pace.actions is not None and done % VISIT_ACTIONS == 0:
                person = await _come_again(person, outcome, pages)
            await asyncio.sleep(max(0.0, pace.interval - (time.perf_counter() - started)))
    except (TimeoutError, OSError, websockets.WebSocketException) as error:
        outcome.errors.append(f"{person.page}: {type(error).__name__} {error}")
    await person.socket.close()


async def _act(person: Person, outcome: Outcome, pages: list[str]) -> None:
    """One action, whose time is noted."""
    started = time.perf_counter()
    kind = "slider" if person.sliders and person.random.random() < SLIDER_SHARE else "page"
    if kind == "slider":
        ended = await move_slider(person, outcome, person.random.choice(sorted(person.sliders)))
    else:
        chosen = person.random.choice(pages) if person.sliders else _page_with_sliders(person, pages)
        ended = await open_page(person, chosen, outcome)
    outcome.seconds[kind].append(ended - started)


async def _come_again(person: Person, outcome: Outcome, pages: list[str]) -> Person:
    """Close the page and open it anew, as another session."""
    await person.socket.close()
    again = await connect(person.server, person.random)
    await _arrive(again, outcome, pages)
    return again


def _page_with_sliders(person: Person, pages: list[str]) -> str:
    levers = {entry.url_path for entry in REGISTRY if entry.script.parent.name == "optimize"}
    return person.random.choice([page for page in pages if page in levers] or pages)


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def _process_of(server: Server) -> int:
    """Process id of the server that this process started: the child whose command line names its port."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if f"--server.port={server.port}".encode() in words and int(entry.name) != os.getpid():
            return int(entry.name)
    raise RuntimeError("the server's process cannot be found")


def _usage(pids: list[int]) -> Usage:
    """What these processes have taken up to now, together."""
    cpu_seconds, resident = 0.0, 0
    for pid in pids:
        # After the command's name, which may hold spaces: state is field 3, user and system time are 14 and 15.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        cpu_seconds += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        resident += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return Usage(cpu_seconds, resident)

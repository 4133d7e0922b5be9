"""Many people at once: sessions that each click every few seconds, against one server, over the wire as a browser speaks.

Each session opens a page of the dashboard and then acts every `interval` seconds until the time is up: mostly it moves a slider of a lever's
page (one fragment runs), at times it goes to another page (the whole script runs). The time of an action is from sending it to the server's
word that the script has finished. The server's memory is read from /proc before and after.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from benchmarks.measuring import median
from pages._registry import REGISTRY
from tests.browser.server import APP, Server, running

SLIDER_SHARE = 0.8
"""So many of all actions move a slider; the others go to another page."""

PATIENCE_SECONDS = 120.0
FAULTS = ("exception",)


@dataclass
class Person:
    """One session: its socket, what it looks at, and the sliders that lie there with the fragment that each belongs to."""

    socket: Any
    random: random.Random
    page: str = ""
    page_hash: str = ""
    sliders: dict[str, tuple[list[float], str]] = field(default_factory=dict)
    values: dict[str, float] = field(default_factory=dict)


@dataclass
class Outcome:
    """Seconds of every action by its kind, and what went wrong."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: {"slider": [], "page": []})
    errors: list[str] = field(default_factory=list)


def measure_people(
    store: Path, folder: Path, people: int = 240, interval: float = 5.0, minutes: float = 2.0
) -> dict[str, Any]:
    """Let `people` sessions act every `interval` seconds for `minutes`, after each has opened its first page.

    Returns the number of actions, the median and 95th percentile of their seconds by kind, the errors, and the server's resident memory in
    bytes after all have arrived and at the end.
    """
    with running(APP, store, folder) as server:
        pid = _process_of(server)
        outcome, arrived, ended = asyncio.run(_visit(server, pid, people, interval, minutes * 60))
    return {
        "people": people,
        "interval_seconds": interval,
        "minutes": minutes,
        "actions": {kind: len(values) for kind, values in outcome.seconds.items()},
        "median": {kind: median(values) for kind, values in outcome.seconds.items() if values},
        "p95": {kind: _quantile(values, 0.95) for kind, values in outcome.seconds.items() if values},
        "errors": len(outcome.errors),
        "first_errors": outcome.errors[:3],
        "memory_bytes": {"all arrived": arrived, "at the end": ended},
    }


async def _visit(server: Server, pid: int, people: int, interval: float, seconds: float) -> tuple[Outcome, int, int]:
    outcome = Outcome()
    crowd = [await _arrive(server, random.Random(number), outcome) for number in range(people)]
    arrived = _memory(pid)
    deadline = time.monotonic() + seconds
    await asyncio.gather(*(_act_until(person, interval, deadline, outcome) for person in crowd))
    ended = _memory(pid)
    await asyncio.gather(*(person.socket.close() for person in crowd))
    return outcome, arrived, ended


async def _arrive(server: Server, chance: random.Random, outcome: Outcome) -> Person:
    socket = await websockets.connect(
        f"ws://127.0.0.1:{server.port}/_stcore/stream",
        subprotocols=[websockets.Subprotocol("streamlit")],
        origin=websockets.Origin(server.url),
        max_size=None,
        ping_interval=None,
    )
    person = Person(socket, chance)
    await _open(person, _lever_page(person), outcome)
    return person


async def _act_until(person: Person, interval: float, deadline: float, outcome: Outcome) -> None:
    # Everybody starts at another moment, as people do.
    await asyncio.sleep(person.random.uniform(0, interval))
    while time.monotonic() < deadline:
        started = time.perf_counter()
        kind = "slider" if person.sliders and person.random.random() < SLIDER_SHARE else "page"
        try:
            if kind == "slider":
                ended = await _move(person, outcome)
            else:
                chosen = person.random.choice(REGISTRY).url_path if person.sliders else _lever_page(person)
                ended = await _open(person, chosen, outcome)
            outcome.seconds[kind].append(ended - started)
        except (TimeoutError, websockets.WebSocketException) as error:
            outcome.errors.append(f"{person.page}: {type(error).__name__} {error}")
            return
        await asyncio.sleep(max(0.0, interval - (time.perf_counter() - started)))


async def _open(person: Person, page: str, outcome: Outcome) -> float:
    """Go to a page: the whole script runs. Answers with the moment at which it had finished."""
    message = BackMsg()
    message.rerun_script.query_string = ""
    message.rerun_script.page_name = page
    person.page, person.sliders, person.values = page, {}, {}
    await person.socket.send(message.SerializeToString())
    return await _until_finished(person, outcome)


async def _move(person: Person, outcome: Outcome) -> float:
    """Move one slider of the page: its fragment runs. Answers with the moment at which it had finished."""
    slider, (positions, fragment) = person.random.choice(sorted(person.sliders.items()))
    person.values[slider] = person.random.choice(positions)
    message = BackMsg()
    message.rerun_script.query_string = ""
    message.rerun_script.page_script_hash = person.page_hash
    message.rerun_script.fragment_id = fragment
    for name, value in person.values.items():
        state = message.rerun_script.widget_states.widgets.add()
        state.id = name
        state.double_array_value.data.append(value)
    await person.socket.send(message.SerializeToString())
    return await _until_finished(person, outcome)


async def _until_finished(person: Person, outcome: Outcome) -> float:
    finished, ended = False, 0.0
    while True:
        # A script that reruns at once finishes twice: the end is a finish after which nothing comes at once.
        try:
            raw = await asyncio.wait_for(person.socket.recv(), timeout=0.01 if finished else PATIENCE_SECONDS)
        except TimeoutError:
            if finished:
                return ended
            raise
        message = ForwardMsg.FromString(raw)
        kind = message.WhichOneof("type")
        if kind == "new_session":
            person.page_hash = message.new_session.page_script_hash
            finished = False
        elif kind == "script_finished":
            finished, ended = True, time.perf_counter()
        elif kind == "delta" and message.delta.HasField("new_element"):
            _note(person, message, outcome)


def _note(person: Person, message: ForwardMsg, outcome: Outcome) -> None:
    element = message.delta.new_element
    shown = element.WhichOneof("type")
    if shown in FAULTS:
        outcome.errors.append(f"{person.page}: {element.exception.message}")
    if shown != "slider" or element.slider.disabled or not message.delta.fragment_id:
        return
    slider = element.slider
    if slider.options:
        positions = [float(position) for position in range(len(slider.options))]
    else:
        steps = int((slider.max - slider.min) / slider.step) if slider.step else 0
        positions = [slider.min + slider.step * step for step in range(min(steps, 50) + 1)]
    if len(slider.default) == 1:
        person.sliders[slider.id] = (positions, message.delta.fragment_id)
        person.values[slider.id] = slider.default[0]


def _lever_page(person: Person) -> str:
    levers = [entry.url_path for entry in REGISTRY if entry.script.parent.name == "optimize"]
    return person.random.choice(levers)


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


def _memory(pid: int) -> int:
    """Resident memory of a process in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no resident memory is known")

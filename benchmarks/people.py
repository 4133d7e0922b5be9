"""Many people at once: sessions that each click every few seconds, against one server, over the wire as a browser speaks.

Before the measured time one visitor has opened every page and moved every slider once. Then each session opens a page of its own and acts every
`interval` seconds until the time is up: mostly it moves a slider of a lever's page to any of its positions (one fragment runs), at times it goes to
another page (the whole script runs). The time of an action is from sending it to the server's word that the script has finished.

The floor is the same crowd, in the same run, on a server whose only page has a slider in a fragment that changes one text: what the wire, the
machine and Streamlit take without any of our work.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from benchmarks.measuring import median
from pages._registry import REGISTRY
from tests.browser.server import APP, Server, running

SLIDER_SHARE = 0.8
"""So many of all actions move a slider; the others go to another page."""

FLOOR_APP = """import streamlit as st


@st.fragment
def text():
    chosen = st.slider("Step", 0, 20, 1)
    st.write(f"Step {chosen}")


text()
"""

PATIENCE_SECONDS = 120.0
BROKEN = "could not be computed"
"""What a page says when it failed, rather than when it has nothing to show."""

Positions = list[float] | list[str]
"""Where a slider can stand: numbers, or the words of one that chooses among words."""


@dataclass
class Person:
    """One session: its socket, what it looks at, and the sliders that lie there with the fragment that each belongs to."""

    socket: Any
    random: random.Random
    page: str = ""
    page_hash: str = ""
    sliders: dict[str, tuple[Positions, str]] = field(default_factory=dict)
    values: dict[str, float | str] = field(default_factory=dict)


@dataclass
class Outcome:
    """Seconds of every action by its kind, and what went wrong."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: {"slider": [], "page": []})
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Usage:
    """What the server had taken at one moment: CPU seconds since its start, resident bytes."""

    cpu_seconds: float
    resident: int


def measure_people(
    store: Path,
    folder: Path,
    people: int = 240,
    interval: float = 5.0,
    minutes: float = 3.0,
    floor_minutes: float = 0.5,
) -> dict[str, Any]:
    """Let `people` sessions act every `interval` seconds for `minutes` on the store's dashboard, after `floor_minutes` on the floor.

    Returns for "floor" and "product" each: the number of actions, the median and 95th percentile of their seconds by kind ("slider", "page"),
    the server's CPU seconds per action, the number of errors with the first of them, and the server's resident bytes after all have arrived, half
    way and at the end.
    """
    floor = folder / "floor.py"
    floor.write_text(FLOOR_APP)
    with running(floor, store, folder) as server:
        least = _alone(_visit(server, people, interval, floor_minutes * 60, [""]))
    with running(APP, store, folder) as server:
        _alone(_see_everything(server))
        product = _alone(_visit(server, people, interval, minutes * 60, _addresses()))
    return {
        "people": people, "interval_seconds": interval, "minutes": minutes, "slider_share": SLIDER_SHARE, "floor": least, "product": product,
    }  # fmt: skip


def _addresses() -> list[str]:
    return [entry.url_path for entry in REGISTRY]


async def _see_everything(server: Server) -> None:
    """One visitor opens every page and moves each of its sliders once. Raises RuntimeError for a page that fails alone already."""
    outcome = Outcome()
    visitor = await _connect(server, random.Random(0))
    for page in _addresses():
        await _open(visitor, page, outcome)
        for slider in sorted(visitor.sliders):
            if slider in visitor.sliders:
                await _move(visitor, outcome, slider)
    await visitor.socket.close()
    if outcome.errors:
        raise RuntimeError(f"before any crowd: {outcome.errors[0]}")


_Answer = TypeVar("_Answer")


def _alone(talk: Coroutine[Any, Any, _Answer]) -> _Answer:
    """Run a conversation to its end in a thread of its own: this one may have an event loop already, as a driven browser's has."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, talk).result()


async def _visit(server: Server, people: int, interval: float, seconds: float, pages: list[str]) -> dict[str, Any]:
    pid = _process_of(server)
    outcome = Outcome()
    crowd = []
    for number in range(people):
        person = await _connect(server, random.Random(number))
        await _open(person, _page_with_sliders(person, pages), outcome)
        crowd.append(person)
    begun, started = _usage(pid), time.monotonic()
    acting = asyncio.gather(*(_act_until(person, interval, started + seconds, outcome, pages) for person in crowd))
    await asyncio.sleep(seconds / 2)
    half = _usage(pid)
    await acting
    ended = _usage(pid)
    await asyncio.gather(*(person.socket.close() for person in crowd))
    actions = sum(len(values) for values in outcome.seconds.values())
    return {
        "actions": {kind: len(values) for kind, values in outcome.seconds.items()},
        "median": {kind: median(values) for kind, values in outcome.seconds.items() if values},
        "p95": {kind: _quantile(values, 0.95) for kind, values in outcome.seconds.items() if values},
        "cpu_seconds_per_action": (ended.cpu_seconds - begun.cpu_seconds) / max(1, actions),
        "errors": len(outcome.errors),
        "first_errors": outcome.errors[:3],
        "resident": {"begin": begun.resident, "half": half.resident, "end": ended.resident},
    }


async def _connect(server: Server, chance: random.Random) -> Person:
    socket = await websockets.connect(
        f"ws://127.0.0.1:{server.port}/_stcore/stream",
        subprotocols=[websockets.Subprotocol("streamlit")],
        origin=websockets.Origin(server.url),
        max_size=None,
        ping_interval=None,
    )
    return Person(socket, chance)


async def _act_until(person: Person, interval: float, deadline: float, outcome: Outcome, pages: list[str]) -> None:
    # Everybody starts at another moment, as people do.
    await asyncio.sleep(person.random.uniform(0, interval))
    while time.monotonic() < deadline:
        started = time.perf_counter()
        kind = "slider" if person.sliders and person.random.random() < SLIDER_SHARE else "page"
        try:
            if kind == "slider":
                ended = await _move(person, outcome, person.random.choice(sorted(person.sliders)))
            else:
                chosen = person.random.choice(pages) if person.sliders else _page_with_sliders(person, pages)
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


async def _move(person: Person, outcome: Outcome, slider: str) -> float:
    """Move a slider of the page to any of its positions: its fragment runs. Answers with the moment at which it had finished."""
    positions, fragment = person.sliders[slider]
    person.values[slider] = person.random.choice(positions)
    message = BackMsg()
    message.rerun_script.query_string = ""
    message.rerun_script.page_script_hash = person.page_hash
    message.rerun_script.fragment_id = fragment
    for name, value in person.values.items():
        state = message.rerun_script.widget_states.widgets.add()
        state.id = name
        if isinstance(value, str):
            state.string_array_value.data.append(value)
        else:
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
    if shown == "exception":
        outcome.errors.append(f"{person.page}: {element.exception.message}")
    if shown == "alert" and BROKEN in element.alert.body:
        outcome.errors.append(f"{person.page}: {element.alert.body}")
    if (
        shown != "slider"
        or element.slider.disabled
        or not message.delta.fragment_id
        or len(element.slider.default) != 1
    ):
        return
    slider = element.slider
    positions: Positions
    if slider.options:
        positions = list(slider.options)
        person.values[slider.id] = slider.options[int(slider.default[0])]
    else:
        steps = int((slider.max - slider.min) / slider.step) if slider.step else 0
        positions = [slider.min + slider.step * step for step in range(min(steps, 50) + 1)]
        person.values[slider.id] = slider.default[0]
    person.sliders[slider.id] = (positions, message.delta.fragment_id)


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


def _usage(pid: int) -> Usage:
    """What a process has taken up to now."""
    # After the command's name, which may hold spaces: state is field 3, user and system time are 14 and 15.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return Usage(ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE"))

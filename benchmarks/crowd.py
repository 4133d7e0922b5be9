"""One person at the dashboard, over the wire as a browser speaks: opens pages, moves sliders, and hears when the script has finished."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from tests.browser.server import Server

PATIENCE_SECONDS = 120.0
BROKEN = "could not be computed"
"""What a page says when it failed, rather than when it has nothing to show."""

Positions = Sequence[float | str]
"""Where a slider can stand: numbers, or the words of one that chooses among words."""


@dataclass
class Person:
    """One session: its socket, what it looks at, and the sliders that lie there with the fragment that each belongs to."""

    server: Server
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
    visits: int = 0

    @property
    def actions(self) -> int:
        """How many there were."""
        return sum(len(values) for values in self.seconds.values())


async def connect(server: Server, chance: random.Random) -> Person:
    """A new session, which has not asked for a page yet."""
    socket = await websockets.connect(
        f"ws://127.0.0.1:{server.port}/_stcore/stream",
        subprotocols=[websockets.Subprotocol("streamlit")],
        origin=websockets.Origin(server.url),
        max_size=None,
        ping_interval=None,
    )
    return Person(server, socket, chance)


async def open_page(person: Person, page: str, outcome: Outcome) -> float:
    """Go to a page: the whole script runs. Answers with the moment at which it had finished."""
    message = BackMsg()
    message.rerun_script.query_string = ""
    message.rerun_script.page_name = page
    person.page, person.sliders, person.values = page, {}, {}
    await person.socket.send(message.SerializeToString())
    return await _until_finished(person, outcome)


async def move_slider(person: Person, outcome: Outcome, slider: str) -> float:
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

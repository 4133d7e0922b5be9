"""Nothing reaches a browser before the gate, not even as the very first request to a cold server.

Until some session has run `st.navigation`, Streamlit serves every file of a `pages` folder beside the main script at an address of
its own, without running the main script. These tests speak to the server as a browser does, with a page as the first message
of a fresh process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from pages._registry import PAGES_FOLDER, REGISTRY
from tests.browser.server import APP, SAMPLE_APP, Server, running
from tests.pages.sample.registry import REGISTRY as SAMPLE_REGISTRY

CLOSED = "so it stays closed"
"""Words of the gate's refusal."""

OPEN = "gate-local"
"""Key of the first container of a page, which the gate's identity names."""


def ask(server: Server, page_name: str, headers: dict[str, str] | None = None) -> list[bytes]:
    """Everything that the server sends to a new session whose first message asks for this page, in order, serialised. `headers` are further ones."""
    return ask_all(server, [page_name], headers)[page_name]


def ask_all(server: Server, page_names: list[str], headers: dict[str, str] | None = None) -> dict[str, list[bytes]]:
    """The same for several pages, each asked for by a session of its own, a few at once."""

    async def talk() -> list[list[bytes]]:
        few = asyncio.Semaphore(8)
        return await asyncio.gather(*(_talk(server, name, headers, few) for name in page_names))

    # In a thread of its own: a browser driven by the same tests keeps an event loop in this one.
    with ThreadPoolExecutor(1) as beside:
        return dict(zip(page_names, beside.submit(asyncio.run, talk()).result(), strict=True))


async def _talk(server: Server, page_name: str, headers: dict[str, str] | None, few: asyncio.Semaphore) -> list[bytes]:
    answers: list[bytes] = []
    async with (
        few,
        websockets.connect(
            f"ws://127.0.0.1:{server.port}/_stcore/stream",
            subprotocols=[websockets.Subprotocol("streamlit")],
            origin=websockets.Origin(server.url),
            additional_headers=headers,
            max_size=None,
        ) as socket,
    ):
        message = BackMsg()
        message.rerun_script.query_string = ""
        message.rerun_script.page_name = page_name
        await socket.send(message.SerializeToString())
        finished = False
        while True:
            # A script that reruns at once finishes twice: the end is a finish after which nothing comes.
            try:
                answer = await asyncio.wait_for(socket.recv(), timeout=0.2 if finished else 60)
            except TimeoutError:
                assert finished, f"no end after {len(answers)} messages"
                return answers
            assert isinstance(answer, bytes)
            answers.append(answer)
            finished = finished or ForwardMsg.FromString(answer).WhichOneof("type") == "script_finished"


def _first(answers: list[bytes], words: str) -> int | None:
    return next((at for at, answer in enumerate(answers) if words.encode() in answer), None)


@pytest.fixture(scope="module")
def closed_server(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The real app where its gate lets nobody in; navigation never runs there, so that every request meets a cold server."""
    with running(APP, small, tmp_path_factory.mktemp("closed"), options=("--server.address=0.0.0.0",)) as server:
        yield server


@pytest.fixture(scope="module")
def refused(closed_server: Server) -> dict[str, list[bytes]]:
    """What that server sends to who asks for each of these addresses first."""
    return ask_all(closed_server, _direct_addresses())


def _direct_addresses() -> list[str]:
    """Addresses at which Streamlit would serve files of `pages/` and below, had it taken them for pages."""
    files = sorted(PAGES_FOLDER.rglob("*.py"))
    names = {path.stem for path in files} | {path.stem.lstrip("_") for path in files}
    return sorted({"", "app", *names, *(entry.url_path for entry in REGISTRY)})


@pytest.mark.parametrize("address", _direct_addresses())
def test_a_closed_gate_shows_nothing_else(refused: dict[str, list[bytes]], address: str) -> None:
    answers = refused[address]
    assert _first(answers, CLOSED) is not None
    for entry in REGISTRY:
        assert _first(answers, entry.title) is None, "a page is named"
    assert _first(answers, "stPlotlyChart") is None
    kinds = {ForwardMsg.FromString(answer).WhichOneof("type") for answer in answers}
    assert kinds <= {
        "new_session",
        "session_status_changed",
        "session_event",
        "delta",
        "script_finished",
        "page_config_changed",
    }
    deltas = [
        ForwardMsg.FromString(answer).delta for answer in answers if ForwardMsg.FromString(answer).HasField("delta")
    ]
    assert [delta.new_element.WhichOneof("type") for delta in deltas] == ["alert"]


@pytest.mark.parametrize("entry", SAMPLE_REGISTRY, ids=lambda entry: entry.url_path)
def test_the_gate_comes_before_any_page_of_a_cold_server(small: Path, tmp_path: Path, entry) -> None:
    marker = {
        "bill": "AI costs",
        "features": "Three features",
        "refusals": "Two questions fail",
        "sources": "No source is",
    }
    with running(SAMPLE_APP, small, tmp_path) as server:
        answers = ask(server, entry.url_path)
    gate, content, navigation = (_first(answers, words) for words in (OPEN, marker[entry.url_path], "Sample features"))
    assert gate is not None
    assert content is not None
    assert navigation is not None
    assert gate < navigation < content


def test_the_probe_sees_a_page_that_slips_past_its_gate(tmp_path: Path, small: Path) -> None:
    """Control: in the layout that we avoid (pages beside the script), the same probe does find the bypass."""
    (tmp_path / "site" / "pages").mkdir(parents=True)
    (tmp_path / "site" / "main.py").write_text(
        'import streamlit as st\nst.error("so it stays closed")\nst.stop()\nst.navigation([st.Page("pages/secret.py")]).run()\n'
    )
    (tmp_path / "site" / "pages" / "secret.py").write_text('import streamlit as st\nst.write("the secret figure")\n')
    with running(tmp_path / "site" / "main.py", small, tmp_path) as server:
        answers = ask(server, "secret")
    assert _first(answers, "the secret figure") is not None
    assert _first(answers, CLOSED) is None

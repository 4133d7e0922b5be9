"""The launcher: `streamlit run app.py`, or `percall serve`, which sets PERCALL_STORE and PERCALL_CONFIG.

The script of every session is pages/_shell.py. Were this file that script, Streamlit would also serve each file of `pages/` at
an address of its own, past the shell and its gate.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.middleware import Middleware
from streamlit import config as st_config

from operations.sharing import SharedLinks
from operations.web_guard import PROCESS_VARIABLE, WebGuard
from pages import _people
from pages._data import store_path


@asynccontextmanager
async def warm(_app: Any) -> AsyncIterator[None]:
    """Prepare, beside the server's start, what the first page would have to wait for."""
    from pages._warming import Warming  # noqa: PLC0415

    preparing = asyncio.create_task(asyncio.to_thread(_prepare))
    # The snapshot first; then, while nobody waits, all pages' answers.
    warming = Warming()
    preparing.add_done_callback(lambda _: warming.start())
    yield
    warming.stop()
    await preparing


def _prepare() -> None:
    """Import the chart library and open the current snapshot with its ledger."""
    import plotly.graph_objects  # noqa: F401, PLC0415

    from pages import _data  # noqa: PLC0415
    from warehouse.errors import PercallError  # noqa: PLC0415
    from warehouse.share_records import Shares  # noqa: PLC0415

    try:
        Shares(store_path()).release()
        _data.warm()
    except PercallError as error:
        # The dashboard still starts: its pages say what is wrong and what to do.
        logging.getLogger("percall").warning("%s", error)


def _guard() -> Middleware:
    """Where a sign-in is set up: files for the signed-in alone, and the host name that people sign in at is one of ours."""
    base, process = st.get_option("server.baseUrlPath") or "", os.environ.get(PROCESS_VARIABLE)
    if not _people.sign_in_settings():
        return Middleware(WebGuard, signed_in=None, base_path=base, process=process)
    hosts, own = st.get_option("server.allowedHosts"), _people.own_host()
    if hosts and own and own not in hosts:
        st_config.set_option("server.allowedHosts", [*hosts, own])
    return Middleware(WebGuard, signed_in=_people.is_signed_in, base_path=base, process=process)


app = st.App(
    Path(__file__).resolve().parent / "pages" / "_shell.py",
    lifespan=warm,
    routes=SharedLinks(store_path, st.get_option("server.baseUrlPath") or "").routes(),
    middleware=[_guard()],
)

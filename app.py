"""The launcher: `streamlit run app.py`, or `percall serve`, which sets PERCALL_STORE and PERCALL_CONFIG.

The script of every session is pages/_shell.py. Were this file that script, Streamlit would also serve each file of `pages/` at
an address of its own, past the shell and its gate.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import streamlit as st


@asynccontextmanager
async def warm(_app: Any) -> AsyncIterator[None]:
    """Prepare, beside the server's start, what the first page would have to wait for."""
    preparing = asyncio.create_task(asyncio.to_thread(_prepare))
    yield
    await preparing


def _prepare() -> None:
    """Import the chart library and open the current snapshot with its ledger."""
    import plotly.graph_objects  # noqa: F401, PLC0415

    from pages import _data  # noqa: PLC0415
    from warehouse.errors import PercallError  # noqa: PLC0415

    try:
        _data.warm()
    except PercallError as error:
        # The dashboard still starts: its pages say what is wrong and what to do.
        logging.getLogger("percall").warning("%s", error)


app = st.App(Path(__file__).resolve().parent / "pages" / "_shell.py", lifespan=warm)

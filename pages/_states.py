"""What a page shows when it has no figures to show: an empty store, an empty result, a failure, a figure on its way."""

from __future__ import annotations

import functools
import logging
import shlex
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

import streamlit as st

from pages._text import plain
from warehouse.configuration import DEFAULT_STORE
from warehouse.errors import PercallError

_log = logging.getLogger("percall.pages")

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def empty_store(path: Path) -> None:
    """Nothing was loaded yet: what to connect, with the commands for this store."""
    percall = "percall" if path == DEFAULT_STORE else f"percall --store {shlex.quote(str(path))}"
    st.markdown("# Nothing has been loaded yet", anchors=False)
    st.caption(plain(f"The store {path} holds no data. Any of these fills it; then reload this page."))
    for title, command, note in (
        (
            "See it with the demo company",
            f"{percall} demo",
            "Three synthetic months of an AI product, labelled as demo data.",
        ),
        (
            "Load what you have",
            f"{percall} load bills/*.parquet traces/*.jsonl",
            "Cloud bills (FOCUS, AWS CUR, GCP export) and traces (LiteLLM, Langfuse, OpenTelemetry). The kind is found "
            "from the content.",
        ),
    ):
        with st.container(border=True, gap="xsmall"):
            st.markdown(f"**{title}**")
            st.code(command, language="bash")
            st.caption(note)


def empty_result(what: str = "calls or charges") -> None:
    """The filters leave nothing: said as such, with the way out."""
    st.info(
        f"No {plain(what)} match the filters in this period. Widen the period or remove a filter in the sidebar.",
        icon=":material/filter_alt_off:",
    )


def failure(error: Exception) -> None:
    """An error as a sentence. What we raise on purpose is shown; anything else is logged under a number that is
    shown."""
    if isinstance(error, PercallError):
        st.error(plain(str(error)), icon=":material/error:")
        return
    number = uuid.uuid4().hex[:8]
    _log.error("A page failed (%s)", number, exc_info=error)
    st.error(
        "This part could not be computed. Nothing in the data was changed. The server's log has the details under "
        f"number {number}; reload the page to try again.",
        icon=":material/error:",
    )


@contextmanager
def guard() -> Iterator[None]:
    """Whatever fails inside is shown as a sentence in its place, and the rest of the page goes on."""
    try:
        yield
    except Exception as error:
        failure(error)


def guarded(function: Callable[Parameters, Result]) -> Callable[Parameters, Result | None]:
    """`guard` for a whole function: put it under `@st.fragment`, whose reruns the shell does not see."""

    @functools.wraps(function)
    def run(*arguments: Parameters.args, **named: Parameters.kwargs) -> Result | None:
        with guard():
            return function(*arguments, **named)
        return None

    return run


@contextmanager
def loading(height: int) -> Iterator[None]:
    """A grey block of the coming element's height (pixels) until what is drawn inside is ready, so that nothing
    jumps."""
    with st.skeleton(height):
        yield

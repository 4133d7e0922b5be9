"""What the server takes to run each page of the dashboard, beside the floor: a page with one line of text.

Streamlit's AppTest runs the product's own script, so that no browser and no network is in the figure. Three states of the server:

* cold: nothing is open, as for the first visitor after a start (libraries are imported already);
* new: the snapshot and its ledger are open, no answer is known, as after a change of the period;
* warm: every answer of the page is known.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit import config
from streamlit.testing.v1 import AppTest

from benchmarks.measuring import median, timed
from pages import _data
from pages._registry import PAGES_FOLDER, REGISTRY

LIMIT_SECONDS = 300
FLOOR = "import streamlit as st\nst.write('One line of text.')\n"
STATES = ("cold", "new", "warm")


BROKEN = "could not be computed"
"""What a page says when it failed, rather than when it has nothing to show."""


def measure_pages(store: Path, repeats: int = 5) -> dict[str, Any]:
    """Run every registered page `repeats` times in each state, with the floor in between.

    Returns the floor's median seconds, and per page (its title) the median seconds of each state. Raises RuntimeError when a page shows an
    exception or an error.
    """
    os.environ[_data.STORE_VARIABLE] = str(store)
    os.environ.pop(_data.CONFIG_VARIABLE, None)
    config.set_option("server.address", "127.0.0.1")
    _data.configuration.cache_clear()
    floor = AppTest.from_string(FLOOR, default_timeout=LIMIT_SECONDS)
    floor.run()
    floors: list[float] = []
    seconds: dict[str, dict[str, list[float]]] = {entry.title: {state: [] for state in STATES} for entry in REGISTRY}
    for _ in range(repeats):
        for entry in REGISTRY:
            app = AppTest.from_file(str(PAGES_FOLDER / "_shell.py"), default_timeout=LIMIT_SECONDS)
            app.run()
            app.switch_page(str(entry.script.relative_to(PAGES_FOLDER)))
            for state in STATES:
                if state != "warm":
                    _data.forget_answers()
                if state == "cold":
                    _data.forget()
                    st.cache_resource.clear()
                seconds[entry.title][state].append(timed(app.run)[0])
                _check(app, entry.title)
            floors.append(timed(floor.run)[0])
    return {
        "repeats": repeats,
        "floor": median(floors),
        "pages": {
            title: {state: median(values) for state, values in by_state.items()} for title, by_state in seconds.items()
        },
    }


def _check(app: AppTest, title: str) -> None:
    # A lever's page may say, as an error, that this data set has nothing for it to act on: that is its answer, and is timed as such.
    faults = [*app.exception, *(error for error in app.error if BROKEN in error.value)]
    if faults:
        raise RuntimeError(f"page {title}: {faults[0].value}")
    if not app.main.markdown:
        raise RuntimeError(f"page {title} shows nothing")

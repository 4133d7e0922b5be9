"""What the server takes to run each page of the dashboard, beside the floor: a page with one line of text.

Streamlit's AppTest runs the product's own script, so that no browser and no network is in the figure. Six states of the server:

* first: as cold, and nothing was found out ahead either: a page that is opened within seconds of the very first load (measured once). With a
  million calls and more such a page may say of a part that it is being found out; whole: until nothing of it is missing;
* cold: nothing is open and no question is compiled, as for the first visitor after a start (libraries are imported already). On disk lies what a
  sync or the server found out ahead (`analytics.ahead`; what-ifs of this period and the one before by `pages._warming`); how long that takes is told;
* month: somebody chooses the month before, which nobody has asked about in this process;
* new: the snapshot and its ledger are open, no answer is known, as when answers gave way to others;
* warm: every answer of the page is known.
"""

from __future__ import annotations

import os
import shutil
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit import config
from streamlit.testing.v1 import AppTest

from analytics.ahead import questions_ahead
from analytics.filters import Filters
from analytics.simulators.keep_situation import worth_keeping
from benchmarks.measuring import median
from pages import _data, _periods
from pages._later import BEING_FOUND_OUT, LOOKS_EVERY_SECONDS
from pages._registry import PAGES_FOLDER, REGISTRY, PageEntry
from warehouse import compiling
from warehouse.prepared import FOLDER
from warehouse.reader import Warehouse

LIMIT_SECONDS = 600
FLOOR = "import streamlit as st\nst.write('One line of text.')\n"
FIRST, WHOLE = "first", "whole"
STATES = ("cold", "month", "new", "warm")


BROKEN = "could not be computed"
"""What a page says when it failed, rather than when it has nothing to show."""


def measure_pages(store: Path, repeats: int = 5, addresses: tuple[str, ...] = ()) -> dict[str, Any]:
    """Run every registered page (or those of these addresses) `repeats` times in each state, with the floor in between.

    Returns the floor's median seconds, and per page (its title) the median seconds of each state; under "cpu" the same in seconds of CPU, of all
    threads; under "ahead" the seconds and CPU seconds of finding out ahead. What is kept in the store's folder is removed and made anew. Raises RuntimeError when a page shows an exception or an error.
    """
    os.environ[_data.STORE_VARIABLE] = str(store)
    os.environ.pop(_data.CONFIG_VARIABLE, None)
    config.set_option("server.address", "127.0.0.1")
    _data.configuration.cache_clear()
    floor = AppTest.from_string(FLOOR, default_timeout=LIMIT_SECONDS)
    floor.run()
    floors: list[float] = []
    entries = [entry for entry in REGISTRY if not addresses or entry.url_path in addresses]
    taken: dict[str, dict[str, list[tuple[float, float]]]] = {
        entry.title: {state: [] for state in (FIRST, WHOLE, *STATES)} for entry in entries
    }
    for entry in entries:
        app = _opened(entry)
        _forget_all(store)
        begun = time.perf_counter(), time.process_time()
        app.run()
        taken[entry.title][FIRST].append(_since(begun))
        _fill(app)
        taken[entry.title][WHOLE].append(_since(begun))
        _check(app, entry.title)
    _forget_all(store)
    ahead = _look_ahead(entries)
    for _ in range(repeats):
        for entry in entries:
            app = _opened(entry)
            for state in STATES:
                _prepare(app, state)
                taken[entry.title][state].append(_taken(app))
                _check(app, entry.title)
            floors.append(_taken(floor)[0])
    medians = [
        {
            title: {state: median([pair[place] for pair in pairs]) for state, pairs in by_state.items()}
            for title, by_state in taken.items()
        }
        for place in (0, 1)
    ]
    return {"repeats": repeats, "floor": median(floors), "pages": medians[0], "cpu": medians[1], "ahead": ahead}


def _opened(entry: PageEntry) -> AppTest:
    """The dashboard with this page chosen, which has not run yet."""
    app = AppTest.from_file(str(PAGES_FOLDER / "_shell.py"), default_timeout=LIMIT_SECONDS)
    app.run()
    return app.switch_page(str(entry.script.relative_to(PAGES_FOLDER)))


def _forget_all(store: Path) -> None:
    """As if the store had just been loaded, and the server just started."""
    shutil.rmtree(store / FOLDER, ignore_errors=True)
    _data.forget()
    compiling.forget()
    st.cache_resource.clear()


def _look_ahead(entries: list[PageEntry]) -> dict[str, float]:
    """Seconds and CPU seconds of what a sync, or the server in its background, finds out ahead; of what-ifs those of these pages."""
    warehouse = _data.newest_warehouse()
    begun, cpu = time.perf_counter(), time.process_time()
    for _name, ask in questions_ahead(warehouse) if warehouse else ():
        ask()
    what_ifs = [entry for entry in entries if entry.script.parent.name == "optimize"]
    for entry in what_ifs if _keeps_what_ifs(warehouse) else ():
        app = _opened(entry)
        app.run()
        _prepare(app, "month")
        app.run()
    return {"seconds": time.perf_counter() - begun, "cpu_seconds": time.process_time() - cpu}


def _keeps_what_ifs(warehouse: Warehouse | None) -> bool:
    """Whether the period that pages open with has so many calls that the server prepares what-ifs ahead."""
    span = warehouse.span() if warehouse else None
    if warehouse is None or span is None:
        return False
    return worth_keeping(warehouse, Filters(*_periods.latest_full_month(span)))


def _prepare(app: AppTest, state: str) -> None:
    """Bring the server, or the session, to where a state begins."""
    if state == "cold":
        _data.forget()
        compiling.forget()
        st.cache_resource.clear()
    elif state == "new":
        _data.forget_answers()
    elif state == "month":
        period = next(control for control in app.selectbox if control.key == "period")
        before = _periods.month_name(app.session_state["_filters"].start - timedelta(days=1))
        # Where the data have no month before: any other period.
        period.set_value(before if before in period.options else period.options[-1])


def _taken(app: AppTest) -> tuple[float, float]:
    """Seconds and CPU seconds until the page is drawn whole."""
    begun = time.perf_counter(), time.process_time()
    app.run()
    _fill(app)
    return _since(begun)


def _since(begun: tuple[float, float]) -> tuple[float, float]:
    return time.perf_counter() - begun[0], time.process_time() - begun[1]


def _fill(app: AppTest) -> None:
    """Look again, as a browser does, while a part of the page is being found out."""
    while any(BEING_FOUND_OUT in told.value for told in app.main.info):
        time.sleep(LOOKS_EVERY_SECONDS / 10)
        app.run()


def _check(app: AppTest, title: str) -> None:
    # A lever's page may say, as an error, that this data set has nothing for it to act on: that is its answer, and is timed as such.
    faults = [*app.exception, *(error for error in app.error if BROKEN in error.value)]
    if faults:
        raise RuntimeError(f"page {title}: {faults[0].value}")
    if not app.main.markdown:
        raise RuntimeError(f"page {title} shows nothing")

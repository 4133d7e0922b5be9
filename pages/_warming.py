"""Every page's answers for the default period, worked out before anybody asks: after the start and after each new snapshot; then what is dear to
find out of other months, which is kept on disk (`analytics.ahead`).

Each page is drawn once for nobody: its script runs as in a session, on a thread of the server, and what it draws is dropped. What stays are the
answers, the prepared calls and the compiled questions that the first visitor would wait for. One page at a time, and while people's pages run it
stands back at every element that it draws, for a bounded time, so that it also ends where somebody is always active.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote_plus

from streamlit import runtime
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.fragment import MemoryFragmentStorage
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner import ScriptRunContext, add_script_run_ctx
from streamlit.runtime.scriptrunner.script_cache import ScriptCache
from streamlit.runtime.scriptrunner_utils.exceptions import RerunException, StopException
from streamlit.runtime.state import SafeSessionState, SessionState
from streamlit.util import calc_hash

from analytics.ahead import questions_ahead
from analytics.filters import Filters
from analytics.simulators.keep_situation import worth_keeping
from pages import _application, _data, _people, _periods
from pages._people import Person
from pages._registry import REGISTRY, PageEntry
from warehouse.errors import PercallError
from warehouse.people import ADMIN, VIEWER
from warehouse.prepared import turn

_SHELL = Path(__file__).with_name("_shell.py")
_SESSION = "warming"
_PEOPLES_THREAD = "ScriptRunner.scriptThread"
"""Streamlit's name for the thread that runs one person's page or fragment."""

STANDS_BACK_SECONDS = 0.25
"""So long, at most, does one element wait for people: they may be waiting for what is being worked out here."""

LOOKS_EVERY_SECONDS = 2.0

MONTHS_OF_WHAT_IFS = 2
"""So many months before the latest full one are prepared for what-ifs: with three million calls each takes some ten seconds of CPU, once."""

_log = logging.getLogger("percall.pages")


def warm_pages(
    registry: Sequence[PageEntry] = REGISTRY, stopped: threading.Event | None = None, *, query: str = ""
) -> list[str]:
    """Draw every page for nobody, at the default period and without any choice, in reading order. Answers with the addresses that ran to their end.

    `query` is the part of an address behind its question mark: another period, for instance.

    What a page raises is logged, and the next one follows. Runs in the calling thread, which must be one without a session.
    """
    stopped = stopped or threading.Event()
    nobody = _nobody()
    if nobody is None:
        return []
    scripts = ScriptCache()
    done = []
    for entry in registry:
        if stopped.is_set():
            break
        try:
            _draw(registry, entry, nobody, scripts, stopped, query)
        except (StopException, RerunException):
            continue
        except Exception:
            _log.debug("page %s could not be prepared", entry.url_path, exc_info=True)
            continue
        finally:
            _forget_files()
            add_script_run_ctx(threading.current_thread(), None)
        done.append(entry.url_path)
    return done


def _nobody() -> Person | None:
    """For whom pages are drawn: with a sign-in, for a viewer; None where the gate would let nobody in."""
    if _people.sign_in_settings():
        return Person("nobody", None, VIEWER, "local")
    return Person("nobody", None, ADMIN, "local") if _people.look_up_person() else None


def _draw(
    registry: Sequence[PageEntry],
    entry: PageEntry,
    nobody: Person,
    scripts: ScriptCache,
    stopped: threading.Event,
    query: str,
) -> None:
    manager = PagesManager(str(_SHELL), scripts)
    chosen = calc_hash(entry.url_path)
    manager.set_script_intent(chosen, "")
    context = ScriptRunContext(
        session_id=_SESSION,
        _enqueue=_stand_back(stopped),
        query_string="",
        session_state=SafeSessionState(SessionState(), lambda: None),
        uploaded_file_mgr=MemoryUploadedFileManager("/warming"),
        main_script_path=str(_SHELL),
        user_info={},
        fragment_storage=MemoryFragmentStorage(),
        pages_manager=manager,
    )
    add_script_run_ctx(threading.current_thread(), context)
    context.reset(query_string=query, page_script_hash=chosen)
    with context.session_state.query_params() as parameters:
        parameters.set_initial_query_params(query)
        parameters.populate_from_query_string(query)
    _application.draw(registry, nobody)


def _stand_back(stopped: threading.Event) -> Callable[[ForwardMsg], None]:
    """Drops what is drawn; waits meanwhile for people's pages, and ends the page when the server does."""

    def drop(_message: ForwardMsg) -> None:
        until = time.monotonic() + STANDS_BACK_SECONDS
        while _somebody_waits() and time.monotonic() < until:
            stopped.wait(0.01)
        if stopped.is_set():
            raise StopException

    return drop


def look_ahead(stopped: threading.Event | None = None) -> bool:
    """Have what is dear to find out kept on disk, one question after the other, after people's pages; whether nothing is left to find out.

    False when another process is at it, or the server ends. Raises StoreError.
    """
    stopped = stopped or threading.Event()
    warehouse = _data.newest_warehouse()
    if warehouse is None:
        return True
    questions = questions_ahead(warehouse)
    if not questions:
        return True
    with turn(warehouse) as mine:
        for name, ask in questions if mine else ():
            until = time.monotonic() + STANDS_BACK_SECONDS
            while _somebody_waits() and time.monotonic() < until:
                stopped.wait(0.01)
            if stopped.is_set():
                return False
            try:
                ask()
            except Exception:
                # Whoever asks on a page is told.
                _log.debug("%s could not be found out ahead", name, exc_info=True)
    return mine


def warm_what_ifs(stopped: threading.Event | None = None) -> list[str]:
    """Draw the pages of what-ifs for the months before the default period, so that what they prepare of the calls lies on disk
    (`analytics.simulators.keep_situation`) when somebody chooses such a month. Answers with the months, by name, that were drawn.

    Only where months hold so many calls that it is kept, and by one process at a time. Raises StoreError.
    """
    stopped = stopped or threading.Event()
    warehouse = _data.newest_warehouse()
    span = warehouse.span() if warehouse else None
    if warehouse is None or span is None or not warehouse.keeps_prepared:
        return []
    pages = [entry for entry in REGISTRY if entry.script.parent.name == "optimize"]
    months, month = [], _periods.latest_full_month(span)
    for _ in range(MONTHS_OF_WHAT_IFS):
        month = _periods.month_of(month[0] - timedelta(days=1))
        if month[1] >= span[0] and worth_keeping(warehouse, Filters(*month)):
            months.append(_periods.month_name(month[0]))
    with turn(warehouse) as mine:
        for name in months if mine else ():
            warm_pages(pages, stopped, query=f"period={quote_plus(name)}")
    return months if mine else []


def _somebody_waits() -> bool:
    return any(thread.name == _PEOPLES_THREAD for thread in threading.enumerate())


def _forget_files() -> None:
    """Let go of the pictures and downloads that a page has registered for nobody."""
    if runtime.exists():
        media = runtime.get_instance().media_file_mgr
        media.clear_session_refs(_SESSION)
        media.remove_orphaned_files()


class Warming:
    """A thread that warms all pages whenever there is another snapshot or another rule than it has warmed."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="percall-warming", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End at the next element; returns at once."""
        self._stopped.set()

    def _watch(self) -> None:
        warmed: object = None
        looked_ahead: object = None
        while not self._stopped.is_set():
            try:
                now = _data.newest()
                if now is not None and now != warmed:
                    warmed = now
                    warm_pages(stopped=self._stopped)
                if now is not None and now != looked_ahead and look_ahead(self._stopped):
                    looked_ahead = now
                    warm_what_ifs(self._stopped)
            except PercallError as error:
                # The pages say the same to whoever opens one.
                _log.debug("nothing could be prepared: %s", error)
            self._stopped.wait(LOOKS_EVERY_SECONDS)

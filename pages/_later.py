"""Answers that take long the very first time: the page shows everything else at once, and this part when it is found out.

Right after a large load nothing is found out yet (`analytics.ahead`), and a filter that nobody has asked about may take as long: a search through
a month of single calls takes 2 s of CPU with a million calls and seven with ten. A page that waited inside its run would be blank until then, and
deaf to the next click. So such an answer is worked out on a thread of its own; the page says so, looks again by itself and draws the part whole:
nothing is ever shown half-found.

Exports, alerts and reports do not come by here: they wait for the answer, which is the same.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import streamlit as st

from pages import _data, _states
from pages._text import plain

FEWEST_CALLS = 1_000_000
"""With fewer calls in the store a page waits for its answers, a second or two the first time."""

PATIENCE_SECONDS = 0.4
"""So long a run of a page waits for an answer that is not known."""

LOOKS_EVERY_SECONDS = 1.0

BEING_FOUND_OUT = "is being found out from the single calls"

AT_ONCE = 2
"""So many answers are worked out at the same time, whoever asks: each uses all cores."""

THREAD = "percall-later"
_PEOPLES_THREAD = "ScriptRunner.scriptThread"
_BEGUN = "_begun_questions"

Answer = TypeVar("Answer")

_turns = threading.BoundedSemaphore(AT_ONCE)
_underway: dict[Hashable, threading.Event] = {}
_lock = threading.Lock()


def later(function: Callable[..., Answer], *scalars: Any, patience: float | None = None) -> Answer | None:
    """`answer(function, *scalars)` if it is known, or found within `patience` (`PATIENCE_SECONDS`); else None, while it is worked out beside the
    page: the page then says so with `being_found_out` and goes on. For functions that never answer None.

    It waits where the store is small, and where no person waits (the server's warming draws pages for the sake of their answers).
    Raises what `answer` raises: also when an answer that was begun before has failed meanwhile, so that the page tells why.
    """
    asked = _data.asked(function, *scalars)
    begun: set[Hashable] = st.session_state.setdefault(_BEGUN, set())
    if not asked.is_known and _may_take_long():
        is_found = _underway.get(asked.place)
        # This session has seen it begin, and it has ended without an answer: asked here, so that whatever it raises is told.
        if is_found is not None or asked.place not in begun:
            begun.add(asked.place)
            if not (is_found or _begin(asked)).wait(PATIENCE_SECONDS if patience is None else patience):
                return None
    begun.discard(asked.place)
    return asked.answer()


def being_found_out(what: str, *questions: tuple[Any, ...]) -> None:
    """Say that a part is on its way, and draw the page again as soon as one of these questions (function and scalars, as in `later`) is done.

    `what`: the sentence's subject, such as "Waste".
    """
    st.info(plain(f"{what} {BEING_FOUND_OUT}; this page fills in by itself."), icon=":material/hourglass_top:")
    _look_again(tuple(_data.asked(function, *scalars).place for function, *scalars in questions))


@st.fragment(run_every=LOOKS_EVERY_SECONDS)
@_states.guarded
def _look_again(places: tuple[Hashable, ...]) -> None:
    if any(place not in _underway for place in places):
        st.rerun()


def _may_take_long() -> bool:
    if threading.current_thread().name != _PEOPLES_THREAD:
        return False
    snapshot = _data.warehouse().snapshot
    return snapshot is not None and snapshot.calls >= FEWEST_CALLS


def _begin(asked: _data.Asked[Any]) -> threading.Event:
    """Have a question answered beside the page, once however many ask. The event comes when it has ended, with or without an answer."""
    with _lock:
        known = _underway.get(asked.place)
        if known is not None:
            return known
        ended = _underway[asked.place] = threading.Event()

    def work() -> None:
        try:
            with _turns:
                asked.answer()
        except Exception:  # noqa: S110 - whoever asks again is told
            pass
        finally:
            with _lock:
                del _underway[asked.place]
            ended.set()

    try:
        threading.Thread(target=work, name=THREAD, daemon=True).start()
    except RuntimeError:
        # The machine gives no further thread: whoever asked answers it, and nobody waits for it for ever.
        with _lock:
            del _underway[asked.place]
        ended.set()
    return ended

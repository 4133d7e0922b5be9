"""Answers that take long: said so at once, drawn whole when they are found, and the same as for who waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages import _data, _later
from tests.pages.product import open_product, words
from warehouse.errors import InputError
from warehouse.reader import Warehouse

WASTE, PRICES, REVIEW = "inform/waste.py", "operate/prices.py", "operate/weekly_review.py"
LONGEST_SECONDS = 120


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store counts as a large one, in which nothing is known yet."""
    monkeypatch.setattr(_later, "FEWEST_CALLS", 0)
    monkeypatch.setattr(_later, "PATIENCE_SECONDS", 0.0)
    _data.forget()


@contextmanager
def nothing_ends() -> Iterator[None]:
    """Nothing that is worked out beside a page ends meanwhile: all turns are taken."""
    for _ in range(_later.AT_ONCE):
        _later._turns.acquire()
    try:
        yield
    finally:
        for _ in range(_later.AT_ONCE):
            _later._turns.release()


def filled(app: AppTest) -> AppTest:
    """The page as it is when everything has been found out, looked at again as a browser does."""
    until = time.monotonic() + LONGEST_SECONDS
    while _later.BEING_FOUND_OUT in words(app) and time.monotonic() < until:
        time.sleep(0.05)
        app.run()
    return app


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("page", [WASTE, PRICES, REVIEW], ids=["waste", "prices", "weekly-review"])
def test_a_page_says_what_is_being_found_out_and_ends_as_for_who_waits(
    small: Path, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    with nothing_ends():
        app = open_product(monkeypatch, small, page)
        said = words(app)
        assert f"{_later.BEING_FOUND_OUT}; this page fills in by itself" in said
        assert not app.error
    shown = words(filled(app))
    monkeypatch.undo()
    _data.forget()
    waited = words(open_product(monkeypatch, small, page))
    assert _later.BEING_FOUND_OUT not in waited
    assert shown == waited
    assert said != waited


def fails(_warehouse: Warehouse) -> int:
    """A question that has no answer."""
    raise InputError("a file is missing")


def _script() -> None:
    import streamlit as st

    from pages import _data, _later, _states
    from tests.pages.test_later import fails

    _data.look_up_snapshot()
    with _states.guard():
        if _later.later(fails) is None:
            _later.being_found_out("This", (fails,))
        else:
            st.write("answered")


@pytest.mark.usefixtures("large")
def test_what_cannot_be_found_out_is_told_on_the_page(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(_data.STORE_VARIABLE, str(small))
    app = AppTest.from_function(_script, default_timeout=60)
    with nothing_ends():
        app.run()
        assert _later.BEING_FOUND_OUT in words(app)
    assert [error.value for error in filled(app).error] == ["a file is missing"]
    # Asked again, it is tried again.
    with nothing_ends():
        app.run()
        assert _later.BEING_FOUND_OUT in words(app)
    assert filled(app).error


def test_a_small_store_is_waited_for(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_later, "PATIENCE_SECONDS", 0.0)
    _data.forget()
    with nothing_ends():
        assert _later.BEING_FOUND_OUT not in words(open_product(monkeypatch, small, WASTE))


@pytest.mark.usefixtures("large")
def test_where_no_further_thread_can_begin_the_page_waits(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine at its limit of threads: nobody is told for ever that something is being found out."""
    begin = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if thread.name == _later.THREAD:
            raise RuntimeError("can't start new thread")
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    shown = words(open_product(monkeypatch, small, WASTE))
    assert _later.BEING_FOUND_OUT not in shown
    assert not _later._underway

"""Pages are drawn for nobody before anybody asks: then no page has a question left, nothing was changed, and no answer knows who asks."""

from __future__ import annotations

import importlib
import json
import threading
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import CodeType

import pytest
from streamlit import config

from analytics import waste_sums
from analytics.filters import Filters
from analytics.simulators import keep_situation
from analytics.waste import waste
from pages import _data, _warming
from pages._registry import REGISTRY
from tests.pages import small_store
from tests.pages.product import open_product
from warehouse.configuration import Configuration
from warehouse.prepared import FOLDER, turn
from warehouse.reader import open_current

ABOUT_PEOPLE = {"st", "streamlit", "session_state", "may", "require", "current_person", "look_up_person", "user"}
"""Names by which code finds out who is asking."""


def _warm() -> list[str]:
    """Warm in a thread of its own, as the server does."""
    return _in_a_thread(_warming.warm_pages)


def _files(folder: Path) -> dict[str, bytes]:
    """All files but those that keep what was found out."""
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if not name.startswith(f"{FOLDER}/")}


def test_after_warming_no_page_has_a_question_left(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _files(small)
    assert _warm() == [entry.url_path for entry in REGISTRY]
    assert _files(small) == before
    known = _data.known_questions()
    assert known
    _check_that_nobody_is_in(known)
    app = open_product(monkeypatch, small, "inform/features.py")
    for entry in REGISTRY:
        app.switch_page(f"{entry.script.parent.name}/{entry.script.name}").run()
        assert sorted(_data.known_questions() - known) == [], entry.url_path
    # Control: what was not warmed does show.
    open_product(monkeypatch, small, "inform/features.py", by="Month")
    assert _data.known_questions() - known


def _check_that_nobody_is_in(known: set[tuple[str, str]]) -> None:
    """No function whose answers are kept, and so shared, can find out who asks."""
    for name in sorted({function for function, _ in known}):
        module_name, _, function = name.partition(":")
        module = importlib.import_module(module_name)
        if module_name.split(".")[0] == "pages":
            assert not _names(getattr(module, function).__code__) & ABOUT_PEOPLE, name
        else:
            assert not {"st", "streamlit"} & set(vars(module)), name


def _names(code: CodeType) -> set[str]:
    inner = [part for part in code.co_consts if isinstance(part, CodeType)]
    return set(code.co_names).union(*(_names(part) for part in inner))


def test_where_the_gate_lets_nobody_in_nothing_is_worked_out() -> None:
    config.set_option("server.address", "0.0.0.0")
    assert _warm() == []
    assert not _data.known_questions()


def test_an_empty_store_has_nothing_to_warm_and_fails_nowhere(
    empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(_data.STORE_VARIABLE, str(empty_store))
    assert _warm() == [entry.url_path for entry in REGISTRY]
    assert not empty_store.exists()


def test_a_new_snapshot_is_warmed_without_anybody_asking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = tmp_path / "store"
    small_store.build(store, months=("2026-05",))
    monkeypatch.setenv(_data.STORE_VARIABLE, str(store))
    monkeypatch.setattr(_warming, "LOOKS_EVERY_SECONDS", 0.05)
    warming = _warming.Warming()
    warming.start()
    try:
        _wait_for_snapshot("snapshot-000001")
        small_store.build(store, months=("2026-04", "2026-05"))
        _wait_for_snapshot("snapshot-000002")
    finally:
        warming.stop()


def _wait_for_snapshot(snapshot_id: str) -> None:
    deadline = time.monotonic() + 60
    while not _data.knows_answers_of(snapshot_id):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_who_comes_during_the_warming_is_served(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = threading.Event()
    thread = threading.Thread(target=_warming.warm_pages, kwargs={"stopped": stopped})
    thread.start()
    app = open_product(monkeypatch, small, "inform/overview.py")
    assert app.main.markdown
    stopped.set()
    thread.join(60)
    assert not thread.is_alive()


def test_other_months_are_looked_into_ahead_by_one_process_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    small_store.build(store, months=("2026-04", "2026-05"))
    monkeypatch.setenv(_data.STORE_VARIABLE, str(store))
    warehouse = _data.newest_warehouse()
    assert warehouse is not None
    with turn(warehouse) as mine:
        assert mine
        assert not _warming.look_ahead()
    assert not list((store / FOLDER).glob("waste-*"))
    assert _warming.look_ahead()
    # Two months, and the week under review.
    assert len(list((store / FOLDER).glob("waste-*"))) == 3
    monkeypatch.setattr(waste_sums, "_sums", _never)
    _data.forget()
    for filters in (Filters(date(2026, 4, 1), date(2026, 4, 30)), Filters(date(2026, 5, 1), date(2026, 5, 31))):
        assert list(waste(open_current(store, Configuration()), filters)["kind"]) == []


def _never(*_arguments: object) -> None:
    raise AssertionError("the calls were searched again")


def test_what_ifs_of_earlier_months_are_prepared_as_their_pages_ask_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    small_store.build(store, months=("2026-03", "2026-04", "2026-05"))
    monkeypatch.setenv(_data.STORE_VARIABLE, str(store))
    # These months hold few calls: as if that were many.
    for module in (keep_situation, _warming):
        monkeypatch.setattr(module, "worth_keeping", lambda *_arguments: True)
    warehouse = _data.newest_warehouse()
    assert warehouse is not None
    with turn(warehouse) as mine:
        assert mine
        assert _in_a_thread(_warming.warm_what_ifs) == []
    assert not list((store / FOLDER).glob("what-if-*"))
    assert _in_a_thread(_warming.warm_what_ifs) == ["April 2026", "March 2026"]
    # Both months, and not the one that the address would show without a period.
    for name in ("what-if-calls", "what-if-period"):
        kept = [json.loads(about.read_text())["inputs"] for about in (store / FOLDER).glob(f"{name}-*/about.json")]
        months = {month for month in (3, 4, 5) for inputs in kept if repr(date(2026, month, 1)) in " ".join(inputs)}
        assert (name, months, len(kept)) == (name, {3, 4}, 2)


def _in_a_thread(warm: Callable[[], list[str]]) -> list[str]:
    done: list[str] = []
    thread = threading.Thread(target=lambda: done.extend(warm()))
    thread.start()
    thread.join(120)
    assert not thread.is_alive()
    return done

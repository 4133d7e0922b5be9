"""What a sync of a large store finds out ahead of the pages: it says so, stops when it is asked to, and never fails the sync."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from operations import ahead
from operations.ahead import look_ahead
from operations.cli import Context
from tests.pages import small_store
from warehouse.configuration import Configuration
from warehouse.prepared import FOLDER, turn
from warehouse.reader import open_current

SAID = "what was read is stored; finding out ahead what pages ask of "


class StopLater(threading.Event):
    """Set by somebody else after it was looked at so many times."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def is_set(self) -> bool:
        self.looks -= 1
        return self.looks < 0


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(ahead, "FEWEST_CALLS", 1)
    small_store.build(tmp_path / "store", months=("2026-04", "2026-05"))
    return tmp_path / "store"


def found(store: Path) -> list[str]:
    return sorted(path.name for path in (store / FOLDER).glob("*-*"))


def after_a_sync(store: Path, stop: threading.Event | None = None) -> None:
    look_ahead(Context(store, Configuration(), None), stop or threading.Event())


def test_it_says_that_it_begins_and_keeps_what_it_finds(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    after_a_sync(store)
    assert found(store)
    assert capsys.readouterr().err.startswith(SAID)


def test_few_calls_are_left_to_the_pages(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ahead, "FEWEST_CALLS", 1_000_000)
    after_a_sync(store)
    assert not found(store)
    assert not capsys.readouterr().err


def test_another_process_at_it_is_let_alone(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with turn(open_current(store, Configuration())) as mine:
        assert mine
        after_a_sync(store)
    assert not found(store)
    assert not capsys.readouterr().err


def test_it_stops_between_two_questions(store: Path) -> None:
    after_a_sync(store, StopLater(0))
    assert not found(store)
    after_a_sync(store, StopLater(2))
    few = found(store)
    after_a_sync(store)
    assert 0 < len(few) < len(found(store))


def test_a_fault_is_said_and_is_none_of_the_sync(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (damaged, *_) = (store / "facts").glob("calls-2026-05*")
    damaged.write_bytes(b"no database")
    after_a_sync(store)
    assert "nothing more is found out ahead of the pages: " in capsys.readouterr().err

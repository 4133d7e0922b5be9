"""What is kept is made once however many ask at once, stays within its bounds, and cannot be changed by whoever got a copy."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pages._answers import Shelf, copied


def test_twenty_who_ask_at_once_get_one_answer_made_once() -> None:
    shelf: Shelf[str, list[int]] = Shelf(10)
    made: list[int] = []
    everybody = threading.Barrier(20)
    others_ask = threading.Event()

    def make() -> list[int]:
        made.append(1)
        # Not ready before all the others have asked, or had the time to.
        others_ask.wait(0.2)
        return [42]

    def ask(_: int) -> list[int]:
        everybody.wait(10)
        return shelf.get("question", make)

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(ask, range(20)))
    assert made == [1]
    assert all(answer is answers[0] for answer in answers)


def test_one_question_does_not_wait_for_another() -> None:
    shelf: Shelf[str, str] = Shelf(10)
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        assert go_on.wait(10)
        return "slow"

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(shelf.get, "slow", slow)
        assert begun.wait(10)
        assert shelf.get("quick", lambda: "quick") == "quick"
        go_on.set()
        assert waiting.result(10) == "slow"


def test_a_failure_reaches_all_who_wait_and_is_not_kept() -> None:
    shelf: Shelf[str, str] = Shelf(10)
    begun, fail = threading.Event(), threading.Event()

    def failing() -> str:
        begun.set()
        assert fail.wait(10)
        raise ZeroDivisionError

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(shelf.get, "question", failing)
        assert begun.wait(10)
        second = pool.submit(shelf.get, "question", failing)
        fail.set()
        for asked in (first, second):
            with pytest.raises(ZeroDivisionError):
                asked.result(10)
    assert shelf.get("question", lambda: "answer") == "answer"


def test_what_is_made_while_everything_is_forgotten_is_not_kept() -> None:
    shelf: Shelf[str, str] = Shelf(10)

    def make() -> str:
        shelf.clear()
        return "old"

    assert shelf.get("question", make) == "old"
    assert shelf.get("question", lambda: "new") == "new"


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 40)), max_size=60), st.integers(1, 6), st.integers(10, 100)
)
def test_the_bounds_hold_and_the_latest_asked_stays(asked: list[tuple[int, int]], entries: int, most: int) -> None:
    shelf: Shelf[int, bytes] = Shelf(entries, most, len)
    for key, size in asked:
        thing = shelf.get(key, lambda size=size: b"x" * size)
        assert len(shelf) <= entries
        assert shelf.bytes <= most
        assert key in shelf or len(thing) > most


def test_the_one_asked_for_longest_ago_gives_way() -> None:
    shelf: Shelf[str, str] = Shelf(2)
    for key in ("a", "b", "a", "c"):
        shelf.get(key, lambda: "thing")
    assert [key in shelf for key in ("a", "b", "c")] == [True, False, True]


FRAME = pd.DataFrame(
    {"cost": [Decimal("1.10"), None], "calls": [1, 2], "day": [date(2026, 5, 1), date(2026, 5, 2)], "name": ["a", "b"]}
)


def _spoil(frame: pd.DataFrame) -> None:
    frame.loc[0, "cost"] = Decimal(9)
    frame.iloc[1, 1] = 77
    frame["name"] = frame["name"].str.upper()
    frame["calls"] += 1
    frame["new"] = 1
    frame.columns.name = "spoiled"
    del frame["day"]
    frame.attrs["spoiled"] = True


def test_whatever_is_done_to_a_copy_of_a_frame_stays_with_it() -> None:
    kept = copied(FRAME.copy())
    assert not kept.pickled
    for _ in range(2):
        mine = kept.copy()
        pd.testing.assert_frame_equal(mine, FRAME)
        assert mine.columns.name is None
        assert not mine.attrs
        _spoil(mine)


def test_who_gave_the_answer_cannot_change_it_either() -> None:
    own = FRAME.copy()
    kept = copied(own)
    _spoil(own)
    pd.testing.assert_frame_equal(kept.copy(), FRAME)


@pytest.mark.parametrize(
    "answer",
    [[1, 2], {"a": [1]}, (1, [2]), pd.DataFrame({"a": [[1], [2]]}), {"frame": pd.DataFrame({"a": [1]})}],
    ids=["list", "dict", "tuple", "frame-of-lists", "dict-of-frames"],
)
def test_anything_that_could_be_changed_is_handed_out_anew(answer: Any) -> None:
    kept = copied(answer)
    assert kept.pickled
    one, other = kept.copy(), kept.copy()
    assert one is not other
    assert repr(one) == repr(other) == repr(answer)


@pytest.mark.parametrize("answer", [None, 1, "a", Decimal("1.10"), (date(2026, 5, 1), ("a", None))], ids=repr)
def test_what_cannot_be_changed_is_handed_out_as_it_is(answer: Any) -> None:
    assert copied(answer).copy() is answer


def test_an_answer_that_cannot_be_kept_says_so() -> None:
    with pytest.raises(TypeError, match="cannot be kept"):
        copied(lambda: 1)


def test_a_thing_too_large_is_handed_out_and_drives_nothing_out() -> None:
    shelf: Shelf[str, bytes] = Shelf(10, 100, len, most_each=20)
    shelf.get("small", lambda: b"x" * 20)
    assert shelf.get("large", lambda: b"x" * 21) == b"x" * 21
    assert shelf.held() == ["small"]

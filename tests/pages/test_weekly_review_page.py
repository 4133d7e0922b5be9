"""The weekly review on a small store, on an empty one, and what people write into it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from analytics.weekly_review import TITLES
from analytics.weekly_review_notes import actions, actions_of, add_action, notes_of
from analytics.weekly_review_week import read_week
from pages import _data
from tests.pages.product import SHELL, open_product, words
from tests.pages.signing_in import PEOPLE, signed_in
from tests.pages.small_store import DAILY
from warehouse.state import State

PAGE = "operate/weekly_review.py"
W21, W22 = read_week("2026-W21"), read_week("2026-W22")


@pytest.fixture
def store(small: Path, tmp_path: Path) -> Path:
    """A copy of the small store that may be written into."""
    return Path(shutil.copytree(small, tmp_path / "store"))


def test_the_newest_whole_week_from_top_to_bottom(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, small, PAGE)
    text = words(app)
    whole = 7 * sum(DAILY.values())
    assert f"The week cost ${whole:,.0f}, as much as the week before" in text
    assert app.selectbox(key="week").value == "2026-W22"
    positions = [text.index(f"{number} · {title}") for number, title in enumerate(TITLES.values(), start=1)]
    assert positions == sorted(positions)
    assert not app.error


def test_the_week_of_the_address(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, small, PAGE, week="2026-W15")
    assert "2026-W15 · 6 – 12 April 2026" in words(app)
    wrong = open_product(monkeypatch, small, PAGE, week="2026-W99")
    assert "2026-W22 · 25 – 31 May 2026" in words(wrong)


def test_what_is_decided_is_kept_and_asked_for_in_the_next_week(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, store, PAGE, week="2026-W21")
    app.text_area(key="review_decisions_new_text").input("Cut the context")
    app.segmented_control(key="review_decisions_new_kind").set_value("Action")
    app.text_input(key="review_decisions_new_owner").input("Minh")
    next(
        button for button in app.button if button.label == "Keep it" and "decisions" in str(button.form_id)
    ).click().run()
    (action,) = actions_of(State(store), W21)
    assert (action.text, action.owner, action.made_by) == ("Cut the context", "Minh", "Local user")
    assert "Cut the context" in words(app)

    later = open_product(monkeypatch, store, PAGE, week="2026-W22")
    text = words(later)
    assert text.index("Cut the context") < text.index("2 · The week")
    later.segmented_control(key=f"review_change_{action.name}_status").set_value("done")
    later.text_input(key=f"review_change_{action.name}_outcome").input("Saves a lot")
    next(button for button in later.button if button.form_id == f"review_change_{action.name}_form").click().run()
    (changed,) = actions(State(store))
    assert (changed.status, changed.outcome) == ("done", "Saves a lot")
    assert "Saves a lot" in words(later)


def test_a_remark_stands_at_its_section_and_can_be_taken_away(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, store, PAGE)
    # Closed, the button has no form in it.
    assert not [area for area in app.text_area if area.key == "review_waste_new_text"]
    app.session_state["review_waste_add"] = True
    app.run()
    app.text_area(key="review_waste_new_text").input("Known")
    next(button for button in app.button if button.label == "Keep it" and "waste" in str(button.form_id)).click().run()
    (note,) = notes_of(State(store), W22)
    assert (note.section, note.text) == ("waste", "Known")
    app.button(key=f"review_remove_{note.name}").click().run()
    assert notes_of(State(store), W22) == ()
    assert "The note has been removed" in "".join(str(one.value) for one in app.success)


def test_an_empty_text_is_refused_in_words(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, store, PAGE)
    next(
        button for button in app.button if button.label == "Keep it" and "decisions" in str(button.form_id)
    ).click().run()
    assert "needs a text" in words(app)
    assert notes_of(State(store), W22) == ()


def test_an_empty_store_says_what_to_load(empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Nothing has been loaded yet" in words(open_product(monkeypatch, empty_store, PAGE))


def test_an_open_action_marks_its_section_as_in_hand(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = words(open_product(monkeypatch, store, PAGE))
    assert "cost without tags" in before.split("to decide: ")[1].split("\n")[0]
    add_action(State(store), W21, "Tag it", about="untagged", author="Ann")
    after = words(open_product(monkeypatch, store, PAGE))
    assert "Cost without tags :blue-badge[◐ in hand]" in after


@pytest.mark.parametrize(
    ("email", "writes"), [("ben@example.com", True), ("cem@example.com", False)], ids=["analyst", "viewer"]
)
def test_who_may_only_look_has_nothing_to_write_with(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, email: str, writes: bool
) -> None:
    (tmp_path / "percall.toml").write_text(PEOPLE)
    monkeypatch.setenv(_data.STORE_VARIABLE, str(store))
    monkeypatch.setenv(_data.CONFIG_VARIABLE, str(tmp_path / "percall.toml"))
    add_action(State(store), W21, "Tag it", author="Ann")
    app = signed_in(AppTest.from_file(str(SHELL), default_timeout=60), email)
    # A session without a browser has no address to note in the audit log.
    app.session_state["_sign_in_noted"] = True
    app.run()
    app.switch_page(PAGE).run()
    assert "Tag it" in words(app)
    labels = {button.label for button in app.button}
    assert ({"Keep it", "Save"} <= labels) == writes
    assert bool(labels & {"Keep it", "Save"}) == writes
    assert bool(app.get("download_button")) == writes

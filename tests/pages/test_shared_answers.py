"""What is worked out for one person serves everybody: with it nobody gets a right, and nobody changes what others see."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages import _data, _situation
from tests.pages.product import SHELL
from tests.pages.signing_in import signed_in

ADMIN, ANALYST, VIEWER = "ann@example.com", "ben@example.com", "cem@example.com"


def opened_by(email: str, page: str) -> AppTest:
    """A session of this person at this page."""
    app = signed_in(AppTest.from_file(str(SHELL), default_timeout=60), email)
    # The audit log would note the network's address, which a session without a browser does not have.
    app.session_state["_sign_in_noted"] = True
    app.run()
    app.switch_page(page).run()
    assert not app.exception
    return app


def shown(app: AppTest) -> list[str]:
    """Every table, cell by cell."""
    return [table.value.to_csv(index=False) for table in app.dataframe]


@pytest.mark.parametrize("page", ["inform/features.py", "optimize/volume.py"])
@pytest.mark.parametrize("first", [ADMIN, VIEWER])
def test_a_table_is_the_same_for_all_and_its_file_only_for_who_may_export(
    store_with_roles: Path, page: str, first: str
) -> None:
    order = [first, *(email for email in (ADMIN, ANALYST, VIEWER) if email != first)]
    sessions = {email: opened_by(email, page) for email in order}
    if page.startswith("optimize"):
        for app in sessions.values():
            slider = app.select_slider(key="volume_growth")
            slider.set_value(slider.options[-1]).run()
            assert not app.exception
        # One situation, and in it one outcome per setting, for the three of them.
        assert len(_situation._prepared) == 1
    tables = {email: shown(app) for email, app in sessions.items()}
    assert tables[ADMIN] == tables[ANALYST] == tables[VIEWER] != []
    files = {email: len(app.main.get("download_button")) for email, app in sessions.items()}
    assert files[ADMIN] == files[ANALYST] == len(tables[ADMIN])
    assert files[VIEWER] == 0


def test_no_kept_answer_can_know_who_asks(store_with_roles: Path) -> None:
    """Functions whose answers are kept lie below the pages, where nobody is known; and no question carries a name or an address."""
    for email in (ADMIN, VIEWER):
        for page in ("inform/overview.py", "inform/features.py", "optimize/volume.py", "operate/budgets.py"):
            opened_by(email, page)
    questions = _data.known_questions()
    assert len(questions) > 10
    assert {name.partition(":")[0].partition(".")[0] for name, _scalars in questions} <= {"analytics", "pages"}
    assert {name for name, _scalars in questions if name.startswith("pages")} <= {
        "pages._data:_span",
        "pages._data:_dimension_values",
    }
    assert not any("@example.com" in scalars or "admin" in scalars for _name, scalars in questions)

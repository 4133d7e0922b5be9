"""The sidebar and the address say the same, and an address is not trusted."""

from __future__ import annotations

from datetime import date

import pytest

from analytics.filters import Filters
from pages import _filters
from tests.pages.conftest import OpenShell

MAY = (date(2026, 5, 1), date(2026, 5, 31))


def _filters_of(app) -> Filters:
    return app.session_state["_filters"]


def test_the_default_is_the_latest_full_month_and_leaves_the_address_bare(open_shell: OpenShell) -> None:
    app = open_shell()
    assert _filters_of(app) == Filters(*MAY)
    assert not dict(app.query_params)


def test_an_address_sets_every_filter(open_shell: OpenShell) -> None:
    app = open_shell(
        period="April 2026",
        basis="List",
        by="Week",
        feature=["search", "summarize"],
        model="gpt-4o",
        project="assistant",
        team="ai",
        env="prod",
        tier="free",
    )
    assert _filters_of(app) == Filters(
        date(2026, 4, 1),
        date(2026, 4, 30),
        (
            ("env", ("prod",)),
            ("feature", ("search", "summarize")),
            ("model", ("gpt-4o",)),
            ("project", ("assistant",)),
            ("team", ("ai",)),
            ("user_tier", ("free",)),
        ),
        basis="list",
        grain="week",
    )


def test_an_address_sets_a_custom_range(open_shell: OpenShell) -> None:
    app = open_shell(period="Custom range", dates=["2026-04-28", "2026-05-04"])
    assert (_filters_of(app).start, _filters_of(app).end) == (date(2026, 4, 28), date(2026, 5, 4))


@pytest.mark.parametrize(
    "query",
    [
        {"period": "Next century"},
        {"basis": "free; DROP TABLE calls"},
        {"by": "minute"},
        {"feature": "<script>alert(1)</script>"},
        {"model": ["no-such-model"]},
        {"period": "Custom range", "dates": ["2031-01-01", "2031-02-01"]},
        {"period": "Custom range", "dates": ["yesterday", "today"]},
        {"period": "Custom range", "dates": ["2026-05-31", "2026-05-01"]},
        {"basis": ["Billed", "List"], "nonsense": "1"},
    ],
    ids=str,
)
def test_what_an_address_says_wrongly_is_dropped(open_shell: OpenShell, query: dict[str, str | list[str]]) -> None:
    app = open_shell(**query)
    assert not app.exception
    assert not app.error
    filters = _filters_of(app)
    assert date(2026, 3, 1) <= filters.start <= filters.end <= date(2026, 5, 31)
    assert filters.where == ()
    assert filters.grain == "day"


def test_a_choice_in_the_sidebar_changes_the_filters(open_shell: OpenShell) -> None:
    app = open_shell()
    app.sidebar.selectbox(key="period").select("April 2026").run()
    app.sidebar.multiselect(key="feature").select("search").run()
    assert _filters_of(app) == Filters(date(2026, 4, 1), date(2026, 4, 30), (("feature", ("search",)),))
    app.sidebar.multiselect(key="feature").unselect("search").run()
    assert _filters_of(app) == Filters(date(2026, 4, 1), date(2026, 4, 30))


def test_filters_survive_a_change_of_page(open_shell: OpenShell) -> None:
    app = open_shell(period="April 2026", feature="search")
    before = _filters_of(app)
    app.switch_page("inform/features.py").run()
    assert _filters_of(app) == before
    assert app.dataframe[0].value["feature"].tolist() == ["search"]


def test_untagged_rows_can_be_chosen(open_shell: OpenShell) -> None:
    app = open_shell("inform/features.py", feature="(untagged)")
    assert app.dataframe[0].value["feature"].tolist() == ["(untagged)"]
    # One call per day of May has no feature.
    assert app.dataframe[0].value["calls"].tolist() == [31]


def test_filters_that_leave_nothing_say_so(open_shell: OpenShell) -> None:
    app = open_shell("inform/features.py", feature="search", tier="(untagged)")
    assert "No calls match the filters" in app.info[0].value


@pytest.mark.parametrize(
    ("narrowed", "where"),
    [
        ("feature:search", (("feature", ("search",)),)),
        ("feature:(untagged)", (("feature", ("(untagged)",)),)),
        (["feature:search", "user_tier:pro"], (("feature", ("search",)), ("user_tier", ("pro",)))),
        ("feature:nobody", (("feature", ("summarize",)),)),
        ("model", (("feature", ("summarize",)),)),
        ("basis:x", (("feature", ("summarize",)),)),
    ],
    ids=str,
)
def test_what_a_link_narrows_is_taken_over_and_not_trusted(
    open_shell: OpenShell, narrowed: str | list[str], where: tuple[tuple[str, tuple[str, ...]], ...]
) -> None:
    app = open_shell(feature="summarize")
    app.query_params["narrow"] = narrowed
    app.run()
    assert not app.exception
    assert _filters_of(app).where == where
    assert "narrow" not in app.query_params


def test_filters_in_words() -> None:
    filters = Filters(*MAY, (("feature", ("search", "summarize")), ("user_tier", ("free",))), basis="list")
    assert _filters.describe(filters) == "1 – 31 May 2026 · feature: search, summarize · user tier: free · list cost"

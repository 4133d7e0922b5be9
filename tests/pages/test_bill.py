"""The bill page over the small store, whose every day costs 271.05 USD."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages._registry import PAGES_FOLDER


def _open(**query: str | list[str]) -> AppTest:
    app = AppTest.from_file(str(Path(PAGES_FOLDER) / "_shell.py"), default_timeout=30)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    app.switch_page("inform/bill.py").run()
    assert not app.exception
    assert not app.error
    return app


def _headline(app: AppTest) -> str:
    return next(element.value for element in app.markdown if element.value.startswith("# ")).replace("\\", "")


@pytest.mark.parametrize(
    ("query", "headline"),
    [
        # May has 31 days, April 30: 1/30 more.
        ({}, "# AI cost $8,403 in May 2026, 3.3% more than in April 2026"),
        ({"period": "March 2026"}, "# AI cost $8,403 in March 2026"),
        ({"period": "Last 7 days"}, "# AI cost $1,897 over 25 – 31 May 2026, as much as in 18 – 24 May 2026"),
        ({"period": "All data"}, "# AI cost $24,937 over 1 March – 31 May 2026"),
        ({"basis": "List"}, "# AI cost $16,805 in May 2026, 3.3% more than in April 2026"),
    ],
    ids=str,
)
def test_the_headline_answers_the_question(query: dict[str, str], headline: str) -> None:
    assert _headline(_open(**query)) == headline


def test_the_table_compares_with_the_period_before_only_where_the_data_reach() -> None:
    table = _open().dataframe[0].value
    assert table["category"].tolist() == ["LLM API", "GPU inference", "Vector database"]
    assert table["cost"].tolist() == [6203.10, 1379.50, 819.95]
    assert table["before"].tolist() == [6003.00, 1335.00, 793.50]
    assert "before" not in _open(period="March 2026").dataframe[0].value.columns


def test_grain_changes_the_bars_and_not_the_total() -> None:
    for grain in ("Day", "Week", "Month"):
        app = _open(by=grain, period="All data")
        assert app.metric[0].value == "$24,937"
        assert len(app.get("plotly_chart")) == 1

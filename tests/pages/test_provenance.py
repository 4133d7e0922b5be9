"""What a figure's explanation shows beside a credit."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages import _data
from tests.analytics.facts import call, charge
from tests.analytics.stored import store_of


def _script() -> None:
    from datetime import date

    from analytics.filters import Filters
    from pages import _data, _provenance

    _data.look_up_snapshot()
    _provenance._ledger("features", Filters(date(2026, 5, 1), date(2026, 5, 31)))


@pytest.mark.parametrize(("billed", "shares"), [("4", [0.75, 0.25]), ("-6", None)], ids=["bill", "credit"])
def test_shares_are_shown_where_they_are_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, billed: str, shares: list[float] | None
) -> None:
    """12 of traces beside a bill of 4, or beside a credit of 6, of which they would be 200%: the costs alone tell that."""
    lines = [charge("2026-05-20", billed, ChargeCategory="Usage" if shares else "Credit")]
    monkeypatch.setenv(_data.STORE_VARIABLE, str(store_of(tmp_path / "store", [call("2026-05-02", "12")], lines)))
    app = AppTest.from_function(_script, default_timeout=60).run()
    assert not app.exception
    shown = app.dataframe[0].value
    assert shown["cost"].tolist() == [12, float(billed)]
    assert (shown["share"].tolist() if "share" in shown else None) == (shares and [100 * part for part in shares])

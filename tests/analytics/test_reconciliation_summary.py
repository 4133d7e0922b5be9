"""A reconciliation in short: sums, sentence and gap over time say what the table says."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from analytics.filters import Filters
from analytics.reconciliation_summary import ReconciliationReport, reconciliation_report
from tests.analytics.facts import call, charge, warehouse_of

D = Decimal
MAY = Filters(date(2026, 5, 1), date(2026, 5, 31))


def line(day: str, cost: str, **columns: Any) -> dict[str, Any]:
    return charge(day, cost, x_Model="gpt-4o", **columns)


def report(calls: list[dict[str, Any]], lines: list[dict[str, Any]]) -> ReconciliationReport:
    return reconciliation_report(warehouse_of(calls, lines), MAY)


def test_sums_and_sentence() -> None:
    found = report(
        [call("2026-05-01", "30"), call("2026-05-01", "7", provider="acme"), call("2026-05-20", "2")],
        [line("2026-05-01", "30"), line("2026-05-02", "50"), line("2026-05-02", "-20", ChargeCategory="Credit")],
    )
    whole = found.summary
    assert (whole.estimated, whole.billed, whole.gap, whole.not_billed) == (D(30), D(60), D(30), D(9))
    assert whole.causes == (("missing_calls", D(50)), ("credits", D(-20)))
    assert (whole.gap_share, whole.explained_share) == (0.5, 1.0)
    assert found.headline == (
        "$60.00 was billed for model usage of May 2026, $30.00 more than traced (50%); the largest cause is calls never traced, +$50.00"
    )


def test_the_gap_over_time_sums_to_the_gap_and_leaves_out_causes_that_are_nowhere() -> None:
    found = report([call("2026-05-01", "30")], [line("2026-05-01", "31"), line("2026-05-02", "5")])
    frame = found.over_time
    assert sorted(set(frame["cause"])) == ["missing_calls", "unexplained"]
    by_day = {day: sum(part["amount"], D(0)) for day, part in frame.groupby("period")}
    assert by_day == {date(2026, 5, 1): D(1), date(2026, 5, 2): D(5)}
    assert sum(found.table["gap"], D(0)) == D(6)
    assert found.summary.explained_share == 1 - 1 / 36


def test_agreement_no_bill_and_nothing_at_all() -> None:
    assert report([call("2026-05-01", "3")], [line("2026-05-01", "3")]).headline == (
        "Bill and traces agree on $3.00 for model usage of May 2026"
    )
    alone = report([call("2026-05-01", "3")], [])
    assert alone.headline.startswith("No bill covers the model usage of May 2026")
    assert (alone.summary.billed, alone.summary.not_billed) == (None, D(3))
    assert alone.over_time.empty
    assert report([], []).table.empty


def test_one_cause_is_all_of_it() -> None:
    found = report([call("2026-05-01", "3")], [line("2026-05-01", "3"), line("2026-05-03", "1")])
    assert found.headline.endswith("$1.00 more than traced (25%), all of it calls never traced")

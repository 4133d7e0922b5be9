"""What calls earn beside what they cost, and other prices: by hand, and identities."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.simulators.tier_earnings import most_that_may_leave, price_curve, price_range, total_of, with_calls
from warehouse.errors import InputError


def _margins() -> pd.DataFrame:
    """The reference case's description writer: 0.043 USD per request, 0.022 earned in the free tier, and a GPU of 100 shared by all."""
    columns = (
        "kind",
        "feature",
        "user_tier",
        "calls",
        "cost",
        "revenue",
        "shared_by_calls",
        "currency",
        "gross_margin",
        "note",
    )
    rows: list[tuple[Any, ...]] = [
        ("feature", "write", "free", 48_837, Decimal("2200"), Decimal("1074"), Decimal("100"), "USD", -1.05, None),
        ("feature", "write", "pro", 6_738, Decimal("300"), Decimal("570"), Decimal("0"), "USD", 0.47, None),
        ("feature", "jobs", None, 10, Decimal("10"), None, None, "USD", None, "revenue not tracked"),
        ("feature", "blind", "free", 3, None, Decimal("1"), Decimal("0"), "USD", None, "cost not known"),
        ("shared", None, None, 0, Decimal("50"), None, Decimal("0"), "USD", None, None),
        ("untagged", None, "free", 20, Decimal("8"), None, Decimal("0"), "USD", None, "names no feature"),
    ]
    return pd.DataFrame(rows, columns=list(columns), dtype=object)


def test_switching_a_tier_off_by_hand() -> None:
    """2,100 USD of its own calls stop, 1,074 USD of revenue with them; the GPU goes on."""
    frame = with_calls(_margins(), 0.0, ("write",), ("free",))
    (row,) = frame.to_dict("records")
    assert (row["cost_change"], row["revenue_change"], row["result"]) == (Decimal(-2100), Decimal(-1074), Decimal(1026))
    assert row["revenue_per_call"] == (Decimal(1074) / 48_837).quantize(Decimal("1e-12"))


def test_half_as_many_again_of_everything() -> None:
    frame = with_calls(_margins(), 1.5, scale=2.0)
    assert list(zip(frame["feature"], frame["user_tier"], strict=True)) == [
        ("write", "free"), ("write", "pro"), ("blind", "free"), ("jobs", None), (None, "free"),
    ]  # fmt: skip
    assert list(frame["result"]) == [Decimal(1074 - 2100), Decimal(570 - 300), None, None, None]
    # Calls that name no feature happen as often as the others, and cost; machines and databases that nobody owns do not.
    assert total_of(frame, "cost_change") == Decimal(2100 + 300 + 10 + 8)
    assert total_of(frame, "revenue_change") == Decimal(1074 + 570 + 1)
    assert total_of(frame.iloc[3:], "result") is None
    with pytest.raises(InputError, match="how many times"):
        with_calls(_margins(), -1.0)


def test_as_many_calls_as_today_change_nothing() -> None:
    frame = with_calls(_margins(), 1.0)
    assert all(value == 0 for name in ("cost_change", "revenue_change") for value in frame[name].dropna())


def test_a_price_by_hand() -> None:
    """20 % more for pro, of whom 2 % leave for each 10 %: 570 x 1.2 x 0.96 = 656.64 earned, 300 x 0.96 = 288 paid."""
    curve = price_curve(_margins(), "write", "pro", leaving_per_tenth=0.02, changes=(-0.5, 0.0, 0.2))
    less, same, more = curve.to_dict("records")
    assert (more["revenue"], more["cost"], more["result"]) == (Decimal("656.64"), Decimal("288"), Decimal("98.64"))
    assert more["leaving"] == pytest.approx(0.04)
    assert more["gross_margin"] == pytest.approx((656.64 - 288) / 656.64)
    assert (same["result"], same["leaving"]) == (0, 0)
    assert (less["revenue"], less["cost"], less["leaving"]) == (Decimal(285), Decimal(300), 0)


def test_a_range_of_users_who_leave_is_both_curves_side_by_side() -> None:
    found = price_range(_margins(), "write", "pro", few=0.01, many=0.05, scale=2.0)
    for leaving, ending in ((0.01, "_few_leave"), (0.05, "_many_leave")):
        curve = price_curve(_margins(), "write", "pro", leaving_per_tenth=leaving, scale=2.0)
        mine = found[["price_change", *(f"{name}{ending}" for name in curve.columns[1:])]]
        assert mine.to_numpy().tolist() == curve.to_numpy().tolist()
    # 570 x 1.5 x 0.75 = 641.25 earned, 300 x 0.75 = 225 paid: 71.25 + 75 more, twice.
    (row,) = found[found["price_change"] == 0.5].to_dict("records")
    assert row["result_many_leave"] == Decimal("292.5")


def test_what_has_no_price() -> None:
    for feature, tier in (("jobs", None), ("blind", "free")):
        with pytest.raises(InputError):
            price_curve(_margins(), feature, tier, leaving_per_tenth=0.01)
    with pytest.raises(InputError, match="leave"):
        price_curve(_margins(), "write", "pro", leaving_per_tenth=1.5)


@given(st.floats(0.01, 3))
def test_at_the_most_that_may_leave_nothing_is_won(change: float) -> None:
    """The closed form against the curve: with exactly so many leaving, what is left over is today's."""
    most = most_that_may_leave(_margins(), "write", "pro", change)
    assert most is not None
    assert 0 < most < 1
    curve = price_curve(_margins(), "write", "pro", leaving_per_tenth=most / (10 * change), changes=(change,))
    assert float(curve["result"].iloc[0]) == pytest.approx(0, abs=1e-6)


def test_calls_that_cost_more_than_they_earn_are_never_missed() -> None:
    """1,074 x 1.2 is less than the 2,100 that the calls cost: everybody who leaves is a gain."""
    assert most_that_may_leave(_margins(), "write", "free", 0.2) is None

"""Parts in cents that add up to their total: by hand, and for any amounts."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from analytics.simulators.to_the_cent import CENT, cents, parts_in_cents, total_in_cents

amounts = st.dictionaries(st.integers(0, 20), st.floats(-1e7, 1e7, allow_nan=False), max_size=12)


def test_by_hand() -> None:
    """Three thirds of a dollar: each alone would be 0.33, in sum a cent too few."""
    assert parts_in_cents({"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}) == {
        "a": Decimal("0.34"), "b": Decimal("0.33"), "c": Decimal("0.33"),
    }  # fmt: skip
    # Of 0.006, 0.008 and 0.006, two make the two cents of the sum: the largest is rounded by the least.
    assert sorted(parts_in_cents({"a": 0.006, "b": 0.008, "c": 0.006}).values()) == [0, CENT, CENT]
    assert parts_in_cents({"a": 0.006, "b": 0.008, "c": 0.006})["b"] == CENT
    assert parts_in_cents({}) == {}
    assert cents(Decimal("0.125")) == cents(0.125) == Decimal("0.12")


def test_what_stays_the_same_keeps_its_cents() -> None:
    """The cent that the first part was given stays with it when another changes, and no saving is seen in it."""
    before = {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}
    shown = parts_in_cents(before)
    after = parts_in_cents({"a": 1 / 3, "b": 0.10, "c": 1 / 3}, before=before, before_in_cents=shown)
    assert (after["a"], after["c"]) == (shown["a"], shown["c"])
    assert sum(after.values()) == Decimal("0.77")
    assert parts_in_cents(before, before=before, before_in_cents=shown) == shown


@given(amounts)
def test_parts_add_up_and_are_less_than_a_cent_off(parts: dict[int, float]) -> None:
    found = parts_in_cents(parts)
    assert sum(found.values(), Decimal(0)) == total_in_cents(parts.values())
    assert list(found) == list(parts)
    for name, amount in parts.items():
        assert abs(found[name] - Decimal(repr(amount))) < CENT


@given(amounts, st.sets(st.integers(0, 20)))
def test_nothing_is_told_as_nothing(parts: dict[int, float], empty: set[int]) -> None:
    """A part that is 0, or what sums leave behind of it, makes up no cent, before or after, while another one changes."""
    before = parts | dict.fromkeys(empty, 1e-13)
    shown = parts_in_cents(before)
    after = {name: amount + 100.004 if name not in empty else 0.0 for name, amount in before.items()}
    found = parts_in_cents(after, before=before, before_in_cents=shown)
    assert {shown[name] for name in empty} <= {0}
    assert {found[name] for name in empty} <= {0} or all(abs(after[name]) < 1e-6 for name in after)


@given(amounts, amounts)
def test_after_a_change_parts_add_up_too(before: dict[int, float], changed: dict[int, float]) -> None:
    shown = parts_in_cents(before)
    after = before | changed
    found = parts_in_cents(after, before=before, before_in_cents=shown)
    if after != before:
        assert sum(found.values(), Decimal(0)) == total_in_cents(after.values())
    for name in before.keys() - changed.keys():
        assert found[name] == shown[name]

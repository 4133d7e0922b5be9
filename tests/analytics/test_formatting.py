"""How numbers are written, against cases written down by hand."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics import formatting


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("47231", "$47,231"),
        ("47231.00", "$47,231"),
        ("38031.5", "$38,032"),
        ("94.462", "$94.46"),
        ("931", "$931.00"),
        ("999.994", "$999.99"),
        ("999.995", "$1,000"),
        ("1", "$1.00"),
        ("0.999", "$1.00"),
        ("0.5", "$0.50"),
        ("0.043", "$0.043"),
        ("0.018", "$0.018"),
        ("0.0031", "$0.0031"),
        ("0.00309999", "$0.0031"),
        ("0.0099999", "$0.010"),
        ("0.0000021", "$0.0000021"),
        ("-2.104", "−$2.10"),
        ("-38031", "−$38,031"),
        ("0", "$0"),
        ("-0", "$0"),
        ("0.0000000000001", "$0.00000000000010"),
    ],
)
def test_money(value: str, text: str) -> None:
    assert formatting.usd(Decimal(value)) == text


def test_unknown_is_never_a_number() -> None:
    for write in (formatting.usd, formatting.exact_money, formatting.share, formatting.count, formatting.tokens):
        assert write(None) == "unknown"
    assert formatting.usd(Decimal("NaN")) == "unknown"
    assert formatting.share(float("nan")) == "unknown"


def test_money_in_other_currencies_and_with_a_plus() -> None:
    assert formatting.money(Decimal("1234567.8"), "VND") == "₫1,234,568"
    assert formatting.money(Decimal("12.5"), "EUR") == "€12.50"
    assert formatting.money(Decimal("-12.5"), "CHF") == "−CHF 12.50"
    assert formatting.usd(Decimal("12.5"), plus=True) == "+$12.50"
    assert formatting.usd(Decimal("1.5"), digits=4) == "$1.5000"


def test_to_the_cent() -> None:
    assert formatting.to_the_cent(Decimal(47231)) == "$47,231.00"
    assert formatting.to_the_cent(Decimal("0.0031")) == "$0.0031"
    assert formatting.to_the_cent(Decimal(47231), "VND") == "₫47,231"
    assert formatting.to_the_cent(Decimal(0)) == "$0.00"
    assert formatting.to_the_cent(None) == "unknown"


def test_exact_money_keeps_every_digit() -> None:
    assert formatting.exact_money(Decimal("47231.000000000000")) == "$47,231.00"
    assert formatting.exact_money(Decimal("0.004247550000")) == "$0.00424755"
    assert formatting.exact_money(Decimal("-12.5")) == "−$12.50"


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=10))
def test_exact_money_reads_back_as_the_same_number(value: Decimal) -> None:
    text = formatting.exact_money(value).replace("−", "-").replace("$", "").replace(",", "")
    assert Decimal(text) == value


@given(st.decimals(min_value=Decimal("0.000001"), max_value=10**9, places=10))
def test_a_rounded_amount_is_near_the_amount_and_never_called_nothing(value: Decimal) -> None:
    text = formatting.usd(value)
    shown = Decimal(re.sub(r"[$,]", "", text))
    assert shown > 0
    assert abs(shown - value) <= value * Decimal("0.051")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0.61", "61%"),
        ("0.08", "8%"),
        ("0.0804", "8%"),
        ("0.084", "8.4%"),
        ("0.0996", "10%"),
        ("0.1049", "10%"),
        ("0.004", "0.4%"),
        ("0.0001", "<0.1%"),
        ("-0.0001", "−<0.1%"),
        ("0", "0%"),
        ("1", "100%"),
        ("0.996", "99.6%"),
        ("0.99999", "99.9%"),
        ("-0.387", "−39%"),
        ("1.7", "170%"),
    ],
)
def test_share(value: str, text: str) -> None:
    assert formatting.share(Decimal(value)) == text


def test_share_with_fixed_digits() -> None:
    assert formatting.share(Decimal("-0.8052"), digits=1) == "−80.5%"
    assert formatting.share(0.25, digits=0) == "25%"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (9804, "9,804"),
        (9999, "9,999"),
        (10_000, "10k"),
        (48_800, "48.8k"),
        (99_960, "100k"),
        (123_456, "123k"),
        (999_499, "999k"),
        (999_999, "1M"),
        (1_234_567, "1.2M"),
        (2_500_000_000, "2.5B"),
        (Decimal("19.25"), "19.3"),
        (-48_800, "−48.8k"),
    ],
)
def test_count(value: int | Decimal, text: str) -> None:
    assert formatting.count(value) == text


@given(st.integers(min_value=1, max_value=10**14))
def test_a_short_count_is_within_five_percent(value: int) -> None:
    text = formatting.count(value)
    scale = {"k": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}.get(text[-1], 1)
    shown = Decimal(text.rstrip("kMBT").replace(",", "")) * scale
    assert abs(shown - value) <= Decimal(value) * Decimal("0.05")


def test_tokens() -> None:
    assert formatting.tokens(1_200_000) == "1.2M tokens"
    assert formatting.tokens(1) == "1 token"


@pytest.mark.parametrize(
    ("now", "before", "text"),
    [
        ("9200", "47231", "−80.5% against March 2026"),
        ("112", "100", "+12% against March 2026"),
        ("100", "100", "no change against March 2026"),
        ("5", "0", "new: nothing in March 2026"),
        ("100.01", "100", "less than 0.1% more against March 2026"),
        ("5000", "100", "50 times what it was in March 2026"),
        (None, "5", "unknown"),
        ("5", None, "no comparison: March 2026 is unknown"),
        ("-50", "-100", "+50% against March 2026"),
    ],
)
def test_delta_says_against_what(now: str | None, before: str | None, text: str) -> None:
    assert formatting.delta(now and Decimal(now), before and Decimal(before), "March 2026") == text


@pytest.mark.parametrize(
    ("now", "before", "text"),
    [
        ("9200", "47231", "80.5% less than in March 2026"),
        ("112", "100", "12% more than in March 2026"),
        ("100", "100", "as much as in March 2026"),
        ("100.01", "100", "about as much as in March 2026"),
        ("5000", "100", "50 times as much as in March 2026"),
        ("5", "0", None),
        (None, "5", None),
    ],
)
def test_a_change_as_part_of_a_sentence(now: str | None, before: str | None, text: str | None) -> None:
    assert formatting.compared(now and Decimal(now), before and Decimal(before), "March 2026") == text

"""Prompts made alike: steps, languages, numbers."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.simulators.text_normalisation import (
    ENGLISH,
    STEPS,
    VIETNAMESE,
    normalised,
    normalised_texts,
    numbers_of,
)
from warehouse.errors import InputError


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("raw", "  How do I reset\tmy PIN-code?! "),
        ("punctuation", "how do i reset my pin code"),
        ("stopwords", "reset pin code"),
    ],
)
def test_each_step_goes_further(step: str, expected: str) -> None:
    assert normalised("  How do I reset\tmy PIN-code?! ", step) == expected


def test_vietnamese_keeps_its_accents_and_loses_its_small_words() -> None:
    text = "Cho mình hỏi giờ mở cửa của cửa hàng là mấy giờ ạ?"
    assert normalised(text) == "cho mình hỏi giờ mở cửa của cửa hàng là mấy giờ ạ"
    assert normalised(text, "stopwords") == "giờ mở cửa cửa hàng giờ"


@given(st.text(alphabet="aăâđêôơưạảãáàếềệởữỳ MậtKhẩu?.1", max_size=30))
def test_decomposed_accents_mean_the_same(text: str) -> None:
    assert normalised(unicodedata.normalize("NFD", text)) == normalised(unicodedata.normalize("NFC", text))


def test_numbers_can_be_masked_and_are_listed() -> None:
    assert normalised("Order 12, then 3,450!", mask_numbers=True) == "order 0 then 0 0"
    assert normalised("order 7 then 3 450", mask_numbers=True) == "order 0 then 0 0"
    assert numbers_of("order 12 then 3 450") == ("12", "3", "450")


def test_negation_is_no_stop_word() -> None:
    assert not {"not", "no", "không", "chưa"} & (ENGLISH | VIETNAMESE)
    assert normalised("do not cancel", "stopwords") != normalised("do cancel", "stopwords")


@given(st.text(max_size=60), st.sampled_from(STEPS))
def test_normalising_twice_changes_nothing_more(text: str, step: str) -> None:
    once = normalised(text, step)
    assert normalised(once, step) == once
    assert normalised_texts([text, text], step) == [once, once]


def test_an_unknown_step_is_refused_with_those_that_exist() -> None:
    with pytest.raises(InputError, match="raw, punctuation, stopwords"):
        normalised("a", "stemming")

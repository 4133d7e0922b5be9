"""How prompts are made alike before they are compared: case, punctuation, stop words, numbers.

Three steps, each with those before it:

* ``raw``: the text as it stands.
* ``punctuation``: Unicode NFC, lower case, every character that is neither a letter, a digit, an underscore nor white space becomes a space, runs
  of white space become one space, none at the ends.
* ``stopwords``: and the words of `ENGLISH` and `VIETNAMESE` are taken out.

Counting rules and the English list are those of the published stream check on banking77. Stop words carry meaning at times ("can I", "how do
I"): exact matches after their removal are wrong in a few per cent of cases, so show false hits beside hits.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from warehouse.errors import InputError

STEPS = ("raw", "punctuation", "stopwords")


def _words(text: str) -> frozenset[str]:
    return frozenset(unicodedata.normalize("NFC", text).split())


ENGLISH = _words(
    """a am an and are as at be been by can could did do does for from had has have how i if in is it me my of on or please should tell that the
    there there's they this to was we were what which with would you your"""
)

VIETNAMESE = _words(
    """ạ à ấy bạn bị các cái cần có còn của cũng cho chứ dạ đã đang để đó được em gì giúp hãy hỏi là làm lại lúc mà mình mấy một muốn nào này nên
    nếu nhé nhỉ như nhưng những nữa ở ơi qua rằng rất rồi sẽ tại thế thì tôi từ và vậy về vì việc với vẫn xin"""
)
"""Vietnamese syllables that carry no topic; none is an English word of a question."""

_NOT_WORD = re.compile(r"[^\w\s]")
_SPACE = re.compile(r"\s+")
_NUMBER = re.compile(r"\d+")


def normalised(text: str, step: str = "punctuation", *, mask_numbers: bool = False) -> str:
    """The text after `step`; with `mask_numbers` every run of digits becomes one 0, so that texts that differ in numbers alone are equal.

    Raises InputError for a step that does not exist.
    """
    return _normalised(text, checked_step(step), mask_numbers)


def normalised_texts(texts: Iterable[str], step: str = "punctuation", *, mask_numbers: bool = False) -> list[str]:
    """`normalised` of each text, in order."""
    step = checked_step(step)
    return [_normalised(text, step, mask_numbers) for text in texts]


def numbers_of(text: str) -> tuple[str, ...]:
    """The runs of digits of a text, in order: prompts that differ in them ask for something else."""
    return tuple(_NUMBER.findall(text))


def checked_step(step: str) -> str:
    """`step` when it is one of `STEPS`. Raises InputError otherwise."""
    if step not in STEPS:
        raise InputError(f"texts are normalised by {', '.join(STEPS)}, not by {step!r}")
    return step


def _normalised(text: str, step: str, mask_numbers: bool) -> str:
    if step != "raw":
        # Before punctuation goes: a decomposed accent is no letter and would be cut out of its word.
        text = unicodedata.normalize("NFC", text).lower()
        text = _SPACE.sub(" ", _NOT_WORD.sub(" ", text)).strip()
    if step == "stopwords":
        text = " ".join(word for word in text.split() if word not in ENGLISH and word not in VIETNAMESE)
    return _NUMBER.sub("0", text) if mask_numbers else text

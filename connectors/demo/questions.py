"""The questions that people type: a fixed set of answers, each asked in many ways, in Vietnamese and English."""

from __future__ import annotations

import tomllib
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from connectors.demo.shares import Numbers
from warehouse.configuration import DATA

_PHRASES = (0.46, 0.26, 0.18, 0.10)
_OPENINGS = (0.58, 0.16, 0.14, 0.12)
_CLOSINGS = (0.68, 0.20, 0.12)
_VIETNAMESE = 0.6


@dataclass(frozen=True)
class Questions:
    """`answers` are ids by answer number, `texts` are texts by text number: answer number x `ways` + way."""

    answers: tuple[str, ...]
    vietnamese: NDArray[np.bool_]
    texts: tuple[str, ...]
    ways: int
    way_weights: Numbers

    def weights(self, skew: float, order: NDArray[np.int64]) -> Numbers:
        """How often each answer is asked for: Zipf with exponent `skew` over answers in this order."""
        weights = np.empty(len(self.answers))
        weights[order] = (1.0 + np.arange(len(self.answers))) ** -skew
        return weights * np.where(self.vietnamese, _VIETNAMESE, 1 - _VIETNAMESE)


@lru_cache(maxsize=1)
def read_questions(path: Path = DATA / "demo_questions.toml") -> Questions:
    """All questions; texts are lower-case, without punctuation, in Unicode NFC."""
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    answers, vietnamese, texts = [], [], []
    for topic in raw["topic"]:
        for language in ("vi", "en"):
            for number, slot in enumerate(topic["slots"][language]):
                answers.append(f"{topic['name']}-{number + 1}-{language}")
                vietnamese.append(language == "vi")
                ways = product(raw[f"openings_{language}"], topic[language], raw[f"closings_{language}"])
                texts += [
                    unicodedata.normalize("NFC", f"{opening}{phrase.format(slot)}{closing}")
                    for opening, phrase, closing in ways
                ]
    weights = np.array([first * second * third for first, second, third in product(_OPENINGS, _PHRASES, _CLOSINGS)])
    return Questions(tuple(answers), np.array(vietnamese), tuple(texts), len(weights), weights)

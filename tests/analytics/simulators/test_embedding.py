"""The offline vectors are scikit-learn's, to the bit; other embedders keep the protocol."""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.simulators.embedders import load_embedder
from analytics.simulators.embedding import HASHED, Embedder, StoredVectors, murmurhash3, unit_rows
from analytics.simulators.near_duplicates import find_neighbours, pair_cosines
from warehouse.errors import InputError

# Computed with scikit-learn 1.9.1: HashingVectorizer(analyzer="char_wb", ngram_range=(3, 5), n_features=2**20, alternate_sign=False, norm="l2").
GOLDEN: dict[str, tuple[list[int], list[str]]] = {
    "Lost card": (
        [
            1568, 42954, 58947, 149759, 149857, 369079, 477159, 521457, 538329,
            565209, 576906, 602573, 611381, 639819, 708436, 784357, 1019414, 1031983,
        ],
        ["0x1.e2b7dddfefa67p-3"] * 18,
    ),
    "a": ([238520], ["0x1.0000000000000p+0"]),
    "mật khẩu": (
        [
            46783, 54607, 93446, 132723, 160694, 176849, 302723, 318176, 431517,
            563122, 791493, 821228, 844110, 860008, 863047,
        ],
        ["0x1.08654a2d4f6dap-2"] * 15,
    ),
    "aaaa aaaa 🎉": (
        [22797, 69623, 83564, 171912, 242845, 973191, 974099, 988205, 1024073],
        [*["0x1.314c3d92a9e91p-2"] * 4, "0x1.314c3d92a9e91p-3", *["0x1.314c3d92a9e91p-2"] * 3, "0x1.314c3d92a9e91p-1"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", GOLDEN)
def test_vectors_are_those_of_the_hashing_vectorizer(text: str) -> None:
    vectors = HASHED.vectors([text])
    places, values = GOLDEN[text]
    assert vectors.places.tolist() == places
    assert [value.hex() for value in vectors.unit_values.tolist()] == values


def test_a_text_has_the_same_vector_in_any_company() -> None:
    together = HASHED.vectors(["", *GOLDEN, " "])
    assert np.diff(together.offsets).tolist() == [0, *(len(places) for places, _ in GOLDEN.values()), 0]
    assert together.places.tolist() == [place for places, _ in GOLDEN.values() for place in places]


# Computed with sklearn.utils.murmurhash.murmurhash3_32(positive=True), seeds 0 and 42.
HASHES = {
    b"": (0, 142593372),
    b"a": (1009084850, 3001393763),
    b"ab": (2613040991, 3610054215),
    b"abc": (3017643002, 1313807976),
    b"abcd": (1139631978, 3898664396),
    b"hello": (613153351, 3806057185),
    "mật".encode(): (1585189829, 2640901843),
}


@pytest.mark.parametrize("word", HASHES)
def test_murmurhash3_of_every_tail_length(word: bytes) -> None:
    rows = np.frombuffer(word * 2, dtype=np.uint8).reshape(2, len(word))
    assert [murmurhash3(rows, seed).tolist() for seed in (0, 42)] == [[value] * 2 for value in HASHES[word]]


@given(st.lists(st.text(alphabet="abcdé ", max_size=12), min_size=1, max_size=8))
def test_cosines_are_those_of_counted_ngrams(texts: list[str]) -> None:
    def grams(text: str) -> dict[str, int]:
        found: dict[str, int] = {}
        for word in text.split():
            padded = f" {word} "
            for size in range(3, min(5, len(padded)) + 1):
                for start in range(len(padded) - size + 1):
                    gram = padded[start : start + size]
                    found[gram] = found.get(gram, 0) + 1
        return found

    left, right = texts, texts[::-1]
    expected = []
    for one, other in zip(map(grams, left), map(grams, right), strict=True):
        length = (sum(n * n for n in one.values()) * sum(n * n for n in other.values())) ** 0.5
        expected.append(sum(n * other.get(gram, 0) for gram, n in one.items()) / length if length else 0.0)
    assert pair_cosines(left, right, HASHED) == pytest.approx(expected, abs=1e-12)


def test_stored_vectors_are_scaled_and_missing_ones_counted() -> None:
    stored = StoredVectors("bge-m3", ["a", "b"], np.array([[3.0, 4.0], [0.0, 2.0]], dtype=np.float32))
    assert isinstance(stored, Embedder)
    assert stored.embed(["b", "a"]) == pytest.approx(np.array([[0.0, 1.0], [0.6, 0.8]]))
    with pytest.raises(InputError, match="1 of 2 texts have no stored vector of bge-m3"):
        stored.embed(["a", "c"])
    assert find_neighbours(["a", "b"], stored).cosines == pytest.approx([0.8, 0.8])


class _Turned:
    """A made-up encoder: the angle of a vector is the number that the text says."""

    @staticmethod
    def rows(texts: list[str]) -> list[list[float]]:
        return [[3 * np.cos(float(text)), 3 * np.sin(float(text))] for text in texts]


def _module(kind: str) -> types.ModuleType:
    module = types.ModuleType(kind)
    made: Any = module
    made.__version__ = "1.2"
    if kind == "sentence_transformers":
        made.SentenceTransformer = lambda name: types.SimpleNamespace(encode=lambda texts, **_: _Turned.rows(texts))
    elif kind == "fastembed":
        made.TextEmbedding = lambda model_name: types.SimpleNamespace(embed=lambda texts: iter(_Turned.rows(texts)))
    elif kind == "model2vec":
        encoder = types.SimpleNamespace(encode=_Turned.rows)
        made.StaticModel = types.SimpleNamespace(from_pretrained=lambda name: encoder)
    else:

        def create(model: str, input: list[str]) -> Any:
            rows = [types.SimpleNamespace(index=n, embedding=row) for n, row in enumerate(_Turned.rows(input))]
            return types.SimpleNamespace(data=rows[::-1])

        made.OpenAI = lambda: types.SimpleNamespace(embeddings=types.SimpleNamespace(create=create))
    return module


@pytest.mark.parametrize(
    ("kind", "package"),
    [
        ("sentence-transformers", "sentence_transformers"),
        ("fastembed", "fastembed"),
        ("model2vec", "model2vec"),
        ("openai", "openai"),
    ],
)
def test_adapters_give_unit_vectors_in_order(kind: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, _module(package))
    embedder = load_embedder(f"{kind}:some/model")
    assert isinstance(embedder, Embedder)
    assert (embedder.id, embedder.version) == (f"{kind}:some/model", "1.2")
    texts = [str(n / 400) for n in range(600)]
    vectors = embedder.embed(texts)
    angles = np.array([float(text) for text in texts])
    assert vectors == pytest.approx(np.stack([np.cos(angles), np.sin(angles)], axis=1), abs=1e-6)
    assert vectors.dtype == np.float32


def test_a_missing_package_and_an_unknown_name_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fastembed", None)
    with pytest.raises(InputError, match=r"pip install 'percall\[fastembed\]'"):
        load_embedder("fastembed:x")
    with pytest.raises(InputError, match="KIND:MODEL"):
        load_embedder("word2vec")
    broken: Any = types.ModuleType("model2vec")
    monkeypatch.setitem(sys.modules, "model2vec", broken)
    with pytest.raises(InputError, match="cannot load the model 'x'"):
        load_embedder("model2vec:x")


def test_rows_that_hold_no_numbers_are_refused() -> None:
    with pytest.raises(InputError, match="one row of numbers"):
        unit_rows(np.array([[1.0, np.nan]]))
    assert unit_rows(np.zeros((1, 3))).tolist() == [[0, 0, 0]]

"""Embedders by name: the offline default, and adapters for models that are installed beside Percall.

Names are ``hashed-characters`` (the default) or ``KIND:MODEL``, KIND one of `KINDS`; the packages come with the extras of the same name. A model's
package is imported when the embedder is made, not before.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from analytics.simulators.embedding import HASHED, Embedder, HashedCharacters, unit_rows
from warehouse.errors import InputError

DEFAULT = HASHED.id
Rows = Callable[[list[str]], Iterable[Any]]
_BATCH = 512


@dataclass(frozen=True, eq=False)
class ModelEmbedder:
    """An embedder around a function of another package that maps a list of texts to rows of numbers."""

    id: str
    version: str
    rows: Rows

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        """See `Embedder`. Texts are sent in batches; each must come back as one row."""
        batches = []
        for start in range(0, len(texts), _BATCH):
            batch = texts[start : start + _BATCH]
            found = np.array([np.asarray(row, dtype=np.float32) for row in self.rows(batch)])
            if len(found) != len(batch):
                raise InputError(f"{self.id} gave {len(found)} vectors for {len(batch)} texts")
            batches.append(unit_rows(found))
        return np.concatenate(batches) if batches else np.zeros((0, 1), dtype=np.float32)


def load_embedder(name: str = DEFAULT) -> Embedder | HashedCharacters:
    """The embedder of this name. Raises InputError for an unknown name, and when its package or its model is not there."""
    if name == DEFAULT:
        return HASHED
    kind, _, model = name.partition(":")
    if kind not in KINDS or not model:
        raise InputError(
            f"there is no embedder {name!r}: choose {DEFAULT}, or KIND:MODEL with KIND one of {', '.join(KINDS)}"
        )
    package, make = KINDS[kind]
    try:
        module = importlib.import_module(package)
    except ImportError as error:
        raise InputError(f"{kind} is not installed: pip install 'percall[{kind}]', or choose {DEFAULT}") from error
    try:
        rows = make(module, model)
    except Exception as error:
        raise InputError(f"{kind} cannot load the model {model!r}: {error}") from error
    return ModelEmbedder(name, str(getattr(module, "__version__", "unknown")), rows)


def _sentence_transformers(module: Any, model: str) -> Rows:
    loaded = module.SentenceTransformer(model)
    return lambda texts: loaded.encode(texts, normalize_embeddings=True, show_progress_bar=False)


def _fastembed(module: Any, model: str) -> Rows:
    loaded = module.TextEmbedding(model_name=model)
    return cast(Rows, loaded.embed)


def _model2vec(module: Any, model: str) -> Rows:
    loaded = module.StaticModel.from_pretrained(model)
    return cast(Rows, loaded.encode)


def _openai(module: Any, model: str) -> Rows:
    client = module.OpenAI()

    def rows(texts: list[str]) -> Iterable[Any]:
        # The service refuses an empty input; a text without content is like no other.
        found = client.embeddings.create(model=model, input=[text or " " for text in texts])
        return [item.embedding for item in sorted(found.data, key=lambda item: item.index)]

    return rows


KINDS: dict[str, tuple[str, Callable[[Any, str], Rows]]] = {
    "sentence-transformers": ("sentence_transformers", _sentence_transformers),
    "fastembed": ("fastembed", _fastembed),
    "model2vec": ("model2vec", _model2vec),
    "openai": ("openai", _openai),
}
"""Kind of embedder -> package, and how a model of it is loaded."""

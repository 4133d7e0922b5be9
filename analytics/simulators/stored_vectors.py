"""Vectors that the log already has beside the texts it keeps: the cheapest embedder, for they are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pyarrow.compute as pc

from analytics.simulators.embedding import StoredVectors
from warehouse.errors import InputError
from warehouse.reader import Warehouse

STORED = "stored"
"""The embedder of this name takes the vectors of the log; "stored:ID" those that ID made."""


def stored_vectors(warehouse: Warehouse, calls: ir.Table, *, only_names: bool = False) -> Any:
    """The vectors beside the texts of these calls, by embedder id; with `only_names` the ids alone, in order.

    Of a text that has several vectors of one embedder the one with the first id of a call counts. Raises InputError when vectors of one embedder
    differ in length.
    """
    texts = warehouse.table("call_texts")
    texts = texts.filter(texts.vector.notnull(), texts.embedder.notnull(), texts.text_normalised.notnull())
    texts = texts.semi_join(calls, [texts.source == calls.source, texts.call_id == calls.call_id])
    if only_names:
        names = warehouse.arrow(texts.select("embedder").distinct().order_by("embedder"))
        return tuple(names["embedder"].to_pylist())
    first = texts.group_by("embedder", "text_normalised").agg(vector=texts.vector.argmin(texts.call_id))
    table = warehouse.arrow(first.order_by("embedder", "text_normalised"))
    found = {}
    for name in sorted(set(table["embedder"].to_pylist())):
        of_name = table.filter(pc.equal(table["embedder"], name))
        lengths = pc.unique(pc.list_value_length(of_name["vector"])).to_pylist()
        if len(lengths) != 1 or not lengths[0]:
            raise InputError(f"the stored vectors of {name} have different lengths: load them anew")
        flat = np.asarray(pc.list_flatten(of_name["vector"]).to_numpy(), dtype=np.float32)
        found[name] = StoredVectors(
            name, of_name["text_normalised"].to_pylist(), flat.reshape(len(of_name), lengths[0])
        )
    return found


def is_stored(embedder: str) -> bool:
    """Whether this name means vectors of the log."""
    return embedder == STORED or embedder.startswith(f"{STORED}:")


def chosen_vectors(embedder: str, found: Mapping[str, StoredVectors]) -> StoredVectors:
    """The vectors that the name means. Raises InputError when there are none, or of several embedders and the name does not say which: their cosines
    cannot be compared."""
    if not found:
        raise InputError("no text of this period has a stored vector: choose another embedder")
    _, _, wanted = embedder.partition(":")
    if not wanted and len(found) > 1:
        raise InputError(
            f"the stored vectors are those of several embedders ({', '.join(found)}), which cannot be compared with each other: choose one of "
            f"them as "
            f"{STORED}:{next(iter(found))}"
        )
    wanted = wanted or next(iter(found))
    if wanted not in found:
        raise InputError(f"no text of this period has a vector of {wanted!r}: there are vectors of {', '.join(found)}")
    return found[wanted]


def renamed(vectors: StoredVectors, names: Sequence[str], texts: Sequence[str]) -> StoredVectors:
    """The same vectors under the normalised texts: `texts[i]` is what `names[i]` became. Of several that became the same the first with a vector
    counts."""
    row = {text: place for place, text in enumerate(vectors.texts)}
    first: dict[str, int] = {}
    for name, text in zip(names, texts, strict=True):
        if text and name in row:
            first.setdefault(text, row[name])
    return StoredVectors(vectors.id, list(first), vectors.stored[list(first.values())], vectors.version)

"""A file of judgements for routing: of prompts that both models answered, or of logged calls by their id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analytics.simulators.complexity import cross_fitted_scores
from analytics.simulators.embedders import DEFAULT, load_embedder
from analytics.simulators.labelled_file import numbers, read_labelled
from analytics.simulators.routing_labels import Judged, Label, judged
from analytics.simulators.routing_quality import LabelledSample
from warehouse.errors import InputError

QUALITIES: Mapping[str, tuple[float, float]] = {"same": (1.0, 1.0), "worse": (1.0, 0.0), "better": (0.0, 1.0)}
"""Words of the column `quality` (the target's answer, compared with today's) -> quality of today's answer and of the target's."""

PROMPT, CALL = "prompt", "call_id"


@dataclass(frozen=True, eq=False)
class Judgements:
    """The rows of a file that can be used. by: "prompt" or "call_id", of which `keys` holds one per row; strong and weak: quality of both answers.

    rejected: rows without one of these; the first of them in words: `reject`. repeated: rows of a call that an earlier row judged already.
    """

    by: str
    keys: tuple[str, ...]
    strong: NDArray[np.float64]
    weak: NDArray[np.float64]
    rejected: int
    repeated: int
    reject: str | None

    def __len__(self) -> int:
        return len(self.keys)

    def judged_prompts(self, score: str = "length", *, embedder: str = DEFAULT, draws: int = 1000) -> Judged:
        """The sample with a router's scores of its prompts: "length" (characters, longer goes to the strong model), or "embedding" (see
        `analytics.simulators.files_routing`). Raises InputError for calls without prompts."""
        if self.by != PROMPT:
            raise InputError("this file judges calls by their id: it has no prompts to score")
        sample = LabelledSample(self.strong, self.weak)
        if score == "embedding":
            values = cross_fitted_scores(list(self.keys), self.weak, load_embedder(embedder))
        else:
            values = np.array([len(prompt) for prompt in self.keys], dtype=np.float64)
        return judged(values, sample, draws=draws)

    def labels(self, started_at: Mapping[str, list[int]]) -> tuple[tuple[Label, ...], tuple[str, ...]]:
        """The judgements as labels of calls, and the ids that no call or several calls have. started_at: when the calls of each id began."""
        found, lost = [], []
        for key, strong, weak in zip(self.keys, self.strong.tolist(), self.weak.tolist(), strict=True):
            times = started_at.get(key, [])
            if len(times) == 1:
                found.append(Label(key, times[0], strong, weak))
            else:
                lost.append(key)
        return tuple(found), tuple(lost)


def read_judgements(path: Path | str) -> Judgements:
    """Read a file of judgements: CSV (gz too), JSON lines or Parquet.

    Columns: `call_id` (as the log has it) or `prompt`; and either `strong_correct` and `weak_correct` (1 and 0, true and false, or any number that is
    larger when better: today's answer and the target's), or `quality` (of the target's answer, compared with today's: same, worse or better). Rows
    that say less are rejected and counted; of a call that is judged twice the first row counts.

    Raises InputError when the file cannot be read, lacks these columns or has no row that can be used.
    """
    table = read_labelled(path, ())
    by = next((name for name in (CALL, PROMPT) if name in table.columns), None)
    if by is None:
        raise InputError("a column call_id or prompt must say what is judged", file=str(path))
    if {"strong_correct", "weak_correct"} <= set(table.columns):
        strong, weak = numbers(table["strong_correct"]), numbers(table["weak_correct"])
        what = "strong_correct and weak_correct as numbers"
    elif "quality" in table.columns:
        words = table["quality"].str.strip().str.lower()
        strong, weak = (words.map({word: pair[side] for word, pair in QUALITIES.items()}) for side in (0, 1))
        what = f"a quality of {', '.join(QUALITIES)}"
    else:
        raise InputError("there must be columns strong_correct and weak_correct, or quality", file=str(path))
    keys = table[by].str.strip()
    usable = (keys != "") & strong.notna() & weak.notna()
    if not usable.any():
        raise InputError(f"no row has a {by} and {what}", file=str(path))
    # A row that cannot be used must not stand in the way of a later one of the same call. Prompts may repeat: they are calls of their own.
    first = usable & ~keys.where(usable).duplicated() if by == CALL else usable
    bad = np.flatnonzero(~usable)
    return Judgements(
        by,
        tuple(keys[first]),
        strong[first].to_numpy(dtype=np.float64),
        weak[first].to_numpy(dtype=np.float64),
        rejected=len(bad),
        repeated=int((usable & ~first).sum()),
        reject=f"row {int(bad[0]) + 1} lacks a {by}, or {what}" if len(bad) else None,
    )

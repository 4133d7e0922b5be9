"""Labelled calls of one's own: which logged calls to judge, what people said of them, and what that says of a routing threshold.

A label says of one logged call whether today's answer was right and whether the target's answer to the same prompt is (or would be): 1 or 0 each,
or
any number that is larger when better. Labels are documents of the state, one per target and call, in versions.

Calls to judge are drawn evenly: scored calls in the order of feature and score, every n-th of them (by weight). Each has the same chance, so
labelled calls
stand for all without weights, and every feature and every range of the score is in the sample in its proportion.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analytics.simulators.routing import ModelRouting
from analytics.simulators.routing_quality import LabelledSample, QualityCurve, apgr_interval, quality_curve
from analytics.simulators.situation import Situation
from analytics.simulators.wilson import counted_for, wilson
from analytics.simulators.workload import Workload
from warehouse.errors import InputError
from warehouse.state import Document

KIND = "routing label"
"""Kind of the documents."""

TO_LABEL_COLUMNS = (
    "place", "call_id", "started_at", "feature", "model", "score", "input_tokens", "output_tokens", "cost", "text",
)  # fmt: skip


class Keeper(Protocol):
    """What keeps documents: `warehouse.state.State`."""

    def save(self, kind: str, name: str, body: Mapping[str, Any] | None, *, author: str, reason: str = "") -> int:
        """Append a version of a document; None removes it."""

    def documents(self, kind: str, revision: int | None = None) -> list[Document]:
        """The documents of a kind as they stand."""

    def revision(self, *kinds: str) -> int:
        """Number of the last change."""


@dataclass(frozen=True)
class Label:
    """What somebody said of one call. started_at: microseconds since 1970, UTC; strong and weak: quality of today's and of the target's answer."""

    call_id: str
    started_at: int
    strong: float
    weak: float


def labels_for(state: Keeper, target: str) -> tuple[Label, ...]:
    """The labels that stand for calls routed to this target (provider/model), in the order in which they were first made."""
    found = []
    for document in state.documents(KIND):
        body = document.body or {}
        if body.get("target") == target:
            found.append(
                Label(str(body["call_id"]), int(body["started_at"]), float(body["strong"]), float(body["weak"]))
            )
    return tuple(found)


def save_labels(state: Keeper, target: str, labels: Iterable[Label], *, author: str, reason: str = "") -> int:
    """Keep labels for this target; a call that has one gets a new version of it. Answers with how many were saved.

    Raises InputError for qualities that are not numbers, StoreError when the state cannot be written.
    """
    count = 0
    for label in labels:
        if not (np.isfinite(label.strong) and np.isfinite(label.weak)):
            raise InputError(f"the call {label.call_id} needs a quality of both answers, as numbers")
        body = {
            "target": target, "call_id": label.call_id, "started_at": label.started_at,
            "strong": label.strong, "weak": label.weak,
        }  # fmt: skip
        state.save(KIND, f"{target} {label.call_id}", body, author=author, reason=reason)
        count += 1
    return count


def remove_labels(state: Keeper, target: str, *, author: str, reason: str = "") -> int:
    """Remove all labels for this target (their versions stay in the history). Answers with how many there were."""
    names = [each.name for each in state.documents(KIND) if (each.body or {}).get("target") == target]
    for name in names:
        state.save(KIND, name, None, author=author, reason=reason)
    return len(names)


def places_of(labels: Sequence[Label], workload: Workload) -> NDArray[np.int64]:
    """The place of each label's call in the workload, -1: it is not there (another period, or filtered out)."""
    times = np.array([label.started_at for label in labels], dtype=np.int64)
    low = np.searchsorted(workload.started_at, times, side="left")
    high = np.searchsorted(workload.started_at, times, side="right")
    counts = high - low
    candidates = np.repeat(low - (np.cumsum(counts) - counts), counts) + np.arange(int(counts.sum()))
    ids = workload.heavy.call_ids(candidates.astype(np.int64))
    places = np.full(len(labels), -1, dtype=np.int64)
    start = 0
    for number, label in enumerate(labels):
        mine = range(start, start + int(counts[number]))
        start += int(counts[number])
        # A workload without ids has only the time to go by, which must then be one call's alone.
        same = [at for at in mine if ids[at] == label.call_id or (ids[at] is None and len(mine) == 1)]
        if len(same) == 1:
            places[number] = int(candidates[same[0]])
    return places


def calls_to_label(
    lever: ModelRouting,
    situation: Situation,
    labels: Sequence[Label] = (),
    *,
    count: int = 20,
    with_texts: bool = False,
) -> pd.DataFrame:
    """Calls that are to be judged next: `count` of the scored calls, drawn evenly (see the module), without those that have a label.

    Columns: place, call_id, started_at (UTC), feature, model, score, input_tokens, output_tokens, cost (USD as logged; None where not known), text
    (the
    kept, normalised prompt; None without one, and unless `with_texts`). Rows in order of the score. The same labels give the same calls.

    Raises InputError when no call can be routed to the lever's target.
    """
    workload = situation.workload
    scores = lever.scores(situation) if lever.to is not None else np.full(len(workload), np.nan)
    at = np.flatnonzero(np.isfinite(scores))
    if not len(at):
        raise InputError("no call of this period can be routed to this target: choose another target, or other calls")
    known = places_of(labels, workload)
    at = at[np.lexsort((scores[at], workload.feature[at]))]
    total = np.cumsum(workload.weight[at])
    done = int((known >= 0).sum())
    chosen: list[int] = []
    # Each round of `count` labels has its own offset; what is left of a round that was labelled in part is asked again.
    for turn in (done // count, done // count + 1):
        offset = _van_der_corput(turn + 1)
        wanted = (np.arange(count) + offset) / count * total[-1]
        drawn = at[np.minimum(np.searchsorted(total, wanted, side="right"), len(at) - 1)]
        chosen = [int(each) for each in dict.fromkeys(drawn.tolist()) if each not in set(known.tolist())]
        if chosen:
            break
    places = np.array(chosen, dtype=np.int64)
    places = places[np.argsort(scores[places], kind="stable")]
    texts = workload.heavy.texts() if with_texts else None
    rows = [
        {
            "place": int(place),
            "call_id": call_id,
            "started_at": pd.Timestamp(int(workload.started_at[place]), unit="us"),
            "feature": _name(workload, "feature", int(place)),
            "model": workload.models[int(workload.model[place])][1],
            "score": float(scores[place]),
            "input_tokens": int(workload.input_tokens[place]),
            "output_tokens": int(workload.output_tokens[place]) + int(workload.reasoning_tokens[place]),
            "cost": None if np.isnan(workload.cost[place]) else float(workload.cost[place]),
            "text": texts.names[texts.codes[place]] if texts is not None and texts.codes[place] >= 0 else None,
        }
        for place, call_id in zip(places, workload.heavy.call_ids(places), strict=True)
    ]
    return pd.DataFrame(rows, columns=list(TO_LABEL_COLUMNS), dtype=object)


@dataclass(frozen=True, eq=False)
class Judged:
    """A labelled sample with a router's scores, ready for look-ups. outside: labels of calls that the router does not score here, or that are not
    in the
    period. A high score goes to the strong model.

    interval: APGR's, 95 %, from drawing the prompts again.
    """

    score: NDArray[np.float64]
    sample: LabelledSample
    curve: QualityCurve
    interval: tuple[float, float] | None
    outside: int = 0

    def at(self, threshold: float) -> Risk:
        """What is known of the setting that sends scores below the threshold to the weak model."""
        weak = self.score < threshold
        worse = int((weak & (self.sample.weak < self.sample.strong)).sum())
        better = int((weak & (self.sample.weak > self.sample.strong)).sum())
        point = self.curve.at(threshold)
        return Risk(len(self.sample), int(weak.sum()), worse, better, point["quality"], point["pgr"], point["cost"])

    def threshold_for(self, strong_share: float) -> float:
        """The highest threshold that sends at least this share of the sample to the strong model."""
        place = int(np.argmax(self.curve.share >= strong_share - 1e-12))
        return float(self.curve.threshold[place])


@dataclass(frozen=True)
class Risk:
    """labels: calls judged; routed: of them, to the weak model; worse, better: of those, with a worse or better answer. quality: mean of the mix;
    pgr: part
    of the gap that is recovered; cost: USD per call, None where not known."""

    labels: int
    routed: int
    worse: int
    better: int
    quality: float
    pgr: float | None
    cost: float | None

    @property
    def worse_share(self) -> float:
        """Share of all judged calls whose answer gets worse."""
        return self.worse / self.labels

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of `worse_share` (Wilson)."""
        found = wilson(self.worse, self.labels)
        assert found is not None  # noqa: S101 - a sample has at least one label
        return found

    def more_labels(self, within: float) -> int:
        """How many more labels bring the interval to at most `within` to either side, if the share stays what it is."""
        return max(0, counted_for(self.worse_share, within) - self.labels)


def judged(score: NDArray[np.floating], sample: LabelledSample, *, outside: int = 0, draws: int = 1000) -> Judged:
    """A sample with the scores of its calls. Raises InputError for scores that are not numbers."""
    values = np.asarray(score, dtype=np.float64)
    return Judged(values, sample, quality_curve(values, sample), apgr_interval(values, sample, draws=draws), outside)


def judged_calls(lever: ModelRouting, situation: Situation, labels: Sequence[Label]) -> Judged | None:
    """The labelled calls of this situation under this lever's scores and target, with costs where all are known; None when no label is on a scored
    call.

    Costs are those of the call as logged and of the target's answer to it, without escalations, retries and router. Made once per lever (whatever
    its
    threshold) and labels.
    """
    if lever.to is None or not labels:
        return None
    key = (KIND, situation.workload.stamp, replace(lever, threshold=0.0), tuple(labels))
    return situation.memo.get(key, lambda: _judged_calls(lever, situation, labels))


def _judged_calls(lever: ModelRouting, situation: Situation, labels: Sequence[Label]) -> Judged | None:
    workload, scores = situation.workload, lever.scores(situation)
    places = places_of(labels, workload)
    there = np.flatnonzero((places >= 0) & np.isfinite(scores[places]))
    if not len(there):
        return None
    at = places[there]
    mask = np.zeros(len(workload), dtype=bool)
    mask[at] = True
    plain = replace(lever, threshold=np.inf, escalation=0.0, retries=0.0, router_fee=0.0, router_price=0.0)
    priced, code = situation.with_model(str(lever.to))
    after = priced.change(mask, model=code, **plain.tokens_after(workload)).workload
    strong_cost, weak_cost = workload.cost[at], after.cost[at]
    is_known = bool(np.isfinite(strong_cost).all() and np.isfinite(weak_cost).all())
    sample = LabelledSample(
        np.array([labels[place].strong for place in there.tolist()]),
        np.array([labels[place].weak for place in there.tolist()]),
        strong_cost if is_known else None,
        weak_cost if is_known else None,
    )
    return judged(scores[at], sample, outside=len(labels) - len(at))


def _van_der_corput(number: int) -> float:
    """The digits of a number in base 2, mirrored at the point: 1/2, 1/4, 3/4, 1/8, ... (J. G. van der Corput, 1935)."""
    found, part = 0.0, 0.5
    while number:
        number, digit = divmod(number, 2)
        found += digit * part
        part /= 2
    return found


def _name(workload: Workload, column: str, place: int) -> str | None:
    code = int(getattr(workload, column)[place])
    return workload.names[column][code] if code >= 0 else None

"""Output limits: what shorter answers and a limit on their length would have cost, and whose answers the limit would have cut."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analytics.simulators.lever import EVERY_CALL, Selection, checked, lever
from analytics.simulators.situation import Situation
from analytics.simulators.to_the_cent import cents
from analytics.simulators.workload import EMBEDDING, LLM_API, Workload
from warehouse.errors import InputError

REPEAT_WINDOW = 600_000_000
"""Microseconds within which the same input, sent again after an answer that was cut, is the same question asked again: ten minutes."""

_SALT = 41


@lever
@dataclass(frozen=True)
class OutputLimits:
    """cap: most tokens of an answer, reasoning included (inf: no limit). length: how long answers become, relative to today.

    answer_tokens: what a complete answer needs once the prompt asks for it (JSON only): no answer is longer; they lie evenly within `answer_spread`
    (0.2: 20 %) around it. schema_tokens: what the new instructions add to each input. retry_share: part of the answers that the cap cuts which are
    asked again, without it. end_repeats: calls that repeat a question because its answer was cut are no longer made where answers are complete.
    """

    name: ClassVar[str] = "output-limit"
    title: ClassVar[str] = "Output limits"
    cap: float = math.inf
    calls: Selection = EVERY_CALL
    length: float = 1.0
    answer_tokens: float | None = None
    answer_spread: float = 0.0
    schema_tokens: int = 0
    retry_share: float = 1.0
    end_repeats: bool = False

    def __post_init__(self) -> None:
        checked(self.cap, "the limit of an answer in tokens", 1, math.inf)
        checked(self.length, "the length of answers, relative to today", 0, 1)
        checked(self.answer_spread, "the spread of the answers' length", 0, 1)
        checked(self.schema_tokens, "the tokens that the instructions add", 0, 1_000_000)
        checked(self.retry_share, "the share of cut answers that are asked again", 0, 1)
        if self.answer_tokens is not None:
            checked(self.answer_tokens, "the tokens of a complete answer", 1, 10_000_000)
        elif self.end_repeats:
            raise InputError("say how many tokens a complete answer needs: only then are answers no longer cut")

    @classmethod
    def neutral(cls) -> OutputLimits:
        return cls()

    def touches(self, situation: Situation) -> NDArray[np.bool_]:
        workload = situation.workload
        return self.calls.mask(workload) & workload.active

    def apply(self, situation: Situation) -> Situation:
        chosen = self.touches(situation)
        shaped = self.shaped(situation, chosen)
        answered = situation.workload.has_usage & ~situation.workload.is_cache_hit
        cut = chosen & answered & (wanted_tokens(shaped.workload) > self.cap)
        after = _capped(shaped, cut, self.cap)
        if self.retry_share > 0:
            after = _asked_again(after, shaped.workload, cut & ~was_cut(shaped.workload), self.retry_share)
        if self.end_repeats:
            repeats, before = self.repeats(situation, shaped, chosen)
            after = after.vanish(_at(repeats[~cut[before]], len(chosen)))
        return after

    def repeats(
        self, situation: Situation, shaped: Situation, chosen: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Calls that repeat one whose answer was cut and would now be shorter than where it was cut; and those calls."""
        repeats, before = repeated_questions(situation.workload, chosen)
        whole = (wanted_tokens(shaped.workload) < wanted_tokens(situation.workload))[before]
        return repeats[whole], before[whole]

    def shaped(self, situation: Situation, chosen: NDArray[np.bool_]) -> Situation:
        """The situation with answers as long as the prompt makes them, before any limit."""
        workload = situation.workload
        tokens: dict[str, Any] = {}
        answers = np.rint(workload.output_tokens * self.length)
        if self.answer_tokens is not None:
            spread = 1 + self.answer_spread * (2 * workload.draws(_SALT) - 1)
            answers = np.minimum(answers, np.maximum(np.rint(self.answer_tokens * spread), 1))
        if self.length != 1 or self.answer_tokens is not None:
            tokens["output_tokens"] = answers
        if self.schema_tokens:
            tokens["uncached_input_tokens"] = workload.uncached_input_tokens + self.schema_tokens
        return situation.change(chosen, **tokens) if tokens else situation

    def assumptions(self) -> list[str]:
        sentences = ["A limit does not shorten an answer that is well formed: what lies above it is cut off, and lost."]
        if self.retry_share > 0:
            sentences.append(
                f"{self.retry_share:.0%} of the answers that the limit cuts are asked again without it; the cut answer is paid too."
            )
        sentences.append(
            "Answers that ran into a limit already are as long as they were; how long they wanted to be is not known."
        )
        if self.answer_tokens is not None or self.length < 1:
            sentences.append("Shorter answers are as good: quality is not modelled.")
        if self.end_repeats:
            sentences.append(
                "The same input within ten minutes after a cut answer is the same question asked again; with complete answers nobody asks again."
            )
        return sentences


def wanted_tokens(workload: Workload) -> NDArray[np.int64]:
    """Tokens of each answer that a limit counts: reasoning shares it."""
    return workload.output_tokens.astype(np.int64) + workload.reasoning_tokens


def was_cut(workload: Workload) -> NDArray[np.bool_]:
    """Mask of calls whose answer ran into a limit today, as far as the log says."""
    return workload.heavy.numbers("was_cut") == 1


def _capped(situation: Situation, cut: NDArray[np.bool_], cap: float) -> Situation:
    """Reasoning comes first: the limit leaves the answer what reasoning did not use."""
    if not cut.any():
        return situation
    workload, limit = situation.workload, math.floor(cap)
    reasoning = np.minimum(workload.reasoning_tokens, limit)
    return situation.change(
        cut, output_tokens=np.minimum(wanted_tokens(workload), limit) - reasoning, reasoning_tokens=reasoning
    )


def _asked_again(situation: Situation, full: Workload, cut: NDArray[np.bool_], share: float) -> Situation:
    """The calls of the mask made a second time, without the limit, at their share."""
    again = np.where(cut & full.active & ~full.is_cache_hit, np.nan_to_num(full.cost) * share, 0.0)
    workload = situation.workload
    for category, of_category in ((LLM_API, ~workload.is_embedding), (EMBEDDING, workload.is_embedding)):
        workload = workload.add_overhead("answers asked again", category, np.where(of_category, again, 0.0))
    return situation.with_workload(workload)


def repeated_questions(workload: Workload, chosen: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Calls that send the same input as a call of the same feature and model within ten minutes before, whose answer was cut; and those calls."""
    key = workload.heavy.keys("input_hash")
    at = np.flatnonzero(chosen & workload.active & workload.has_usage & ~workload.is_cache_hit & (key > 0))
    at = at[np.lexsort((key[at], workload.model[at], workload.feature[at]))]
    same = np.ones(max(len(at) - 1, 0), dtype=bool)
    for column in (key, workload.model, workload.feature):
        same &= column[at][1:] == column[at][:-1]
    same &= (workload.started_at[at][1:] - workload.started_at[at][:-1] <= REPEAT_WINDOW) & was_cut(workload)[at][:-1]
    return at[1:][same], at[:-1][same]


def _at(places: NDArray[np.int64], size: int) -> NDArray[np.bool_]:
    mask = np.zeros(size, dtype=bool)
    mask[places] = True
    return mask


def answer_lengths(setting: OutputLimits, situation: Situation) -> pd.DataFrame:
    """How long answers are, by feature, the dearest first: where a cap would cut.

    Columns: feature (None: untagged), calls (with answers, weighted), cost (Decimal, USD per month), tokens (output and reasoning, weighted),
    cut_today (share of calls that ran into a limit; None: the log does not say), limit_today (median max_tokens; None: none is set), p50, p90, p95,
    p99 and longest (tokens, without the answers that were cut today), above_cap (share of those calls whose answer the cap would cut),
    tokens_above_cap (share of all their tokens that lie above it).
    """
    workload = situation.workload
    chosen = setting.touches(situation) & workload.has_usage & ~workload.is_cache_hit & (wanted_tokens(workload) > 0)
    cut, limits = workload.heavy.numbers("was_cut"), workload.heavy.numbers("max_tokens")
    spent = workload.spent()
    rows: list[dict[str, Any]] = []
    for code in np.unique(workload.feature[chosen]):
        at = np.flatnonzero(chosen & (workload.feature == code))
        whole = at[cut[at] != 1]
        wanted, weight = wanted_tokens(workload)[whole], workload.weight[whole]
        told, set_limits = at[~np.isnan(cut[at])], limits[at][~np.isnan(limits[at])]
        over = np.maximum(wanted - setting.cap, 0) if math.isfinite(setting.cap) else np.zeros(len(whole))
        points = np.quantile(wanted, [0.5, 0.9, 0.95, 0.99, 1]) if len(whole) else [None] * 5
        rows.append(
            {
                "feature": workload.names["feature"][code] if code >= 0 else None,
                "calls": float(workload.weight[at].sum()),
                "cost": cents(float(spent[at].sum()) * situation.window.scale_to_month),
                "tokens": float((wanted_tokens(workload)[at] * workload.weight[at]).sum()),
                "cut_today": _share(workload.weight[told], cut[told] == 1) if len(told) else None,
                "limit_today": float(np.median(set_limits)) if len(set_limits) else None,
                **dict(zip(("p50", "p90", "p95", "p99", "longest"), points, strict=True)),
                "above_cap": _share(weight, over > 0) if len(whole) else None,
                "tokens_above_cap": float((over * weight).sum() / (wanted * weight).sum()) if len(whole) else None,
            }
        )
    rows.sort(key=lambda row: -row["cost"])
    columns = (
        "feature", "calls", "cost", "tokens", "cut_today", "limit_today", "p50", "p90", "p95", "p99", "longest", "above_cap", "tokens_above_cap",
    )  # fmt: skip
    return pd.DataFrame(rows, columns=list(columns), dtype=object)


def _share(weight: NDArray[np.float64], of: NDArray[np.bool_]) -> float:
    return float(weight[of].sum() / weight.sum())

"""What a router does to quality, from a labelled sample: each prompt answered by both models, and how good each answer was.

The router gives every prompt a score; prompts with a score of at least a threshold go to the strong model. With Q the mean quality at a threshold:

* PGR, the performance gap recovered: (Q - Q_weak) / (Q_strong - Q_weak). Can leave 0..1: a good mix may beat the strong model.
* APGR: the area under PGR over the share of calls that go to the strong model. A router that draws lots has 0.5.
* CPT(x): the smallest share of strong calls, among those that a threshold gives, at which PGR reaches x. Lots need x.
* AIQ: the mean height of the upper hull of quality over cost between all-weak and all-strong (RouterBench), in the unit of quality. Money needs
  this axis: shares of calls are no shares of money.

APGR and CPT as Ong et al., RouteLLM (2024), define them, over every distinct threshold; `routellm_ten` is the coarser method of RouteLLM's own
evaluation (ten quantiles of the score). A threshold that was chosen on the sample it is judged on flatters itself, so calibrate on other prompts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warehouse.errors import InputError

Floats = NDArray[np.float64]
DRAWS, SEED, CONFIDENCE = 1000, 20, 0.95
_CELLS = 4_000_000


@dataclass(frozen=True, eq=False)
class LabelledSample:
    """Prompts with the quality of both answers (0 and 1, or any number that is larger when better), and their costs in USD where known."""

    strong: Floats
    weak: Floats
    strong_cost: Floats | None = None
    weak_cost: Floats | None = None

    def __post_init__(self) -> None:
        if len(self.strong) != len(self.weak) or not len(self.strong):
            raise InputError("a labelled sample needs at least one prompt, with the quality of both answers")
        for values in (self.strong, self.weak, self.strong_cost, self.weak_cost):
            if values is not None and not (len(values) == len(self.strong) and np.isfinite(values).all()):
                raise InputError("every prompt of a labelled sample needs a quality of both answers, as numbers")

    def __len__(self) -> int:
        return len(self.strong)

    @property
    def has_gap(self) -> bool:
        """Whether the strong model is better in this sample; without that nothing can be recovered."""
        return bool(self.strong.mean() > self.weak.mean())


@dataclass(frozen=True, eq=False)
class QualityCurve:
    """From no call to all calls on the strong model, one point per distinct threshold; `threshold` inf is the first.

    share: of calls that go to the strong model; quality: mean; pgr: NaN without a gap; cost: USD per call, None when costs are not known.
    """

    threshold: Floats
    share: Floats
    quality: Floats
    pgr: Floats
    cost: Floats | None

    @property
    def apgr(self) -> float | None:
        """Area under PGR over share (trapezoids)."""
        return None if np.isnan(self.pgr).any() else float(np.trapezoid(self.pgr, self.share))

    def cpt(self, level: float) -> float | None:
        """Smallest share of strong calls at which PGR reaches `level` (0 to 1)."""
        return None if np.isnan(self.pgr).any() else _first_reached(self.share, self.pgr, level)

    @property
    def aiq(self) -> float | None:
        """Mean height of the upper hull of quality over cost."""
        if self.cost is None or self.cost[-1] <= self.cost[0]:
            return None
        cost, quality = self.hull()
        return float(np.trapezoid(quality, cost) / (cost[-1] - cost[0]))

    def hull(self) -> tuple[Floats, Floats]:
        """The best mixes: corners of the upper, never falling hull of quality over cost, from the cheapest to all-strong's cost.

        What lies between two corners is had by drawing lots between their routers. Raises InputError when costs are not known.
        """
        if self.cost is None:
            raise InputError("the cost of both answers is not known: give tokens and prices")
        order = np.lexsort((-self.quality, self.cost))
        corners: list[tuple[float, float]] = []
        for point in zip(self.cost[order].tolist(), self.quality[order].tolist(), strict=True):
            if corners and point[1] <= corners[-1][1]:
                continue
            while len(corners) >= 2 and _turns_up(corners[-2], corners[-1], point):
                corners.pop()
            corners.append(point)
        if self.cost[-1] > corners[-1][0]:
            corners.append((float(self.cost[-1]), corners[-1][1]))
        found = np.array(corners)
        return found[:, 0], found[:, 1]

    def at(self, threshold: float) -> dict[str, Any]:
        """The point of this threshold: a look-up. Keys: threshold, strong_share, quality, pgr, cost (None where not known)."""
        place = max(int(np.searchsorted(-self.threshold, -threshold, side="right")) - 1, 0)
        return self.point(place) | {"threshold": threshold}

    def point(self, place: int) -> dict[str, Any]:
        """One point as a row, ready for JSON."""
        threshold, pgr = float(self.threshold[place]), float(self.pgr[place])
        return {
            "threshold": threshold if np.isfinite(threshold) else None,
            "strong_share": float(self.share[place]),
            "quality": float(self.quality[place]),
            "pgr": None if np.isnan(pgr) else pgr,
            "cost": None if self.cost is None else float(self.cost[place]),
        }

    def points(self) -> list[dict[str, Any]]:
        """All points as rows, from all-weak to all-strong."""
        return [self.point(place) for place in range(len(self.threshold))]


def quality_curve(score: NDArray[np.floating], sample: LabelledSample) -> QualityCurve:
    """The curve of a router that sends prompts with a high score to the strong model. Raises InputError for scores that are not numbers."""
    score = _scores(score, sample)
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.diff(score[order], append=-np.inf) != 0)
    size = len(sample)
    places = np.concatenate([[0], ends + 1])

    def mixed(strong: Floats, weak: Floats) -> Floats:
        return (weak.sum() + np.concatenate([[0.0], np.cumsum((strong - weak)[order])])[places]) / size

    quality = mixed(sample.strong, sample.weak)
    cost = None
    if sample.strong_cost is not None and sample.weak_cost is not None:
        cost = mixed(sample.strong_cost, sample.weak_cost)
    threshold = np.concatenate([[np.inf], score[order][ends]])
    return QualityCurve(threshold, places / size, quality, _pgr(quality, sample), cost)


def routellm_ten(score: NDArray[np.floating], sample: LabelledSample, bins: int = 10) -> dict[str, float | None]:
    """APGR, CPT20, CPT50 and CPT80 as RouteLLM's evaluation computes them: thresholds at the quantiles of the score, linear between them.

    Keys: apgr, cpt20, cpt50, cpt80; shares between 0 and 1, None without a gap.
    """
    score = _scores(score, sample)
    thresholds = np.unique(np.quantile(score, np.linspace(0, 1, bins + 1)))
    shares, qualities = [], []
    for place, threshold in enumerate(thresholds.tolist()):
        # The highest threshold is exclusive, so that one point is all-weak.
        to_strong = score > threshold if place == len(thresholds) - 1 else score >= threshold
        shares.append(float(to_strong.mean()))
        qualities.append(float(np.where(to_strong, sample.strong, sample.weak).mean()))
    order = np.lexsort((qualities, shares))
    share, pgr = np.array(shares)[order], _pgr(np.array(qualities)[order], sample)
    if not sample.has_gap:
        return dict.fromkeys(("apgr", "cpt20", "cpt50", "cpt80"))
    levels = {"cpt20": 0.2, "cpt50": 0.5, "cpt80": 0.8}
    found: dict[str, float | None] = {name: float(np.interp(level, pgr, share)) for name, level in levels.items()}
    return {"apgr": float(np.trapezoid(pgr, share))} | found


def apgr_interval(
    score: NDArray[np.floating],
    sample: LabelledSample,
    *,
    draws: int = DRAWS,
    seed: int = SEED,
    confidence: float = CONFIDENCE,
) -> tuple[float, float] | None:
    """Percentile bootstrap over prompts of APGR; None without a gap. Draws in which the gap vanishes are left out."""
    score = _scores(score, sample)
    if not sample.has_gap:
        return None
    order = np.argsort(-score, kind="stable")
    starts = np.flatnonzero(np.diff(score[order], prepend=np.inf) != 0)
    gain = (sample.strong - sample.weak)[order]
    random, size = np.random.default_rng(seed), len(sample)
    found: list[Floats] = []
    for start in range(0, draws, max(1, _CELLS // size)):
        count = min(max(1, _CELLS // size), draws - start)
        chosen = random.integers(0, size, (count, size))
        chosen += np.arange(count)[:, None] * size
        times = np.bincount(chosen.reshape(-1), minlength=count * size).reshape(count, size).astype(np.float64)
        shares = np.cumsum(np.add.reduceat(times, starts, axis=1), axis=1) / size
        gains = np.cumsum(np.add.reduceat(times * gain, starts, axis=1), axis=1)
        zero = np.zeros((count, 1))
        gap = gains[:, -1:]
        with np.errstate(divide="ignore", invalid="ignore"):
            pgr = np.hstack([zero, gains]) / gap
            area = np.trapezoid(pgr, np.hstack([zero, shares]), axis=1)
        found.append(area[gap[:, 0] > 0])
    areas = np.concatenate(found)
    if not len(areas):
        return None
    tail = (1 - confidence) / 2
    low, high = np.quantile(areas, [tail, 1 - tail])
    return float(low), float(high)


def _scores(score: NDArray[np.floating], sample: LabelledSample) -> Floats:
    values = np.asarray(score, dtype=np.float64)
    if len(values) != len(sample) or not np.isfinite(values).all():
        raise InputError("every prompt of a labelled sample needs a score that is a number")
    return values


def _pgr(quality: Floats, sample: LabelledSample) -> Floats:
    if not sample.has_gap:
        return np.full(len(quality), np.nan)
    weak = sample.weak.mean()
    return np.asarray((quality - weak) / (sample.strong.mean() - weak))


def _first_reached(share: Floats, pgr: Floats, level: float) -> float:
    return float(share[int(np.argmax(pgr >= level - 1e-12))])


def _turns_up(one: tuple[float, float], two: tuple[float, float], three: tuple[float, float]) -> bool:
    """Whether the middle point lies on or below the line between its neighbours."""
    return (two[0] - one[0]) * (three[1] - one[1]) >= (three[0] - one[0]) * (two[1] - one[1])


def safe_threshold(curve: QualityCurve, keep: float = 0.95) -> float:
    """The threshold with the fewest strong calls from which on quality stays at `keep` of the strong model's, whatever more goes to it.

    Raises InputError for a `keep` outside 0 to 1.
    """
    if not 0 <= keep <= 1:
        raise InputError(f"the part of the strong model's quality to keep lies between 0 and 1, not {keep:g}")
    short = np.flatnonzero(curve.quality < keep * curve.quality[-1] - 1e-12)
    return float(curve.threshold[short[-1] + 1 if len(short) else 0])

"""More or fewer of the same calls: growth, a campaign, a customer who leaves."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analytics.simulators.lever import EVERY_CALL, Selection, checked, lever
from analytics.simulators.situation import Situation


@lever
@dataclass(frozen=True)
class Volume:
    """The chosen calls happen `times` as often (1: as today), but for those of `steady_features`; so does the logged load of their features' GPUs.

    Every call stands for so many calls at its time: none is made up. What is paid by the hour or the month costs as today, until a lever after
    this one sizes it by its load.
    """

    name: ClassVar[str] = "volume"
    title: ClassVar[str] = "Volume"
    times: float = 1.0
    calls: Selection = EVERY_CALL
    steady_features: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        checked(self.times, "how many times as often calls happen", 0, 1000)

    @classmethod
    def neutral(cls) -> Volume:
        return cls()

    def touches(self, situation: Situation) -> NDArray[np.bool_]:
        workload = situation.workload
        chosen = self.calls.mask(workload) & workload.active
        if self.steady_features:
            chosen &= ~workload.where(feature=self.steady_features)
        return chosen

    def apply(self, situation: Situation) -> Situation:
        if self.times == 1:
            return situation
        after = situation.with_workload(situation.workload.repeat(self.touches(situation), self.times))
        load = self._load(situation.utilization)
        return after if load is situation.utilization else replace(after, utilization=load)

    def _load(self, table: pd.DataFrame) -> pd.DataFrame:
        """The GPUs' log with so much more work in it: a busy share above 1 is load that today's GPUs could not carry."""
        others = (each.name for each in fields(Selection) if each.name != "feature")
        if table.empty or any(getattr(self.calls, name) for name in others):
            return table
        grows = ~table["feature"].isin(self.steady_features)
        if self.calls.feature:
            grows &= table["feature"].isin(self.calls.feature)
        if not grows.any():
            return table
        grown = {
            name: table[name].astype(np.float64).mask(grows, table[name].astype(np.float64) * self.times)
            for name in ("gpu_utilization", "requests")
        }
        return table.assign(**grown)

    def assumptions(self) -> list[str]:
        sentences = [
            f"{self.times:g} times as many calls of the same kind, at the same times: {self.calls.words}"
            + (f"; without {', '.join(self.steady_features)}." if self.steady_features else "."),
            "Caches find as much as today: closer calls would find a little more.",
            "What is paid by the hour or the month costs as today, unless a lever that follows sizes it by its load.",
        ]
        others = [each.name for each in fields(Selection) if each.name != "feature" and getattr(self.calls, each.name)]
        if others:
            sentences.append("The load of GPUs is logged by feature alone: it stays as it is for this choice of calls.")
        return sentences

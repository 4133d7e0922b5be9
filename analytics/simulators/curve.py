"""Cost along one slider, with today's point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analytics.simulators.lever import Lever
from analytics.simulators.situation import Situation
from analytics.simulators.to_the_cent import total_in_cents


def curve(
    lever_factory: Callable[[Any], Lever], values: Sequence[Any], situation: Situation, *, today: Any | None = None
) -> pd.DataFrame:
    """One row per slider value, in order: `lever_factory(value)` applied to the situation.

    Columns: value, cost and saving (Decimal, USD per month, simulated), changed_calls (weighted, of the window), is_today (the value is `today`, or,
    when that is not given, nothing changes there). Each row is a whole replay: pages read prepared sums (`analytics.simulators.effect`),
    and this is what those are checked against.
    """
    base = total_in_cents(situation.monthly().values())
    rows = []
    for value in values:
        after = lever_factory(value).apply(situation)
        same = after.workload is situation.workload and after.infrastructure is situation.infrastructure
        changed = (
            np.zeros(len(after.workload), dtype=bool)
            if after.workload is situation.workload
            else after.workload.changed_since(situation.workload)
        )
        cost = total_in_cents(after.monthly().values())
        rows.append(
            {
                "value": value,
                "cost": cost,
                "saving": base - cost,
                "changed_calls": float(after.workload.weight[changed].sum()),
                "is_today": value == today if today is not None else same,
            }
        )
    return pd.DataFrame(rows, columns=["value", "cost", "saving", "changed_calls", "is_today"], dtype=object)

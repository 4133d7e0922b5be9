"""What levers prepare for their sliders: kept for a few settings, and what a token is worth."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from analytics.simulators.rates_table import CLASS_PLACE
from analytics.simulators.situation import Memo, Situation
from warehouse.rates import INPUT_COLUMNS

Result = TypeVar("Result")
_KEPT = 3
SETTINGS = 64
"""So many settings of a lever are kept as they are drawn, for everybody who looks at the same calls: some 30 kB each."""

_KEPT_BYTES = 2**29


def kept(situation: Situation, name: str, key: Hashable, make: Callable[[], Result], entries: int = _KEPT) -> Result:
    """What a lever prepared for one state of the calls, made once: as `situation.memo`, but of each name only the last few are kept.

    With millions of calls such a thing is hundreds of megabytes, and a scenario goes through dozens of states. What holds no array of the calls may
    be kept for more `entries` (`SETTINGS`): many people stand at many settings.
    """
    few: Memo = situation.memo.get(name, lambda: Memo(entries, _KEPT_BYTES))
    return few.get((key, situation.workload.stamp, situation.rates), make)


def kept_for_good(
    situation: Situation, name: str, key: Hashable, make: Callable[[], Result], entries: int = _KEPT
) -> Result:
    """As `kept`; and where the situation was kept on disk (`analytics.simulators.keep_situation`), so is this.

    For what goes through all calls and is needed to draw a page as it opens. The value must depend on the situation, the name and the key alone,
    and the key say all of itself as text.
    """
    lasting = situation.memo.lasting
    if lasting is None or not lasting.is_of(situation):
        return kept(situation, name, key, make, entries)
    return kept(situation, name, key, lambda: lasting.get(name, key, make), entries)


def dollars_per_token(
    situation: Situation, at: NDArray[np.int64], kinds: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    """What one token of each class (`PRICE_CLASSES`) is worth in the sums, for the calls at these places: USD of the window.

    The list price at the call's own time and size, times what the call cost relative to its list price, times `Workload.money`: a change of tokens at
    the same model changes the sum by just that, as long as it does not move the call to another context tier. 0 where the cost or the
    list price is not known, and where `Workload.change` changes nothing.
    """
    workload = situation.workload
    rates = situation.rates.of(workload.models, workload.names["processing"])
    listed = rates.priced(workload, at)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(listed > 0, workload.cost[at] / listed, 0.0) * workload.money[at]
    factor = np.where(np.isfinite(factor) & (workload.active & ~workload.is_cache_hit)[at], factor, 0.0)
    size = np.zeros(len(at), dtype=np.int64)
    for column in INPUT_COLUMNS:
        size += getattr(workload, column)[at]
    if not len(rates.units):
        return {kind: np.zeros(len(at)) for kind in kinds}
    rows = rates.rows(workload.model[at], workload.processing[at], workload.started_at[at], size)
    return {
        kind: np.nan_to_num(rates.units[:, CLASS_PLACE[kind]][rows]) * np.where(rows >= 0, factor, 0.0)
        for kind in kinds
    }

"""The queue, against a published trace, Erlang's formula and a queue written out."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from analytics.simulators.replicas import (
    erlang_c,
    offered_load,
    replicas_needed,
    service_seconds,
    share_waiting,
    waits,
)
from tests.analytics.simulators.samples import DATA
from warehouse.errors import InputError

Floats = NDArray[np.float64]


@pytest.fixture(scope="module")
def azure() -> tuple[Floats, Floats]:
    """Arrivals and service of the conversation trace: input at 8,000, output at 40 tokens per second."""
    table = pq.read_table(DATA / "traces" / "azure_llm_2023_conv.parquet").to_pandas()
    arrivals = (table["ts"] - table["ts"].iloc[0]).dt.total_seconds().to_numpy()
    lengths = [table[name].to_numpy(dtype=np.int64) for name in ("context_tokens", "generated_tokens")]
    return arrivals, service_seconds(*lengths, prefill=8000, decode=40)


def test_load_of_the_trace(azure: tuple[Floats, Floats]) -> None:
    assert offered_load(*azure) == pytest.approx(29.99, abs=0.005)
    assert len(azure[0]) / azure[0][-1] == pytest.approx(5.53, abs=0.005)


@pytest.mark.parametrize(("slots", "share"), [(32, 0.631), (36, 0.158), (40, 0.0427), (48, 0.0009)])
def test_waits_of_the_trace(azure: tuple[Floats, Floats], slots: int, share: float) -> None:
    assert share_waiting(*azure, slots, longer_than=1) == pytest.approx(share, abs=0.0005 if share > 0.05 else 0.00005)


def test_p95_of_the_trace(azure: tuple[Floats, Floats]) -> None:
    assert np.quantile(waits(*azure, 40), 0.95) == pytest.approx(0.79, abs=0.005)


def test_fewest_replicas_for_the_trace(azure: tuple[Floats, Floats]) -> None:
    found = replicas_needed(*azure, max_batch=1, limit=1, target=0.05)
    assert share_waiting(*azure, found.slots - 1, 1) > 0.05 >= found.share_waiting
    assert found.share_waiting == share_waiting(*azure, found.slots, 1)
    # Bursts: the formula for independent arrivals believes in fewer.
    assert found.erlang < found.replicas
    assert replicas_needed(*azure, max_batch=8, limit=1, target=0.05).replicas == -(-found.replicas // 8)


def test_erlang_c() -> None:
    assert [round(erlang_c(5, slots), 4) for slots in (6, 7, 8, 9)] == [0.5875, 0.3241, 0.1673, 0.0805]
    assert (erlang_c(0, 3), erlang_c(3, 3)) == (0, 1)


def test_random_arrivals_wait_as_erlang_says() -> None:
    random = np.random.default_rng(7)
    arrivals = np.cumsum(random.exponential(1 / 5, 300_000))
    service = random.exponential(1, 300_000)
    assert share_waiting(arrivals, service, 7, 1e-9) == pytest.approx(0.3241, abs=0.01)


streams = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 30)), min_size=1, max_size=40).map(
    lambda rows: (np.cumsum([gap for gap, _ in rows]).astype(float), np.array([work for _, work in rows], float))
)


def _written_out(arrivals: Floats, service: Floats, slots: int) -> list[float]:
    free, found = [0.0] * slots, []
    for came, takes in zip(arrivals, service, strict=True):
        place = min(range(slots), key=lambda slot: free[slot])
        start = max(came, free[place])
        free[place] = start + takes
        found.append(start - came)
    return found


@given(streams, st.integers(1, 5))
def test_waits_are_those_of_a_queue_written_out(stream: tuple[Floats, Floats], slots: int) -> None:
    assert waits(*stream, slots) == pytest.approx(_written_out(*stream, slots))


@given(streams, st.integers(1, 5))
def test_with_one_slot_more_nobody_waits_longer(stream: tuple[Floats, Floats], slots: int) -> None:
    assert (waits(*stream, slots + 1) <= waits(*stream, slots) + 1e-9).all()


def test_wrong_streams_are_told() -> None:
    with pytest.raises(InputError, match="order of time"):
        waits(np.array([2.0, 1.0]), np.array([1.0, 1.0]), 1)
    with pytest.raises(InputError, match="slots"):
        waits(np.array([1.0]), np.array([1.0]), 0)
    with pytest.raises(InputError, match="different times"):
        offered_load(np.array([1.0]), np.array([1.0]))
    assert replicas_needed(np.array([]), np.array([])).replicas == 0

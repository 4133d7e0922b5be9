"""The roofline, against a table worked out independently."""

from __future__ import annotations

import pandas as pd
import pytest

from analytics.simulators.throughput import (
    decode_tokens_per_second,
    find_gpu,
    measured_throughput,
    prefill_tokens_per_second,
)
from analytics.simulators.vram import Architecture, find_architecture
from warehouse.errors import InputError

TABLE = {
    "L4": (18, 132, 389),
    "A10G": (37, 264, 779),
    "L40S": (53, 380, 1122),
    "A100-80GB": (125, 896, 2647),
    "H100-80GB": (205, 1472, 4349),
    "H200": (294, 2109, 6231),
}


@pytest.mark.parametrize("name", TABLE)
def test_roofline_of_the_8b_model(name: str) -> None:
    model, gpu = find_architecture("llama-3.1-8b"), find_gpu(name)
    found = [
        round(decode_tokens_per_second(model, gpu, context=2048, batch=batch, efficiency=1)) for batch in (1, 8, 32)
    ]
    assert tuple(found) == TABLE[name]


def test_efficiency_is_a_part_of_the_roofline() -> None:
    model, gpu = find_architecture("llama-3.1-8b"), find_gpu("L4")
    whole = decode_tokens_per_second(model, gpu, efficiency=1)
    assert decode_tokens_per_second(model, gpu, efficiency=0.5) == pytest.approx(whole / 2)


def test_a_large_batch_is_bound_by_computing() -> None:
    tiny = Architecture("tiny", 10**9, 10**9, 1, 1, 1)
    gpu = find_gpu("L4")
    assert decode_tokens_per_second(tiny, gpu, context=1, batch=10_000, efficiency=1) == pytest.approx(121e12 / 2e9)
    assert prefill_tokens_per_second(tiny, gpu, efficiency=1) == pytest.approx(121e12 / 2e9)


def test_few_experts_are_read_by_one_and_nearly_all_by_many() -> None:
    gpu = find_gpu("H200")
    mixture = Architecture("m", 40 * 10**9, 10 * 10**9, 1, 1, 1)
    of_one = 4800e9 / (20e9 + 4)
    assert decode_tokens_per_second(mixture, gpu, context=1, batch=1, efficiency=1) == pytest.approx(of_one)
    of_sixteen = 16 * 4800e9 / (80e9 * (1 - 0.75**16) + 64)
    assert decode_tokens_per_second(mixture, gpu, context=1, batch=16, efficiency=1) == pytest.approx(of_sixteen)


def test_measured_speed_is_weighted_by_work() -> None:
    table = pd.DataFrame(
        {
            "gpu": ["L4", "L4", "L4", "A10G", None],
            "gpu_count": [1, 1, 1, 2, 1],
            "gpu_utilization": [0.9, 0.1, 0.5, 0.5, 0.5],
            "tokens_per_second": [50.0, 100.0, None, 90.0, 10.0],
        }
    )
    found = measured_throughput(table)
    assert found.values.tolist() == [["A10G", 45.0, 1], ["L4", pytest.approx(55.0), 2]]
    assert measured_throughput(pd.DataFrame()).empty


def test_unknown_gpu_is_told() -> None:
    with pytest.raises(InputError, match=r"'abacus'.*L4"):
        find_gpu("abacus")

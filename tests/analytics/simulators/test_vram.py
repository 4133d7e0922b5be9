"""Memory and speed of known models on known GPUs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.simulators.vram import (
    GIB,
    find_architecture,
    fitting_gpus,
    memory_needed,
    read_architectures,
)
from warehouse.errors import InputError


def test_memory_of_the_8b_model() -> None:
    model = find_architecture("llama-3.1-8b")
    assert model.kv_bytes_per_token() == 131_072
    assert model.weight_bytes() / GIB == pytest.approx(14.96, abs=0.005)
    assert memory_needed(model, context=8192, batch=16).kv_cache == 16 * GIB


def test_memory_of_the_70b_model() -> None:
    model = find_architecture("llama-3.1-70b")
    assert model.kv_bytes_per_token() == 327_680
    assert model.weight_bytes() / GIB == pytest.approx(131.5, abs=0.1)
    assert model.weight_bytes(4) / GIB == pytest.approx(32.9, abs=0.05)
    assert memory_needed(model, context=8192, batch=8).kv_cache == 20 * GIB


def test_overhead_is_a_tenth_and_the_runtime() -> None:
    needed = memory_needed(find_architecture("llama-3.1-8b"), bits=4, context=1, batch=1)
    assert needed.weights == 4_015_130_624
    assert needed.total == pytest.approx(1.1 * (4_015_130_624 + 131_072) + 1.5e9)


def test_compressed_attention_states_its_bytes() -> None:
    model = find_architecture("deepseek-v3")
    assert model.kv_bytes_per_token() == 61 * (512 + 64) * 2
    assert model.kv_bytes_per_token(8) == 61 * (512 + 64)


@given(
    bits=st.sampled_from([4, 8, 16]),
    context=st.integers(1, 100_000),
    batch=st.integers(1, 200),
    more=st.integers(1, 1000),
)
def test_more_needs_more(bits: int, context: int, batch: int, more: int) -> None:
    model = find_architecture("qwen2.5-7b")
    here = memory_needed(model, bits=bits, context=context, batch=batch).total
    assert memory_needed(model, bits=bits, context=context + more, batch=batch).total > here
    assert memory_needed(model, bits=bits, context=context, batch=batch + more).total > here
    assert memory_needed(model, bits=16, context=context, batch=batch).total >= here


def test_names_as_logs_have_them() -> None:
    assert find_architecture("meta-llama/Llama-3.1-8B-Instruct").name == "llama-3.1-8b"
    assert find_architecture("llama-3.1-8b-instruct").name == "llama-3.1-8b"


@pytest.mark.parametrize("wrong", [{"bits": 5}, {"context": 0}, {"batch": 0}, {"kv_bits": 3}])
def test_wrong_settings_are_told(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match="must"):
        memory_needed(find_architecture("llama-3.1-8b"), **wrong)


def test_unknown_model_is_told() -> None:
    with pytest.raises(InputError, match=r"'nobody'.*llama-3\.1-8b"):
        find_architecture("nobody")


def test_unreadable_row_is_named(tmp_path: Path) -> None:
    file = tmp_path / "models.csv"
    file.write_text(
        "model,parameters,active_parameters,layers,kv_heads,head_dim,kv_bytes_per_token,source\nx,many,,1,1,1,,me\n"
    )
    with pytest.raises(InputError) as caught:
        read_architectures(file)
    assert (caught.value.file, caught.value.row) == ("models.csv", 2)


def _catalogue() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "gpu": ["small", "small", "large"],
            "memory_gb": [24, 24, 80],
            "gpu_count": [1, 4, 1],
            "on_demand_usd_per_gpu_hour": [1.0, 1.5, 2.5],
        }
    )


def test_gpus_that_fit_the_cheapest_first() -> None:
    model = find_architecture("llama-3.1-8b")
    fits = fitting_gpus(memory_needed(model, bits=16), _catalogue())
    assert fits["gpu"].tolist() == ["small", "small", "large"]
    assert fits["gpus_needed"].tolist() == [1, 1, 1]
    larger = fitting_gpus(memory_needed(model, bits=16, context=8192, batch=16), _catalogue())
    # 16.1 + 17.2 GB, a tenth more and 1.5: 38.1 GB are too much for one of 24, and enough for two.
    assert larger[["gpu", "gpus_needed", "usd_per_hour"]].values.tolist() == [["large", 1, 2.5], ["small", 2, 3.0]]


def test_the_catalogue_holds_an_8b_model_on_an_l4() -> None:
    fits = fitting_gpus(memory_needed(find_architecture("llama-3.1-8b"), bits=16))
    assert "L4" in set(fits["gpu"])
    share = fits[fits["gpu"] == "L4"]["memory_share"].to_numpy(dtype=float)
    assert np.all((share > 0.7) & (share < 0.9))

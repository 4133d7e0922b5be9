"""The GPU catalogue: every row usable and sourced, the reference case's snapshot complete."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from warehouse.errors import InputError
from warehouse.gpu_catalogue import ARTICLE_SOURCE, CATALOGUE, gpu_catalogue


def test_every_row_is_usable_and_sourced() -> None:
    frame = gpu_catalogue()
    assert {"T4", "A10G", "L4", "L40S", "A100-40GB", "A100-80GB", "H100-80GB", "H200"} <= set(frame["gpu"])
    assert (
        frame[["gpu", "provider", "source", "specs_source", "gpu_count", "on_demand_usd_per_hour"]].notna().all().all()
    )
    assert (frame["effective_date"].notna() | frame["read_on"].notna()).all()
    assert all(isinstance(price, Decimal) and price > 0 for price in frame["on_demand_usd_per_hour"])
    spot = frame.dropna(subset=["spot_usd_per_hour"])
    assert (spot["spot_usd_per_hour"] <= spot["on_demand_usd_per_hour"]).all()
    assert not frame.duplicated(["gpu", "provider", "instance_type", "region", "source"]).any()


def test_a_gpu_has_one_set_of_abilities() -> None:
    abilities = ["memory_gb", "memory_bandwidth_gb_s", "fp16_tflops", "fp8_tflops", "int8_tops"]
    assert (gpu_catalogue().groupby("gpu")[abilities].nunique(dropna=False) == 1).all().all()


def test_price_of_one_gpu() -> None:
    frame = gpu_catalogue().set_index("instance_type")
    assert frame.loc["p5.48xlarge", "on_demand_usd_per_gpu_hour"] == Decimal("6.88")
    assert frame.loc["p5.4xlarge", "on_demand_usd_per_gpu_hour"] == Decimal(
        "6.88"
    )  # same GPU, same price: the source is consistent
    assert frame.loc["p4d.24xlarge", "on_demand_usd_per_gpu_hour"] == Decimal("2.744705")


def test_snapshot_of_the_reference_case() -> None:
    frame = gpu_catalogue()
    article = (
        frame[frame["source"] == ARTICLE_SOURCE].set_index(["gpu", "provider"])["on_demand_usd_per_hour"].to_dict()
    )
    expected = {
        ("L4", "aws"): "0.72", ("L4", "gcp"): "0.62", ("A10G", "aws"): "1.006", ("A10G", "gcp"): "0.90", ("A10G", "azure"): "0.85",
        ("A100-40GB", "aws"): "3.51", ("A100-40GB", "gcp"): "2.93", ("A100-40GB", "azure"): "3.40", ("H100-80GB", "aws"): "9.89",
        ("H100-80GB", "gcp"): "8.01", ("H100-80GB", "azure"): "7.20",
    }  # fmt: skip
    assert article == {key: Decimal(value) for key, value in expected.items()}


def test_broken_catalogue_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gpus.csv"
    path.write_text(CATALOGUE.read_text().replace("0.8048", "cheap"))
    with pytest.raises(InputError, match=r"gpus\.csv: not a usable GPU catalogue"):
        gpu_catalogue(path)
    path.write_text("gpu,memory_gb\nL4,24\n")
    with pytest.raises(InputError, match="not a usable GPU catalogue"):
        gpu_catalogue(path)

"""Every real sample through `percall load` and `percall export`: its published totals, whatever way and however often it is loaded.

`published` are the totals that tests/data/SOURCES.md states. `counted` computes them again from the file with Python's own csv and json
and exact decimals, without any of our code.
"""

from __future__ import annotations

import csv
import gzip
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.operations.command import Answer, money, percall, snapshot, totals

DATA = Path(__file__).resolve().parents[1] / "data"
SHARED = Path(__file__).resolve().parents[3] / "shared" / "samples"
PRECISION = Decimal("0.000001")


@dataclass(frozen=True)
class Sample:
    """A sample with its published figures: billing lines (or calls), billed (or reported) cost, effective cost where it is a reference."""

    path: Path
    rows: int
    billed: str
    effective: str | None
    cost_columns: tuple[str, str | None]

    @property
    def is_calls(self) -> bool:
        """Whether its rows are calls and not billing lines."""
        return self.path.parent.name in ("litellm", "langfuse")

    def matches(self, found: dict[str, Any]) -> bool:
        """Whether a store's totals are the published ones."""
        if self.is_calls and found["calls"] != self.rows:
            return False
        same = _near(found["reported_call_cost" if self.is_calls else "billed"], self.billed)
        return same and (self.effective is None or _near(found["effective"], self.effective))


def _near(found: str | None, published: str) -> bool:
    return abs(money(found) - Decimal(published)) <= PRECISION


def _focus(
    name: str, rows: int, billed: str, effective: str | None, columns: tuple[str, str] = ("BilledCost", "EffectiveCost")
) -> Sample:
    return Sample(DATA / "focus" / name, rows, billed, effective, columns)


_CUR = ("lineItem/UnblendedCost", None)
_CUR_PARQUET = ("line_item_unblended_cost", None)
SAMPLES = [
    _focus("focus_1.0_2024-09_aws_oracle.csv.gz", 949, "18.543712543130", None),
    _focus("focus_snakecase_2025-07_narev_demo.csv.gz", 2416, "2593.334733960", "2593.334733960", ("billed_cost", "effective_cost")),
    _focus("draft15_ai_multi_model_usage.csv", 4, "104.50", "104.50"),
    _focus("draft15_ai_drawdown_via_prepayment.csv", 3, "500000.00", "50.00"),
    _focus("v12_virtual_currency_pricing_model_a1.csv", 1, "200000", "0"),
    _focus("v12_virtual_currency_pricing_model_a2.csv", 3, "0", "1230"),
    _focus("v12_commitment_fully_used.csv", 3, "2.75", "2.75"),
    Sample(DATA / "aws_cur_2019-11_savingsplan_a.csv.gz", 3162, "34.255053372", "34.255053372", ("line_item_unblended_cost", None)),
    Sample(DATA / "litellm" / "standard_logging_payload.jsonl.gz", 16, "0.08212694", None, ("response_cost", None)),
    Sample(DATA / "litellm" / "spend_logs_rows.jsonl.gz", 15, "0.08212694", None, ("spend", None)),
    Sample(DATA / "litellm" / "spend_logs_postgres.csv.gz", 15, "0.08212694", None, ("spend", None)),
    Sample(DATA / "langfuse" / "blob_observations_v2.jsonl.gz", 18, "0.08212694", None, ("total_cost", None)),
    Sample(DATA / "langfuse" / "blob_observations_v2.parquet", 18, "0.08212694", None, ("total_cost", None)),
]  # fmt: skip
MONTHS = [
    Sample(DATA / "aws_cur_2018-10.parquet", 119_307, "4064.483131536", "4195.957109318", _CUR_PARQUET),
    Sample(DATA / "aws_cur_2018-11.parquet", 124_340, "3505.326968125", "3632.559846495", _CUR_PARQUET),
]
BILLING = SHARED / "billing"
BESIDE = [
    sample
    for sample in (
        Sample(BILLING / "aws_cur_2019-11-26_partial.csv.gz", 7850, "89.170632878", "89.170632878", ("line_item_unblended_cost", None)),
        Sample(BILLING / "aws_legacy_layout", 13_380, "143227.763678189", "143227.763678189", _CUR),
        Sample(BILLING / "gcp_standard_2020-10_flat.csv", 292, "0.355562", "0.355562", ("cost", None)),
        Sample(BILLING / "gcp_standard_2020-10_nested.jsonl.gz", 292, "0.355562", "0.355562", ("cost", None)),
        Sample(BILLING / "gcp_detailed_2022-08_flat.csv", 9, "0.000012", "0.000012", ("cost", None)),
    )
    if sample.path.exists()
]  # fmt: skip
"""Samples that may not be copied, checked where they lie beside the project."""


def _name(sample: Sample) -> str:
    return sample.path.name


def load(store: Path, *paths: Path | str) -> Answer:
    """Load without any refusal."""
    answer = percall("load", *paths, store=store)
    assert answer.code == 0, answer.err
    return answer


@pytest.mark.parametrize("sample", [*SAMPLES, *BESIDE], ids=_name)
def test_a_sample_has_its_published_totals_and_loading_it_again_changes_nothing(tmp_path: Path, sample: Sample) -> None:
    store = tmp_path / "store"
    first = load(store, sample.path)
    found, name = totals(store), snapshot(store)
    assert sample.matches(found), found
    assert abs(sum(money(row["billed"]) for row in first.lines) - Decimal(sample.billed)) <= PRECISION
    _account_for_every_row(first, sample.rows, found)
    again = load(store, sample.path)
    assert {row["status"] for row in again.lines} == {"unchanged"}
    assert all("already loaded" in message for row in again.lines for message in row["messages"])
    assert snapshot(store) == name


def _account_for_every_row(answer: Answer, rows: int, found: dict[str, Any]) -> None:
    """Every row of the file is kept, repeats another or is left out by rule; lines that follow from it are counted beside."""
    sums = {name: sum(row[name] for row in answer.lines) for name in answer.lines[0] if name.startswith("rows_")}
    assert (sums["rows_rejected"], sums["rows_duplicate"]) == (0, 0)
    assert sums["rows_in"] == sums["rows_kept"] + sums["rows_ignored"]
    assert sums["rows_kept" if found["calls"] else "rows_in"] == rows
    assert found["rows"] + found["calls"] == sums["rows_kept"] + sums["rows_derived"]


def test_two_months_of_a_large_bill_have_their_published_totals(tmp_path: Path) -> None:
    store = tmp_path / "store"
    answer = load(store, *(sample.path for sample in MONTHS))
    for sample in MONTHS:
        (row,) = [row for row in answer.lines if row["files"] == [sample.path.name]]
        assert row["rows_kept"] == sample.rows
        assert row["partition"].endswith(sample.path.stem[-7:])
        assert _near(row["billed"], sample.billed)
        assert _near(row["effective"], sample.effective or "")
    found = totals(store)
    _account_for_every_row(answer, sum(sample.rows for sample in MONTHS), found)
    for column in ("billed", "effective"):
        assert _near(found[column], str(sum(Decimal(getattr(sample, column)) for sample in MONTHS)))


def _records(path: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A file's rows as Python reads them, with at least these columns."""
    if path.is_dir():
        for file in sorted(path.rglob("*.csv.gz")):
            yield from _records(file, columns)
    elif path.suffix == ".parquet":
        yield from parquet.read_table(path, columns=list(columns)).to_pylist()
    else:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8-sig", newline="") as stream:
            if ".jsonl" in path.name:
                yield from (json.loads(line, parse_float=Decimal) for line in stream if line.strip())
            else:
                yield from csv.DictReader(stream)


def counted(sample: Sample, column: str) -> Decimal:
    """Sum of a column by Python alone."""
    total = Decimal(0)
    for record in _records(sample.path, [column]):
        value = record.get(column)
        if value not in (None, "", "NULL", "null"):
            total += Decimal(str(value))
    return total


@pytest.mark.parametrize("sample", [*SAMPLES, *MONTHS, *BESIDE], ids=_name)
def test_published_totals_are_what_plain_python_counts(sample: Sample) -> None:
    assert abs(counted(sample, sample.cost_columns[0]) - Decimal(sample.billed)) <= PRECISION
    if sample.cost_columns[1] and sample.effective:
        assert abs(counted(sample, sample.cost_columns[1]) - Decimal(sample.effective)) <= PRECISION


FOCUS = sorted((DATA / "focus").iterdir())
TELLINGS = [
    DATA / "litellm" / name
    for name in ("standard_logging_payload.jsonl.gz", "spend_logs_rows.jsonl.gz", "spend_logs_postgres.csv.gz")
]


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Totals of all FOCUS samples, loaded in one command."""
    store = tmp_path_factory.mktemp("together") / "store"
    load(store, *FOCUS)
    return totals(store)


def _one_by_one_backwards(store: Path) -> None:
    for path in reversed(FOCUS):
        load(store, path)


def _folder(store: Path) -> None:
    load(store, DATA / "focus")


def _pattern(store: Path) -> None:
    load(store, f"{DATA}/focus/[a-f]*", f"{DATA}/**/v12*.csv", FOCUS[0])


def _packed(store: Path) -> None:
    folder = store.parent / "packed"
    folder.mkdir()
    for path in FOCUS:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        (folder / f"{path.name.removesuffix('.gz')}.zst").write_bytes(pa.compress(content, "zstd", asbytes=True))
    load(store, folder)


@pytest.mark.parametrize("way", [_one_by_one_backwards, _folder, _pattern, _packed])
def test_totals_do_not_depend_on_the_way(together: dict[str, Any], tmp_path: Path, way: Callable[[Path], None]) -> None:
    way(tmp_path / "store")
    assert totals(tmp_path / "store") == together
    samples = [sample for sample in SAMPLES if sample.path.parent.name == "focus"]
    assert together["rows"] == sum(sample.rows for sample in samples)
    assert abs(money(together["billed"]) - sum(Decimal(sample.billed) for sample in samples)) <= PRECISION


@pytest.mark.parametrize("order", list(itertools.permutations(range(3)))[::3])
def test_calls_told_three_times_count_once_in_any_order(tmp_path: Path, order: tuple[int, ...]) -> None:
    store = tmp_path / "store"
    for position in order:
        load(store, TELLINGS[position])
    found = totals(store)
    assert (found["calls"], found["reported_call_cost"]) == (16, "0.0821269400")

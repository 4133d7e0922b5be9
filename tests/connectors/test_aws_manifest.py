"""Which files of an AWS delivery count, in the layouts that AWS writes."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path

import pytest

from connectors import files
from connectors.aws_manifest import select_current
from tests.connectors.billing import SHARED


def put(path: Path, content: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def manifest(path: Path, **content: object) -> Path:
    return put(path, json.dumps(content))


def everything(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def relative(root: Path, chosen: list[tuple[Path, str | None, datetime | None]]) -> dict[str, str | None]:
    return {str(path.relative_to(root)): delivery for path, delivery, _at in chosen}


def legacy(root: Path) -> None:
    period = root / "cur" / "20260301-20260401"
    for assembly in ("aaaa", "bbbb"):
        for number in (1, 2):
            put(period / assembly / f"cur-{number}.csv.gz")
        keys = [f"/prefix/cur/20260301-20260401/{assembly}/cur-{number}.csv.gz" for number in (1, 2)]
        manifest(period / assembly / "cur-Manifest.json", assemblyId=assembly, reportName="cur", reportKeys=keys)
    manifest(period / "cur-Manifest.json", assemblyId="aaaa", reportName="cur", reportKeys=[
        f"/prefix/cur/20260301-20260401/aaaa/cur-{number}.csv.gz" for number in (1, 2)
    ])  # fmt: skip


@pytest.mark.parametrize("with_manifests", [True, False])
def test_legacy_reports_count_the_assembly_that_the_periods_manifest_names(tmp_path, with_manifests):
    legacy(tmp_path)
    os.utime(tmp_path / "cur/20260301-20260401/bbbb/cur-Manifest.json", (4e9, 4e9))
    other = put(tmp_path / "notes" / "spend.csv")
    paths = [path for path in everything(tmp_path) if with_manifests or path.suffix != ".json"]
    chosen, messages = select_current(paths)
    assert relative(tmp_path, chosen) == {
        "cur/20260301-20260401/aaaa/cur-1.csv.gz": "cur/20260301-20260401",
        "cur/20260301-20260401/aaaa/cur-2.csv.gz": "cur/20260301-20260401",
        str(other.relative_to(tmp_path)): None,
    }
    (message,) = messages
    assert "2 files are left out (bbbb/cur-1.csv.gz, bbbb/cur-2.csv.gz)" in message


def data_export(root: Path, name: str, period: str, current: str, *older: str) -> None:
    for execution in (current, *older):
        put(root / name / "data" / f"BILLING_PERIOD={period}" / execution / f"{name}-00001.snappy.parquet")
    key = f"s3://bucket/prefix/{name}/data/BILLING_PERIOD={period}/{current}/{name}-00001.snappy.parquet"
    manifest(
        root / name / "metadata" / f"BILLING_PERIOD={period}" / f"{name}-Manifest.json",
        exportName=name,
        dataFiles=[key],
    )


def test_data_exports_count_the_execution_that_the_manifest_names(tmp_path):
    data_export(tmp_path, "cur2", "2026-03", "20260402T01", "20260401T01", "20260331T01")
    data_export(tmp_path, "cur2", "2026-04", "20260402T01")
    data_export(tmp_path, "focus", "2026-03", "20260402T01")
    chosen, messages = select_current([path for path in everything(tmp_path) if path.suffix != ".json"])
    assert relative(tmp_path, chosen) == {
        "cur2/data/BILLING_PERIOD=2026-03/20260402T01/cur2-00001.snappy.parquet": "cur2/2026-03",
        "cur2/data/BILLING_PERIOD=2026-04/20260402T01/cur2-00001.snappy.parquet": "cur2/2026-04",
        "focus/data/BILLING_PERIOD=2026-03/20260402T01/focus-00001.snappy.parquet": "focus/2026-03",
    }
    assert len(messages) == 1


def test_the_newest_of_several_execution_manifests_counts(tmp_path):
    for execution in ("2026-04-01T01:00Z-a", "2026-04-02T01:00Z-b"):
        put(tmp_path / "cur2/data/BILLING_PERIOD=2026-03" / execution / "cur2-00001.csv.gz")
        key = f"p/cur2/data/BILLING_PERIOD=2026-03/{execution}/cur2-00001.csv.gz"
        manifest(tmp_path / "cur2/metadata/BILLING_PERIOD=2026-03" / execution / "cur2-Manifest.json", dataFiles=[key])
    chosen, _ = select_current(everything(tmp_path))
    assert relative(tmp_path, chosen) == {
        "cur2/data/BILLING_PERIOD=2026-03/2026-04-02T01:00Z-b/cur2-00001.csv.gz": "cur2/2026-03"
    }


def test_a_file_that_an_overwrite_left_behind_is_left_out(tmp_path):
    month = tmp_path / "cur/cur/year=2026/month=3"
    for number in (1, 2, 3):
        put(month / f"cur-0000{number}.snappy.parquet")
    keys = [f"prefix/cur/cur/year=2026/month=3/cur-0000{number}.snappy.parquet" for number in (1, 2)]
    manifest(tmp_path / "cur/20260301-20260401/cur-Manifest.json", reportName="cur", reportKeys=keys)
    chosen, messages = select_current([path for path in everything(tmp_path) if path.suffix != ".json"])
    assert [(path.name, delivery) for path, delivery, _at in chosen] == [
        ("cur-00001.snappy.parquet", "cur/20260301-20260401"),
        ("cur-00002.snappy.parquet", "cur/20260301-20260401"),
    ]
    assert "cur-00003.snappy.parquet" in messages[0]


def test_equal_exports_of_two_accounts_are_told_apart(tmp_path):
    for account in ("one", "two"):
        data_export(
            tmp_path / account, "cur2", "2026-03", "x" if account == "one" else "y", "y" if account == "one" else "x"
        )
    chosen, _ = select_current(everything(tmp_path))
    assert sorted(relative(tmp_path, chosen)) == [
        "one/cur2/data/BILLING_PERIOD=2026-03/x/cur2-00001.snappy.parquet",
        "two/cur2/data/BILLING_PERIOD=2026-03/y/cur2-00001.snappy.parquet",
    ]


def test_missing_files_are_named_and_nothing_is_dropped_for_a_manifest_without_files(tmp_path):
    legacy(tmp_path)
    (tmp_path / "cur/20260301-20260401/aaaa/cur-2.csv.gz").unlink()
    chosen, messages = select_current(everything(tmp_path))
    assert len(chosen) == 1
    assert any("1 of 2 files" in message and "incomplete" in message for message in messages)
    (tmp_path / "cur/20260301-20260401/aaaa/cur-1.csv.gz").unlink()
    chosen, messages = select_current(everything(tmp_path))
    assert [(path.parent.name, delivery) for path, delivery, _at in chosen] == [("bbbb", None), ("bbbb", None)]
    assert "none of the files" in messages[0]


def test_a_broken_manifest_is_named_and_drops_nothing(tmp_path):
    put(tmp_path / "cur/20260301-20260401/cur-Manifest.json", "{broken")
    put(tmp_path / "cur/20260301-20260401/cur-1.csv.gz")
    chosen, messages = select_current(everything(tmp_path))
    assert [delivery for _, delivery, _at in chosen] == [None]
    assert "cannot be read as a manifest" in messages[0]


def test_files_without_any_manifest_pass_through_in_their_order(tmp_path):
    paths = [put(tmp_path / name) for name in ("b.csv", "a.csv")]
    assert select_current(paths) == ([(paths[0], None, None), (paths[1], None, None)], [])


@pytest.mark.parametrize("folder", [path for path in [SHARED / "aws_legacy_layout"] if path.exists()])
def test_a_real_layout(folder):
    chosen, messages = select_current(files.expand([folder]))
    assert [(path.name, delivery) for path, delivery, _at in chosen] == [
        ("koku-local-1.csv.gz", "koku-local/20180801-20180901")
    ]
    assert messages == []

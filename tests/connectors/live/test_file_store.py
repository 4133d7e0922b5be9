"""Files of a folder and of a bucket (moto's real server): new and changed ones, compared or as pieces."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.live import file_store
from connectors.live.source import Window
from tests.connectors.live.aws_server import KEY_ID, SECRET, Aws, aws_server
from tests.connectors.live.stored import Sync, rows, settings_of, total
from warehouse.errors import InputError, SourceError

NOW = datetime(2026, 4, 10, 12)
HEADER = "date,feature,amount,currency\n"


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with aws_server() as server:
        server.client("s3").create_bucket(Bucket="exports")
        yield server


def sync_of(tmp_path: Path, **options: Any) -> Sync:
    environment = {"ID": KEY_ID, "SECRET": SECRET}
    return Sync(tmp_path / "store", settings_of("files", environment, **options), tmp_path / "fetched")


def put(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_a_folder_whose_file_grows(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    put(folder, "shop/revenue.csv", HEADER + "2026-03-01,search,10,USD\n")
    put(folder, "shop/revenue.csv.tmp", "half")
    put(folder, "people/activity.csv", "date,user_id\n2026-03-01,u1\n")
    sync = sync_of(tmp_path, folder=str(folder))
    sync.run(NOW)
    assert total(sync.store, "revenue", "amount") == 10
    assert len(rows(sync.store, "activity")) == 1
    assert sync.run(NOW) == []
    put(folder, "shop/revenue.csv", HEADER + "2026-03-01,search,10,USD\n2026-03-02,search,5,USD\n")
    assert [item.reason for item in file_store.plan(sync.settings, sync.position, Window(NOW))] == ["changed"]
    sync.run(NOW)
    assert total(sync.store, "revenue", "amount") == 15


def test_two_versions_of_a_month_are_compared_and_pieces_are_not(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    put(folder, "march.csv", HEADER + "2026-03-01,search,10,USD\n2026-03-02,search,20,USD\n")
    put(
        folder,
        "march-final.csv",
        HEADER + "2026-03-01,search,10,USD\n2026-03-02,search,25,USD\n2026-03-03,search,1,USD\n",
    )
    compared = sync_of(tmp_path, folder=str(folder))
    compared.run(NOW)
    assert total(compared.store, "revenue", "amount") in (30, 36)  # one of the two, never both
    apart = sync_of(tmp_path / "apart", folder=str(folder), overlap="pieces", file_kind="revenue")
    apart.run(NOW)
    assert total(apart.store, "revenue", "amount") == 66
    put(folder, "march.csv", HEADER + "2026-03-01,search,1,USD\n")
    apart.run(NOW)
    assert total(apart.store, "revenue", "amount") == 37


def test_objects_of_a_bucket(tmp_path: Path, aws: Aws) -> None:
    aws.put("exports", "revenue/2026-03/part.csv", f"{HEADER}2026-03-01,search,10,USD\n".encode())
    aws.put("exports", "revenue/2026-04/part.csv", f"{HEADER}2026-04-01,search,20,USD\n".encode())
    aws.put("exports", "revenue/_SUCCESS", b"x")
    aws.put("exports", "other/part.csv", b"not,ours\n1,2\n")
    options = {
        "bucket": "exports", "prefix": "revenue/", "endpoint_url": aws.url, "region": "us-east-1", "access_key_id_env": "ID",
        "secret_access_key_env": "SECRET", "overlap": "pieces",
    }  # fmt: skip
    sync = sync_of(tmp_path, **options)
    sync.run(NOW)
    assert total(sync.store, "revenue", "amount") == 30
    aws.put("exports", "revenue/2026-04/part.csv", f"{HEADER}2026-04-01,search,7,USD\n".encode())
    aws.asked.clear()
    sync.run(NOW)
    assert total(sync.store, "revenue", "amount") == 17
    assert len(aws.read("part.csv")) == 1
    (finding,) = file_store.check(sync.settings)
    assert (finding.level, finding.message) == ("fine", "2 data files, 0.0 MB")
    assert "s3:GetObject" in file_store.permissions(sync.settings)


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="either folder or bucket"):
        sync_of(tmp_path).run(NOW)
    with pytest.raises(SourceError, match="is it mounted"):
        sync_of(tmp_path, folder=str(tmp_path / "none")).run(NOW)
    (tmp_path / "empty").mkdir()
    (finding,) = file_store.check(sync_of(tmp_path, folder=str(tmp_path / "empty")).settings)
    assert finding.level == "warning"

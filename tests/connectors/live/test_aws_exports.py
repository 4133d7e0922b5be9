"""AWS bills pulled from S3: against moto's real server, through `percall sync` as its users run it."""

from __future__ import annotations

import gzip
import io
import json
import os
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from connectors.live import objects
from connectors.live.objects import Bucket
from connectors.live.secrets import Secrets
from connectors.live.settings import read_sources
from connectors.live.sync_records import SyncRecords
from tests.connectors.live.aws_server import (
    BROKEN,
    DENIED,
    EXPIRED,
    KEY_ID,
    SECRET,
    TOKEN,
    Aws,
    aws_server,
    bucket_section,
    configured,
)
from tests.operations.command import Answer, percall
from warehouse.configuration import read_configuration

DATA = Path(__file__).resolve().parents[2] / "data"
OCTOBER = DATA / "aws_cur_2018-10.parquet"
OCTOBER_BILLED, OCTOBER_ROWS = Decimal("4064.483131536"), 119_307


@pytest.fixture(scope="module")
def server() -> Iterator[Aws]:
    with aws_server() as aws:
        yield aws


@pytest.fixture
def aws(server: Aws, monkeypatch: pytest.MonkeyPatch) -> Aws:
    """An empty bucket, no faults, and pauses that take no time."""
    server.reset()
    server.client("s3").create_bucket(Bucket="bills")
    server.fault = None
    server.asked.clear()
    for name, value in (("ID", KEY_ID), ("SECRET", SECRET), ("TOKEN", TOKEN)):
        monkeypatch.setenv(f"PERCALL_TEST_{name}", value)
    monkeypatch.setattr(objects.Bucket.__init__, "__defaults__", (None, lambda _seconds: None))
    return server


def lines(period: str, *amounts: str, kind: str = "Usage") -> bytes:
    """A CUR 2.0 file with one line per amount."""
    header = (
        "bill_payer_account_id,bill_billing_period_start_date,line_item_usage_start_date,line_item_usage_end_date,"
        "line_item_line_item_type,line_item_product_code,line_item_usage_type,line_item_unblended_cost,line_item_currency_code,"
        "line_item_usage_account_id,identity_line_item_id\n"
    )
    rows = (
        f"111122223333,{period}-01T00:00:00Z,{period}-0{n % 9 + 1}T00:00:00Z,{period}-0{n % 9 + 1}T01:00:00Z,{kind},AmazonEC2,"
        f"BoxUsage:{n},{amount},USD,111122223333,id{n}\n"
        for n, amount in enumerate(amounts)
    )
    return gzip.compress((header + "".join(rows)).encode())


def deliver(aws: Aws, period: str, files: dict[str, bytes], execution: str = "", data: str | None = None) -> None:
    """A delivery as Data Exports make it: the files, and then the manifest that names them.

    Times in S3 are whole seconds: a manifest that says the same as the one before it comes in a later second, as any real one does.
    """
    folder = f"team/cur/data/BILLING_PERIOD={period}/{execution}"
    for name, body in files.items():
        aws.put("bills", folder + name, body)
    named = [f"s3://bills/{folder}{name}" for name in files]
    manifest = json.dumps({"exportName": "cur", "executionId": execution, "dataFiles": named}).encode()
    key = f"team/cur/metadata/BILLING_PERIOD={period}/{execution}cur-Manifest.json"
    for earlier in aws.client("s3").list_objects_v2(Bucket="bills", Prefix=key).get("Contents", []):
        time.sleep(max(0.0, earlier["LastModified"].timestamp() + 1.01 - time.time()))
    aws.put("bills", key, manifest)


def sync(store: Path, config: Path, *words: str) -> Answer:
    return percall("sync", "--format", "json", *words, store=store, config=config)


def totals(store: Path) -> dict[str, Any]:
    answer = percall("export", "totals", "--format", "json", "--from", "2018-01-01", "--to", "2030-12-31", store=store)
    assert answer.code == 0, answer.err
    return answer.json


def finished(answer: Answer) -> dict[str, Any]:
    (line,) = [line for line in answer.lines if line["event"] == "finished"]
    return line


def test_a_real_bill_in_two_files_is_stored_as_published(aws: Aws, tmp_path: Path) -> None:
    table = pq.read_table(OCTOBER)
    halves = {}
    for name, part in (("cur-1.parquet", table.slice(0, 60_000)), ("cur-2.parquet", table.slice(60_000))):
        out = io.BytesIO()
        pq.write_table(part, out)
        halves[name] = out.getvalue()
    deliver(aws, "2018-10", halves)
    aws.put("bills", "team/cur/data/BILLING_PERIOD=2018-10/leftover-of-an-older-run.parquet", halves["cur-1.parquet"])
    config = configured(tmp_path, bucket_section(aws))
    store = tmp_path / "store"

    planned = percall("sync", "--dry-run", "--format", "json", store=store, config=config)
    assert planned.code == 0, planned.err
    (plan,) = planned.lines
    assert plan["partition"] == "2018-10"
    assert plan["bytes"] == sum(map(len, halves.values()))
    assert not aws.read("/data/")
    assert not (store / "current").exists()

    answer = sync(store, config)
    assert answer.code == 0, answer.err
    loaded = [line for line in answer.lines if line["event"] == "loaded"]
    assert sum(line["rows_in"] for line in loaded) == OCTOBER_ROWS
    assert abs(Decimal(totals(store)["billed"]) - OCTOBER_BILLED) < Decimal("0.00001")
    assert not (store / "fetched").exists()

    aws.asked.clear()
    again = sync(store, config)
    assert again.code == 0
    assert finished(again)["rows_kept"] == 0
    assert not aws.read("/data/")


def test_only_the_changed_period_is_fetched_and_replaces_itself(aws: Aws, tmp_path: Path) -> None:
    deliver(aws, "2026-01", {"cur-1.csv.gz": lines("2026-01", "1.10", "2.20")})
    deliver(
        aws, "2026-02", {"cur-1.csv.gz": lines("2026-02", "4.00"), "cur-2.csv.gz": lines("2026-02", "0.50", "0.25")}
    )
    config, store = configured(tmp_path, bucket_section(aws)), tmp_path / "store"
    assert sync(store, config).code == 0
    assert totals(store)["billed"] == "8.050000000000"
    # AWS restates February: fewer files, other amounts.
    aws.client("s3").delete_object(Bucket="bills", Key="team/cur/data/BILLING_PERIOD=2026-02/cur-2.csv.gz")
    deliver(aws, "2026-02", {"cur-1.csv.gz": lines("2026-02", "6.00", "0.75")})
    aws.asked.clear()
    answer = sync(store, config)
    assert answer.code == 0, answer.err
    assert totals(store)["billed"] == "10.050000000000"
    assert len(aws.read("/data/", "2026-02")) == 1
    assert not aws.read("/data/", "2026-01")


def test_executions_that_are_kept_beside_each_other_count_once(aws: Aws, tmp_path: Path) -> None:
    deliver(aws, "2026-02", {"cur-1.csv.gz": lines("2026-02", "4.00")}, execution="20260214T010000Z-aaaa/")
    config, store = configured(tmp_path, bucket_section(aws)), tmp_path / "store"
    assert sync(store, config).code == 0
    later = {"cur-1.csv.gz": lines("2026-02", "4.00", "5.00")}
    deliver(aws, "2026-02", later, execution="20260215T010000Z-bbbb/")
    assert sync(store, config).code == 0
    assert totals(store)["billed"] == "9.000000000000"


def test_a_legacy_report_follows_the_manifest_of_its_period(aws: Aws, tmp_path: Path) -> None:
    period = "team/cur/20260201-20260301"
    for assembly, amounts in (("old", ("1.00",)), ("new", ("2.00", "3.00"))):
        key = f"{period}/{assembly}/cur-1.csv.gz"
        aws.put("bills", key, lines("2026-02", *amounts))
        manifest = json.dumps({"assemblyId": assembly, "reportName": "cur", "reportKeys": [key]}).encode()
        aws.put("bills", f"{period}/{assembly}/cur-Manifest.json", manifest)
        aws.put("bills", f"{period}/cur-Manifest.json", manifest)
    config, store = configured(tmp_path, bucket_section(aws)), tmp_path / "store"
    answer = sync(store, config)
    assert answer.code == 0, answer.err
    assert totals(store)["billed"] == "5.000000000000"


def test_focus_exports_are_recognised_by_their_columns(aws: Aws, tmp_path: Path) -> None:
    deliver(aws, "2024-09", {"cur-1.csv.gz": (DATA / "focus" / "focus_1.0_2024-09_aws_oracle.csv.gz").read_bytes()})
    config, store = configured(tmp_path, bucket_section(aws)), tmp_path / "store"
    answer = sync(store, config)
    assert answer.code == 0, answer.err
    assert {line["kind"] for line in answer.lines if line["event"] == "loaded"} == {"focus"}
    assert totals(store)["billed"] == "18.543712543130"


def test_an_overwrite_during_the_read_is_noticed_and_read_again(aws: Aws, tmp_path: Path) -> None:
    deliver(aws, "2026-02", {"cur-1.csv.gz": lines("2026-02", "1.00"), "cur-2.csv.gz": lines("2026-02", "2.00")})
    overwritten = False

    def overwrite(method: str, path: str) -> None:
        nonlocal overwritten
        if method == "GET" and path.endswith("cur-2.csv.gz") and not overwritten:
            overwritten = True  # the first file has been fetched already
            deliver(
                aws, "2026-02", {"cur-1.csv.gz": lines("2026-02", "10.00"), "cur-2.csv.gz": lines("2026-02", "20.00")}
            )

    aws.fault = overwrite
    config, store = configured(tmp_path, bucket_section(aws)), tmp_path / "store"
    answer = sync(store, config)
    assert answer.code == 0, answer.err
    assert overwritten
    assert totals(store)["billed"] == "30.000000000000"


def test_a_delivery_that_never_stands_still_is_left_for_the_next_sync(aws: Aws, tmp_path: Path) -> None:
    deliver(aws, "2026-01", {"cur-1.csv.gz": lines("2026-01", "1.00")})
    deliver(aws, "2026-02", {"cur-1.csv.gz": lines("2026-02", "1.00")})
    turns = iter(range(100))

    def overwrite(method: str, path: str) -> None:
        if method == "HEAD" and "2026-02" in path and path.endswith("cur-1.csv.gz"):
            deliver(aws, "2026-02", {"cur-1.csv.gz": lines("2026-02", f"1.{next(turns):02d}")})

    aws.fault = overwrite
    config, store = configured(tmp_path, bucket_section(aws)), tmp_path / "store"
    answer = sync(store, config)
    assert answer.code == 2
    assert finished(answer)["retry"]
    assert "being rewritten" in answer.err
    assert totals(store)["billed"] == "1.000000000000"


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (EXPIRED, "the credentials have expired"),
        (DENIED, "needed is s3:ListBucket on arn:aws:s3:::bills"),
        (BROKEN, "AWS is disturbed or asked too often (InternalError"),
    ],
    ids=["expired", "denied", "broken"],
)
def test_what_aws_refuses_is_a_sentence(aws: Aws, tmp_path: Path, verdict: tuple[int, bytes], words: str) -> None:
    deliver(aws, "2026-01", {"cur-1.csv.gz": lines("2026-01", "1.00")})
    aws.fault = lambda _method, _path: verdict
    config, store = configured(tmp_path, bucket_section(aws)), tmp_path / "store"
    answer = sync(store, config)
    assert answer.code == 2
    assert words in answer.err
    assert "Traceback" not in answer.err
    assert finished(answer)["retry"] is (verdict is BROKEN)


def test_what_passes_is_asked_again(aws: Aws, tmp_path: Path) -> None:
    deliver(aws, "2026-01", {"cur-1.csv.gz": lines("2026-01", "1.00", *["0.01"] * 500)})
    verdicts = iter([BROKEN, None, BROKEN, None, "truncated", "truncated", "truncated"])

    def fail(method: str, path: str) -> Any:
        return next(verdicts, None)

    aws.fault = fail
    config, store = configured(tmp_path, bucket_section(aws)), tmp_path / "store"
    answer = sync(store, config)
    assert answer.code == 0, answer.err
    assert totals(store)["billed"] == "6.000000000000"


def test_a_listing_of_many_pages_is_read_to_its_end(aws: Aws, tmp_path: Path) -> None:
    for number in range(1, 1101):
        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].put_object("bills", f"many/{number:05d}", b"x")
    config = configured(tmp_path, bucket_section(aws))
    (settings,), _ = read_sources(read_configuration(config), Secrets())
    bucket = Bucket(settings)
    assert [one.key for one in bucket.objects("many/")] == [f"many/{number:05d}" for number in range(1, 1101)]
    assert [one.key for one in bucket.objects("many/", after="many/01098")] == ["many/01099", "many/01100"]


def test_a_broken_file_of_a_delivery_keeps_the_period_that_was_there(aws: Aws, tmp_path: Path) -> None:
    deliver(aws, "2026-02", {"cur-1.csv.gz": lines("2026-02", "4.00"), "cur-2.csv.gz": lines("2026-02", "1.00")})
    config, store = configured(tmp_path, bucket_section(aws)), tmp_path / "store"
    assert sync(store, config).code == 0
    deliver(aws, "2026-02", {"cur-1.csv.gz": lines("2026-02", "9.00"), "cur-2.csv.gz": lines("2026-02", "1.00")[:-20]})
    answer = sync(store, config)
    assert answer.code == 2
    assert "cur-2.csv.gz of the same delivery cannot be read" in answer.err
    assert totals(store)["billed"] == "5.000000000000"
    deliver(aws, "2026-02", {"cur-1.csv.gz": lines("2026-02", "9.00"), "cur-2.csv.gz": lines("2026-02", "2.00")})
    assert sync(store, config).code == 0
    assert totals(store)["billed"] == "11.000000000000"


def test_since_reads_again_what_did_not_change(aws: Aws, tmp_path: Path) -> None:
    deliver(aws, "2026-01", {"cur-1.csv.gz": lines("2026-01", "1.00")})
    deliver(aws, "2026-02", {"cur-1.csv.gz": lines("2026-02", "2.00")})
    config, store = configured(tmp_path, bucket_section(aws)), tmp_path / "store"
    assert sync(store, config).code == 0
    aws.asked.clear()
    assert sync(store, config, "--since", "2026-02-10").code == 0
    assert [path.rsplit("/", 2)[-2:] for path in aws.read("/data/")] == [["BILLING_PERIOD%3D2026-02", "cur-1.csv.gz"]]
    assert totals(store)["billed"] == "3.000000000000"


def copied(aws: Aws, folder: Path) -> None:
    """The bucket as `aws s3 sync` copies it: times of change are kept."""
    s3 = aws.client("s3")
    for entry in s3.list_objects_v2(Bucket="bills")["Contents"]:
        path = folder / entry["Key"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(s3.get_object(Bucket="bills", Key=entry["Key"])["Body"].read())
        at = entry["LastModified"].timestamp()
        os.utime(path, (at, at))


def test_an_older_delivery_that_is_loaded_later_takes_no_newer_ones_place(aws: Aws, tmp_path: Path) -> None:
    config, store = configured(tmp_path, bucket_section(aws)), tmp_path / "store"
    deliver(aws, "2026-02", {"cur-1.csv.gz": lines("2026-02", "4.00")})
    copied(aws, tmp_path / "old")
    deliver(aws, "2026-02", {"cur-1.csv.gz": lines("2026-02", "4.00", "5.00")})
    assert sync(store, config).code == 0
    assert totals(store)["billed"] == "9.000000000000"
    by_hand = percall("load", tmp_path / "old", store=store)
    assert by_hand.code == 0
    assert [line["status"] for line in by_hand.lines] == ["superseded"]
    assert "of a delivery made later" in by_hand.err
    assert totals(store)["billed"] == "9.000000000000"
    assert percall("load", "--replace", tmp_path / "old", store=store).code == 0
    assert totals(store)["billed"] == "4.000000000000"


def test_two_exports_of_one_payer_add_up_and_do_not_replace_each_other(aws: Aws, tmp_path: Path) -> None:
    """Each of two member accounts exports its own lines; the payer is the same."""
    deliver(aws, "2026-02", {"cur-1.csv.gz": lines("2026-02", "4.00", "1.00")})
    other = gzip.compress(
        gzip.decompress(lines("2026-02", "7.00"))
        .replace(b",111122223333,id", b",999988887777,id")
        .replace(b"BoxUsage", b"Other")
    )
    aws.put("bills", "team/b/data/BILLING_PERIOD=2026-02/b-1.csv.gz", other)
    manifest = {"exportName": "b", "dataFiles": ["s3://bills/team/b/data/BILLING_PERIOD=2026-02/b-1.csv.gz"]}
    aws.put("bills", "team/b/metadata/BILLING_PERIOD=2026-02/b-Manifest.json", json.dumps(manifest).encode())
    config, store = (
        configured(tmp_path, bucket_section(aws, "a"), bucket_section(aws, "b", export="b")),
        tmp_path / "store",
    )
    assert sync(store, config).code == 0
    assert totals(store)["billed"] == "12.000000000000"
    deliver(aws, "2026-02", {"cur-1.csv.gz": lines("2026-02", "4.00", "2.00")})
    answer = sync(store, config)
    assert answer.code == 0, answer.err
    assert totals(store)["billed"] == "13.000000000000"


def test_another_place_under_the_same_name_is_read_from_its_beginning(aws: Aws, tmp_path: Path) -> None:
    deliver(aws, "2026-01", {"cur-1.csv.gz": lines("2026-01", "1.00")})
    store = tmp_path / "store"
    assert sync(store, configured(tmp_path, bucket_section(aws))).code == 0
    assert SyncRecords(store).position("aws", "aws-export")["place"] == "s3://bills/team/cur/"
    elsewhere = configured(tmp_path, bucket_section(aws, export="other"))
    answer = sync(store, elsewhere)
    assert answer.code == 0
    assert finished(answer)["batches"] == 0


def test_the_policy_allows_no_more_than_the_export(tmp_path: Path, aws: Aws) -> None:
    config = configured(tmp_path, bucket_section(aws))
    answer = percall("doctor", "--permissions", store=tmp_path / "store", config=config)
    policy = json.loads(answer.out[answer.out.index(b"{") :])
    assert {action for statement in policy["Statement"] for action in statement["Action"]} == {
        "s3:ListBucket",
        "s3:GetObject",
    }
    assert policy["Statement"][1]["Resource"] == ["arn:aws:s3:::bills/team/cur/*"]


def test_secrets_stand_nowhere(aws: Aws, tmp_path: Path) -> None:
    deliver(aws, "2026-01", {"cur-1.csv.gz": lines("2026-01", "1.00")})
    config, store = configured(tmp_path, bucket_section(aws)), tmp_path / "store"
    answers = [sync(store, config), percall("doctor", "--format", "json", store=store, config=config)]
    leak = f"<Error><Code>Weird</Code><Message>{SECRET} and {TOKEN}</Message></Error>".encode()
    aws.fault = lambda _method, _path: (400, leak)
    answers += [sync(store, config), percall("doctor", store=store, config=config)]
    answers += [percall("export", view, "--format", "json", store=store, config=config) for view in ("loads", "audit")]
    assert answers[0].code == 0
    assert answers[2].code == 2
    written = [path for path in store.rglob("*") if path.is_file()]
    assert any(path.name == "state.sqlite" for path in written)
    for secret in (SECRET, TOKEN):
        assert not any(secret in answer.err or secret.encode() in answer.out for answer in answers)
        assert not [path for path in written if secret.encode() in path.read_bytes()]
    for path in store.glob("facts/*.duckdb"):
        with duckdb.connect(str(path), read_only=True) as connection:
            for (table,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall():
                text = str(connection.execute(f"SELECT * FROM {table}").fetchall())
                assert SECRET not in text

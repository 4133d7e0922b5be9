"""Publishing for Spark into an object store (S3's interface on loopback): the same parts as in a folder, and a refusal in words."""

from __future__ import annotations

import io
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer

from tests.engines.test_publishing import two_months
from warehouse.configuration import Configuration
from warehouse.engines.engine import Publication
from warehouse.engines.publishing import publish
from warehouse.engines.reading import connected
from warehouse.engines.settings import engine_settings
from warehouse.errors import StoreError


class Objects:
    """S3 on loopback with one bucket per test, as the environment of this process names it."""

    def __init__(self, client: Any, bucket: str) -> None:
        self.client, self.bucket = client, bucket
        self.configuration = on_objects(bucket)

    def names(self) -> list[str]:
        """Every object but those that stand for folders."""
        found = self.client.list_objects_v2(Bucket=self.bucket)["Contents"]
        return sorted(entry["Key"] for entry in found if not entry["Key"].endswith("/"))

    def body(self, key: str) -> bytes:
        """An object's content."""
        content: bytes = self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return content


def on_objects(bucket: str) -> Configuration:
    """A configuration as an owner writes it."""
    return Configuration(engine={"connection": f"spark://master:7077?location=s3://{bucket}/percall"})


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """A client of the server, to which this process's environment leads while the module runs."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    named = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "of-the-tests", "AWS_SECRET_ACCESS_KEY": "of-the-tests",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for name, value in named.items():
            patch.setenv(name, value)
        yield boto3.client("s3")
    server.stop()


@pytest.fixture
def objects(client: Any, request: pytest.FixtureRequest) -> Objects:
    """A bucket of the test's own."""
    bucket = f"test-{abs(hash(request.node.name))}"
    client.create_bucket(Bucket=bucket)
    return Objects(client, bucket)


def test_the_same_parts_as_in_a_folder(objects: Objects, tmp_path: Path) -> None:
    store = two_months(tmp_path / "store")
    done = publish(store, objects.configuration)
    folder = tmp_path / "published"
    publish(store, Configuration(engine={"connection": f"local[1]?location={folder}"}))
    there = objects.names()
    assert there == sorted(f"percall/{file.relative_to(folder)}" for file in folder.rglob("*") if file.is_file())
    assert objects.body("percall/current").decode() == done.publication.publication_id
    announced = objects.body(f"percall/publications/{done.publication.publication_id}.json").decode()
    assert Publication.from_json(announced) == done.publication
    rows = 0
    for key in there:
        if key.endswith(".parquet"):
            part = pq.read_table(io.BytesIO(objects.body(key)))
            assert part.equals(pq.read_table(folder / key.removeprefix("percall/"), partitioning=None))
            rows += part.num_rows
    assert rows == done.rows > 0


def test_another_engine_reads_them_where_they_lie(
    objects: Objects, tmp_path: Path, on_clickhouse: Configuration
) -> None:
    """As a cluster would, by their addresses, with keys: every row, and the money to the last digit."""
    store = two_months(tmp_path / "store")
    parts = publish(store, objects.configuration).publication.parts
    reader = connected(engine_settings(on_clickhouse))  # type: ignore[arg-type]
    server, keys = objects.client.meta.endpoint_url, "'of-the-tests', 'of-the-tests'"
    for table, amount, total in (("calls", "cost", "3.5"), ("charges", "BilledCost", "16")):
        files = f"{server}/{objects.bucket}/percall/{table}/{{{','.join(parts[table])}}}/part.parquet"
        sums = f"SELECT count() AS rows, sum({amount}) AS amount FROM s3('{files}', {keys}, 'Parquet')"
        assert reader.arrow(sums).to_pylist() == [{"rows": 2, "amount": Decimal(total)}]


def test_what_is_replaced_is_removed_when_nobody_needs_it(objects: Objects, tmp_path: Path) -> None:
    store = two_months(tmp_path / "store")
    first = publish(store, objects.configuration)
    for cost in ("3", "4", "5"):
        two_months(store, may=cost)
        last = publish(store, objects.configuration)
    settings = engine_settings(objects.configuration)
    assert settings
    known = connected(settings).publications()
    assert (known[0], len(known), first.publication in known) == (last.publication, 3, False)
    named = {
        f"percall/{table}/{part}/part.parquet" for one in known for table, parts in one.parts.items() for part in parts
    }
    assert {key for key in objects.names() if key.endswith(".parquet")} == named


def test_a_bucket_that_is_missing_is_said(objects: Objects, tmp_path: Path) -> None:
    assert objects
    with pytest.raises(StoreError, match=r"no-such-bucket/percall.* cannot be (read|written)"):
        publish(two_months(tmp_path / "store"), on_objects("no-such-bucket"))

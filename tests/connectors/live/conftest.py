"""Fixtures of sources that read objects from a bucket, and of spans that are sent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors.live import objects
from tests.connectors.live.aws_server import Aws, aws_server
from tests.connectors.live.pulled import Pull
from tests.connectors.live.spans import client
from tests.connectors.live.stored import Sync

__all__ = ["bucket", "client", "pull", "server"]


@pytest.fixture(scope="module")
def server() -> Iterator[Aws]:
    """A server of AWS's services, one a module."""
    with aws_server() as aws:
        yield aws


@pytest.fixture
def bucket(server: Aws, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Aws:
    """The module's `BUCKET`, empty; no faults, and pauses that take no time."""
    name, s3 = request.module.BUCKET, server.client("s3")
    if name in {found["Name"] for found in s3.list_buckets()["Buckets"]}:
        for entry in s3.list_objects_v2(Bucket=name).get("Contents", ()):
            s3.delete_object(Bucket=name, Key=entry["Key"])
    else:
        s3.create_bucket(Bucket=name)
    server.fault = None
    server.asked.clear()
    monkeypatch.setattr(objects.Bucket.__init__, "__defaults__", (None, lambda _seconds: None))
    return server


@pytest.fixture
def pull(sync: Sync) -> Pull:
    """What the module's `sync` would fetch, without loading it."""
    return Pull(sync.settings, sync.folder)

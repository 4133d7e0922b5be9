"""Objects in a bucket of S3 or something compatible: listed, read and downloaded, whole and of one version.

An object may be replaced while it is read: `download` answers with the ETag of what it wrote, and with `etag` given refuses another version
(`Changed`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from connectors.live.aws_session import ACCESS, client, translated
from connectors.live.requests import attempts
from connectors.live.source import Option, Progress, SourceSettings
from warehouse.errors import SourceError

BUCKET: tuple[Option, ...] = (Option("bucket", "name of the bucket", '"my-bucket"', required=True), *ACCESS)
"""Options of every source that reads a bucket."""

_CHUNK = 1024 * 1024
_Answer = TypeVar("_Answer")


class Changed(SourceError):  # noqa: N818 - it happens, and is read again
    """An object was replaced or removed while it was read."""


@dataclass(frozen=True)
class StoredObject:
    """One object: its key, bytes, ETag (without quotes) and time of its last change (UTC)."""

    key: str
    size: int
    etag: str
    modified: datetime


class Bucket:
    """A bucket, read with the credentials of a source. All methods raise SourceError (`retry` where waiting helps)."""

    def __init__(
        self, settings: SourceSettings, progress: Progress | None = None, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self.name = str(settings.options["bucket"])
        self._settings = settings
        self._progress = progress or (lambda _message, _share: None)
        self._pause = pause
        self._client = client(settings, "s3")

    def objects(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        """Every object below a prefix, in the order of their keys, those up to the key `after` left out."""
        more = {"StartAfter": after} if after else {}
        for page in self._pages(prefix, more):
            for entry in page.get("Contents", ()):
                yield StoredObject(entry["Key"], int(entry["Size"]), _etag(entry), _utc(entry["LastModified"]))

    def folders(self, prefix: str) -> list[str]:
        """The folders directly below a prefix (which ends with a slash), as prefixes."""
        pages = self._pages(prefix, {"Delimiter": "/"})
        return [entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", ())]

    def _pages(self, prefix: str, more: dict[str, str]) -> Iterator[dict[str, Any]]:
        token: dict[str, str] = {}
        while True:
            page = self._ask(
                partial(self._client.list_objects_v2, Bucket=self.name, Prefix=prefix, **more, **token),
                f"listing s3://{self.name}/{prefix}",
                f"s3:ListBucket on arn:aws:s3:::{self.name}",
            )
            yield page
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def head(self, key: str) -> StoredObject | None:
        """What is known of an object without reading it; None when there is none."""

        def ask() -> Any:
            try:
                return self._client.head_object(Bucket=self.name, Key=key)
            except self._client.exceptions.ClientError as error:
                if error.response.get("Error", {}).get("Code") in ("404", "NoSuchKey", "NotFound"):
                    return None
                raise

        entry = self._ask(ask, f"looking at s3://{self.name}/{key}", self._reading(key))
        if entry is None:
            return None
        return StoredObject(key, int(entry["ContentLength"]), _etag(entry), _utc(entry["LastModified"]))

    def read(self, key: str) -> tuple[bytes, StoredObject]:
        """The bytes of an object, and which version they are of. Raises Changed when there is none."""

        def ask() -> tuple[bytes, StoredObject]:
            entry = self._get(key)
            raw = entry["Body"].read()
            return raw, StoredObject(key, len(raw), _etag(entry), _utc(entry["LastModified"]))

        return self._ask(ask, f"reading s3://{self.name}/{key}", self._reading(key))

    def download(self, key: str, target: Path, etag: str | None = None) -> StoredObject:
        """Write an object into a file, which exists only when it is whole. Raises Changed when it is gone, or is not the version `etag`."""
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")

        def ask() -> StoredObject:
            entry = self._get(key)
            if etag is not None and _etag(entry) != etag:
                entry["Body"].close()
                raise Changed(
                    f"{self._settings.name}: s3://{self.name}/{key} was replaced while it was read", retry=True
                )
            size = int(entry["ContentLength"])
            done = 0
            with part.open("wb") as out:
                for chunk in entry["Body"].iter_chunks(_CHUNK):
                    out.write(chunk)
                    done += len(chunk)
                    self._progress(
                        f"fetching {key.rsplit('/', 1)[-1]}: {done / 1e6:,.1f} of {size / 1e6:,.1f} MB", None
                    )
            return StoredObject(key, done, _etag(entry), _utc(entry["LastModified"]))

        try:
            found = self._ask(ask, f"reading s3://{self.name}/{key}", self._reading(key))
            part.replace(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        return found

    def _get(self, key: str) -> Any:
        try:
            return self._client.get_object(Bucket=self.name, Key=key)
        except self._client.exceptions.ClientError as error:
            if error.response.get("Error", {}).get("Code") in ("404", "NoSuchKey", "NotFound"):
                raise Changed(
                    f"{self._settings.name}: there is no s3://{self.name}/{key} (any more)", retry=True
                ) from error
            raise

    def _reading(self, key: str) -> str:
        return f"s3:GetObject on arn:aws:s3:::{self.name}/{key}"

    def _ask(self, ask: Callable[[], _Answer], doing: str, needed: str) -> _Answer:
        def guarded() -> _Answer:
            with translated(self._settings, doing, needed):
                return ask()

        answer: _Answer = attempts(
            guarded, f"{self._settings.name}: {doing}", self._progress, self._settings.patience, pause=self._pause
        )
        return answer


def reading_policy(bucket: str, prefixes: Sequence[str], actions: Sequence[str] = ()) -> dict[str, Any]:
    """The least IAM policy for reading these prefixes of a bucket; `actions` are further ones, on everything."""
    statements: list[dict[str, Any]] = [
        {
            "Sid": "List", "Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": [f"arn:aws:s3:::{bucket}"],
            "Condition": {"StringLike": {"s3:prefix": [f"{prefix}*" for prefix in prefixes]}},
        },
        {
            "Sid": "Read", "Effect": "Allow", "Action": ["s3:GetObject"],
            "Resource": [f"arn:aws:s3:::{bucket}/{prefix}*" for prefix in prefixes],
        },
    ]  # fmt: skip
    if actions:
        statements.append({"Sid": "Further", "Effect": "Allow", "Action": list(actions), "Resource": "*"})
    return {"Version": "2012-10-17", "Statement": statements}


def _etag(entry: Any) -> str:
    return str(entry["ETag"]).strip('"')


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)

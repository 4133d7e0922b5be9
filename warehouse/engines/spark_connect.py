"""Spark Connect (sc://host:15002): a session over the network, without Java on this machine."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from warehouse.errors import StoreError

CONNECT = "sc://"
_PORT = 15002
_CONNECTS_WITHIN = 10.0
"""Seconds for the server to be reached at all."""

_MOST_RETRIES = 5
"""17 seconds of waiting, each wait four times the one before; PySpark itself tries for ten minutes, while a page waits."""

_AWAY = (
    "UNAVAILABLE",
    "SESSION_NOT_FOUND",
    "SESSION_CLOSED",
    "SESSION_CHANGED",
    "NO_ACTIVE_SESSION",
    "RETRIES_EXCEEDED",
)
"""What an error says when the server is gone, or was begun anew and knows nothing of the session."""


def connected(url: str, settings: Mapping[str, str]) -> Any:
    """A session with the server. Raises StoreError when the client's part of PySpark is not installed, OSError when nobody listens there."""
    missing = [name for name in ("pyspark", "grpc", "zstandard") if find_spec(name) is None]
    if missing:
        raise StoreError(f"Spark Connect's client lacks {missing[0]}: `pip install 'pyspark[connect]'`")
    from pyspark.sql.connect.client.retries import DefaultPolicy  # noqa: PLC0415 - installed by few
    from pyspark.sql.connect.session import SparkSession  # noqa: PLC0415

    parts = urlsplit(url.partition(";")[0])
    socket.create_connection((parts.hostname or "", parts.port or _PORT), _CONNECTS_WITHIN).close()
    builder: Any = SparkSession.builder
    builder = builder.remote(url)
    for name, value in settings.items():
        builder = builder.config(name, value)
    # One of its own: PySpark's entry for both kinds would hand out another server's, or refuse beside a session of Java.
    session = builder.create()
    session.client.set_retry_policies([DefaultPolicy(max_retries=_MOST_RETRIES)])
    return session


def is_away(error: BaseException) -> bool:
    """Whether an error of Spark Connect says that the session is gone, and not that a question is wrong."""
    if not type(error).__module__.endswith(".connect"):
        return False
    return any(word in str(error) for word in _AWAY)

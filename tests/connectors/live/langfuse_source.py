"""A source of Langfuse that tests sync, and what its server was asked for."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from tests.connectors.live.loopback import Loopback
from tests.connectors.live.pulled import Pull
from tests.connectors.live.stored import Sync, settings_of
from tests.fakes.langfuse_server import PUBLIC, SECRET

NOW = datetime(2026, 11, 24, 9)

KEYS = {"LF_PUBLIC": PUBLIC, "LF_SECRET": SECRET}


def make_sync(service: Loopback, folder: Path, **options: Any) -> Sync:
    keys = {"public_key_env": "LF_PUBLIC", "secret_key_env": "LF_SECRET"}
    settings = settings_of("langfuse", KEYS, **({"host": service.url, "history_days": 3} | keys | options))
    return Sync(folder / "store", settings, folder / "fetched")


def make_pull(service: Loopback, folder: Path, **options: Any) -> Pull:
    sync = make_sync(service, folder, **options)
    return Pull(sync.settings, sync.folder)

"""The engine that `percall.toml` names: where the published tables lie and who may read them. In one line:

engine = "clickhouse://percall@clickhouse:8123/percall?password_env=CLICKHOUSE_PASSWORD"     # clickhouses:// over TLS; chdb:/folder
engine = "spark://master:7077?location=/shared/percall&spark.executor.memory=8g"             # or sc://host:15002?..., local[2]?...

or as a section:

[engine]
kind = "clickhouse"                    # or "spark"; "duckdb" (the default) is this machine
url = "http://clickhouse:8123"         # Spark: "spark://host:7077", "sc://host:15002" or "local[2]"
database = "percall"                   # ClickHouse
location = "/shared/percall"           # Spark: a folder that every worker sees
user = "percall"                       # ClickHouse
password_env = "CLICKHOUSE_PASSWORD"   # name of the environment variable, never the password
publish = true                         # after every load and sync
options = { "spark.executor.memory" = "8g" }
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from warehouse.configuration import Configuration
from warehouse.errors import InputError

DUCKDB, CLICKHOUSE, SPARK = "duckdb", "clickhouse", "spark"
KINDS = (DUCKDB, CLICKHOUSE, SPARK)

_TEXTS = ("kind", "url", "database", "location", "user", "password_env")
_KNOWN = (*_TEXTS, "publish", "options")
_CONNECTIONS = (
    'engine = "clickhouse://user@host:8123/database" or engine = "spark://master:7077?location=/shared/percall"'
)


@dataclass(frozen=True)
class EngineSettings:
    """What [engine] says, checked. `options` are settings of the engine itself, handed on as they stand."""

    kind: str
    url: str
    database: str = "percall"
    location: str = ""
    user: str = ""
    password_env: str = ""
    publish: bool = True
    options: Mapping[str, str] = field(default_factory=dict)

    def password(self) -> str:
        """The password out of the environment; empty where none is configured. Raises InputError when the variable is not set."""
        if not self.password_env:
            return ""
        try:
            return os.environ[self.password_env]
        except KeyError:
            raise InputError(
                f"[engine] password_env names {self.password_env}, which is not set: export it first"
            ) from None


def engine_settings(configuration: Configuration) -> EngineSettings | None:
    """The engine that the owner configured; None where it is DuckDB on this machine.

    Raises InputError that says which entry of [engine] is wrong and how it is written.
    """
    file = str(configuration.path) if configuration.path else None
    raw = _expanded(configuration.engine, file)
    if not raw or raw.get("kind", DUCKDB) == DUCKDB:
        return None
    unknown = sorted(set(raw) - set(_KNOWN))
    if unknown:
        raise InputError(f"unknown setting {unknown[0]!r} in [engine]; known are {', '.join(_KNOWN)}", file=file)
    for name in _TEXTS:
        if name in raw and not (isinstance(raw[name], str) and raw[name]):
            raise InputError(f"{raw[name]!r} cannot be used; write it between quotes", file=file, column=name)
    kind = raw["kind"]
    if kind not in KINDS:
        raise InputError(f"there is no engine {kind!r}; choose {', '.join(KINDS)}", file=file, column="kind")
    if not isinstance(raw.get("publish", True), bool):
        raise InputError("write publish = true or publish = false", file=file, column="publish")
    _require_place(kind, raw, file)
    return EngineSettings(**{**raw, "options": _options(raw, file)})


def _expanded(raw: Mapping[str, Any], file: str | None) -> dict[str, Any]:
    """The entries of [engine], with what its connection string says in their place."""
    entries = dict(raw)
    text = entries.pop("connection", None)
    if text is None:
        return entries
    if not isinstance(text, str):
        raise InputError(f"write {_CONNECTIONS}", file=file, column="connection")
    told = _of_connection(text, file)
    return {**told, **entries, "options": told.get("options", {}) | _options(entries, file)}


def _of_connection(text: str, file: str | None) -> dict[str, Any]:
    if text.partition(":")[0] == DUCKDB:
        return {}
    address, _, query = text.partition("?")
    told: dict[str, Any] = {}
    options: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        (told if name in (*_TEXTS[2:], "publish") else options)[name] = value
    if told.get("publish") in ("true", "false"):
        told["publish"] = told["publish"] == "true"
    if address.startswith("chdb:"):
        told |= {"kind": CLICKHOUSE, "url": address}
    elif address.startswith(("clickhouse://", "clickhouses://")):
        told = _of_clickhouse(address, file) | told
    elif address.startswith(("spark://", "sc://", "local")):
        told |= {"kind": SPARK, "url": address}
    else:
        raise InputError(f"{address!r} names no engine; write {_CONNECTIONS}", file=file, column="engine")
    return {**told, "options": options}


def _of_clickhouse(address: str, file: str | None) -> dict[str, Any]:
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InputError(
            f"{address!r} is no address ({error}); write {_CONNECTIONS}", file=file, column="engine"
        ) from None
    if parts.password is not None:
        raise InputError(
            "a password does not belong into this file: export it, and name the variable, as in "
            "clickhouse://user@host:8123/database?password_env=CLICKHOUSE_PASSWORD",
            file=file,
            column="engine",
        )
    if not host:
        raise InputError(f"{address!r} names no host; write {_CONNECTIONS}", file=file, column="engine")
    is_secure = parts.scheme == "clickhouses"
    host = f"[{host}]" if ":" in host else host
    told = {
        "kind": CLICKHOUSE,
        "url": f"{'https' if is_secure else 'http'}://{host}:{port or (8443 if is_secure else 8123)}",
    }
    if parts.username:
        told["user"] = unquote(parts.username)
    if parts.path.strip("/"):
        told["database"] = parts.path.strip("/")
    return told


def _require_place(kind: str, raw: Mapping[str, Any], file: str | None) -> None:
    forms = {
        CLICKHOUSE: (
            r"https?://.+|chdb:.*",
            'url = "http://host:8123" (or "chdb:/folder" for ClickHouse inside Percall)',
        ),
        SPARK: (r"(spark|sc|local).*", 'url = "spark://host:7077", "sc://host:15002" or "local[2]"'),
    }
    pattern, example = forms[kind]
    if not re.fullmatch(pattern, raw.get("url", "")):
        raise InputError(f"{kind} needs an address: {example}", file=file, column="url")
    if kind == SPARK and "location" not in raw:
        raise InputError(
            'spark needs a folder that every worker sees: location = "/shared/percall"', file=file, column="location"
        )
    if kind == CLICKHOUSE and not re.fullmatch(r"[A-Za-z_]\w*", raw.get("database", "percall")):
        raise InputError("the name of a database has letters, digits and underscores", file=file, column="database")


def _options(raw: Mapping[str, Any], file: str | None) -> dict[str, str]:
    options = raw.get("options", {})
    if not isinstance(options, dict) or not all(isinstance(value, str | int | bool) for value in options.values()):
        raise InputError('write options = { "spark.executor.memory" = "8g" }', file=file, column="options")
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in options.items()}

"""The kinds of live sources and the module of each, imported only when it is asked for.

A module that cannot be imported (a package that is not installed) takes away its own kind and no other.
"""

from __future__ import annotations

import importlib
from typing import cast

from connectors.live.source import LiveSource
from warehouse.errors import InputError

MODULES = {
    "aws-export": "aws_exports",
    "aws-cost-explorer": "aws_cost_explorer",
    "aws-cloudwatch": "aws_cloudwatch",
    "bigquery": "bigquery",
    "gcp-catalog": "gcp_catalog",
    "langfuse": "langfuse",
    "langfuse-export-bucket": "langfuse_bucket",
    "litellm-bucket": "litellm_bucket",
    "litellm-database": "litellm_database",
    "litellm-api": "litellm_api",
    "otlp": "otlp_spool",
    "openai-admin": "openai_admin",
    "anthropic-admin": "anthropic_admin",
    "prometheus": "prometheus",
    "stripe": "stripe",
    "sql": "sql",
    "files": "file_store",
}
"""Kind, as it is written in `percall.toml`, and its module below `connectors.live`."""


def live_source(kind: str) -> LiveSource:
    """The module that pulls sources of this kind.

    Raises InputError for an unknown kind, and for one whose module or a package that it needs is not installed (the sentence says which).
    """
    name = MODULES.get(kind)
    if name is None:
        raise InputError(f"unknown kind of source {kind!r}; known are {', '.join(sorted(MODULES))}")
    try:
        module = importlib.import_module(f"connectors.live.{name}")
    except ModuleNotFoundError as error:
        if error.name == f"connectors.live.{name}":
            raise InputError(f"sources of kind {kind!r} are not part of this installation") from error
        raise InputError(
            f"sources of kind {kind!r} need the package {error.name!r}, which is not installed: run `make setup` in Percall's folder again"
        ) from error
    return cast(LiveSource, module)


def kinds() -> tuple[str, ...]:
    """The kinds that can be written in `percall.toml`, in order of the alphabet."""
    return tuple(sorted(MODULES))

"""OpenAI's organization: what it cost by day, project and line item, and the tokens by day, model, project and key.

Endpoints `/organization/costs` and `/organization/usage/{completions,embeddings}` of the Admin API (platform.openai.com/docs/api-reference/usage).
Costs are the bill; usage has no amounts and explains it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC
from pathlib import Path

from connectors.live import trailing
from connectors.live.admin_reports import Provider, Report
from connectors.live.requests import Service
from connectors.live.source import Batch, Finding, Option, Planned, Position, Progress, SourceSettings, Window

KIND = "openai-admin"
TITLE = "OpenAI: costs and usage of the organization"
OPTIONS: Sequence[Option] = (
    Option("key_env", "variable with an Admin API key that may read usage", '"OPENAI_ADMIN_KEY"', required=True, secret=True),
    Option("host", "address of the API", '"https://api.openai.com/v1"', default="https://api.openai.com/v1"),
    replace(trailing.REREAD, default=3, example="3"),
    replace(trailing.HISTORY, default=180, example="180"),
)  # fmt: skip
GRANT = "an Admin API key (sk-admin-...) with the permission Usage: Read (api.usage.read)"


def permissions(settings: SourceSettings) -> str:  # noqa: ARG001 - every source takes them
    """Which key to make."""
    return (
        "An owner of the organization makes a key at platform.openai.com > Settings > Organization > Admin keys:\n"
        "  Permissions: Restricted; Usage: Read (api.usage.read). Nothing else: no write access, no model access, no members.\n"
        "Ordinary keys of a project cannot read the organization's costs."
    )


def check(settings: SourceSettings) -> Iterable[Finding]:
    """Asks each report for one day."""
    return _PROVIDER.check(settings)


def plan(settings: SourceSettings, position: Position, window: Window) -> Iterable[Planned]:
    """Reports, months and requests."""
    return _PROVIDER.plan(settings, position, window)


def pull(
    settings: SourceSettings, position: Position, window: Window, folder: Path, progress: Progress
) -> Iterator[Batch]:
    """Months of costs and usage."""
    return _PROVIDER.pull(settings, position, window, folder, progress)


def _service(settings: SourceSettings, progress: Progress | None) -> Service:
    headers = {"authorization": f"Bearer {settings.secret('key_env')}"}
    return Service(settings, str(settings.options["host"]), headers=headers, grant=GRANT, progress=progress)


def _usage(name: str, *groups: str) -> Report:
    return Report(
        f"usage-{name}", f"organization/usage/{name}", {"bucket_width": "1d", "limit": 31, "group_by": list(groups)}
    )


_PROVIDER = Provider(
    kind="openai-usage",
    reports=(
        Report("costs", "organization/costs", {"bucket_width": "1d", "limit": 31, "group_by": ["project_id", "line_item"]}),
        _usage("completions", "model", "project_id", "api_key_id", "batch", "service_tier"),
        _usage("embeddings", "model", "project_id", "api_key_id"),
    ),
    period=("start_time", "end_time"),
    written=lambda moment: int(moment.replace(tzinfo=UTC).timestamp()),
    service=_service,
    grant=GRANT,
)  # fmt: skip

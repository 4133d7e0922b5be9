"""Anthropic's organization: what it cost by day, workspace and description, and the tokens by day, model, workspace and key.

Endpoints `/v1/organizations/cost_report` and `/v1/organizations/usage_report/messages` of the Usage and Cost Admin API
(platform.claude.com/docs/en/manage-claude/usage-cost-api). Costs are the bill (priority-tier costs are not in it, its documentation says);
usage has no amounts and explains it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from connectors.live import trailing
from connectors.live.admin_reports import Provider, Report
from connectors.live.requests import Service
from connectors.live.source import Batch, Finding, Option, Planned, Position, Progress, SourceSettings, Window

KIND = "anthropic-admin"
TITLE = "Anthropic: costs and usage of the organization"
OPTIONS: Sequence[Option] = (
    Option("key_env", "variable with an Admin API key", '"ANTHROPIC_ADMIN_KEY"', required=True, secret=True),
    Option("host", "address of the API", '"https://api.anthropic.com"', default="https://api.anthropic.com"),
    replace(trailing.REREAD, default=3, example="3"),
    replace(trailing.HISTORY, default=180, example="180"),
)
VERSION = "2023-06-01"
GRANT = "an Admin API key (sk-ant-admin...)"


def permissions(settings: SourceSettings) -> str:  # noqa: ARG001 - every source takes them
    """Which key to make."""
    return (
        "A member with the role admin makes a key at platform.claude.com > Settings > Admin keys (sk-ant-admin...).\n"
        "Ordinary API keys cannot read reports. An Admin key cannot be restricted to reading: keep it in a secret store, for this one use.\n"
        "Individual accounts have no Admin API: export the cost report from the console instead, and load the file."
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
    headers = {"x-api-key": settings.secret("key_env") or "", "anthropic-version": VERSION}
    return Service(settings, str(settings.options["host"]), headers=headers, grant=GRANT, progress=progress)


def _organization(service: Service) -> dict[str, str]:
    """Id and name of the organization that the key belongs to: two organizations' lines may else look alike."""
    answer = service.json("v1/organizations/me")
    names = {"id": "organization_id", "name": "organization_name"}
    return {names[key]: str(answer[key]) for key in names if isinstance(answer, dict) and answer.get(key)}


_PROVIDER = Provider(
    kind="anthropic-usage",
    reports=(
        Report(
            "costs",
            "v1/organizations/cost_report",
            {"bucket_width": "1d", "limit": 31, "group_by[]": ["workspace_id", "description"]},
        ),
        Report(
            "usage",
            "v1/organizations/usage_report/messages",
            {
                "bucket_width": "1d",
                "limit": 31,
                "group_by[]": ["model", "workspace_id", "api_key_id", "service_tier", "context_window"],
            },
        ),
    ),
    period=("starting_at", "ending_at"),
    written=lambda moment: f"{moment:%Y-%m-%dT%H:%M:%SZ}",
    service=_service,
    grant=GRANT,
    account=_organization,
)

"""Settings of alerts for tests: who is told, and when it is."""

from __future__ import annotations

from datetime import UTC, datetime

from analytics.alert_settings import AlertSettings, read_alert_settings
from connectors.live.secrets import Secrets
from tests.operations.receivers import Webhook

NOON = datetime(2026, 6, 11, 12, tzinfo=UTC)

WEBHOOK = {"kind": "webhook", "url_env": "HOOK_URL", "secret_env": "HOOK_SECRET"}


def alert_settings(**changes: object) -> AlertSettings:
    return read_alert_settings({"channel": [WEBHOOK], **changes})


def alert_secrets(hook: Webhook | None = None) -> Secrets:
    return Secrets({"HOOK_URL": hook.url if hook else "http://127.0.0.1:9/nobody", "HOOK_SECRET": "s3cret-key"}, ())

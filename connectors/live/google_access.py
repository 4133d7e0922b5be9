"""How Google's services are reached: credentials, and their errors in sentences.

Credentials are, in this order: none for an `api_endpoint` that begins with http:// (an emulator), the service account's key that
`credentials_env` names (the JSON text itself), else what the environment offers (Application Default Credentials: workload identity, `gcloud
auth application-default login`, GOOGLE_APPLICATION_CREDENTIALS).
"""

from __future__ import annotations

import json
from typing import Any

from connectors.live.source import Option, SourceSettings
from warehouse.errors import SourceError

CREDENTIALS = Option(
    "credentials_env",
    "variable with the JSON key of a service account; without it the environment's own credentials are used",
    '"GCP_BILLING_KEY"',
    secret=True,
)
ENDPOINT = Option(
    "api_endpoint", "another address of the service, for an emulator or a proxy", '"http://localhost:9050"'
)
TIMEOUT = Option("timeout", "seconds after which one request is given up", "60", default=60, form="integer")

_PASSING = {408, 429, 500, 502, 503, 504}


def credentials(settings: SourceSettings, scopes: tuple[str, ...]) -> Any:
    """What to sign requests with. Raises SourceError when there is nothing, or the key is none."""
    import google.auth
    from google.auth.credentials import AnonymousCredentials
    from google.auth.exceptions import DefaultCredentialsError
    from google.oauth2 import service_account

    endpoint = settings.options.get("api_endpoint")
    if endpoint and str(endpoint).startswith("http://"):
        return AnonymousCredentials()
    key = settings.secret("credentials_env")
    if key is not None:
        try:
            return service_account.Credentials.from_service_account_info(json.loads(key), scopes=list(scopes))
        except (ValueError, TypeError) as error:
            raise SourceError(
                f"{settings.name}: {settings.options['credentials_env']} holds no key of a service account: put the whole JSON file into it"
            ) from error
    try:
        found, _project = google.auth.default(scopes=list(scopes))
    except DefaultCredentialsError as error:
        raise SourceError(
            f"{settings.name}: there are no Google credentials: set credentials_env, or run `gcloud auth application-default login`"
        ) from error
    return found


def failure(settings: SourceSettings, what: str, error: Exception, grant: str) -> SourceError:
    """The sentence for an error of Google's clients: `what` was asked for, and `grant` is what it needs."""
    status = getattr(error, "code", None)
    status = getattr(status, "value", status)
    status = status[0] if isinstance(status, tuple) else status
    said = settings.secrets.line(str(getattr(error, "message", None) or error))
    lead = f"{settings.name}: {what}"
    low = said.lower()
    if "bytesbilledlimitexceeded" in low or "bytes billed" in low:
        return SourceError(f"{lead}: it would read more than max_bytes allows; raise max_bytes or set a later start")
    if status == 403 and ("quota" in low or "rate limit" in low or "ratelimit" in low):
        return SourceError(f"{lead}: a quota is used up ({said}); the next sync tries again", retry=True)
    if status in (401, 403) or type(error).__name__ in ("RefreshError", "Unauthenticated"):
        return SourceError(f"{lead}: not allowed ({said}); needed is {grant}")
    if status == 404:
        return SourceError(
            f"{lead}: does not exist ({said}); look at its name in percall.toml, and at the location of its dataset"
        )
    passing = status in _PASSING or type(error).__name__ in (
        "RetryError", "ConnectionError", "ConnectTimeout", "ReadTimeout", "Timeout", "TransportError", "ChunkedEncodingError", "TimeoutError",
    )  # fmt: skip
    if passing or isinstance(error, OSError):
        return SourceError(f"{lead}: no usable answer ({said}); the next sync tries again", retry=True)
    return SourceError(f"{lead}: refused ({said})")

"""Langfuse's current API (v2 observations, v3 scores), page by page, through its own client.

The client authenticates, builds the request and knows the errors; waiting and asking again is ours (`connectors.live.requests`), so that a
person sees why nothing moves. Pages are taken as they came over the wire: a field that the client does not know yet is kept, and an
observation that lacks one is told row by row when it is loaded instead of taking its page with it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from connectors.live.requests import Passing, attempts, retry_after
from connectors.live.source import Progress, SourceSettings
from warehouse.errors import InputError, SourceError

if TYPE_CHECKING:
    import httpx

FIELDS = "core,basic,model,usage,prompt,metrics,metadata,trace_context"
"""Field groups that are asked for. Never `io`: it holds what people wrote."""

CONTEXT_FIELDS = "core,usage"

EXPANDED = ("requester_metadata", "spend_logs_metadata", "trace_metadata", "usage_object")
"""Metadata values that are asked for whole; the server cuts all others after 200 characters."""

MOST_OBSERVATIONS = 1000
MOST_SCORES = 100
GRANT = "the public and secret key of this project (Langfuse: project settings, API keys)"


class NoSuchEndpoint(Exception):  # noqa: N818 - an older server, not a failure
    """The server does not have this part of the API."""


class CurrentApi:
    """Reads pages; close it when done."""

    def __init__(
        self, settings: SourceSettings, progress: Progress, pause: Callable[[float], None] = time.sleep
    ) -> None:
        import httpx
        from langfuse.api import LangfuseAPI

        host = str(settings.options["host"]).rstrip("/")
        if not host.startswith(("http://", "https://")):
            raise InputError(f"source {settings.name!r}: host {host!r} is no address; it begins with https://")
        self._settings, self._progress, self._host = settings, progress, host
        self._pause = pause
        self._body = b""
        self._http = httpx.Client(
            timeout=float(settings.options["timeout_seconds"]),
            event_hooks={"response": [self._keep]},
            follow_redirects=False,
        )
        self._api = LangfuseAPI(
            base_url=host,
            username=settings.secret("public_key_env"),
            password=settings.secret("secret_key_env"),
            httpx_client=self._http,
        )
        wanted = [*EXPANDED, *settings.options["metadata_keys"]]
        self._expanded = ",".join(dict.fromkeys(wanted))

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def observations(self, start: datetime, end: datetime, *, context: bool = False) -> Iterator[list[dict[str, Any]]]:
        """Pages of the observations that began from `start` to before `end` (UTC), the newest first.

        `context`: only ids and usage. Raises SourceError, and NoSuchEndpoint when the server has no such part of its API.
        """
        cursor: str | None = None
        environments = list(self._settings.options["environments"]) or None
        while True:
            at = cursor

            def ask(at: str | None = at) -> object:
                return self._api.observations.get_many(
                    fields=CONTEXT_FIELDS if context else FIELDS,
                    expand_metadata=None if context else self._expanded,
                    limit=min(self._settings.options["page_size"], MOST_OBSERVATIONS),
                    cursor=at,
                    environment=environments,
                    from_start_time=start.replace(tzinfo=UTC),
                    to_start_time=end.replace(tzinfo=UTC),
                    request_options={"max_retries": 0},
                )

            rows, cursor = self._page(ask, "observations", cursor)
            yield rows
            if cursor is None:
                return

    def scores(self, start: datetime, end: datetime) -> Iterator[list[dict[str, Any]]]:
        """Pages of the scores of these names that were given from `start` to before `end` (UTC). Raises as `observations`."""
        cursor: str | None = None
        while True:
            at = cursor

            def ask(at: str | None = at) -> object:
                return self._api.scores.get_many(
                    fields="subject",
                    limit=min(self._settings.options["page_size"], MOST_SCORES),
                    cursor=at,
                    name=",".join(self._settings.options["scores"]),
                    from_timestamp=start.replace(tzinfo=UTC),
                    to_timestamp=end.replace(tzinfo=UTC),
                    request_options={"max_retries": 0},
                )

            rows, cursor = self._page(ask, "scores", cursor)
            yield rows
            if cursor is None:
                return

    def _page(
        self, call: Callable[[], object], part: str, before: str | None
    ) -> tuple[list[dict[str, Any]], str | None]:
        rows, cursor = attempts(
            lambda: self._ask(call),
            f"{self._settings.name}: {part}",
            self._progress,
            self._settings.patience,
            pause=self._pause,
        )
        if cursor is not None and cursor == before:
            raise SourceError(
                f"{self._settings.name}: {self._host} answers the same cursor again and again; nothing more of these {part} can be read",
                retry=True,
            )
        return rows, cursor

    def _keep(self, response: httpx.Response) -> None:
        self._body = response.read()

    def _ask(self, call: Callable[[], object]) -> tuple[list[dict[str, Any]], str | None]:
        import httpx
        import pydantic
        from langfuse.api.core.api_error import ApiError

        self._body = b""
        try:
            call()
        except httpx.TimeoutException as error:
            raise Passing("no answer in time") from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise Passing(f"the connection failed ({self._masked(said)})") from error
        except ApiError as error:
            raise self._meaning(error.status_code or 0, error.headers or {}, error.body) from error
        except pydantic.ValidationError:
            # an observation that this client cannot read is rejected by row when it is loaded
            pass
        try:
            page = json.loads(self._body, parse_float=str)
        except ValueError as error:
            raise Passing("the answer is not whole JSON (cut off?)") from error
        rows = page.get("data") if isinstance(page, dict) else None
        if not isinstance(rows, list):
            raise SourceError(
                f"{self._settings.name}: {self._host} answers without a list of data: is it a Langfuse server?"
            )
        meta = page.get("meta")
        cursor = meta.get("cursor") if isinstance(meta, dict) else None
        return [row for row in rows if isinstance(row, dict)], cursor or None

    def _meaning(self, status: int, headers: Mapping[str, str], body: object) -> Exception:
        """What an error of the client means: to ask again, an older server, or a sentence for the person who can mend it."""
        name = f"{self._settings.name}: {self._host}"
        said = self._said(body)
        if status == 429:
            return Passing(f"too many requests (429{said})", retry_after(headers.get("retry-after")))
        if status in (408, 425) or status >= 500:
            return Passing(f"the service fails ({status}{said})", retry_after(headers.get("retry-after")))
        if status in (401, 403):
            wrong = "does not accept the keys" if status == 401 else "does not allow these keys to read"
            return SourceError(f"{name} {wrong} ({status}{said}); needed is {GRANT}")
        if status == 404:
            return NoSuchEndpoint(f"{name} does not have this part of the API (404{said})")
        if 300 <= status < 400:
            return SourceError(
                f"{name} redirects to {headers.get('location', 'another address')}: write that address as host"
            )
        if 200 <= status < 300:
            if str(body).lstrip()[:1] == "<":
                return SourceError(f"{name} answers with a web page where JSON was expected: is the address right?")
            return Passing("the answer is not whole JSON (cut off?)")
        return SourceError(f"{name} refuses the request ({status}{said})")

    def _said(self, body: object) -> str:
        words = body.get("message") or body.get("error") if isinstance(body, Mapping) else None
        return f": {self._settings.secrets.line(str(words))}" if words else ""

    def _masked(self, text: str) -> str:
        return self._settings.secrets.masked(text)

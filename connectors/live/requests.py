"""One way to ask a web service: bounded retries that respect what the service says, and sentences instead of stack traces.

    with Service(settings, host, headers={"x-api-key": key}, grant="an admin key (sk-ant-admin...)", progress=progress) as service:
        page = service.json("/v1/organizations/cost_report", {"limit": 31})

What may pass by itself (429, 408, 5xx, timeouts, broken connections, bodies that end too early or are not JSON) is asked again after a growing
pause, or after what `Retry-After` says, in seconds or as a date. What a person must mend (401, 403, other 4xx) is told at once. Redirects are
not followed: a key would be sent to another host. No secret stands in any message.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from connectors.live.source import Patience, Progress, SourceSettings
from warehouse.errors import InputError, SourceError

TIMEOUT = 60.0
LARGEST = 512 * 1024 * 1024
"""Bytes of the longest answer that is held in memory."""

_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})


class Passing(Exception):  # noqa: N818 - it passes
    """What went wrong with one attempt and may pass: the sentence, and the seconds that the service asks to wait."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        self.wait = wait
        super().__init__(message)


def attempts(
    ask: Callable[[], Any],
    what: str,
    progress: Progress,
    patience: Patience,
    *,
    pause: Callable[[float], None] = time.sleep,
) -> Any:
    """The answer of `ask`, which is called again, after a pause, for as long as it raises `Passing`; `what` names it in messages.

    Raises SourceError with `retry` when `patience` is at its end.
    """
    for attempt in range(1, patience.attempts + 1):
        try:
            return ask()
        except Passing as error:
            wait = float(2 ** (attempt - 1)) if error.wait is None else max(0.0, error.wait)
            if wait > patience.longest_wait:
                raise SourceError(
                    f"{what}: {error}; it asks to wait {wait:,.0f} s, the next sync goes on", retry=True
                ) from error
            if attempt == patience.attempts:
                times = f", {attempt} times" if attempt > 1 else ""
                raise SourceError(f"{what}: {error}{times}; the next sync tries again", retry=True) from error
            progress(f"{what}: {error}; waiting {wait:,.0f} s", None)
            pause(wait)
    raise AssertionError(patience)


class Service:
    """A web service that is asked for JSON or files. One thread; close it, or use it with `with`.

    `base` is its address, below which paths lie; `grant` says what the credentials must be allowed ("a key with the scope usage:read"); it
    completes the sentence about 401 and 403. Values in `headers` and `auth` must come from `settings.secret`, so that they are masked.
    """

    def __init__(
        self,
        settings: SourceSettings,
        base: str,
        *,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        grant: str = "",
        progress: Progress | None = None,
        timeout: float = TIMEOUT,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        if not base.startswith(("http://", "https://")):
            raise InputError(f"source {settings.name!r}: {base!r} is no address; it begins with https://")
        self._settings = settings
        self._base = base.rstrip("/")
        self._grant = grant
        self._progress = progress or (lambda _message, _share: None)
        self._pause = pause
        self._client = httpx.Client(
            headers={"accept": "application/json", "user-agent": "percall"} | dict(headers or {}),
            auth=auth,
            timeout=timeout,
            follow_redirects=False,
        )
        self.requests = 0
        """How many requests were sent, retries included."""

    def __enter__(self) -> Service:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def json(
        self,
        path: str,
        parameters: Mapping[str, Any] | list[tuple[str, Any]] | None = None,
        *,
        method: str = "GET",
        body: object = None,
    ) -> Any:
        """The JSON of an answer. `body` is sent as JSON. Only questions may be asked: a request may be sent more than once.

        Raises SourceError (`retry` where waiting helps).
        """

        def ask() -> Any:
            with self._answer(method, path, parameters, body) as response:
                text = b"".join(self._bounded(response))
            try:
                return json.loads(text)
            except ValueError as error:
                if text.lstrip()[:1] == b"<":
                    raise SourceError(
                        f"{self._named(path)} answers with a web page where JSON was expected: is the address right, or does a "
                        "sign-in page stand before it?"
                    ) from error
                raise Passing("the answer is not whole JSON (cut off?)") from error

        return self._attempts(ask, path)

    def download(self, path: str, target: Path, parameters: Mapping[str, Any] | None = None) -> None:
        """Write an answer into a file, which exists only when it is whole. Raises SourceError."""

        def ask() -> None:
            part = target.with_name(target.name + ".part")
            try:
                with self._answer("GET", path, parameters, None) as response, part.open("wb") as out:
                    out.writelines(response.iter_bytes())
            except BaseException:
                part.unlink(missing_ok=True)
                raise
            part.replace(target)

        self._attempts(ask, path)

    def _attempts(self, ask: Callable[[], Any], path: str) -> Any:
        def guarded() -> Any:
            try:
                return ask()
            except httpx.TimeoutException as error:
                raise Passing("no answer in time") from error
            except (httpx.TransportError, httpx.DecodingError) as error:
                raise Passing(self._masked(_reason(error))) from error
            except httpx.InvalidURL as error:
                raise SourceError(f"{self._named(path)} is no address: {error}") from error

        return attempts(guarded, self._named(path), self._progress, self._settings.patience, pause=self._pause)

    @contextmanager
    def _answer(self, method: str, path: str, parameters: Any, body: object) -> Iterator[httpx.Response]:
        """A good answer, whose body is not read yet. Raises Passing for what may pass, SourceError for what a person must mend."""
        url = path if path.startswith(("http://", "https://")) else f"{self._base}/{path.lstrip('/')}"
        self.requests += 1
        with self._client.stream(method, url, params=parameters or None, json=body) as response:
            status = response.status_code
            if response.is_success:
                yield response
                return
            if response.is_redirect:
                there = self._masked(response.headers.get("location", "another address"))
                raise SourceError(f"{self._named(path)} redirects to {there}: write that address into percall.toml")
            said = self._said(response)
            if status in _PASSING or status >= 500:
                raise Passing(f"{_status(status)}{said}", retry_after(response.headers.get("retry-after")))
            if status in (401, 403):
                wrong = "does not accept the credentials" if status == 401 else "does not allow this"
                needed = f"; needed is {self._grant}" if self._grant else ""
                raise SourceError(f"{self._named(path)} {wrong} ({status}{said}){needed}")
            if status == 404:
                raise SourceError(f"{self._named(path)} does not exist there (404{said}): is the address right?")
            raise SourceError(f"{self._named(path)} refuses the request ({status}{said})")

    def _bounded(self, response: httpx.Response) -> Iterator[bytes]:
        size = 0
        for chunk in response.iter_bytes():
            size += len(chunk)
            if size > LARGEST:
                raise SourceError(
                    f"{self._settings.name}: an answer is larger than {LARGEST // 2**20} MB; ask for less at once"
                )
            yield chunk

    def _said(self, response: httpx.Response) -> str:
        """What the service says about its refusal, in a few words, as `: words`; empty when it says nothing readable."""
        try:
            raw = b"".join(response.iter_bytes())[:4000]
            message = _message(json.loads(raw))
        except (ValueError, httpx.HTTPError):
            return ""
        return f": {self._settings.secrets.line(message)}" if message else ""

    def _named(self, path: str) -> str:
        address = path if path.startswith(("http://", "https://")) else f"{self._base}/{path.lstrip('/')}"
        return self._masked(f"{self._settings.name}: {address.split('?', 1)[0]}")

    def _masked(self, text: str) -> str:
        return self._settings.secrets.masked(text)


def retry_after(header: str | None, now: datetime | None = None) -> float | None:
    """Seconds to wait that a `Retry-After` header asks for, which holds seconds or a date (RFC 9110, 10.2.3); None when it says nothing readable."""
    if header is None:
        return None
    if header.strip().isdigit():
        return float(header)
    try:
        at = parsedate_to_datetime(header)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - (now or datetime.now(UTC))).total_seconds())


def _message(body: Any) -> str:
    """The message in the usual shapes of an error: `{"error": {"message": ...}}`, `{"error": ...}`, `{"message": ...}`, `{"detail": ...}`."""
    if not isinstance(body, dict):
        return ""
    for key in ("error", "message", "detail", "title"):
        value = body.get(key)
        if isinstance(value, dict):
            return _message(value)
        if isinstance(value, str) and value:
            return value
    return ""


def _status(status: int) -> str:
    return "too many requests (429)" if status == 429 else f"the service fails ({status})"


def _reason(error: Exception) -> str:
    return f"the connection failed ({str(error).splitlines()[0] if str(error) else type(error).__name__})"

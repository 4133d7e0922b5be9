"""What stands before every request to the dashboard: who may fetch files, which headers answers carry, and how cookies travel.

One of several server processes (`percall serve --processes`) also says its number in a cookie, by which a proxy keeps a visitor where he or she is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_FOR_PEOPLE = ("/media/", "/_stcore/metrics", "/_stcore/upload_file", "/_stcore/agent")
"""Addresses that no page of a session stands before: files that sessions offer, uploads, measurements, the page as data."""

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "X-Robots-Tag": "noindex, nofollow",
}


PROCESS_VARIABLE = "PERCALL_PROCESS"
"""Environment variable that holds the number of a server process among several; unset for the only one."""

PROCESS_COOKIE = "percall_process"


class WebGuard:
    """Pure ASGI middleware, so that websockets and streamed files pass unchanged.

    `signed_in(cookies)` says whether a request is of somebody who signed in; None where no sign-in is set up and the server is this machine's own.
    process: number of this server process among several.
    """

    def __init__(
        self,
        app: ASGIApp,
        signed_in: Callable[[Mapping[str, str]], bool] | None,
        base_path: str = "",
        process: str | None = None,
    ) -> None:
        self.app, self.signed_in, self._process = app, signed_in, process
        self._closed = tuple(
            f"{base}{path}" for base in {"", f"/{base_path.strip('/')}".rstrip("/")} for path in _FOR_PEOPLE
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or pass on one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if (
            self.signed_in is not None
            and scope["path"].startswith(self._closed)
            and not self.signed_in(_cookies(scope))
        ):
            await PlainTextResponse("Sign in first.", 403, {"Cache-Control": "no-store"})(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                # With the page itself alone: all that it fetches afterwards carries the cookie, its websocket among them.
                if self._process and headers.get("content-type", "").startswith("text/html"):
                    headers.append("Set-Cookie", f"{PROCESS_COOKIE}={self._process}; Path=/; HttpOnly; SameSite=Lax")
                if scope.get("scheme") == "https":
                    message["headers"] = [(name, _secure(name, value)) for name, value in message["headers"]]
            await send(message)

        await self.app(scope, receive, sending)


def _cookies(scope: Scope) -> Mapping[str, str]:
    try:
        jar = SimpleCookie(Headers(scope=scope).get("cookie", ""))
    except CookieError:
        return {}
    return {name: morsel.value for name, morsel in jar.items()}


def _secure(name: bytes, value: bytes) -> bytes:
    """A cookie that was set over TLS never travels without it."""
    if name.lower() != b"set-cookie" or b"; secure" in value.lower():
        return value
    return value + b"; Secure"

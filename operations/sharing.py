"""Serving shared links: `/share/<token>`, its CSV files, and nothing else.

A link opens a page that was made beforehand. No Streamlit session, websocket or cookie of a signed-in person is involved, and none can be
reached from it. Whatever does not open, whether its token was tampered with, guessed, expired, revoked or asked for a file that is not its own,
gets the same answer. Refusals are written to the audit log without the token, and an address that collects too many waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from html import escape
from pathlib import Path
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from analytics.snapshot_report import Report, report_from_json
from analytics.snapshot_report_html import CONTENT_SECURITY_POLICY, Link, document, page
from operations.sharing_limits import MOST_NOTED, MOST_PASSCODES, MOST_REFUSALS, Limiter
from warehouse.audit import SHARE_OPENED, SHARE_REFUSED, AuditLog
from warehouse.errors import PercallError
from warehouse.share_records import UNLOCKED_SECONDS, Share, Shares

PREFIX = "/share"
MOST_FORM_BYTES = 4096
_METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")

HEADERS = {
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}
"""Of every answer below /share, refusals included."""

_REFUSED = document(
    "Percall",
    "<header><b>Percall</b></header><h1>This link shows nothing</h1><p>It may have expired or been withdrawn, or a part of it was lost on its way. "
    "Ask whoever sent it for a new one.</p>",
)  # fmt: skip


class SharedLinks:
    """Answers requests for shared links of one store. `store` is asked at every request, since tests and servers name it by environment."""

    def __init__(self, store: Callable[[], Path], base_path: str = "") -> None:
        self._store, self._base = store, base_path.strip("/")
        self.refusals, self.passcodes, self.noted = Limiter(), Limiter(), Limiter()

    def routes(self) -> list[Route]:
        """The routes, at the root and below the dashboard's base path: a proxy may or may not take that off."""
        prefixes = dict.fromkeys([PREFIX, f"/{self._base}{PREFIX}" if self._base else PREFIX])
        found = []
        for prefix in prefixes:
            found += [
                Route(f"{prefix}/{{token:str}}", self.page, methods=["GET"]),
                Route(f"{prefix}/{{token:str}}", self.passcode, methods=["POST"]),
                Route(f"{prefix}/{{token:str}}/{{name:str}}.csv", self.csv, methods=["GET"]),
                # Whatever else lies below: Streamlit would answer it with the dashboard's shell.
                *(Route(path, self.nothing, methods=list(_METHODS)) for path in (prefix, f"{prefix}/{{rest:path}}")),
            ]  # fmt: skip
        return [*found, Route("/robots.txt", robots, methods=["GET"])]

    def page(self, request: Request) -> Response:
        """The report behind the token, or the question for its passcode."""
        found = self._find(request)
        if isinstance(found, Response):
            return found
        shares, share = found
        if not shares.is_unlocked(share, request.cookies.get(_cookie(share))):
            return _ask_passcode("", 200)
        try:
            report = report_from_json(shares.report(share))
        except PercallError:
            return self._refuse(request, "report of another version", share)
        if request.method == "GET":
            shares.opened(share)
            address = _address(request)
            once = f"{share.share_id} {address} {int(time.time() // 3600)}"
            AuditLog(self._store()).record(
                SHARE_OPENED, share.share_id, who="link", address=address, once=once, title=share.title
            )  # fmt: skip
        return Response(page(report, _link(request, share)), media_type="text/html; charset=utf-8", headers=HEADERS)

    def csv(self, request: Request) -> Response:
        """One table of the report, with every digit."""
        found = self._find(request)
        if isinstance(found, Response):
            return found
        shares, share = found
        if not shares.is_unlocked(share, request.cookies.get(_cookie(share))):
            return _ask_passcode("", 401)
        report: Report = report_from_json(shares.report(share))
        table = report.table(request.path_params["name"])
        if table is None:
            return self._refuse(request, "a table that is not its own", share)
        name = f"{share.view}-{table.name}-{report.start}-{report.end}.csv"
        headers = HEADERS | {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(table.csv(), media_type="text/csv; charset=utf-8", headers=headers)

    async def passcode(self, request: Request) -> Response:
        """A passcode, given in the page's form. The right one is remembered for an hour, for this link alone."""
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_FORM_BYTES:
                return await run_in_threadpool(self._refuse, request, "a form too long", None)
        given = parse_qs(body.decode("utf-8", "replace")).get("passcode", [""])[0]
        return await run_in_threadpool(self._unlock, request, given)

    def _unlock(self, request: Request, given: str) -> Response:
        found = self._find(request)
        if isinstance(found, Response):
            return found
        shares, share = found
        keys = (f"{share.share_id} {_address(request)}", share.share_id)
        # A link is limited as a whole too, more loosely: guesses may come from many addresses.
        for key, most in zip(keys, (MOST_PASSCODES, MOST_PASSCODES * 20), strict=True):
            if self.passcodes.count(key) >= most:
                return _ask_passcode(f"Too many attempts. Wait {_minutes(self.passcodes.wait_seconds(key))}.", 429)
        if not shares.accepts(share, given):
            for key in keys:
                self.passcodes.note(key)
            self._note(request, "wrong passcode", share)
            return _ask_passcode("That is not the passcode.", 403)
        answer = RedirectResponse(request.url.path, status_code=303, headers=HEADERS)
        answer.set_cookie(
            _cookie(share), shares.unlock(share), max_age=UNLOCKED_SECONDS, path=request.url.path, httponly=True, samesite="strict",
            secure=request.url.scheme == "https",
        )  # fmt: skip
        return answer

    def nothing(self, request: Request) -> Response:
        """Any other address below /share."""
        blocked = self._blocked(request)
        return blocked or self._refuse(request, "no link", None)

    def _find(self, request: Request) -> tuple[Shares, Share] | Response:
        blocked = self._blocked(request)
        if blocked:
            return blocked
        shares = Shares(self._store())
        found = shares.find(request.path_params["token"])
        return (shares, found) if isinstance(found, Share) else self._refuse(request, found, None)

    def _blocked(self, request: Request) -> Response | None:
        """An address with too many refusals waits, whatever it asks for: an answer would tell which guess was right."""
        address = _address(request)
        if self.refusals.count(address) < MOST_REFUSALS:
            return None
        headers = HEADERS | {"Retry-After": str(self.refusals.wait_seconds(address))}
        return Response(_REFUSED, 429, headers, media_type="text/html; charset=utf-8")

    def _refuse(self, request: Request, reason: str, share: Share | None) -> Response:
        self.refusals.note(_address(request))
        self._note(request, reason, share)
        return Response(_REFUSED, 404, HEADERS, media_type="text/html; charset=utf-8")

    def _note(self, request: Request, reason: str, share: Share | None) -> None:
        if self.noted.note("all") <= MOST_NOTED:
            subject = share.share_id if share else "no link"
            AuditLog(self._store()).record(SHARE_REFUSED, subject, who="link", address=_address(request), reason=reason)


def robots(_request: Request) -> Response:
    """Nothing here is for a search engine."""
    return PlainTextResponse("User-agent: *\nDisallow: /\n")


def _link(request: Request, share: Share) -> Link:
    token = request.path_params["token"]
    day = share.expires_at
    return Link(f"{day:%d %B %Y}, {day:%H:%M} UTC".lstrip("0"), lambda table: f"{token}/{table.name}.csv")


def _cookie(share: Share) -> str:
    return f"percall_{share.share_id}"


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"


def _minutes(seconds: int) -> str:
    minutes = -(-seconds // 60)
    return "1 minute" if minutes == 1 else f"{minutes} minutes"


def _ask_passcode(said: str, status: int) -> Response:
    body = (
        "<header><b>Percall</b></header><h1>This report asks for a passcode</h1><p>Whoever sent you the link has it.</p>"
        f'<p class="open" role="alert">{escape(said)}</p><form method="post">'
        '<input type="password" name="passcode" aria-label="Passcode" autocomplete="off" required autofocus>'
        '<button type="submit">Open</button></form>'
    )
    return Response(document("Percall", body), status, HEADERS, media_type="text/html; charset=utf-8")

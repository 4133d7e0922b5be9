"""Stripe: revenue by day from paid invoices, credit notes and refunds, net of tax, by the metadata that name feature and tier.

Objects are asked for by the month of their creation, and a month is a piece of its own (`connectors.live.pieces`): read again, it replaces
itself. Read again are the months of the last `reread_days`, and those whose invoices were not settled yet when they were read.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from connectors.live import trailing
from connectors.live.pieces import months, piece_path
from connectors.live.requests import Service
from connectors.live.source import Batch, Finding, Option, Planned, Position, Progress, SourceSettings, Window, problem
from connectors.live.stripe_lines import Revenue, Rules
from warehouse.errors import InputError, SourceError

KIND = "stripe"
TITLE = "Stripe: revenue from invoices"
OPTIONS: Sequence[Option] = (
    Option("key_env", "variable with a restricted key that may read invoices, credit notes and charges", '"STRIPE_KEY"', required=True, secret=True),
    Option("feature_key", "metadata key that names the feature", '"feature"', default="feature"),
    Option("tier_key", "metadata key that names the tier of the user", '"user_tier"', default="user_tier"),
    Option("user_key", "metadata key with the user's id in your product (default: users are not told apart)", '"user_id"'),
    Option("recognise", "when revenue counts: evenly over its period, or when it is paid", '"period"', default="period", choices=("period", "paid")),
    Option("time_zone", "zone of the days, the reporting time zone of [percall]", '"UTC"', default="UTC"),
    Option("host", "address of the API", '"https://api.stripe.com"', default="https://api.stripe.com"),
    replace(trailing.REREAD, default=35, example="35"),
    replace(trailing.HISTORY, default=400, example="400"),
)  # fmt: skip
VERSION = "2024-06-20"
"""The version of the API whose objects are read; Stripe keeps answering in it, whatever an account's own version is."""

GRANT = "a restricted key (rk_live_...) with Read on Invoices, Credit notes and Charges and Refunds"
_COLUMNS = ("date", "feature", "user_tier", "user_id", "amount", "currency")
_PAGE = 100
_MOST_PAGES = 100_000
_MOST_OPEN = 24
"""Months with unsettled invoices that are read again; what has been open for longer than that will not be paid."""


def permissions(settings: SourceSettings) -> str:  # noqa: ARG001 - every source takes them
    """Which key to make."""
    return (
        "Stripe dashboard > Developers > API keys > Create restricted key:\n"
        "  Invoices: Read. Credit notes: Read. Charges and Refunds: Read. Everything else: None.\n"
        "Then put the key (rk_live_...) into the variable that key_env names. A secret key (sk_live_...) may do far more than is needed."
    )


def check(settings: SourceSettings) -> Iterable[Finding]:
    """Asks for one invoice, one credit note and one refund."""
    for what in ("invoices", "credit_notes", "refunds"):
        try:
            _rules(settings)
            with _service(settings, None) as service:
                answer = service.json(f"v1/{what}", {"limit": 1})
            rows = answer.get("data") if isinstance(answer, dict) else None
            if not isinstance(rows, list):
                raise SourceError(
                    f"{settings.name}: v1/{what} answers in a form that is not known; is the address right?"
                )
            yield Finding("fine", what, "can be read" if rows else "can be read; there are none yet")
        except (SourceError, InputError) as error:
            yield problem(what, error, permissions(settings))
            if isinstance(error, SourceError) and error.retry:
                return  # nobody answers: the rest would be told the same


def plan(settings: SourceSettings, position: Position, window: Window) -> Iterable[Planned]:
    """The months that are read; how many objects they hold is not known before."""
    for month, _start, _end in _months(settings, position, window):
        reason = (
            "unsettled invoices"
            if month in position.get("open", ())
            else trailing.why(position, window, settings.options)
        )
        yield Planned("invoices, credit notes and refunds", month, 3, reason=reason)


def pull(
    settings: SourceSettings, position: Position, window: Window, folder: Path, progress: Progress
) -> Iterator[Batch]:
    """Month by month of creation: what was earned, and what was given back."""
    rules = _rules(settings)
    chosen = _months(settings, position, window)
    unsettled = set(position.get("open", ()))
    reached = str(position.get("read_until") or "")
    with _service(settings, progress) as service:
        for number, (month, start, end) in enumerate(chosen):
            progress(f"reading {month}", number / len(chosen))
            account = _Account(service, settings, start, end)
            earned, given_back = Revenue(rules), Revenue(rules)
            is_open = account.invoices(earned) | account.given_back(given_back)
            unsettled = (unsettled | {month}) if is_open else (unsettled - {month})
            paths = [
                path
                for name, revenue in (("invoices", earned), ("given-back", given_back))
                if (path := _write(piece_path(folder, settings, f"{name}-{month}", "csv"), revenue))
            ]
            reached = max(reached, min(end, trailing.utc(window.now)).isoformat())
            state = {"read_until": reached, "open": sorted(unsettled)[-_MOST_OPEN:]}
            notes = (*earned.notes, *given_back.notes, *account.notes)
            yield Batch(paths, state, "revenue", on_overlap="pieces", what=month, notes=notes[:20], together=True)


class _Account:
    """What happened in an account within a month of creation."""

    def __init__(self, service: Service, settings: SourceSettings, start: datetime, end: datetime) -> None:
        self._service, self._settings = service, settings
        first, last = (int(moment.replace(tzinfo=UTC).timestamp()) for moment in (start, end))
        self._created = {"created[gte]": first, "created[lt]": last}
        self.notes: list[str] = []
        self._known: dict[str, dict[str, Any]] = {}

    def invoices(self, revenue: Revenue) -> bool:
        """Add the paid invoices; answers whether some are not settled yet."""
        is_open = False
        for invoice in self._list("v1/invoices", self._created):
            is_open |= invoice.get("status") in ("draft", "open")
            if invoice.get("status") == "paid":
                revenue.add_invoice(invoice, self._lines(invoice))
        return is_open

    def given_back(self, revenue: Revenue) -> bool:
        """Add credit notes, and refunds that have none; answers whether the invoice of one is not settled yet."""
        is_open = False
        for note in self._list("v1/credit_notes", self._created):
            invoice = self._invoice(str(note["invoice"]))
            is_open |= invoice.get("status") in ("draft", "open")
            if invoice.get("status") == "paid":
                lines = {str(line["id"]): line for line in self._lines(invoice)}
                revenue.add_credit_note(note, self._lines(note, "credit_notes"), invoice, lines)
        loose = 0
        for refund in self._list("v1/refunds", {**self._created, "expand[]": "data.charge"}):
            charge = refund.get("charge")
            number = charge.get("invoice") if isinstance(charge, dict) else None
            if not number:
                loose += 1
            elif not self._is_credited(str(refund["id"]), str(number)):
                invoice = self._invoice(str(number))
                revenue.add_refund(refund, invoice, self._lines(invoice))
        if loose:
            self.notes.append(
                f"{loose} refunds are of payments without an invoice, which are not counted as revenue either"
            )
        return is_open

    def _is_credited(self, refund: str, invoice: str) -> bool:
        """Whether a credit note already takes back what this refund pays back."""
        for note in self._list("v1/credit_notes", {"invoice": invoice}):
            paid = [note.get("refund"), *(entry.get("refund") for entry in note.get("refunds") or ())]
            if refund in paid:
                return True
        return False

    def _invoice(self, number: str) -> dict[str, Any]:
        if number not in self._known:
            self._known[number] = self._service.json(f"v1/invoices/{number}")
        return self._known[number]

    def _lines(self, holder: Mapping[str, Any], kind: str = "invoices") -> list[dict[str, Any]]:
        """All lines of an invoice or credit note: the first few come with it."""
        lines = holder.get("lines") or {}
        if not lines.get("has_more"):
            return list(lines.get("data") or ())
        return list(self._list(f"v1/{kind}/{holder['id']}/lines", {}))

    def _list(self, path: str, parameters: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Every object of a list, once. Raises SourceError."""
        seen: set[str] = set()
        last: str | None = None
        for _number in range(_MOST_PAGES):
            cursor = {"starting_after": last} if last else {}
            page = self._service.json(path, {"limit": _PAGE, **parameters, **cursor})
            data = page.get("data") if isinstance(page, dict) else None
            if not isinstance(data, list):
                raise SourceError(
                    f"{self._settings.name}: {path} answers in a form that is not known; is the address right?"
                )
            for entry in data:
                if entry["id"] not in seen:
                    seen.add(entry["id"])
                    yield entry
            if not page.get("has_more") or not data:
                return
            if data[-1]["id"] == last:
                break
            last = str(data[-1]["id"])
        raise SourceError(
            f"{self._settings.name}: the pages of {path} have no end; the next sync tries again", retry=True
        )


def _months(settings: SourceSettings, position: Position, window: Window) -> list[tuple[str, datetime, datetime]]:
    now = trailing.utc(window.now)
    recent = list(months(trailing.begin(position, window, settings.options), now))
    still = [month for month in position.get("open", ()) if month < recent[0][0]]
    earlier = [
        next(months(datetime.fromisoformat(f"{month}-01"), datetime.fromisoformat(f"{month}-01"))) for month in still
    ]
    return earlier + recent


def _write(path: Path, revenue: Revenue) -> Path | None:
    """The rows as a file of kind revenue; None when there are none."""
    found = list(revenue.rows())
    if not found:
        return None
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(_COLUMNS)
        for (day, feature, tier, user, currency), amount in found:
            writer.writerow([day, feature, tier, user, f"{amount:f}", currency])
    return path


def _rules(settings: SourceSettings) -> Rules:
    options = settings.options
    try:
        zone = ZoneInfo(str(options["time_zone"]))
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise InputError(
            f"source {settings.name!r}: there is no time zone {options['time_zone']!r}; write Asia/Ho_Chi_Minh"
        ) from error
    keys = [str(options[name]) if options[name] else None for name in ("feature_key", "tier_key", "user_key")]
    return Rules(options["recognise"], keys[0], keys[1], keys[2], zone)


def _service(settings: SourceSettings, progress: Progress | None) -> Service:
    headers = {"authorization": f"Bearer {settings.secret('key_env')}", "stripe-version": VERSION}
    return Service(settings, str(settings.options["host"]), headers=headers, grant=GRANT, progress=progress)

"""What Stripe's invoices, credit notes and refunds earn, day by day, net of tax and of discounts.

An invoice line's net is amount - discounts - the taxes that the amount includes; the nets of an invoice add up to its `total_excluding_tax`.
Amounts are whole numbers of the currency's smallest unit; what is divided (over days, over lines) is divided by largest remainder, so that
the parts add up to the whole to the last digit.

`period`: a line is earned evenly on the days of its period (its last instant is not part of it), a one-off on its day. `paid`: the whole line
on the day of payment. What is given back takes from the same days; days before it was given back are corrected on that day, as books that are
closed are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal
from zoneinfo import ZoneInfo

ZERO_DECIMAL = frozenset(
    ["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"]
)
"""Currencies whose smallest unit is the unit itself (docs.stripe.com/currencies). ISK and UGX are written with two decimals there."""

THREE_DECIMAL = frozenset(["bhd", "jod", "kwd", "omr", "tnd"])

_FINER = 10_000
"""A smallest unit is divided into this many parts before it is spread over days: a dollar over 31 days is no heap of cents."""

Object = Mapping[str, Any]
Key = tuple[date, str | None, str | None, str | None, str]
"""Day, feature, user tier, user and currency: what one row of revenue is about."""


@dataclass(frozen=True)
class Rules:
    """How revenue is found: the metadata keys of feature, tier and user (None: not told), when it is earned, and the zone of its days."""

    recognise: Literal["period", "paid"]
    feature_key: str | None
    tier_key: str | None
    user_key: str | None
    zone: ZoneInfo


class Revenue:
    """Rows of revenue that add up: one for each key, in the currency's unit."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.notes: list[str] = []
        self._amounts: dict[Key, Decimal] = defaultdict(Decimal)

    def add_invoice(self, invoice: Object, lines: Sequence[Object]) -> None:
        """A paid invoice's lines."""
        nets = [net_of(line) for line in lines]
        told = invoice.get("total_excluding_tax")
        if told is not None and told != sum(nets):
            self.notes.append(
                f"invoice {invoice['id']}: its lines come to {sum(nets)} net of tax, the invoice says {told} (smallest units of "
                f"{invoice['currency']}); the lines are counted"
            )
        for line, net in zip(lines, nets, strict=True):
            self._spread(invoice, line, net)

    def add_credit_note(
        self, note: Object, credited: Sequence[Object], invoice: Object, lines: Mapping[str, Object]
    ) -> None:
        """What a credit note takes back from the lines of a paid invoice; `credited` are its own lines. A void one takes nothing."""
        factor = 0 if note.get("status") == "void" else -1
        for own in credited:
            line = lines.get(str(own.get("invoice_line_item")), {"metadata": {}, "period": {}})
            self._spread(invoice, line, factor * net_of(own), given_back=_day(note["created"], self.rules.zone))

    def add_refund(self, refund: Object, invoice: Object, lines: Sequence[Object]) -> None:
        """What a refund without a credit note takes back: its share without tax, over all lines. A failed one takes nothing."""
        nets = [net_of(line) for line in lines]
        gross = int(invoice.get("total") or 0)
        failed = refund.get("status") in ("failed", "canceled")
        taken = 0 if failed or gross == 0 else -round(Decimal(int(refund["amount"]) * sum(nets)) / gross)
        for line, part in zip(lines, shares(taken, [abs(net) for net in nets]), strict=True):
            self._spread(invoice, line, part, given_back=_day(refund["created"], self.rules.zone))

    def rows(self) -> Iterator[tuple[Key, Decimal]]:
        """The rows, by day."""
        yield from sorted(self._amounts.items(), key=lambda item: tuple(str(part or "") for part in item[0]))

    def _spread(self, invoice: Object, line: Object, net: int, given_back: date | None = None) -> None:
        currency = str(line.get("currency") or invoice["currency"]).lower()
        unit = Decimal(1 if currency in ZERO_DECIMAL else 1000 if currency in THREE_DECIMAL else 100)
        labels = [
            _label(invoice, line, key) for key in (self.rules.feature_key, self.rules.tier_key, self.rules.user_key)
        ]
        days = self._days(invoice, line)
        for day, part in zip(days, shares(net * _FINER, [1] * len(days)), strict=True):
            key = (max(day, given_back) if given_back else day, labels[0], labels[1], labels[2], currency.upper())
            self._amounts[key] += Decimal(part) / _FINER / unit

    def _days(self, invoice: Object, line: Object) -> list[date]:
        paid = (invoice.get("status_transitions") or {}).get("paid_at") or invoice["created"]
        period = line.get("period") or {}
        if self.rules.recognise == "paid" or period.get("start") is None:
            return [_day(paid, self.rules.zone)]
        first, end = (_day(period[name] or period["start"], self.rules.zone) for name in ("start", "end"))
        return [
            date.fromordinal(number) for number in range(first.toordinal(), max(first.toordinal() + 1, end.toordinal()))
        ]


def net_of(line: Object) -> int:
    """A line's amount without discounts and without the taxes that it includes, in smallest units.

    Taxes stand in `tax_amounts` (versions until 2025-03) or `taxes` (since).
    """
    discounts = sum(int(entry["amount"]) for entry in line.get("discount_amounts") or ())
    included = sum(
        int(entry["amount"])
        for entry in [*(line.get("tax_amounts") or ()), *(line.get("taxes") or ())]
        if entry.get("inclusive") or entry.get("tax_behavior") == "inclusive"
    )
    return int(line["amount"]) - discounts - included


def shares(whole: int, weights: Sequence[int]) -> list[int]:
    """A whole number in parts by weight that add up to it, the largest remainders rounded up; evenly where all weights are 0."""
    total = sum(weights)
    if not weights:
        return []
    if total == 0:
        weights, total = [1] * len(weights), len(weights)
    sign = -1 if whole < 0 else 1
    parts = [abs(whole) * weight // total for weight in weights]
    rest = [abs(whole) * weight % total for weight in weights]
    largest = sorted(range(len(weights)), key=lambda place: (-rest[place], place))
    for place in largest[: abs(whole) - sum(parts)]:
        parts[place] += 1
    return [sign * part for part in parts]


def _label(invoice: Object, line: Object, key: str | None) -> str | None:
    """A label from the metadata of the line, its price, its subscription or its invoice, whichever has it first."""
    if key is None:
        return None
    subscription = (
        invoice.get("subscription_details") or (invoice.get("parent") or {}).get("subscription_details") or {}
    )
    places: Iterable[Any] = (line, line.get("price") or {}, subscription, invoice)
    for place in places:
        value = (place.get("metadata") or {}).get(key)
        if value:
            return str(value)
    return None


def _day(moment: int, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(int(moment), UTC).astimezone(zone).date()

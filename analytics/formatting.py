"""How numbers are written for people: money, shares, counts and changes, in one place.

Exact values come in (`Decimal`, `int`; a float only where the quantity is a measured ratio), text goes out. None is
"not known" and is written as such, never as 0. Negative values carry a true minus sign (U+2212). Rounding is half away
from zero, as people do it; exact figures stay available through `exact_money` and the CSV exports.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

UNKNOWN = "unknown"
MINUS = "−"

Number = Decimal | int | float
"""What can be formatted. Money should be Decimal or int."""

_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "VND": "₫", "INR": "₹"}
_WITHOUT_CENTS = {"JPY", "VND", "KRW"}
_UNITS = (("k", 10**3), ("M", 10**6), ("B", 10**9), ("T", 10**12))


def _decimal(value: Number) -> Decimal | None:
    """The value as Decimal; None for NaN and infinities, which are no amounts."""
    try:
        number = value if isinstance(value, Decimal) else Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _rounded(value: Decimal, digits: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP)


def _plain(value: Decimal, digits: int, grouped: bool = True) -> str:
    """Absolute value with a fixed number of digits after the point."""
    return f"{abs(_rounded(value, digits)):{',' if grouped else ''}.{digits}f}"


def _signed(value: Decimal, text: str, plus: bool = False) -> str:
    """Put the sign before the text, unless rounding has left only zeros."""
    if not any(character in "123456789" for character in text):
        return text
    return (MINUS if value < 0 else "+" if plus else "") + text


def _with_currency(text: str, currency: str) -> str:
    symbol = _SYMBOLS.get(currency)
    return f"{symbol}{text}" if symbol else f"{currency} {text}"


def money_digits(value: Decimal, currency: str = "USD") -> int:
    """Digits after the point that an amount deserves: none from 1,000 on, two from 1 on, else two significant ones."""
    size = abs(value)
    if size == 0 or currency in _WITHOUT_CENTS:
        return 0
    # 999.996 becomes 1,000 when rounded: judge the size after rounding, not before.
    if _rounded(size, 2) >= 1000:
        return 0
    if _rounded(size, 2) >= 1:
        return 2
    digits = 1 - size.adjusted()
    if _rounded(size, digits).adjusted() > size.adjusted():
        digits -= 1
    return max(digits, 2)


def money(value: Number | None, currency: str = "USD", *, digits: int | None = None, plus: bool = False) -> str:
    """An amount as people read it: `$47,231`, `$94.46`, `$0.0031`, `−$2.10`; "unknown" for None.

    `digits` fixes the digits after the point where amounts stand in one column. `plus` writes the sign of a gain too.
    """
    number = None if value is None else _decimal(value)
    if number is None:
        return UNKNOWN
    places = money_digits(number, currency) if digits is None else digits
    return _signed(number, _with_currency(_plain(number, places), currency), plus)


def usd(value: Number | None, *, digits: int | None = None, plus: bool = False) -> str:
    """`money` in US dollars."""
    return money(value, "USD", digits=digits, plus=plus)


def to_the_cent(value: Number | None, currency: str = "USD") -> str:
    """An amount as `money` writes it, but with cents where a headline leaves them out: `$47,231.00`."""
    number = None if value is None else _decimal(value)
    if number is None:
        return UNKNOWN
    return money(number, currency, digits=0 if currency in _WITHOUT_CENTS else max(2, money_digits(number, currency)))


def exact_money(value: Decimal | int | None, currency: str = "USD") -> str:
    """The amount with every digit that is stored (at least two): for hovers, where a headline is rounded."""
    number = None if value is None else _decimal(value)
    if number is None:
        return UNKNOWN
    exponent = number.normalize().as_tuple().exponent
    digits = max(2, -exponent) if isinstance(exponent, int) else 2
    return _signed(number, _with_currency(_plain(number, digits), currency))


def share(value: Number | None, *, digits: int | None = None) -> str:
    """A part of 1 as a percentage: `61%`, `8%`, `0.4%`, `<0.1%`; "unknown" for None.

    Without `digits`, values below 10% get one digit after the point where it says something, and neither a small rest
    nor an almost complete share is rounded away to 0% or 100%.
    """
    number = None if value is None else _decimal(value)
    if number is None:
        return UNKNOWN
    percent = number * 100
    size = abs(percent)
    if digits is not None:
        return _signed(percent, f"{_plain(percent, digits)}%")
    sign = MINUS if percent < 0 else ""
    if 0 < size < Decimal("0.05"):
        return f"{sign}<0.1%"
    if Decimal("99.5") <= size < 100:
        return f"{sign}{min(_rounded(size, 1), Decimal('99.9'))}%"
    tenths = _plain(percent, 1)
    text = tenths.removesuffix(".0") if _rounded(size, 1) < 10 else _plain(percent, 0)
    return _signed(percent, f"{text}%")


def count(value: Number | None) -> str:
    """A number of things: `9,804`, `48.8k`, `1.2M`; "unknown" for None."""
    number = None if value is None else _decimal(value)
    if number is None:
        return UNKNOWN
    size = abs(number)
    if _rounded(size, 0) < 10_000:
        whole = number == number.to_integral_value()
        return _signed(number, _plain(number, 0 if whole or size >= 100 else 1))
    letter = next((letter for letter, unit in _UNITS if _rounded(size / unit, 0) < 1000), "T")
    scaled = number / dict(_UNITS)[letter]
    text = _plain(scaled, 1).removesuffix(".0") if _rounded(abs(scaled), 1) < 100 else _plain(scaled, 0)
    return _signed(number, f"{text}{letter}")


def tokens(value: Number | None) -> str:
    """A number of tokens with its unit: `1.2M tokens`; "unknown" for None."""
    if value is None:
        return UNKNOWN
    return f"{count(value)} {'token' if value == 1 else 'tokens'}"


def change(now: Number | None, before: Number | None) -> str:
    """The relative change from `before` to `now`: `+12%`, `−80.5%`, `no change`; `new` when nothing was before."""
    current = None if now is None else _decimal(now)
    earlier = None if before is None else _decimal(before)
    if current is None or earlier is None:
        return UNKNOWN
    if current == earlier:
        return "no change"
    if earlier == 0:
        return "new"
    percent = (current - earlier) / abs(earlier) * 100
    if abs(percent) < Decimal("0.05"):
        return "less than 0.1% more" if percent > 0 else "less than 0.1% less"
    if abs(percent) >= 1000:
        times = current / earlier
        return f"{_plain(times, 0)} times" if times > 0 else _signed(percent, f"{_plain(percent, 0)}%", plus=True)
    return _signed(percent, f"{_plain(percent, 1).removesuffix('.0')}%", plus=True)


def delta(now: Number | None, before: Number | None, against: str) -> str:
    """A change that says against what: `−80.5% against March 2026`, `new: nothing in April 2026`."""
    text = change(now, before)
    if text == "new":
        return f"new: nothing in {against}"
    if text == UNKNOWN:
        return f"no comparison: {against} is unknown" if before is None else UNKNOWN
    if text.endswith("times"):
        return f"{text} what it was in {against}"
    return f"{text} against {against}"


def compared(now: Number | None, before: Number | None, against: str) -> str | None:
    """A change as a part of a sentence: `68% less than in April 2026`; None where nothing can be compared."""
    text = change(now, before)
    if text in (UNKNOWN, "new"):
        return None
    if text == "no change":
        return f"as much as in {against}"
    if text.endswith("times"):
        return f"{text} as much as in {against}"
    if text.startswith("less than"):
        return f"about as much as in {against}"
    return f"{text.lstrip('+' + MINUS)} {'less' if text.startswith(MINUS) else 'more'} than in {against}"

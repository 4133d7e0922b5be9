"""One total, one currency: sums across currencies without an exchange rate are refused, never made up (conversion: `analytics.fx`)."""

from __future__ import annotations

from collections.abc import Iterable

from warehouse.errors import InputError


class SeveralCurrencies(InputError):  # noqa: N818 - what is in the way, by its name
    """Amounts that are to be added are in several currencies: `currencies`, by their codes."""

    def __init__(self, currencies: list[str]) -> None:
        self.currencies = currencies
        super().__init__(
            f"these costs are in {', '.join(currencies[:-1])} and {currencies[-1]}, which cannot be added: load the exchange rates of these days "
            f"(percall load fx.csv; columns date, from_currency, to_currency, rate; percall export fx tells the first day without one), "
            f"or choose one currency, "
            f"for example with --where currency={'USD' if 'USD' in currencies else currencies[0]}"
        )


def require_one_currency(currencies: Iterable[str | None]) -> str | None:
    """The one currency of amounts that are to be added; None when there is none.

    Pass the currencies of amounts alone: a row without money has nothing to add and may carry any code. Raises SeveralCurrencies, an InputError
    that names them, when there are several.
    """
    found = sorted({code for code in currencies if code})
    if len(found) > 1:
        raise SeveralCurrencies(found)
    return found[0] if found else None

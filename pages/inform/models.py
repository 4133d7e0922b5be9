"""Models and tokens: which models are used, for how many tokens of which class, and what a million of them costs."""

from __future__ import annotations

from analytics.filters import Filters
from analytics.models import headline, models, tokens_over_time
from pages import _draw as draw
from pages._data import answer, configuration
from pages._filters import current, describe
from pages._names import TOKEN_CLASS_NAMES, named
from pages._provenance import how_obtained
from pages._rests_on import what_it_rests_on
from pages._token_chart import token_chart


def columns(currency: str, used: list[str]) -> dict[str, draw.Column]:
    """The table's columns; of the token classes only those that are used."""
    tokens = {name: draw.Column(label, "large_count") for name, label in TOKEN_CLASS_NAMES.items() if name in used}
    return {
        "model": draw.Column("Model"),
        "provider": draw.Column("Provider"),
        "cost": draw.Column("Cost", "money", currency=currency, help="From the bill where there is one, else from the traces"),
        "cost_share": draw.Column("Share of cost", "bar", width=110),
        "cost_per_million_tokens": draw.Column("Per M tokens", "unit_money", currency=currency, help="Cost before credits / million tokens"),
        "cost_per_call": draw.Column("Per call", "unit_money", currency=currency),
        "calls": draw.Column("Calls", "count"),
        "unpriced_calls": draw.Column("Unpriced", "count", help="Calls whose cost is not known, and not in the cost"),
        "total_tokens": draw.Column("Tokens", "large_count", help="All classes together; every digit in the CSV file"),
        **tokens,
        "cache_read_share": draw.Column("Cached", "share", help="Cache reads / all input tokens"),
    }  # fmt: skip


def over_time(filters: Filters) -> list[str]:
    """The chart of tokens by class; answers with the classes that are used."""
    frame = answer(tokens_over_time, filters)
    if frame.empty:
        return []
    token_chart(
        frame,
        title="Tokens by class",
        note=f"Tokens per {filters.grain}, disjoint classes, from the traces; days in {configuration().reporting_time_zone}",
        key="models_chart",
        grain=filters.grain,
    )
    return list(frame["token_class"].unique())


def page() -> None:
    """Ask for models and tokens and draw them."""
    filters = current()
    frame = answer(models, filters)
    if frame.empty:
        draw.empty_result("model calls")
        return
    currency = frame["currency"].iloc[0] or configuration().reporting_currency
    draw.headline(
        answer(headline, filters),
        "Token classes do not overlap: input is what no cache held, output is without reasoning. Own GPUs cost 0 here: see Infrastructure.",
        kicker=describe(filters),
    )
    what_it_rests_on(filters)
    used = over_time(filters)
    draw.section(
        "Models",
        f"{filters.basis.capitalize()} cost, {currency}; calls and tokens as traced. Rows sum to the ledger's cost of model use.",
    )
    draw.table(
        frame.assign(model=named(frame["model"]), provider=named(frame["provider"])),
        columns(currency, used),
        key="models_table",
        export_name=f"models-{filters.start}-{filters.end}",
        export=frame,
        missing="–",
    )
    how_obtained("models", filters)


page()

"""The filters of the sidebar, which are the filters of the address: both ways, validated, without the defaults.

Every control is bound to a query parameter of the same key. What an address says and the control does not offer is
dropped; what equals the default is left out. The parameters belong to the whole dashboard, so that they survive a
change of page.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import streamlit as st

from analytics.filters import UNTAGGED, Filters
from pages import _data, _periods
from pages._text import plain

_CURRENT = "_filters"

BASES: Mapping[str, str] = {"Effective": "effective", "Billed": "billed", "List": "list"}
GRAINS: Mapping[str, str] = {"Day": "day", "Week": "week", "Month": "month"}

DIMENSION_KEYS: Mapping[str, str] = {
    "feature": "feature",
    "model": "model",
    "project": "project",
    "team": "team",
    "env": "env",
    "user_tier": "tier",
}
"""Dimension of the warehouse -> key of its control and name of its query parameter."""

_LABELS: Mapping[str, str] = {
    "feature": "Feature",
    "model": "Model",
    "project": "Project",
    "team": "Team",
    "env": "Environment",
    "user_tier": "User tier",
}

NARROW = "narrow"
"""Parameter by which a link narrows filters: see `pages._links`."""

PARAMETERS: tuple[str, ...] = ("period", "dates", "basis", "by", *DIMENSION_KEYS.values(), NARROW)
"""Every query parameter that belongs to the filters. Pages use other keys for their own."""

_BASIS_HELP = (
    "Effective: what a day's use cost, with discounts and prepayments spread over the time they cover (amortised). "
    "Billed: what the invoice of that day says (cash). List: what the same use costs without any discount."
)


def current() -> Filters:
    """The filters of this session's last run: what pages and fragments pass on to analytics."""
    filters = st.session_state.get(_CURRENT)
    if not isinstance(filters, Filters):
        raise LookupError("no filters yet: the shell reads them before it runs a page")
    return filters


def sidebar() -> Filters:
    """Draw the controls in the sidebar, read them (and the address), and keep the result for `current`."""
    _take_over_narrowing()
    with st.sidebar:
        start, end = _period()
        basis = _one_of("Cost basis", BASES, "basis", _BASIS_HELP)
        grain = _one_of("Grain", GRAINS, "by", "Length of one bar in charts over time. Weeks start on Monday.")
        where = _dimensions()
    filters = Filters(start=start, end=end, where=where, basis=basis, grain=grain)
    st.session_state[_CURRENT] = filters
    return filters


def narrow(**narrowed: str) -> None:
    """Narrow filters to one value each, for a button on the same page: `st.button(..., on_click=narrow, kwargs={"feature": x})`.

    Values that the data do not have are ignored. Raises KeyError for a dimension without a control.
    """
    for name, value in narrowed.items():
        if value in _options(name):
            st.session_state[DIMENSION_KEYS[name]] = [value]


def _take_over_narrowing() -> None:
    """Apply what a link has narrowed, and take it out of the address. Like all of an address, it is not trusted."""
    items = st.query_params.get_all(NARROW)
    if not items:
        return
    del st.query_params[NARROW]
    for item in items:
        name, _, value = item.partition(":")
        if name in DIMENSION_KEYS:
            narrow(**{name: value})


def describe(filters: Filters) -> str:
    """The filters in words: `1 – 31 May 2026 · feature: search, summarize · effective cost`."""
    parts = [_periods.describe((filters.start, filters.end))]
    parts += [f"{_LABELS.get(name, name).lower()}: {', '.join(values)}" for name, values in filters.where]
    return " · ".join([*parts, f"{filters.basis} cost"])


def _period() -> _periods.Range:
    span = _data.span()
    named = _periods.presets(span)
    choice = st.selectbox("Period", [*named, _periods.CUSTOM], key="period", bind="query-params", filter_mode=None)
    period = named.get(str(choice)) or _custom(span, next(iter(named.values())))
    st.caption(plain(_periods.describe(period)))
    return period


def _custom(span: _periods.Range, default: _periods.Range) -> _periods.Range:
    first, last = span
    value = (max(first, default[0]), min(last, default[1]))
    chosen = st.date_input(
        "From – to",
        value=value,
        min_value=first,
        max_value=last,
        key="dates",
        format="YYYY-MM-DD",
        bind="query-params",
    )
    days = [day for day in (chosen if isinstance(chosen, tuple) else (chosen,)) if isinstance(day, date)]
    # While the second day is still being chosen, the first one alone is the period.
    return (min(days), max(days)) if days else value


def _one_of(label: str, options: Mapping[str, str], key: str, help_text: str) -> str:
    choice = st.segmented_control(
        label,
        list(options),
        default=next(iter(options)),
        required=True,
        key=key,
        help=help_text,
        width="stretch",
        bind="query-params",
    )
    return options.get(str(choice), next(iter(options.values())))


def _dimensions() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What is chosen per dimension; a dimension without a choice is not filtered and is left out."""
    chosen: dict[str, tuple[str, ...]] = {}
    for name in ("feature", "model"):
        chosen[name] = _values(name)
    rarer = ("project", "team", "env", "user_tier")
    # What an address sets is never hidden.
    in_address = any(DIMENSION_KEYS[name] in st.query_params for name in rarer)
    with st.expander("Project, team, environment, tier", expanded=in_address):
        for name in rarer:
            chosen[name] = _values(name)
    return tuple((name, values) for name, values in sorted(chosen.items()) if values)


def _options(name: str) -> list[str]:
    return [*_data.dimension_values(name), UNTAGGED]


def _values(name: str) -> tuple[str, ...]:
    values = st.multiselect(
        _LABELS[name],
        _options(name),
        key=DIMENSION_KEYS[name],
        placeholder="All",
        bind="query-params",
    )
    return tuple(sorted(str(value) for value in values))

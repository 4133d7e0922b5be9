"""Which views can be shared, and how each becomes a report.

A view is one function `(warehouse, filters, smallest group) -> Answer` that asks the same analytics as its page; a new page plugs in with such a
function and a line in `SHAREABLE`. `report` adds what every report says: snapshot, period, basis, final or provisional, what it rests on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module

from analytics.filters import Filters
from analytics.freshness import freshness
from analytics.overview import rests_on
from analytics.period_names import name as period_name
from analytics.snapshot_report import Answer, Report
from analytics.snapshot_report_groups import SMALLEST_GROUP, require_group
from analytics.totals import totals
from warehouse.errors import InputError
from warehouse.reader import Warehouse

Build = Callable[[Warehouse, Filters, int], Answer]

_LABELS = {"user_tier": "tier", "env": "environment"}
_PAGES = "analytics.snapshot_report_pages"
_COSTS = "analytics.snapshot_report_costs"


@dataclass(frozen=True)
class Shareable:
    """A view that can be shared: its name (the page's address), its title, and the function that answers it."""

    name: str
    title: str
    function: str

    def build(self) -> Build:
        """The function."""
        module, _, name = self.function.partition(":")
        found: Build = getattr(import_module(module), name)
        return found


SHAREABLE: dict[str, Shareable] = {
    view.name: view
    for view in (
        Shareable("overview", "Overview", f"{_COSTS}:overview_answer"),
        Shareable("features", "Features", f"{_COSTS}:features_answer"),
        Shareable("models", "Models and tokens", f"{_COSTS}:models_answer"),
        Shareable("unit-economics", "Unit economics", f"{_PAGES}:unit_economics_answer"),
        Shareable("infrastructure", "Infrastructure", f"{_PAGES}:infrastructure_answer"),
        Shareable("allocation", "Allocation", f"{_PAGES}:allocation_answer"),
        Shareable("reconciliation", "Reconciliation", f"{_PAGES}:reconciliation_answer"),
        Shareable("waste", "Waste", f"{_PAGES}:waste_answer"),
        Shareable("review", "Weekly review", "analytics.weekly_review_share:review_answer"),
    )
}


def shareable(name: str) -> Shareable:
    """The view of this name. Raises InputError that lists the names that exist."""
    try:
        return SHAREABLE[name]
    except KeyError:
        raise InputError(f"the view {name!r} cannot be shared; choose {', '.join(SHAREABLE)}") from None


def report(warehouse: Warehouse, view: str, filters: Filters, smallest_group: int = SMALLEST_GROUP) -> Report:
    """The report of a view as this snapshot answers it for these filters.

    Raises InputError for a view that cannot be shared, for filters that leave nothing, or that leave the calls of fewer than
    `smallest_group` people.
    """
    found = shareable(view)
    # Before anything is worked out: `report_of` asks too.
    require_group(warehouse, filters, smallest_group)
    return report_of(warehouse, view, filters, found.build()(warehouse, filters, smallest_group), smallest_group)


def report_of(
    warehouse: Warehouse, view: str, filters: Filters, answer: Answer, smallest_group: int = SMALLEST_GROUP
) -> Report:
    """An answer that is there already (a simulated plan) with what every report says about itself. Raises InputError as `report` does."""
    require_group(warehouse, filters, smallest_group)
    span = warehouse.span()
    if span is None:
        raise InputError("the store holds neither bills nor calls: there is nothing to share")
    state, grounds = _state(warehouse, filters)
    return Report(
        view=view,
        answer=answer,
        period=period_name(filters),
        start=filters.start.isoformat(),
        end=filters.end.isoformat(),
        basis=filters.basis,
        conditions=tuple(f"{_LABELS.get(key, key)}: {', '.join(values)}" for key, values in filters.where),
        zone=warehouse.configuration.reporting_time_zone,
        as_of=warehouse.snapshot.created_at[:19] if warehouse.snapshot else "",
        made_at=datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="seconds"),
        snapshot_id=warehouse.snapshot_id,
        data_to=span[1].isoformat(),
        state=state,
        rests_on=grounds,
        prices="Calls are priced at the prices of their time; bills as billed.",
        demo=warehouse.is_demo,
        smallest_group=smallest_group,
        grain=filters.grain,
    )


def _state(warehouse: Warehouse, filters: Filters) -> tuple[str, str]:
    """Final when every cost is on an issued invoice and no source still lacks days of the period; and what the total rests on."""
    with contextlib.suppress(InputError):
        row = totals(warehouse, filters).iloc[0]
        # Not by its share: an open credit makes what is invoiced more than the whole.
        invoiced = (
            row["ledger_cost"] is not None and bool(row["final_cost"]) and row["final_cost"] == row["ledger_cost"]
        )
        sources = freshness(warehouse, filters)
        complete = all(day is not None and day >= filters.end for day in sources["complete_through"])
        return "final" if invoiced and complete else "provisional", rests_on(warehouse, filters)
    return "provisional", "The costs are in several currencies, which have no total."

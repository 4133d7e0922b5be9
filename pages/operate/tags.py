"""Tags: how much of the cost carries the required tags, where they are missing, and what each owner has to do."""

from __future__ import annotations

import streamlit as st

from analytics.filters import UNTAGGED, Filters
from analytics.tag_coverage import (
    EVERY_TAG,
    TAGGED,
    tag_coverage,
    tag_summary,
    tagged_parts_over_time,
    untagged,
    untagged_by_owner,
)
from pages import _draw as draw
from pages._data import answer, configuration
from pages._filters import current, describe
from pages._links import link
from pages._palette import NEUTRAL, SERIES
from pages._provenance import how_obtained

NOBODY = "(nobody known)"


def over_time(filters: Filters, currency: str) -> None:
    """The cost with and without a tag, over time."""
    names = [EVERY_TAG, *configuration().required_tags]
    chosen = st.segmented_control("Tag", names, default=EVERY_TAG, required=True, key="tag", bind="query-params")
    tag = str(chosen) if chosen in names else EVERY_TAG
    draw.cost_chart(
        answer(tagged_parts_over_time, filters, tag),
        title="Cost with and without " + ("every required tag" if tag == EVERY_TAG else f"the tag {tag}"),
        note=f"{filters.basis.capitalize()} cost per {filters.grain}, {currency}, days in {configuration().reporting_time_zone}",
        key="tags_chart",
        name="part",
        grain=filters.grain,
        currency=currency,
        colours={TAGGED: SERIES[draw.mode()][0], UNTAGGED: NEUTRAL[draw.mode()]},
    )


def by_tag(filters: Filters, currency: str) -> None:
    """Coverage of each required tag."""
    frame = answer(tag_coverage, filters)
    draw.section("Coverage by tag", f"{filters.basis.capitalize()} cost, {currency}; with and without sum to the total")
    columns = {
        "tag": draw.Column("Tag", pinned=True),
        "share": draw.Column("Covered", "bar", help="Part of the cost that carries the tag"),
        "tagged_cost": draw.Column("With", "money", currency=currency),
        "untagged_cost": draw.Column("Without", "money", currency=currency),
        "untagged_calls": draw.Column("Calls without", "count"),
    }
    draw.table(
        frame, columns, key="tag_coverage", export=frame, export_name=f"tag-coverage-{filters.start}-{filters.end}"
    )


def owners(filters: Filters, currency: str) -> None:
    """The work list, by who can do it."""
    frame = answer(untagged_by_owner, filters)
    draw.section(
        "To do, by owner",
        f"{currency}; the team of the calls or lines, else the account that is billed. Calls as traced.",
    )
    columns = {
        "owner": draw.Column("Owner", pinned=True),
        "cost": draw.Column("Without a tag", "money", currency=currency),
        "places": draw.Column("Places", "count"),
        "missing": draw.Column("Missing"),
        "fix": draw.Column("First thing to do", width="large"),
    }
    draw.table(
        frame.assign(owner=frame["owner"].fillna(NOBODY)), columns, key="tag_owners", export=frame,
        export_name=f"untagged-by-owner-{filters.start}-{filters.end}", rows_in_sight=8,
    )  # fmt: skip


def places(filters: Filters, currency: str) -> None:
    """Where tags are missing, the dearest first."""
    frame = answer(untagged, filters)
    draw.section("Where tags are missing", f"{currency}; resources on the {filters.basis} basis, calls as traced")
    columns = {
        "what": draw.Column("Resource, prompt or service", "tag", pinned=True),
        "kind": draw.Column("Kind"),
        "cost": draw.Column("Cost", "money", currency=currency),
        "missing": draw.Column("Missing"),
        "owner": draw.Column("Owner"),
        "service": draw.Column("Service or model"),
        "account": draw.Column("Account"),
        "items": draw.Column("Lines or calls", "count"),
        "first_day": draw.Column("First day", "date"),
        "last_day": draw.Column("Last day", "date"),
        "fix": draw.Column("What to do", width="large"),
    }
    draw.table(
        frame.assign(owner=frame["owner"].fillna(NOBODY)), columns, key="untagged", export=frame,
        export_name=f"untagged-{filters.start}-{filters.end}", missing="–",
    )  # fmt: skip
    st.caption("In a pipeline, before anything is built: `percall check-tags plan.json manifests/ litellm.yaml`")
    link("rules", "Fill in tags by rule, dated and with a preview")


def page() -> None:
    """Ask for the coverage and draw it."""
    filters = current()
    summary = answer(tag_summary, filters)
    if summary.share is None:
        draw.empty_result("costs")
        return
    currency = summary.currency or configuration().reporting_currency
    draw.headline(
        summary.headline,
        f"Required are {', '.join(configuration().required_tags)} (setting required_tags). Coverage is by cost: what costs nothing matters less.",
        kicker=describe(filters),
    )
    over_time(filters, currency)
    by_tag(filters, currency)
    owners(filters, currency)
    places(filters, currency)
    how_obtained("tags", filters)


page()

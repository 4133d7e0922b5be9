"""The levers that have a page, in the order of the navigation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analytics.simulators.lever_page import LeverPage
from analytics.simulators.lever_pages_answers import CACHE, ROUTING
from analytics.simulators.lever_pages_demand import DEMAND_PAGES
from analytics.simulators.lever_pages_resources import RESOURCE_PAGES
from analytics.simulators.lever_pages_tokens import BATCH, OUTPUT, PREFIX, RAG
from analytics.simulators.situation import Situation

PAGES: Mapping[str, LeverPage] = {
    page.kind.name: page for page in (ROUTING, CACHE, PREFIX, OUTPUT, BATCH, RAG, *RESOURCE_PAGES, *DEMAND_PAGES)
}
"""Lever pages by the lever's name, in the order of the navigation."""


def defaults(page: LeverPage, situation: Situation) -> dict[str, Any]:
    """The setting that a page opens with."""
    return {control.name: control.default for control in page.controls(situation)}

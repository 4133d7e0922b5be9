"""Vector database: what this lever would save on what is billed for it in the period."""

from __future__ import annotations

from typing import cast

from analytics.simulators.lever import Lever
from analytics.simulators.lever_page import Setting
from analytics.simulators.situation import Situation
from analytics.simulators.vector_database import VectorDatabase
from pages import _lever_page


def recall(_situation: Situation, lever: Lever, _setting: Setting) -> tuple[float, str] | None:
    """Vectors of full precision are found as today; quantised ones a little less, nobody knows how much."""
    if cast("VectorDatabase", lever).bytes_each < 4:
        return None
    return 0.0, "None at full precision, if the index is set up as carefully as today's."


_lever_page.show("vector-database", _lever_page.Own(risk=recall))

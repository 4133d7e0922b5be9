"""Model routing: what this lever would save on the calls of the period, and what labelled samples say of its quality."""

from pages import _lever_page
from pages.optimize import _routing_labelling, _routing_quality

if _lever_page.show(
    "model-routing", _lever_page.Own(below=_routing_quality.quality_below, risk=_routing_quality.known_risk)
):
    _routing_labelling.labelling()

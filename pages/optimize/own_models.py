"""Own models: what this lever would save, when it pays, how many replicas keep waiting short, and which GPUs hold the model."""

from pages import _lever_page
from pages.optimize import _own_model_parts

if _lever_page.show("self-host", _lever_page.Own(below=_own_model_parts.pays_from)):
    _own_model_parts.waiting()
    _own_model_parts.fitting()

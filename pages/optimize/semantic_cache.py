"""Semantic cache: what this lever would save on the calls of the period, which questions would share an answer, and what labelled texts say."""

from pages import _lever_page
from pages.optimize import _cache_labels

if _lever_page.show("semantic-cache"):
    _cache_labels.shared()
    _cache_labels.judged_texts()

"""Semantic cache: what this lever would save on the calls of the period."""

from pages import _lever_page

_lever_page.show("semantic-cache")

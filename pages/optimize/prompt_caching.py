"""Prompt caching: the replay against the log, what this lever would save, and which prefixes are worth marking."""

from pages import _lever_page
from pages.optimize import _prompt_cache_parts

if _lever_page.show("prompt-cache", _lever_page.Own(before=_prompt_cache_parts.calibrated)):
    _prompt_cache_parts.worth_marking()

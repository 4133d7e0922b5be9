"""Switching off: what this lever would save, what it would lose, and other prices instead."""

from pages import _lever_page
from pages.optimize import _earnings

if _lever_page.show("switch-off", _lever_page.Own(below=_earnings.beside, risk=_earnings.lost)):
    _earnings.other_prices()

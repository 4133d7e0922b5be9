"""Volume: what more or fewer calls would cost, and earn."""

from pages import _lever_page
from pages.optimize import _earnings

_lever_page.show("volume", _lever_page.Own(below=_earnings.beside))

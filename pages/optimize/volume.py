"""Volume: what more or fewer calls would cost, and earn."""

from pages import _lever_page

_lever_page.show("volume")

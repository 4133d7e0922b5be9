"""GPU right-sizing: what this lever would save on the bill and the calls of the period."""

from pages import _lever_page

_lever_page.show("gpu-rightsizing")

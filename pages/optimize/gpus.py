"""GPU right-sizing: what this lever would save on the load of the period, and every other GPU beside it."""

from pages import _lever_page
from pages.optimize import _gpu_options

if _lever_page.show("gpu-rightsizing", _lever_page.Own(risk=_gpu_options.precision)):
    _gpu_options.options()

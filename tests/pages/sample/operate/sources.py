from pages import _draw as draw
from pages._data import has_data
from pages._filters import link

draw.headline("No source is connected", "This page needs no data.")
if has_data():
    link("Calls of search", "inform/features.py", icon="filter_alt", feature="search")
    link("All calls", "inform/features.py")

from pages import _draw as draw
from pages._data import has_data
from pages._links import link

draw.headline("No source is connected", "This page needs no data.")
if has_data():
    link("features", "Calls of search", feature="search")
    link("features", "All calls")

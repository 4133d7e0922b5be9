from pages import _draw as draw

draw.headline("No source is connected", "This page needs no data.")

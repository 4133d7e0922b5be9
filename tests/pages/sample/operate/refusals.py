import streamlit as st

from pages import _draw as draw
from pages._data import answer
from tests.pages.sample.figures import broken, refused

draw.headline("Two questions fail", "Each failure is a sentence in its own place.")
with draw.guard():
    answer(refused)
st.write("Between the failures")
answer(broken)

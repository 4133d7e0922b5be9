import sys
from pathlib import Path

import streamlit as st

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

app = st.App(Path(__file__).resolve().parent / "_shell.py")

import streamlit as st

from pages import _draw as draw
from pages._data import answer
from pages._filters import current, narrow
from tests.pages.sample.figures import feature_calls

frame = answer(feature_calls, current())
if frame.empty:
    draw.empty_result("calls")
else:
    draw.headline("Three features share the calls", "One row is one feature.")
    st.button("Only summarize", on_click=narrow, kwargs={"feature": "summarize"}, key="only")
    draw.table(
        frame,
        {
            "feature": draw.Column("Feature", "tag"),
            "calls": draw.Column("Calls", "count"),
            "cost": draw.Column("Cost", "money"),
            "cost_per_call": draw.Column("Cost per call", "unit_money"),
            "call_share": draw.Column("Share of calls", "share"),
        },
        key="features_table",
        export_name="features",
    )

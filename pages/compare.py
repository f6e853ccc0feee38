import streamlit as st

from genlab import ui
from genlab.ui.explore_compare import choose_runs, link_to_view, same_images, same_noise, show_curves, show_differences
from genlab.ui.explore_metrics import metrics_table
from genlab.ui.explore_together import under_one_finger

ui.header("Compare", "Put runs side by side: what differs, how they learned, how they measure, and what they draw.")
runs = choose_runs()
link_to_view(runs)
for title, part in (
    ("What differs", show_differences),
    ("How they learned", show_curves),
    ("How they measure", metrics_table),
    ("The same seed through each", same_noise),
    ("Under one finger", under_one_finger),
    ("The same images through each", same_images),
):
    st.subheader(title, anchor=False)
    part(runs)

import streamlit as st

from genlab import ui
from genlab.ui.explore_controls import explorable_run
from genlab.ui.explore_walks import attributes, traversals, walk

WAYS = {"Walk": walk, "Traverse": traversals, "Attributes": attributes}

ui.header(
    "Interpolate", "What lies between images: walk from one to another, along one dimension, or along an attribute."
)
run = explorable_run("decodes", purpose="turn codes into images")
ways = list(WAYS) if run.can("encodes") else ["Walk"]
way = st.segmented_control("What to do", ways, default="Walk", key="way", bind="query-params", required=True)
WAYS[way](run)

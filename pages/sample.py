import streamlit as st

from genlab import ui
from genlab.ui.explore_controls import explorable_run
from genlab.ui.explore_sample import sampler
from genlab.ui.explore_translate import translator

WAYS = {"samples": ("Draw", sampler), "translates": ("Translate", translator)}

ui.header(
    "Sample",
    "Draw new images from a trained model, or let one that learned from two image sets translate between them.",
)
run = explorable_run(tuple(WAYS), purpose="draw or translate images")
ways = dict(way for ability, way in WAYS.items() if run.can(ability))
way = next(iter(ways))
if len(ways) > 1:
    way = st.segmented_control("What to do", list(ways), default=way, key="way", bind="query-params", required=True)
ways[way](run)

import streamlit as st

from genlab import ui
from genlab.ui.explore_contrast import helped_or_hurt
from genlab.ui.explore_controls import explorable_run
from genlab.ui.explore_latent import latent_map
from genlab.ui.explore_recognise import how_sure, look_up

WAYS = {"Look up": look_up, "How sure": how_sure, "Helped or hurt": helped_or_hurt, "Map": latent_map}

ui.header("Recognise", "Which known images show the same thing as a query, and how far that answer can be trusted.")
run = explorable_run("embeds", purpose="recognise what images show")
way = st.segmented_control("What to see", list(WAYS), default="Look up", key="way", bind="query-params", required=True)
WAYS[way](run)

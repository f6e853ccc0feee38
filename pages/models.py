import streamlit as st

from genlab import ui
from genlab.ui import zoo

ui.header("Models", "Every model of this laboratory: where it comes from, its equations, and what it can do.")
cards, matrix = st.tabs(["Cards", "What each can do"])
with cards:
    zoo.gallery()
with matrix:
    zoo.capability_matrix()

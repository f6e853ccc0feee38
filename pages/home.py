import streamlit as st

from genlab import ui
from genlab.ui import showcase, tours

ui.header("genlab", "A laboratory for image generative models: train them, watch them learn, explore what they know.")
showcase.showcase()
st.space("small")
showcase.ways_on()
tours.entries()
st.caption(
    ":material/lock: Everything happens on this machine: no account, no upload to anyone, no telemetry. "
    "Runs and image sets are plain folders you can copy, back up and delete."
)

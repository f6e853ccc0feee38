import streamlit as st

from genlab import ui
from genlab.ui.explore_controls import explorable_run
from genlab.ui.explore_latent import dimensions, latent_map, plane
from genlab.ui.explore_plane import finger_plane

ui.header("Latent space", "Where a model puts each image: similar images get codes that lie close together.")
run = explorable_run("encodes", purpose="encode images")
latent_map(run)
if run.can("decodes"):
    st.subheader("Under your finger", anchor=False)
    finger_plane(run)
if run.can("decodes") and run.model().latent_dim == 2:
    st.subheader("The plane, decoded", anchor=False)
    plane(run)
with st.expander("What each dimension carries", icon=":material/bar_chart:"):
    dimensions(run)

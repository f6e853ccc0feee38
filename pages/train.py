import streamlit as st

from genlab import ui
from genlab.ui import train_form

ui.header(
    "Train", "Choose images and a model, change what you like, and start. Training goes on when you close this page."
)
train_form.started()
with st.container(key="wide-train"):
    left, right = st.columns([11, 9], gap="large")
with left:
    info = ui.choose_image_set(label="Images", help="Import your own on the Data page.")
    entry = train_form.choose_model()
    second = train_form.choose_second(entry, info)
    plan = train_form.choose_values(entry, info.name, second and second.name)
    if train_form.needs_download(info) or (second and train_form.needs_download(second)):
        pass
    elif problem := train_form.check(entry, plan, info, second):
        st.warning(problem, icon=":material/warning:")
    else:
        with ui.boundary():
            train_form.estimate(plan, info.hash)
        train_form.start(plan)
with right, st.container(border=True, key="card-model"):
    ui.model_card(entry)

import streamlit as st

from genlab import ui
from genlab.ui import data_import, data_look

ui.header("Data", "Bring your own images in, and look at what a model will learn from.")
lab = ui.get_workspace()

with st.expander("Import images", icon=":material/add_photo_alternate:"):
    data_import.import_panel()
if note := st.session_state.pop("data-note", ""):
    st.success(note, icon=":material/check_circle:")
ui.offer_undo("deleted-set", lab.datasets.restore)

info = ui.choose_image_set()
images = data_look.open_chosen(info)
if images is not None:
    data_look.look(images)
    data_look.delete(images)

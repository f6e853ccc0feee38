import streamlit as st

from genlab import ui
from genlab.ui import run_list, run_watch

ui.header("Runs", "Watch them learn, steer them, and keep a record of what was done.")
lab = ui.get_workspace()
ui.offer_undo("deleted-run", lambda id: next(run for run in lab.runs.deleted() if run.id == id).restore())
if not len(lab.runs):
    ui.empty_state("No runs yet", "Start one and watch it here.", link="train", label="Train a model")
    st.stop()

with st.expander(f"All runs ({len(lab.runs)})", icon=":material/list:", expanded=len(lab.runs) > 1):
    run_list.overview()
run = run_list.choose_any_run()
run_watch.watch(run)
run_list.explore_links(run)
with st.expander("Record: everything needed to do it again", icon=":material/description:"), ui.boundary():
    run_list.record(run)
with st.expander("Notes, name, export, delete", icon=":material/edit_note:"), ui.boundary():
    run_list.manage(run)
with st.expander("Add an exported run", icon=":material/unarchive:"):
    run_list.take_in()

"""All runs at a glance, and what can be done with one besides watching it."""

from __future__ import annotations

import json
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

import genlab
from genlab.core.shapes import Shape
from genlab.ui.messages import boundary, plain
from genlab.ui.navigation import page
from genlab.ui.run_state import ACTIVE, progress_of, when
from genlab.ui.run_watch import events_of
from genlab.ui.state import choose, forget, get_workspace, remember
from genlab.ui.undo import undoable

EXPLORE = (
    ("samples", "sample", "Sample"),
    ("translates", "sample", "Translate"),
    ("encodes", "latent", "Latent space"),
    ("decodes", "interpolate", "Interpolate"),
    ("encodes_normal", "triplets", "Triplets"),
    ("embeds", "recognise", "Recognise"),
)


def overview() -> None:
    """A table of every run with its status and progress; a click on a row chooses it."""
    active = any(run.status in ACTIVE for run in get_workspace().runs)
    st.fragment(_table, run_every=3 if active else None)()


@boundary()
def _table() -> None:
    runs = list(get_workspace().runs)
    table: dict[str, list[Any]] = {
        "run": [run.name for run in runs],
        "status": ["shipped" if run.shipped else run.status for run in runs],
        "progress": [round(100 * progress_of(run, events_of(run))) for run in runs],
        "model": [run.config.title for run in runs],
        "images": [run.config.data_title for run in runs],
        "epochs": [run.state.epoch for run in runs],
        "started": [when(run.config.created) for run in runs],
    }
    bar = st.column_config.ProgressColumn("progress", format="%d %%", min_value=0, max_value=100)
    picked = st.dataframe(
        table, hide_index=True, column_config={"progress": bar}, on_select="rerun", selection_mode="single-row",
        key=f"runs-{len(runs)}", height=min(38 + 35 * len(runs), 318),
    )  # fmt: skip
    rows = picked["selection"]["rows"]
    if rows and st.session_state.get("clicked-run") != (clicked := runs[rows[0]].id):
        st.session_state["clicked-run"] = clicked
        remember("run", clicked)
        st.rerun()


def choose_any_run() -> genlab.Run:
    """One of all runs, whatever its status; the page says before that there is at least one."""
    runs = {run.id: run for run in get_workspace().runs}
    titles = {run.id: f"{run.name} · {run.config.title} · {run.config.data_title}" for run in runs.values()}
    return runs[choose("Run", titles, "run")]


def explore_links(run: genlab.Run) -> None:
    """Ways to the pages that can do something with this run, once it has learned for an epoch."""
    if not run.state.epoch:
        return
    with st.container(horizontal=True):
        for capability, name, label in EXPLORE:
            if run.can(capability) and (target := page(name)):
                st.page_link(target, label=label, icon=":material/arrow_forward:", query_params={"run": run.id})


def record(run: genlab.Run) -> None:
    """Everything needed to do it again: settings, seed, data, versions; to copy or to download."""
    config, document = run.config, run.record()
    values = json.loads(document)
    sets = [data for data in (config.data, config.second) if data]
    listed = "\n".join(
        f"- **{'Images' if data is config.data else 'Second images'}:** {plain(data.title)} (`{data.name}`, {data.count:,} "
        f"of {Shape(*data.shape)}, content `{data.hash[:12]}`{', synthetic' if data.synthetic else ''})"
        for data in sets
    )
    st.markdown(
        f"- **Run:** `{run.id}` in `{run.directory}`\n"
        f"- **Model:** {config.title} (`{config.model}`), preset {config.preset}\n"
        f"{listed}\n"
        f"- **Seed:** {values['settings'].get('seed')}; device {run.state.device or 'not known yet'}\n"
        f"- **Versions:** {', '.join(f'{name} {version}' for name, version in config.versions.items())}"
    )
    st.code(command(config.model, [data.name for data in sets], values), language="bash", wrap_lines=True)
    st.caption("The same run again, from the command line.")
    columns = st.columns(2, gap="large")
    for column, title in zip(columns, ("parameters", "settings"), strict=True):
        chosen = values[title]
        column.caption(f"{title.capitalize()}, with what was changed on resuming")
        column.dataframe({"name": list(chosen), "value": [str(value) for value in chosen.values()]}, hide_index=True)
    st.download_button(
        "Download the record (JSON)", document, f"{run.id}.json", "application/json",
        icon=":material/download:", key=f"record-{run.id}", on_click="ignore",
    )  # fmt: skip


def command(model: str, sets: Sequence[str], values: Mapping[str, Any]) -> str:
    """The command that trains the same run again.

    >>> command("vae", ["digits-8"], {"parameters": {"beta": 2.0}, "settings": {"epochs": 3, "seed": 1}})
    'genlab train vae --data digits-8 --epochs 3 --seed 1 --set beta=2.0'
    """
    data = [f"--{name} {shlex.quote(given)}" for name, given in zip(("data", "second"), sets, strict=False)]
    settings = dict(values["settings"])
    plain = [f"--{name} {settings.pop(name)}" for name in ("epochs", "seed") if name in settings]
    named = [f"--set {name}={value}" for name, value in {**values["parameters"], **settings}.items()]
    return " ".join([f"genlab train {model}", *data, *plain, *named])


def manage(run: genlab.Run) -> None:
    """Notes, another name, export and deletion."""
    if not run.shipped:
        _rename_and_note(run)
    if st.button(
        "Prepare an export",
        icon=":material/archive:",
        key=f"export-{run.id}",
        help="Config, events and weights as one zip.",
    ):
        with boundary(), st.spinner("Packing …"):
            _offer_export(run)
    if not run.shipped:
        with st.popover("Delete this run", icon=":material/delete:"):
            st.markdown("It moves to the trash and can be brought back.")
            if st.button("Delete", type="primary", key=f"delete-{run.id}"):
                with boundary():
                    run.delete()
                    st.session_state["deleted-run"] = (run.id, run.name)
                    forget("run")
                    st.rerun()


def _rename_and_note(run: genlab.Run) -> None:
    st.session_state.setdefault(f"note-{run.id}", run.notes)
    with undoable(f"words-{run.id}", f"name-{run.id}", f"note-{run.id}"):
        name = st.text_input("Name", value=run.name, key=f"name-{run.id}", max_chars=120)
        note = st.text_area("Notes", key=f"note-{run.id}", placeholder="What this run was for …")
    if name.strip() and name.strip() != run.name:
        with boundary():
            run.rename(name.strip())
            st.rerun()
    if note != run.notes:
        with boundary():
            run.note(note)
            st.toast("Noted.", icon=":material/edit_note:")


def take_in() -> None:
    """Add a run that somebody exported."""
    file = st.file_uploader("A run that was exported from genlab (zip)", type="zip", key="take-in")
    if file and st.button("Add it", icon=":material/unarchive:", key="take-in-go"):
        with boundary(), tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / Path(file.name).name
            path.write_bytes(file.getvalue())
            remember("run", get_workspace().runs.add(path).id)
            st.rerun()


def _offer_export(run: genlab.Run) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = run.export(Path(folder) / f"{run.id}.zip")
        st.download_button(
            f"Download {file.name}", file.read_bytes(), file.name, "application/zip",
            icon=":material/download:", key=f"exported-{run.id}", on_click="ignore",
        )  # fmt: skip

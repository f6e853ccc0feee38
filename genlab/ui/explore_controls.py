"""Small controls that the exploring pages share: seeds, downloads, and what a wanted run lacks."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import streamlit as st

import genlab
from genlab.core.errors import GenlabError
from genlab.ui.cards import words
from genlab.ui.state import choose_run, get_workspace
from genlab.ui.undo import undoable_row

LARGEST_SEED = 2**31 - 1
LONGEST_IN_ADDRESS = 1500  # characters of one value: a selection among about 8,000 points
TYPES = {
    "png": "image/png", "gif": "image/gif", "mp4": "video/mp4", "zip": "application/zip", "csv": "text/csv", "html": "text/html",
}  # fmt: skip


def explorable_run(*capabilities: str | tuple[str, ...], purpose: str) -> genlab.Run:
    """Let the person choose a run with these abilities, of a tuple with one; a run that lacks them is explained."""
    wanted = st.query_params.get("run") or st.session_state.get("chosen-run")
    if wanted:
        _explain(wanted, capabilities, purpose)
    return choose_run(*capabilities, purpose=purpose)


def _explain(wanted: str, capabilities: tuple[str | tuple[str, ...], ...], purpose: str) -> None:
    try:
        run = get_workspace().runs[wanted]
    except GenlabError:
        st.info(f"There is no run “{wanted}” here any more; another one is shown.", icon=":material/info:")
        return
    lacking = [any_of(names) for names in capabilities if not run.can(names)]
    if lacking:
        st.info(
            f"“{run.title}” cannot {purpose}: a {run.config.model} model does not do this ({', '.join(lacking)}). "
            "The runs below can.",
            icon=":material/info:",
        )


def any_of(capabilities: str | tuple[str, ...]) -> str:
    """One ability in words, or several of which one will do.

    >>> any_of("encodes"), any_of(("samples", "samples_by_label"))
    ('encodes', 'samples or samples by label')
    """
    return " or ".join(map(words, [capabilities] if isinstance(capabilities, str) else capabilities))


def part_of_page(question: str, parts: Iterable[str], *, of: str, key: str = "way") -> str:
    """Which part of a page is shown; it stands in the address, and Undo goes back to the one before."""
    names = list(parts)
    with undoable_row(f"part-{key}", key, of=of):
        shown = st.segmented_control(
            question, names, default=names[0], key=key, bind="query-params", required=True, wrap=True
        )
    return str(shown)


def weights_of(run: genlab.Run) -> str:
    """What a run has learned so far, as a name: its newest checkpoint. Results are remembered by it."""
    from genlab.runs.checkpoints import checkpoints

    found = checkpoints(run.directory / "checkpoints")
    return f"{run.id}/{found[-1].path.name}" if found else run.id


def seed_input(key: str = "seed", *, help: str = "The same seed gives the same images again.") -> int:
    """A seed that stands in the address, with a die for another one."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", width="content"):
        seed = st.number_input("Seed", 0, LARGEST_SEED, 0, key=key, bind="query-params", help=help, width=130)
        st.button(
            "", icon=":material/casino:", key=f"{key}-next", help="Another seed", on_click=_another_seed, args=(key,)
        )
    return int(seed)


def _another_seed(key: str) -> None:
    st.session_state[key] = (int(st.session_state[key]) + 1) % LARGEST_SEED


def keep_in_address(name: str, text: str) -> None:
    """Write a value into the address, where it differs from what stands there; "" takes it out.

    What was written last may still be on its way to a browser that already asked for more, so it must not differ either.
    """
    written = st.session_state.setdefault("in-address", {})
    if st.query_params.get(name, "") == text == written.get(name, text):
        return
    written[name] = text
    if not text:
        st.query_params.pop(name, None)
    st.query_params.update({name: text} if text else {})  # told to the browser even where it is no other


def keep_long(name: str, text: str, what: str) -> bool:
    """Write a value of any length into the address; returns whether it fits, else it is left out, which the page says."""
    fits = len(text) <= LONGEST_IN_ADDRESS
    keep_in_address(name, text if fits else "")
    if not fits:
        st.caption(f":material/link_off: {what} is too long for the address, so a link to this page leaves it out.")
    return fits


def linked(name: str, of: str) -> str:
    """What the address says under a name as long as it is about the same thing; for another one it is taken out."""
    before = st.session_state.get(f"linked-{name}", of)
    st.session_state[f"linked-{name}"] = of
    if before != of:
        keep_in_address(name, "")
    return st.query_params.get(name, "")


def offer(label: str, content: bytes | str | Callable[[], bytes | str], file: str) -> None:
    """A download that leaves the page as it is; a function is called when the button is pressed."""
    st.download_button(
        label,
        content,
        file,
        TYPES.get(file.rpartition(".")[2], "application/octet-stream"),
        key=f"offer-{file}",
        icon=":material/download:",
        on_click="ignore",
    )


def as_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows of named values as comma-separated text; a row may lack some of the names.

    >>> as_csv([{"a": 1}, {"a": 2, "b": 3}]).split()
    ['a,b', '1,', '2,3']
    """
    listed = list(rows)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in listed for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(listed)
    return text.getvalue()


def file_stem(run: genlab.Run, what: str) -> str:
    """A file name that says which run a picture came from.

    >>> from types import SimpleNamespace
    >>> file_stem(SimpleNamespace(name="My run: é", id="x"), "samples")
    'my-run-samples'
    """
    name = re.sub(r"[^a-z0-9]+", "-", run.name.lower()).strip("-") or run.id
    return f"{name}-{what}"

"""Guided walks of five minutes: what to do and to see, step by step, on the real pages with the shipped runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import streamlit as st

from genlab.ui.state import get_workspace, remember


class Stop(NamedTuple):
    """One step: a heading, what to do and what to see (Markdown), the page it is on and the parameters of its address.

    Stops of one tour on one page give the same parameters, as what one leaves out would stay as the last set it.
    """

    title: str
    text: str
    page: str
    query: Mapping[str, Any] = {}


class Tour(NamedTuple):
    """A walk: its name in addresses, its title, what one knows afterwards, and its stops."""

    name: str
    title: str
    summary: str
    stops: tuple[Stop, ...]


TOURS = (
    Tour(
        "latent-space", "What a latent space is", "Why a model of images keeps a map, and how to read it.",
        (
            Stop("Every image has a place",
                 "Each dot is one handwritten digit: the encoder turned its 784 pixels into **two numbers**, and those are "
                 "its place. Move the pointer over the dots: neighbours look alike. Nobody told the model the classes; "
                 "the colours were added afterwards.",
                 "latent", {"run": "digits-plane", "limit": 2000, "colour": "class"}),
            Stop("Pictures in the place of dots",
                 "The same map with the images themselves. Walk along it with your eyes: slant and width change slowly, "
                 "and where two digits meet, so do their shapes. Draw with Shift held down around a group to see it in full.",
                 "latent", {"run": "digits-plane", "limit": 2000, "colour": "class", "pictures": 26}),
            Stop("The way back",
                 "A decoder turns any place into an image, also places where no dot lies. Scroll to **Under your finger** "
                 "and drag: every picture you see is made up at that moment.",
                 "latent", {"run": "digits-plane", "limit": 1000, "colour": "class"}),
            Stop("A walk between two images",
                 "From one image to another in equal steps of the code. Nothing here was ever written by a hand, and "
                 "still most steps are digits.",
                 "interpolate", {"run": "digits-vae", "way": "Walk", "ends": "12, 2946"}),
            Stop("Where do you belong?",
                 "Write a digit on paper and press **Your picture**, or drop a photograph on the map. It gets a place, "
                 "neighbours, and a verdict how strange it is to this model.",
                 "latent", {"run": "digits-vae", "limit": 2000, "colour": "class"}),
        ),
    ),
    Tour(
        "holes", "Why the autoencoder's has holes", "What an autoencoder lacks to make new images, and what a VAE adds.",
        (
            Stop("It rebuilds well",
                 "A plain autoencoder learned to rebuild digits from 32 numbers. Click on dots and compare each image with "
                 "its reconstruction: they are close.",
                 "latent", {"run": "digits-autoencoder", "limit": 2000, "colour": "class"}),
            Stop("Its codes lie where they like",
                 "Coloured by the length of the code, and look at the axes: codes reach to 20 and beyond, as nothing in the "
                 "loss said where to put them. So nobody knows where to look for a new one, and the Sample page does not "
                 "offer this run.",
                 "latent", {"run": "digits-autoencoder", "limit": 2000, "colour": "code norm"}),
            Stop("Between and beyond",
                 "Scroll to **Under your finger** and drag into the hatched parts, where no image of the training set lies: "
                 "strokes break up and smudge. The decoder was never asked about these places.",
                 "latent", {"run": "digits-autoencoder", "limit": 1000, "colour": "class"}),
            Stop("The same in a VAE",
                 "A VAE encodes each image as a small cloud and pulls all clouds together to a standard normal: the axes end "
                 "near 4. Drag again: most places near the middle decode into something like a digit.",
                 "latent", {"run": "digits-vae", "limit": 1000, "colour": "class"}),
            Stop("And so it can draw",
                 "Because the codes fill a known distribution, a draw from it is a code like any other, and its decoded image "
                 "is new. The price: VAE images are smoother than real ones.",
                 "sample", {"run": "digits-vae"}),
        ),
    ),
    Tour(
        "kl", "What KL does", "The term that makes a VAE a VAE: what it costs and what it buys.",
        (
            Stop("Nats for each image",
                 "The map is coloured by KL: how many nats the code of each image says beyond the prior. Move the pointer over "
                 "the cheapest and the dearest, and see what they have in common.",
                 "latent", {"run": "digits-vae", "limit": 2000, "colour": "KL / nats"}),
            Stop("Dimensions that say nothing",
                 "This β-VAE weighs KL four times. Open **What each dimension carries** at the foot of the page: of ten "
                 "dimensions four carry less than a tenth of a nat, as saying nothing costs nothing.",
                 "latent", {"run": "sprites-beta-vae", "limit": 1000, "colour": "code norm"}),
            Stop("What is left is worth it",
                 "Each row moves one dimension, the most used first. The first rows move or turn the shape; the last ones, "
                 "those with next to no KL, change next to nothing.",
                 "interpolate", {"run": "sprites-beta-vae", "way": "Traverse"}),
            Stop("Without KL",
                 "An autoencoder has no KL. Look at the axes: its codes spread over tens of units where the VAE's keep "
                 "within about four.",
                 "latent", {"run": "digits-autoencoder", "limit": 2000, "colour": "class"}),
            Stop("Try it",
                 "Train a VAE yourself with `beta` at 0.1 and one at 10, then put both on the Compare page: one rebuilds "
                 "better, the other has fewer active units.",
                 "train", {"model": "vae", "data": "digits-28"}),
        ),
    ),
    Tour(
        "bm", "What BM rewards", "A metric from a paper, and why a number must be read beside its baselines.",
        (
            Stop("What it is",
                 "The Balance Metric averages d (1 − d), where d is how far a generated pixel lies from an image's. "
                 "That is largest at d = ½, so it rewards being **half wrong**. Look at what these two models draw first.",
                 "compare", {"runs": "digits-vae,digits-dcgan", "measured": 300}),
            Stop("Measure it",
                 "Under **How they measure** press **Measure** and find the row of the Balance Metric with its baselines. "
                 "Choose it for the bars below: a mid-grey square scores several times higher than either model, and real "
                 "digits score as low as the models do.",
                 "compare", {"runs": "digits-vae,digits-dcgan", "measured": 100}),
            Stop("Look at the samples",
                 "Which of the two draws better digits? Ask yourself first, then compare with what BM and the Fréchet "
                 "distance say.",
                 "sample", {"run": "digits-dcgan"}),
            Stop("The study",
                 "The paper ranks its models by BM over learning rates. Here is that comparison again, with the baselines "
                 "beside it; begin it when you have some minutes, and read its findings.",
                 "studies", {"study": "ava-learning-rates"}),
        ),
    ),
    Tour(
        "triplets", "How triplets teach", "Sampled look-alikes and strangers, and how recognition learns from them.",
        (
            Stop("An anchor and its kin",
                 "Around the code of one log end others are drawn: near ones should count as **the same**, farther ones as "
                 "**different**. All of them are decoded, so you can judge for yourself.",
                 "triplets", {"run": "log-ends-variant", "positive_radius": 0.15, "negative_radius": 0.3}),
            Stop("Too far",
                 "The positive radius is now three times what the thesis takes. Would you still call the positives the same? "
                 "A triplet teaches only what it shows.",
                 "triplets", {"run": "log-ends-variant", "positive_radius": 0.45, "negative_radius": 0.6}),
            Stop("Too close",
                 "Now negatives look like the anchor. What learns from these is told to part what nobody can part.",
                 "triplets", {"run": "log-ends-variant", "positive_radius": 0.02, "negative_radius": 0.05}),
            Stop("What was learned",
                 "This run learned an embedding of log ends. Its nearest gallery images stand beside each query: a hit is a log "
                 "recognised.",
                 "recognise", {"run": "log-ends-recognition"}),
        ),
    ),
)  # fmt: skip


CHOSEN = ("run", "model", "data", "study")  # what `choose` asks for


def entries() -> None:
    """The walks on the first page: what each is about, and a button that begins it."""
    here = {run.id for run in get_workspace().runs}
    able = [tour for tour in TOURS if {stop.query["run"] for stop in tour.stops if "run" in stop.query} <= here]
    if not able:
        return
    st.subheader("Five-minute tours", anchor=False)
    with st.container(key="wide-tours"):
        columns = st.columns(len(able), gap="small")
    for column, tour in zip(columns, able, strict=True):
        with column, st.container(border=True, height="stretch", key=f"card-tour-{tour.name}"):
            st.markdown(f"**{tour.title}**")
            st.caption(tour.summary)
            if st.button("Begin", icon=":material/hiking:", key=f"tour-{tour.name}"):
                _go(tour, 0)


def guide() -> None:
    """The stop where a walk stands, above the page it is on."""
    tour, place = standing(str(st.query_params.get("tour") or st.session_state.get("tour", "")))
    if tour is None:
        return
    st.session_state["tour"] = f"{tour.name}.{place}"
    stop = tour.stops[place]
    with st.container(border=True, key="tour"):
        st.markdown(f":material/hiking: **{tour.title}** · {place + 1} of {len(tour.stops)} · **{stop.title}**")
        st.markdown(stop.text)
        with st.container(horizontal=True):
            if place and st.button("Back", icon=":material/arrow_back:", key="tour-back"):
                _go(tour, place - 1)
            further = place + 1 < len(tour.stops)
            if further and st.button("Next", icon=":material/arrow_forward:", type="primary", key="tour-next"):
                _go(tour, place + 1)
            if st.button("Show this step again", icon=":material/replay:", type="tertiary", key="tour-again"):
                _go(tour, place)
            if st.button("Leave the tour", icon=":material/close:", type="tertiary", key="tour-leave"):
                st.session_state.pop("tour", None)
                st.query_params.pop("tour", None)
                st.rerun()


def standing(text: str) -> tuple[Tour | None, int]:
    """The walk and the stop that a text such as "kl.2" names; None where it names neither.

    >>> standing("kl.2")[0].title, standing("kl.2")[1], standing("kl.99"), standing("")
    ('What KL does', 2, (None, 0), (None, 0))
    """
    name, _, number = text.partition(".")
    tour = next((tour for tour in TOURS if tour.name == name), None)
    if tour is None or not number.isdecimal() or int(number) >= len(tour.stops):
        return None, 0
    return tour, int(number)


def _go(tour: Tour, place: int) -> None:
    """Open the page of a stop with its parameters: widgets take theirs from the session, the rest from the address."""
    from genlab.ui.navigation import page

    stop, state = tour.stops[place], st.session_state
    state["tour"] = f"{tour.name}.{place}"
    state["map-asked"] = state.get("map-asked", 0) + 1
    state.pop("map", None)
    address: dict[str, Any] = {"tour": state["tour"]}
    for name, value in stop.query.items():
        if name in CHOSEN:
            remember(name, value)
            address[name] = value
        elif name == "runs":
            state["compared"] = address[name] = value.split(",")
        elif name == "pictures":
            address[name] = str(value)
        else:
            state[name] = value
    st.switch_page(page(stop.page), query_params=address)

"""The training theatre: what is played and by whom, and the view in which it is played."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from genlab.data.clouds import MODES
from genlab.figures.palette import NEUTRAL, PALETTE
from genlab.ui.components import heard
from genlab.ui.components.browser import view
from genlab.ui.explore_controls import keep_in_address, keep_long, linked, seed_input
from genlab.ui.forms import parameter_form
from genlab.ui.messages import boundary
from genlab.ui.routes import base
from genlab.ui.state import get_models
from genlab.ui.theatre_links import strokes_of, strokes_text, value_of
from genlab.ui.theatre_words import CLOUDS, MODELS, SEEN, TRIALS, Trial
from genlab.ui.undo import undoable
from genlab.workspace.exhibit import packed
from genlab.workspace.theatre import CAST, DRAWN, MOST_STEPS, Scene, choices, scene

if TYPE_CHECKING:
    from genlab.core.parameters import ParameterInfo
    from genlab.core.registry import Entry

INKS = {"real": PALETTE[0], "made": PALETTE[1], "best": NEUTRAL, "": ""}
DIVERGENCE = "Jensen–Shannon divergence of samples and points, nats"
PARAMETERS = sorted({name for role in CAST.values() for name in role.shown} - {"loss"})
SPEEDS = {"gmm": "slow"}  # a round of EM is worth a look


@st.fragment
@boundary()
def toy_theatre() -> None:
    """Model and cloud; the play; its parameters, what is seen and what to try."""
    model = _chips("Model", MODELS, "model")
    cloud = _chips("Points to learn", CLOUDS, "cloud")
    get_models()
    stage = st.container()
    values, seed = _parameters(model)
    strokes = _strokes() if cloud == DRAWN else []
    data = {"route": f"{base()}/theatre", "drawing": cloud == DRAWN, "strokes": strokes, "inks": INKS}
    data["of"] = f"{model}/{cloud}/{seed}/{values}"
    if cloud == DRAWN and not strokes:
        data |= {"name": "nothing", "scene": None}
        moment = ""
    else:
        played = scene(model, cloud, seed=seed, strokes=strokes, **values)
        told = {"model": model, "cloud": cloud, "seed": seed, "strokes": strokes, "values": values}
        moment = _moment(played.name)
        data |= {"name": played.name, "scene": told, "moment": moment, **_play(get_models()[model], played)}
    with stage:
        view("cloud", data, key="theatre-view", on_strokes_change=_drawn, on_moment_change=heard)
        if keep_long("strokes", strokes_text(strokes), "The drawing"):
            keep_long("moment", moment, "The way that the play took")
        else:
            keep_in_address("moment", "")
    st.markdown(f"**What is seen.** {SEEN[model]}")
    st.markdown("**What to try**")
    for number, trial in enumerate(TRIALS[model]):
        words, button = st.columns([6, 1], vertical_alignment="center")
        words.markdown(trial.text)
        button.button("Set up", key=f"try-{model}-{number}", on_click=_set_up, args=(model, trial), width="stretch")


def _set_up(model: str, trial: Trial) -> None:
    """The cloud and the values of something to try; all that it does not name stands as at first."""
    st.session_state["cloud"] = trial.cloud
    for name, info in choices(model).items():
        value = trial.values.get(name, CAST[model].values.get(name, info.default))
        st.session_state["loss" if name == "loss" else f"theatre-{model}-{name}"] = value


def _chips(label: str, titles: Mapping[str, str], key: str) -> str:
    _from_address(key, list(titles))
    chosen = str(st.segmented_control(label, list(titles), format_func=titles.__getitem__, key=key, required=True))
    keep_in_address(key, chosen)
    return chosen


def _from_address(key: str, names: Sequence[str]) -> None:
    """Where a widget begins: with what the address names, else with the first of its names."""
    if key not in st.session_state:
        wanted = st.query_params.get(key)
        st.session_state[key] = wanted if wanted in names else names[0]


def _parameters(model: str) -> tuple[dict[str, Any], int]:
    """The parameters that this model shows here, and the seed; the loss of a game stands in the address too.

    What was changed of them is taken back here, as is another model or cloud.
    """
    infos, values, first = choices(model), CAST[model].values, {}
    keys = ("model", "cloud", "loss", "seed", *(f"theatre-{model}-{name}" for name in infos))
    row = st.container(horizontal=True, vertical_alignment="bottom")
    with undoable("theatre", *keys, place=row):
        with row:
            if "loss" in infos:
                first["loss"] = _loss(infos.pop("loss"))
            else:
                keep_in_address("loss", "")
            seed = seed_input(
                help="Fixes the points, the first weights and all noise: the same seed plays the same play."
            )
        with st.expander("Parameters", icon=":material/tune:"):
            plain = {name: info._replace(advanced=False) for name, info in infos.items()}
            _from_link(model, plain, values)
            chosen = parameter_form(plain, values, f"theatre-{model}")
            for name in PARAMETERS:
                usual = name not in chosen or chosen[name] == values.get(name, plain[name].default)
                keep_in_address(name, "" if usual else str(chosen[name]))
            return first | chosen, seed


def _from_link(model: str, infos: Mapping[str, ParameterInfo], values: Mapping[str, Any]) -> None:
    """Where the parameters of the model that the address names begin: with what it says of them, where they can be that."""
    texts = {name: linked(name, model) for name in PARAMETERS}
    for name, info in infos.items():
        key, start = f"theatre-{model}-{name}", values.get(name, info.default)
        found = value_of(texts[name], info, start)
        if found is not None and key not in st.session_state:
            st.session_state[key] = found


def _moment(scene: str) -> str:
    """The turns up to where the play of a scene stands, counted as in "b3d1": as told, else as the address has it."""
    told, text = st.session_state.get("theatre-view", {}).get("moment"), linked("moment", scene)
    text = told["turns"] if told and told["scene"] == scene else text
    counts = re.findall(r"\d+", text)
    return text if re.fullmatch(r"0|([bdg]\d{1,5})+", text) and sum(map(int, counts)) <= MOST_STEPS else ""


def _loss(info: ParameterInfo) -> str:
    names = [info.default, *(name for name in info.choices if name != info.default)]
    _from_address("loss", names)
    chosen: str = st.selectbox(
        "Loss", names, key="loss", width=220, format_func=lambda name: name.replace("_", " "), help=info.description
    )
    keep_in_address("loss", chosen)
    return chosen


def _strokes() -> list[Any]:
    """What was drawn by hand, or what the address has of it."""
    drawn: list[Any] = st.session_state.setdefault("theatre-strokes", strokes_of(st.query_params.get("strokes", "")))
    return drawn


def _drawn() -> None:
    """Keep what was drawn, for this page and for when somebody comes back to it."""
    st.session_state["theatre-strokes"] = st.session_state["theatre-view"].strokes or []


def _play(entry: Entry, played: Scene) -> dict[str, Any]:
    """What the view must know of a scene: its points, its players, its layers, its curves and its legend."""
    game = entry.card.family == "adversarial"
    probable = game and entry.card.scalars["d_real"].guide_under(played.values) is not None
    layers = {"cloud": "Points", "samples": "Samples", "field": "Verdict" if game else "Density"}
    if "decodes" in entry.capabilities and played.values.get("latent_dim", 2) <= 2:
        layers["net"] = "Net"
    layers |= {"best": "Best verdict"} if probable else {}
    layers |= {"gan": {"pulls": "Pulls"}, "gmm": {"rings": "Components"}, "vae": {"rings": "Posteriors"}}.get(
        played.model, {}
    )
    verdicts = ["taken for generated", "taken for real"] if probable else ["lowest score", "highest score"]
    return {
        "game": game,
        "probable": probable,
        "coded": "encodes" in entry.capabilities and played.values.get("latent_dim", 2) == 2,
        "cloud": packed(played.points),
        "speed": SPEEDS.get(played.model, "fast"),
        "layers": layers,
        "legend": verdicts if game else ["no density", "dense"],
        "curves": _curves(entry, played, game, probable),
        "modes": len(MODES[played.cloud].centres) if played.cloud in MODES else 0,
    }


def _curves(entry: Entry, played: Scene, game: bool, probable: bool) -> list[dict[str, Any]]:
    lines = [_line("loss", "loss", "made")]
    if game:
        lines = [_line("loss_discriminator", "D", "real"), _line("loss_generator", "G", "made")]
    if probable:
        lines.append(_line("loss_best", "best D", "best"))
    guide = entry.card.scalars[lines[0]["name"]].guide_under(played.values)
    losses = "What each player minimises" if game else "−log p, or the bound on it, nats a point"
    return [
        {"title": losses, "lines": lines, "guide": guide},
        {"title": DIVERGENCE, "lines": [_line("divergence", "divergence", "")], "guide": 0.0},
    ]


def _line(name: str, title: str, ink: str) -> dict[str, str]:
    return {"name": name, "title": title, "ink": INKS[ink]}

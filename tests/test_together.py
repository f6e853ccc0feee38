"""Runs that can decode each other's codes: grouped by what one seed draws, and left out with a reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from exploring import Auto, Density, FakeRun, Generator, pictures
from streamlit.testing.v1 import AppTest

import genlab
from genlab.core.capabilities import Decodes
from genlab.core.errors import BadInputError
from genlab.core.model import Model
from genlab.core.parameters import Parameters
from genlab.core.shapes import Shape
from genlab.nn.inference import prior_codes
from genlab.workspace.together import companions


class NamedRun(FakeRun):
    def __init__(self, name: str, model: Model, directory: Path) -> None:
        super().__init__(model, pictures(), directory)
        self.id = name


class Bare(Model, Decodes):
    """A decoder without a prior."""

    Parameters = Parameters
    latent_dim = 2

    def __init__(self) -> None:
        super().__init__(Shape(1, 8, 8), 0, Parameters())

    def decode(self, codes):
        return torch.zeros(len(codes), 1, 8, 8)


class Broken(NamedRun):
    def model(self, step=None):
        raise BadInputError("It has no checkpoint yet.")


def conditional(seed: int) -> Model:
    torch.manual_seed(seed)
    return genlab.create("cgan", (1, 8, 8), classes=2, latent_dim=3)


def test_runs_that_draw_the_same_codes_belong_together_and_others_are_told_why(tmp_path: Path) -> None:
    logistic, normal = (genlab.create("nice", (1, 8, 8), prior=prior) for prior in ("logistic", "normal"))
    models = {
        "two-a": Generator(2), "two-b": Auto(2), "two-c": genlab.create("vae", (1, 8, 8), latent_dim=2, hidden=8),
        "three": Generator(3), "line": Generator(1), "labels-a": conditional(0), "labels-b": conditional(1),
        "logistic": logistic, "normal": normal, "flow": genlab.create("realnvp", (1, 8, 8)), "density": Density(), "bare": Bare(),
    }  # fmt: skip
    runs = {name: NamedRun(name, model, tmp_path) for name, model in models.items()}
    found = companions([*runs.values(), Broken("broken", Generator(2), tmp_path)])
    assert [[run.id for run in group] for group in found.groups] == [["two-a", "two-b", "two-c"], ["normal", "flow"]]
    for group in found.groups:
        first, *others = (prior_codes(run.model(), 5, 7) for run in group)
        assert all(np.array_equal(first, other) for other in others)
    reasons = dict(found.apart.items())
    assert reasons.keys() == models.keys() - {"two-a", "two-b", "two-c", "normal", "flow"} | {"broken"}
    assert "3 dimensions" in reasons["three"]
    assert "single dimension" in reasons["line"]
    assert "no decoder" in reasons["density"]
    assert "no prior" in reasons["bare"]
    assert reasons["labels-a"] == reasons["labels-b"]
    assert "its prior is its own" in reasons["labels-a"]
    assert "its prior is its own" in reasons["logistic"]
    assert reasons["broken"] == "It has no checkpoint yet."


def test_the_largest_group_comes_first_and_one_run_is_none(tmp_path: Path) -> None:
    sizes = [2, 3, 3, 2, 3]
    runs = [NamedRun(str(place), Generator(size), tmp_path) for place, size in enumerate(sizes)]
    assert [[run.id for run in group] for group in companions(runs).groups] == [["1", "2", "4"], ["0", "3"]]
    assert companions(runs[:1]) == ([], {"0": "none of the others has codes of 2 dimensions"})
    assert companions([]) == ([], {})


def compared(*names: str, **query: str) -> AppTest:
    """The Compare page with runs that came with genlab."""
    app = AppTest.from_file(str(Path(genlab.__file__).parent.parent / "app.py"), default_timeout=60)
    app.switch_page("pages/compare.py")
    app.query_params["runs"] = list(names)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    assert not app.error
    return app


def told(app: AppTest) -> str:
    return next(caption.value for caption in app.caption if "whose priors give the same codes" in caption.value)


def test_the_page_lets_choose_among_groups_and_a_link_keeps_the_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENLAB_HOME", str(tmp_path))
    names = ("digits-wgan", "digits-vae", "digits-ava5", "digits-ava4", "digits-lsgan")
    app = compared(*names)
    assert "One code of 16 numbers, decoded by 3 runs" in told(app)
    assert "“WGAN on digits” (it shares another prior)" in told(app)
    choice = app.selectbox("together")
    assert choice.options == [
        "VAE on digits, AVA5 on digits, AVA4 on digits (16 dimensions)",
        "WGAN on digits, LSGAN on digits (32 dimensions)",
    ]
    choice.set_value(choice.options[1]).run()
    assert "One code of 32 numbers, decoded by 2 runs" in told(app)
    linked = compared(*names, together=choice.options[1])
    assert "One code of 32 numbers, decoded by 2 runs" in told(linked)

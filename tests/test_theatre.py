"""The training theatre: clouds, the steps of the package's own training, and what is seen of them, each counted again."""

from __future__ import annotations

import asyncio
import base64
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest
from test_routes import request, sentence

import genlab
from genlab.core.errors import BadInputError
from genlab.core.seeding import seed_everything
from genlab.core.settings import TrainingSettings
from genlab.data.clouds import CLOUDS, MODES, SHAPE, as_images, cloud, drawn_cloud
from genlab.data.loader import ArrayBatches
from genlab.training.loop import Training
from genlab.ui import theatre_route
from genlab.ui.theatre_words import CLOUDS as CLOUD_TITLES
from genlab.ui.theatre_words import MODELS, SEEN, TRIALS
from genlab.workspace import spectacle
from genlab.workspace.spectacle import CELLS, ellipses, images_of, jensen_shannon, knots, places, smoothed
from genlab.workspace.stage import Stage
from genlab.workspace.theatre import CAST, DRAWN, POINTS, Scene, Theatre, choices, scene

APP = Path(__file__).resolve().parent.parent / "app.py"


# --- clouds ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLOUDS)
def test_clouds_lie_inside_the_square_and_are_functions_of_their_seed(name: str) -> None:
    points = cloud(name, 3000, seed=1)
    assert points.shape == (3000, 2)
    assert 0 < points.min() < 0.2
    assert 0.8 < points.max() < 1
    assert np.array_equal(points, cloud(name, 3000, seed=1))
    assert not np.array_equal(points, cloud(name, 3000, seed=2))
    if name in MODES:
        centres, deviation = MODES[name]
        apart = np.linalg.norm(points[:, None] - centres, axis=2)
        assert np.bincount(apart.argmin(1), minlength=len(centres)).min() > 0.7 * 3000 / len(centres)
        assert apart.min(1).max() < 5 * deviation
        assert np.sqrt((apart.min(1) ** 2).mean() / 2) == pytest.approx(deviation, rel=0.05)


def test_a_drawing_is_spread_along_its_strokes_by_their_length() -> None:
    short, long = [(0.1, 0.1), (0.3, 0.1)], [(0.1, 0.8), (0.5, 0.8), (0.9, 0.8)]
    points = drawn_cloud([short, long], 5000)
    lower = points[:, 1] < 0.45
    assert lower.mean() == pytest.approx(0.2, abs=0.02)
    assert points[lower, 1].std() == pytest.approx(0.012, rel=0.1)
    counts, _ = np.histogram(points[~lower, 0], np.linspace(0.1, 0.9, 9))
    assert counts.max() < 1.35 * counts.min()
    dot = drawn_cloud([[(0.5, 0.5)]], 500)
    assert np.abs(dot - 0.5).max() < 0.06
    assert (drawn_cloud([[(0.0, 0.0), (1.0, 0.0)]]) >= 0).all()
    for bad in ([], [[]], [[(0.5, 2.0)]], [[(math.nan, 0.5)]], [["a"]]):
        with pytest.raises(BadInputError, match=r"Draw at least|A stroke is"):
            drawn_cloud(bad)


def test_a_model_sees_points_as_images_of_two_pixels() -> None:
    points = cloud("moons", 50)
    assert as_images(points).shape == (50, *SHAPE)
    np.testing.assert_allclose(as_images(points).reshape(50, 2) / 255, points, atol=0.5 / 255 + 1e-9)
    np.testing.assert_array_equal(
        scene("gmm", "moons").points, as_images(cloud("moons", POINTS)).reshape(-1, 2) / np.float32(255)
    )


# --- steps -----------------------------------------------------------------------------------------------------


def played(scene: Scene, history: str) -> Stage:
    stage = Stage(scene)
    for turn in history:
        assert stage.take(turn)
    return stage


def ordinary(scene: Scene, steps: int) -> Training:
    """The package's training loop by itself, as a run would be trained."""
    seed_everything(scene.seed)
    model = genlab.create(scene.model, SHAPE, 0, **scene.values)
    data = ArrayBatches(scene.images, None, {"train": np.arange(POINTS)})
    training = Training(
        model, data, TrainingSettings(epochs=50, batch_size=scene.batch_size, seed=scene.seed, device="cpu")
    )
    for _ in training.events():
        if training.step == steps:
            return training
    raise AssertionError("it ended early")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], part: str = "") -> bool:
    return all(torch.equal(one[name], other[name]) for name in one if name.startswith(part))


@pytest.mark.parametrize("model", CAST)
def test_both_is_the_ordinary_training_to_the_bit(model: str) -> None:
    setting = scene(model, "spiral", seed=3)
    stage = Stage(setting)
    for _ in range(19):  # past two epochs; looking on the way disturbs nothing
        assert stage.take("b")
        stage.look()
    assert same(stage.model.state_dict(), ordinary(setting, 19).model.state_dict())
    assert not same(stage.model.state_dict(), ordinary(setting, 18).model.state_dict())


@pytest.mark.parametrize(("turn", "mover", "rester"), [("d", "critic", "generator"), ("g", "generator", "critic")])
@pytest.mark.parametrize("loss", ["non_saturating", "wasserstein"])
def test_whoever_rests_keeps_every_weight_to_the_bit(turn: str, mover: str, rester: str, loss: str) -> None:
    setting = scene("gan", loss=loss)
    before, after = played(setting, "bbb").model.state_dict(), played(setting, "bbb" + 12 * turn).model.state_dict()
    assert same(before, after, rester)
    weights = [name for name in before if name.startswith(mover) and name.endswith("weight")]
    assert not any(torch.equal(before[name], after[name]) for name in weights)  # the last bias cancels for Wasserstein
    moved = played(setting, "bbb" + 12 * turn + "b").model.state_dict()
    assert not same(after, moved, rester)


def test_a_discriminator_alone_nears_the_best_there_is() -> None:
    setting = scene("gan", "moons", critic_learning_rate=0.01)
    theatre = Theatre()
    start = theatre.play(setting, "b" * 60)
    end = theatre.play(setting, "b" * 60, "d", 400, every=400)
    assert np.array_equal(start.parts["samples"], end.parts["samples"])
    assert np.array_equal(start.parts["best"], end.parts["best"])

    def off(frames: Any) -> float:
        return float(np.abs(frames.parts["field"][0] - frames.parts["best"][0])[weight].mean())

    seen = torch.from_numpy(start.parts["samples"][0])
    weight = (smoothed(seen) + smoothed(torch.from_numpy(setting.points))).numpy() > 1 / CELLS**2
    assert off(end) < 0.6 * off(start)
    best = math.log(4) - 2 * start.scalars["divergence"][0]
    assert end.scalars["loss_best"] == start.scalars["loss_best"] == [pytest.approx(best)]
    losses = [frames.scalars["loss_discriminator"][-1] for frames in (start, end)]
    assert abs(losses[1] - best) < 0.5 * abs(losses[0] - best)


def test_a_history_leads_to_the_same_moment_however_it_is_reached() -> None:
    setting = scene("gan", "ring", seed=5)
    once = Theatre().play(setting, "bbddgb", "b", 4)
    theatre = Theatre(kept=2)
    theatre.play(setting, steps=2)
    theatre.play(setting, "bb", "d", 2)
    theatre.play(setting, "bbdd", "b", 3)  # another way, left again
    again = theatre.play(setting, "bbddgb", "b", 4)
    assert again.steps == once.steps == [7, 8, 9, 10]
    assert all(np.array_equal(again.parts[name], once.parts[name]) for name in once.parts)
    assert again.scalars == once.scalars
    assert len(theatre.moments) == 2
    assert theatre.play(setting, "bbddgbbbbb", steps=0).scalars["loss"] == once.scalars["loss"][-1:]
    assert theatre.play(setting, "bbddgb", "b", 4, every=3).steps == [9, 10]


def test_a_play_leaves_the_noise_of_others_alone() -> None:
    torch.manual_seed(9)
    expected = torch.rand(3)
    torch.manual_seed(9)
    Theatre().play(scene("vae"), steps=3)
    assert torch.equal(torch.rand(3), expected)


def test_em_is_that_of_scikit_learn_round_by_round() -> None:
    from sklearn.mixture import GaussianMixture

    setting = scene("gmm", "grid", components=5, regularisation=1e-4)
    first = played(setting, "b").model
    x, mixture = setting.points.astype(np.float64), first.mixture
    means = first.space.restore(mixture.means).numpy()
    oracle = GaussianMixture(
        5, weights_init=mixture.log_weights.exp().numpy(), means_init=means, max_iter=7, tol=0, reg_covar=1e-4,
        precisions_init=mixture.covariances.inverse().numpy(),
    )  # fmt: skip
    with pytest.warns(UserWarning, match="did not converge"):
        oracle.fit(x)
    stage = played(setting, "b" * 8)
    density = np.exp(oracle.score_samples(places().double().numpy()))
    field = stage.look()[2]["field"]
    np.testing.assert_allclose(field, density / (density + spectacle.DENSE), atol=1e-5)
    rings, weights = ellipses(stage.model)
    np.testing.assert_allclose(weights[:5], oracle.weights_, rtol=1e-6)
    away = rings[:5].numpy() - oracle.means_[:, None]
    distances = np.sqrt(np.einsum("kpi,kij,kpj->kp", away, oracle.precisions_, away))
    np.testing.assert_allclose(distances, 1, rtol=1e-3)


def test_a_mixture_that_gains_nothing_says_so() -> None:
    frames = Theatre().play(scene("gmm", "moons", components=1), steps=50)
    assert "nothing more to gain" in frames.said
    assert 1 <= len(frames.steps) < 50
    every = Theatre().play(scene("gmm", "moons", components=1), steps=50, every=50)
    assert every.steps == frames.steps[-1:]
    again = Theatre().play(scene("gmm", "moons", components=1), "b" * frames.steps[-1], steps=5)
    assert (again.steps, again.said) == ([], frames.said)


# --- what is seen ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["nice", "realnvp"])
def test_the_density_of_a_flow_holds_one_in_all(model: str) -> None:
    stage = played(scene(model, "moons"), "b" * 80)
    side = 600
    middle = (torch.arange(side) + 0.5) / side
    points = torch.cartesian_prod(middle, middle)
    with torch.no_grad():
        density = stage.spectacle.log_density(stage.model, points).exp()
        outside = stage.spectacle.log_density(stage.model, points * 0.05).exp()
    assert density.mean().item() == pytest.approx(1, abs=0.03)
    assert outside.mean() < 0.1 * density.mean()


def test_the_field_of_a_game_is_its_discriminators_verdict() -> None:
    stage = played(scene("gan"), "bb")
    _, _, parts = stage.look()
    column, row = 31, 5
    x, y = (column + 0.5) / CELLS, 1 - (row + 0.5) / CELLS
    with torch.no_grad():
        verdict = torch.sigmoid(stage.model.critic(torch.tensor([[[[x, y]]]]))).item()
    assert parts["field"].reshape(CELLS, CELLS)[row, column] == pytest.approx(verdict, abs=1e-6)
    stage = played(scene("gan", loss="hinge"), "bb")
    field = stage.look()[2]["field"]
    assert (field.min(), field.max()) == (0, 1)


def test_the_bound_of_a_vae_is_below_its_density_by_quadrature() -> None:
    stage = played(scene("vae", "moons", latent_dim=1, sigma=0.1), "b" * 100)
    points = torch.from_numpy(cloud("moons", 30, seed=4)).float()
    codes = torch.linspace(-6, 6, 4001)[:, None]
    with torch.no_grad():
        made = stage.model.decode(codes).flatten(1)
        squares = (points[:, None] - made).square().sum(2)
        logs = -squares / 0.02 - math.log(2 * math.pi * 0.01) - 0.5 * codes[:, 0] ** 2 - 0.5 * math.log(2 * math.pi)
        exact = logs.logsumexp(1) + math.log(12 / 4000)
        bound = stage.spectacle.log_density(stage.model, points)
    assert (bound - exact).mean().abs() < 0.1
    assert bound.mean() < exact.mean() + 0.02


def test_samples_net_and_pulls_are_those_of_the_generator() -> None:
    stage = played(scene("gan", "sine"), "bbbb")
    parts = stage.look()[2]
    model, codes = stage.model, stage.spectacle.codes
    assert codes.shape == (spectacle.SAMPLES, 2)
    model.eval()
    with torch.no_grad():
        np.testing.assert_array_equal(parts["samples"], model.decode(codes).flatten(1))
        np.testing.assert_array_equal(parts["net"][3, 7], model.decode(knots(2)[3 * 20 + 7][None]).flatten())
        at = torch.from_numpy(parts["samples"][:1]).double()
        critic = model.critic.double()
        loss = [
            -torch.log(torch.sigmoid(critic(images_of(at + torch.tensor([move])))))
            for move in ([1e-5, 0.0], [0.0, 1e-5], [0.0, 0.0])
        ]
    slope = [(loss[axis] - loss[2]).item() / 1e-5 for axis in (0, 1)]
    np.testing.assert_allclose(parts["pulls"][0], [-one for one in slope], rtol=1e-2, atol=1e-3)


def test_codes_of_the_points_decode_to_the_points() -> None:
    for model in ("nice", "realnvp"):
        stage = played(scene(model, "sine"), "b" * 5)
        codes = stage.look()[2]["codes"]
        with torch.no_grad():
            back = stage.model.eval().decode(torch.from_numpy(codes)).flatten(1)
        np.testing.assert_allclose(back, scene(model, "sine").points[: spectacle.SAMPLES], atol=1e-3)
    stage = played(scene("vae", "sine"), "b" * 5)
    with torch.no_grad():
        mean = stage.model.eval().encode(images_of(torch.from_numpy(scene("vae", "sine").points[:4]))).mean
    np.testing.assert_allclose(stage.look()[2]["codes"][:4], mean, atol=1e-6)
    assert "codes" not in played(scene("vae", latent_dim=3), "b").look()[2]


def test_meshes_of_the_net_hold_equal_shares() -> None:
    line = torch.special.ndtr(knots(1)[:, 0])
    np.testing.assert_allclose(line.diff(), 1 / len(line), rtol=1e-4)
    draws = torch.randn(20000, 2, generator=torch.Generator().manual_seed(0))
    edges = knots(2)[:20, 1].contiguous()
    counts = torch.bincount(torch.bucketize(draws[:, 0].contiguous(), edges), minlength=21)[1:-1]
    assert counts.min() > 0.85 * 1000
    assert counts.max() < 1.15 * 1000


def test_densities_of_points_are_sums_of_bells() -> None:
    points = torch.tensor([[0.3, 0.6], [0.35, 0.5]])
    slow = sum(torch.exp(-0.5 * ((places() - point) / spectacle.WIDTH).square().sum(1)) for point in points)
    torch.testing.assert_close(smoothed(points), slow / slow.sum())
    p, q = torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.25, 0.25, 0.5])
    slow = 0.5 * (math.log(0.5 / 0.375)) + 0.5 * (0.5 * math.log(0.25 / 0.375) + 0.5 * math.log(0.5 / 0.25))
    assert jensen_shannon(p, q) == pytest.approx(slow)
    assert jensen_shannon(p, p) == 0


def test_modes_are_counted_by_samples_within_three_deviations() -> None:
    setting = scene("gan", "ring")
    seen = Stage(setting).spectacle
    centres, deviation = (torch.as_tensor(part) for part in MODES["ring"])
    samples = torch.cat(
        [
            centres[:3],
            centres[:3] + torch.tensor([2.9, 0]) * deviation,
            centres[4:6] + 3.1 * torch.tensor([deviation, 0]),
        ]
    )
    found = seen.measured(samples.float(), smoothed(samples.float()))
    assert found["modes"] == 3
    assert found["quality"] == pytest.approx(6 / 8)


# --- what is asked ---------------------------------------------------------------------------------------------


def test_scenes_refuse_in_one_sentence() -> None:
    with pytest.raises(BadInputError, match="no model in the theatre called 'dcgan'"):
        scene("dcgan")
    with pytest.raises(BadInputError, match="no cloud called 'rings'"):
        scene("gan", "rings")
    with pytest.raises(BadInputError, match="no parameter of gan in the theatre called 'dropout'"):
        scene("gan", dropout=0.5)
    with pytest.raises(BadInputError, match="'batch_size' must be from 64 to 512 in the theatre"):
        scene("vae", batch_size=8)
    with pytest.raises(BadInputError, match="'hidden' must be from 4 to 256"):
        scene("gan", hidden=4096)
    with pytest.raises(BadInputError, match="'sigma' of vae must be a number"):
        scene("vae", sigma="wide")
    for turns, steps in (("x", 1), ("b", 5000), ("b" * 20_000, 1)):
        with pytest.raises(BadInputError, match=r"letters|at once|ends after"):
            Theatre().play(scene("gan"), turns, steps=steps)
    with pytest.raises(BadInputError, match="letters b"):
        Theatre().play(scene("gmm"), "d")


@pytest.mark.parametrize("model", CAST)
def test_every_choice_can_be_taken_and_is_explained(model: str) -> None:
    for name, info in choices(model).items():
        assert info.description.endswith((".", "averages."))
        for value in info.choices or (CAST[model].values.get(name, info.default),):
            frames = Theatre().play(scene(model, "spiral", **{name: value}), steps=1)
            assert frames.steps == [1]
            assert np.isfinite(frames.parts["samples"]).all()
    assert set(MODELS) == set(SEEN) == set(TRIALS) == set(CAST)
    assert set(CLOUD_TITLES) == {*CLOUDS, DRAWN}


@pytest.mark.parametrize("model", CAST)
def test_everything_to_try_can_be_played(model: str) -> None:
    for trial in TRIALS[model]:
        assert Theatre().play(scene(model, trial.cloud, **trial.values), steps=1).steps == [1]


def test_a_generator_that_learns_too_fast_collapses() -> None:
    trial = next(trial for trial in TRIALS["gan"] if "Mode collapse" in trial.text)
    frames = Theatre().play(scene("gan", trial.cloud, **trial.values), steps=400, every=400)
    usual = Theatre().play(scene("gan", trial.cloud), steps=400, every=400)
    assert frames.scalars["modes"][0] <= 3 < 7 <= usual.scalars["modes"][0]


def asked(body: Any, type: str = "application/json") -> Any:
    return asyncio.run(
        theatre_route.play(request(body if isinstance(body, bytes) else json.dumps(body).encode(), type))
    )


def test_the_route_answers_with_the_frames_of_the_engine() -> None:
    strokes = [[[0.2, 0.2], [0.8, 0.8]]]
    question = {"model": "vae", "cloud": "drawn", "seed": 2, "strokes": strokes, "values": {"beta": 2.0}}
    told = json.loads(asked(question | {"history": "bb", "steps": 4, "every": 2}).body)
    frames = Theatre().play(scene("vae", "drawn", seed=2, strokes=strokes, beta=2.0), "bb", "b", 4, 2)
    assert told["steps"] == frames.steps == [4, 6]
    assert told["scalars"]["loss"] == frames.scalars["loss"]
    part = told["parts"]["samples"]
    samples = np.frombuffer(base64.b64decode(part["data"]), "<f4").reshape(part["shape"])
    np.testing.assert_array_equal(samples, frames.parts["samples"])
    assert "Ask with JSON" in sentence(asked(question, "text/plain"))
    for bad, part in (
        (b"{", "no question"),
        ({**question, "file": "x"}, "no question"),
        ({**question, "strokes": []}, "Draw at least"),
        ({**question, "values": {"x": 1}}, "called 'x'"),
    ):
        answer = asked(bad)
        assert answer.status_code == 422
        assert part in sentence(answer)


def test_the_page_hands_out_what_is_chosen_in_its_address() -> None:
    app = AppTest.from_file(str(APP), default_timeout=60)
    app.switch_page("pages/theatre.py")
    for name, value in {"model": "gan", "cloud": "moons", "seed": "7", "loss": "hinge"}.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    assert not app.error
    assert app.title[0].value == "Theatre"
    assert app.selectbox(key="loss").value == "hinge"
    assert app.number_input(key="seed").value == 7
    assert any("mode collapse" in text.value.lower() for text in app.markdown)
    assert app.get("button_group")[0].value == "gan"
    assert app.get("button_group")[1].value == "moons"
    app.get("button_group")[1].set_value("grid").run()
    assert app.query_params["cloud"] == "grid"
    app.select_slider(key="theatre-gan-critic_learning_rate").set_value(0.02).run()
    app.button(key="try-gan-1").click().run()  # mode collapse
    assert not app.error
    assert app.query_params["cloud"] == "ring"
    rates = [app.select_slider(key=f"theatre-gan-{name}").value for name in ("learning_rate", "critic_learning_rate")]
    assert rates == [0.01, CAST["gan"].values["critic_learning_rate"]]
    assert app.selectbox(key="loss").value == "non_saturating"

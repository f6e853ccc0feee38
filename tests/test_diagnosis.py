"""Diseases of training: found in runs that have them, not in healthy ones, told once, and resumed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import genlab
from genlab.core.batch import Batch, Step
from genlab.core.capabilities import Descends
from genlab.core.events import Diagnosed, EpochFinished, Event, Progressed, parse
from genlab.core.model import Model
from genlab.core.parameters import Parameters
from genlab.core.seeding import seed_everything
from genlab.core.settings import TrainingSettings
from genlab.core.shapes import Shape
from genlab.data.loader import ArrayBatches, PairedBatches
from genlab.runs.events import illnesses
from genlab.training.diagnosis import (
    DETECTORS,
    Look,
    dead_codes,
    mode_collapse,
    overfitting,
    posterior_collapse,
    saturated_critic,
)
from genlab.training.doctor import MEMORY, Doctor, looks_apart, mean_distance, measure
from genlab.training.loop import NotFiniteError, Training

VALUES = TrainingSettings(epochs=30).model_dump()


@cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return (images.reshape(-1, 1, 8, 8) * 255 / 16).astype(np.uint8), labels


def data(count: int = 500, validation: int = 100) -> ArrayBatches:
    images, labels = digits()
    splits = {"train": np.arange(count), "validation": np.arange(count, count + validation)}
    return ArrayBatches(images, labels, splits, classes=10)


def two_sets(count: int) -> PairedBatches:
    """Digits, and their negatives."""
    images, splits = digits()[0], {"train": np.arange(count), "validation": np.arange(count, count + 20)}
    return PairedBatches(ArrayBatches(images, None, splits), ArrayBatches(255 - images, None, splits))


def training(name: str, images: ArrayBatches, values: dict[str, Any], **settings: Any) -> Training:
    seed_everything(0)
    if name == "cyclegan":
        images = two_sets(images.count())  # type: ignore[assignment]
    model = genlab.create(name, (1, 8, 8), images.classes, **values)
    return Training(model, images, TrainingSettings(**{"epochs": 16, "batch_size": 32, "device": "cpu", **settings}))


def told(events: Sequence[Event | None]) -> list[tuple[str, int, bool]]:
    return [(event.disease, event.epoch, event.cured) for event in events if isinstance(event, Diagnosed)]


VAE = {"hidden": 64, "latent_dim": 8, "learning_rate": 2e-3}
GAN = {"hidden": 64, "critic_hidden": 64, "latent_dim": 16}
STARVED = {**GAN, "dropout": 0.0, "learning_rate": 2e-5, "critic_learning_rate": 2e-3}
FAIR = {**GAN, "learning_rate": 1e-3, "critic_learning_rate": 1e-3}
PAIR = {"width": 4, "blocks": 1, "critic_width": 4}
BOOK = {"width": 4, "blocks": 0, "halvings": 2, "code_dim": 4, "hidden": 8, "depth": 1}
FEW = {"epochs": 150, "batch_size": 8}
SICK: dict[str, tuple[str, dict[str, Any], dict[str, Any], int, str, str]] = {
    "beta of 100": ("vae", {**VAE, "beta": 100}, {}, 500, "posterior collapse", "beta"),
    "beta of 100, given the label": ("conditional_vae", {**VAE, "beta": 100}, {}, 500, "posterior collapse", "beta"),
    "codes far from the prior": ("soft_intro_vae", {"hidden": 64, "latent_dim": 1, "beta": 0}, {"batch_size": 16}, 500, "mode collapse", "beta"),
    "generators too slow for their critics": ("cyclegan", {**PAIR, "learning_rate": 1e-6, "critic_learning_rate": 1e-2}, {"epochs": 8}, 60, "saturated discriminator", "critic_learning_rate"),
    "codes that nobody moves": ("vq_vae", {**BOOK, "codes": 128, "revival": 0}, {"epochs": 4}, 300, "dead codes", "revival"),
    "critic a hundred times as fast": ("gan", STARVED, {}, 500, "saturated discriminator", "critic_learning_rate"),
    "least squares, so too": ("gan", {**STARVED, "loss": "least_squares"}, {}, 500, "saturated discriminator", "critic_learning_rate"),
    "hinge, so too": ("gan", {**STARVED, "loss": "hinge"}, {}, 500, "saturated discriminator", "critic_learning_rate"),
    "generator too slow for a Wasserstein critic": ("gan", {**STARVED, "loss": "wasserstein", "critic_steps": 3, "learning_rate": 1e-6}, {"epochs": 24}, 500, "saturated discriminator", "critic_learning_rate"),
    "generator a hundred times as fast, little noise": ("gan", {**GAN, "latent_dim": 1, "batch_norm": False, "critic_hidden": 16, "learning_rate": 1e-2, "critic_learning_rate": 1e-4}, {"epochs": 12, "batch_size": 8}, 500, "mode collapse", "learning_rate"),
    "twenty bells a digit, two hundred digits": ("gmm", {"components": 20}, {}, 200, "overfitting", "pca"),
    "every image its own box": ("multinomial", {}, {}, 500, "overfitting", "smoothing"),
    "forty images": ("vae", {"hidden": 256, "learning_rate": 3e-3}, FEW, 40, "overfitting", "early_stopping"),
}  # fmt: skip
HEALTHY: dict[str, tuple[str, dict[str, Any], dict[str, Any], int]] = {
    "VAE": ("vae", VAE, {}, 500),
    "VAE with many idle dimensions": ("vae", {**VAE, "latent_dim": 64}, {}, 500),
    "autoencoder": ("autoencoder", {"hidden": 64, "latent_dim": 8}, {}, 500),
    "GAN": ("gan", FAIR, {}, 500),
    "hinge": ("gan", {**FAIR, "loss": "hinge"}, {}, 500),
    "least squares": ("gan", {**FAIR, "loss": "least_squares"}, {}, 500),
    "Wasserstein": ("gan", {**FAIR, "loss": "wasserstein", "critic_steps": 2, "dropout": 0.0}, {}, 500),
    "DCGAN that has only begun": ("dcgan", {"width": 4}, {}, 300),
    "conditional VAE": ("conditional_vae", VAE, {}, 500),
    "Soft-IntroVAE": ("soft_intro_vae", {"hidden": 64, "latent_dim": 8}, {}, 500),
    "mixture of few principal components": ("gmm", {"pca": 12, "components": 2}, {}, 1000),
    "codes that are moved": ("vq_vae", {**BOOK, "codes": 16}, {"epochs": 8}, 300),
    "CycleGAN": ("cyclegan", {**PAIR, "learning_rate": 1e-3}, {"epochs": 8}, 60),
    "VAE-GAN": ("vae_gan", {"latent_dim": 8, "critic_hidden": 64}, {}, 500),
}


@pytest.mark.parametrize("case", SICK)
def test_a_run_with_the_disease_is_told_so_once_with_a_remedy(case: str) -> None:
    name, values, settings, count, disease, remedy = SICK[case]
    events = list(training(name, data(count), values, **settings).events())
    found = [event for event in events if isinstance(event, Diagnosed) and not event.cured]
    assert {event.disease for event in found} == {disease}
    turns = [cured for _, _, cured in told(events)]
    assert turns == [bool(place % 2) for place in range(len(turns))]  # found, cured, found again, …
    assert remedy in found[0].changes
    assert found[0].message.endswith(".")
    assert found[0].remedy.endswith(".")
    assert parse(found[0].model_dump_json()) == found[0]
    place = events.index(found[0])
    before = next(event for event in reversed(events[:place]) if event is not None)
    assert isinstance(before, EpochFinished)
    assert before.epoch == found[0].epoch


def test_a_discriminator_of_codes_can_win_too() -> None:
    slow = {"hidden": 64, "latent_dim": 256, "learning_rate": 2e-5, "critic_learning_rate": 1e-2}
    events = list(training("ava3", data(), slow, epochs=8).events())
    assert told(events) == [("saturated discriminator", 6, False)]
    found = next(event for event in events if isinstance(event, Diagnosed))
    assert found.message.startswith("The discriminator of codes has won")
    assert found.changes == {"critic_learning_rate": 2e-5}


@pytest.mark.parametrize("case", HEALTHY)
def test_a_healthy_run_is_left_in_peace(case: str) -> None:
    name, values, settings, count = HEALTHY[case]
    assert told(list(training(name, data(count), values, **settings).events())) == []


# the detectors, on both sides of their thresholds


@pytest.mark.parametrize(("name", "which"), [("d", "The discriminator has"), ("code_d", "The discriminator of codes has"), ("second_d", "The discriminator of the second set has")])  # fmt: skip
def test_any_one_of_several_discriminators_may_have_won(name: str, which: str) -> None:
    even = {f"{judge}_{kind}": 0.5 for judge in ("d", "first_d") for kind in ("real", "fake")}
    looks = [Look(epoch, {**even, f"{name}_real": 0.99, f"{name}_fake": 0.01}) for epoch in range(1, 6)]
    found = saturated_critic(looks, {})
    assert found is not None
    assert found.message.startswith(which)
    assert saturated_critic([*looks[:4], Look(5, {**even, f"{name}_real": 0.9, f"{name}_fake": 0.01})], {}) is None


def seen(count: int = 3, **measured: float) -> list[Look]:
    return [Look(epoch, {"loss": 1.0}, {}, {"spread": 0.3, **measured}, 200) for epoch in range(1, count + 1)]


@pytest.mark.parametrize(("looks", "ill"), [
    (seen(active=0, units=8, kl=2.0), True),
    (seen(active=3, units=8, kl=0.05), True),
    (seen(active=1, units=8, kl=0.2), False),
    (seen(2, active=0, units=8, kl=0.0), False),
    ([*seen(active=0, units=8, kl=0.0), *seen(1, active=4, units=8, kl=5.0)], False),
    (seen(active=0, units=8, kl=0.0, spread=0.001), False),
    (seen(), False),
    ([look._replace(step=199) for look in seen(active=0, units=8, kl=0.0)], False),
])  # fmt: skip
def test_a_code_is_ignored_or_used(looks: list[Look], ill: bool) -> None:
    assert (posterior_collapse(looks, {**VALUES, "beta": 4.0}) is not None) == ill


def test_what_to_try_against_a_collapse_follows_from_what_was_chosen() -> None:
    looks = seen(active=0, units=8, kl=0.0)
    for values, changes in (
        ({"mode": "paper", "beta": 4.0}, {"mode": "standard"}),
        ({"beta": 4.0, "kl_warmup": 0.0}, {"beta": 1.0}),
        ({"beta": 1.0, "kl_warmup": 0.0, "free_bits": 0.0}, {"kl_warmup": 10.0}),
        ({"beta": 1.0, "kl_warmup": 20.0, "free_bits": 0.0}, {"free_bits": 0.1}),
        ({}, {}),
    ):
        found = posterior_collapse(looks, {**VALUES, **values})
        assert found is not None
        assert found.changes == changes
    assert posterior_collapse(looks, {**VALUES, "annealing": 5}) is None  # the reconstruction had no weight yet


def test_a_codebook_is_dead_below_a_tenth() -> None:
    def looks(perplexity: float) -> list[Look]:
        return [Look(epoch, {"perplexity": 60.0, "perplexity_top": perplexity}) for epoch in range(3)]

    dead = dead_codes(looks(9.0), {"codes": 128, "revival": 0.0})
    assert dead is not None
    assert dead.changes == {"revival": 0.05}
    assert "9 codes" in dead.message
    assert "perplexity_top" in dead.message
    assert dead_codes(looks(13.0), {"codes": 128, "revival": 0.0}) is None
    assert dead_codes(looks(9.0)[:2], {"codes": 128}) is None
    assert dead_codes(looks(9.0), {}) is None
    fewer = dead_codes(looks(9.0), {"codes": 128, "revival": 0.05})
    assert fewer is not None
    assert fewer.changes == {"codes": 32}


def verdicts(pairs: Sequence[tuple[float, float]]) -> list[Look]:
    return [Look(epoch, {"d_real": real, "d_fake": fake}) for epoch, (real, fake) in enumerate(pairs, 1)]


@pytest.mark.parametrize(("values", "pair", "ill"), [
    ({"loss": "non_saturating"}, (0.96, 0.04), True),
    ({"loss": "non_saturating"}, (0.96, 0.06), False),
    ({"loss": "non_saturating"}, (0.94, 0.01), False),
    ({}, (0.99, 0.01), True),
    ({"loss": "least_squares", "a": -1.0, "b": 1.0}, (0.95, -0.95), True),
    ({"loss": "least_squares", "a": -1.0, "b": 1.0}, (0.95, 0.0), False),
    ({"loss": "least_squares", "a": 1.0, "b": 1.0}, (0.95, -0.95), False),
    ({"loss": "hinge"}, (1.5, -1.2), True),
    ({"loss": "hinge"}, (0.99, 0.01), False),
    ({"loss": "wasserstein"}, (0.99, 0.01), False),
])  # fmt: skip
def test_a_discriminator_has_won_by_the_scale_of_its_loss(
    values: dict[str, Any], pair: tuple[float, float], ill: bool
) -> None:
    assert (saturated_critic(verdicts([pair] * 5), values) is not None) == ill
    assert saturated_critic(verdicts([pair] * 4), values) is None
    assert saturated_critic(verdicts([*[pair] * 4, (0.5, 0.5)]), values) is None


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_a_wasserstein_critic_is_judged_by_how_its_distance_goes(scale: float) -> None:
    rising = [scale * (3 + 0.02 * epoch) for epoch in range(11)]
    falling = [scale * (3 - 0.02 * epoch) for epoch in range(11)]
    fallen = [*[scale * 4] * 2, *rising]
    for distances, ill in ((rising, True), (falling, False), (fallen, False), (rising[:9], False)):
        looks = verdicts([(distance + 7, 7.0) for distance in distances])
        assert (saturated_critic(looks, {"loss": "wasserstein"}) is not None) == ill


@pytest.mark.parametrize(("diversity", "ill"), [(0.04, True), (0.29, True), (0.31, False), (1.2, False)])
def test_samples_repeat_or_vary(diversity: float, ill: bool) -> None:
    assert (mode_collapse(seen(5, diversity=diversity), {}) is not None) == ill
    assert mode_collapse(seen(4, diversity=diversity), {}) is None
    growing = [look for share in (0.8, 0.85, 0.9, 0.95, 1.05) for look in seen(1, diversity=share * diversity)]
    assert mode_collapse(growing, {}) is None
    young = [look._replace(step=199) for look in seen(5, diversity=diversity)]
    assert mode_collapse(young, {}) is None
    won = [look._replace(scalars={"d_real": 0.99, "d_fake": 0.01}) for look in seen(5, diversity=diversity)]
    assert mode_collapse(won, {}) is None


def course(pairs: Sequence[tuple[float, float]]) -> list[Look]:
    return [Look(epoch, {"loss": train}, {"loss": held}) for epoch, (train, held) in enumerate(pairs, 1)]


def test_learning_by_heart_is_validation_rising_while_training_falls() -> None:
    down = [(10.0 - epoch, 10.0 - epoch) for epoch in range(5)]  # validation gains 4
    apart = [(5.0 - 0.5 * epoch, 6.2 + 0.05 * epoch) for epoch in range(5)]
    found = overfitting(course([*down, *apart]), VALUES)
    assert found is not None
    assert "best in epoch 5" in found.message
    assert set(found.changes) == {"early_stopping", "augmentation"}
    assert overfitting(course([*down, *apart[:4]]), VALUES) is None  # not long enough
    assert overfitting(course([*down, *[(train, 6.05) for train, _ in apart]]), VALUES) is None  # hardly worse
    assert overfitting(course([*down, *[(7.0, held) for _, held in apart]]), VALUES) is None  # training is worse too
    shifted = [(train - 900, held - 900) for train, held in [*down, *apart]]
    assert overfitting(course(shifted), VALUES) is not None  # densities may be negative
    assert overfitting([Look(epoch, {"loss": 1.0}) for epoch in range(20)], VALUES) is None


# what is measured


def test_distances_are_means_over_all_pairs() -> None:
    images = torch.rand(7, 2, 3, 4, generator=torch.Generator().manual_seed(0))
    pairs = [float((a - b).square().mean().sqrt()) for i, a in enumerate(images) for b in images[:i]]
    assert mean_distance(images) == pytest.approx(np.mean(pairs), rel=1e-5)


def test_measures_of_a_model_are_recomputed_by_hand() -> None:
    vae = training("vae", data(), VAE).model.eval()
    images = data().all("train", torch.device("cpu")).images[:20]
    with torch.no_grad():
        vae.encoder[-1].weight.mul_(20)  # so that some dimensions vary
        measured = measure(vae, Batch(images, None), samples=True)
        mean, log_var = vae.encode(images).mean, vae.encode(images).log_var
        drawn = vae.sample(20, generator=torch.Generator().manual_seed(0))
    assert measured["kl"] == pytest.approx(
        float((0.5 * (mean**2 + log_var.exp() - 1 - log_var)).sum(1).mean()), rel=1e-4
    )
    assert measured["units"] == 8
    assert 0 < measured["active"] == sum(float(column.var(correction=0)) > 0.01 for column in mean.T)
    assert measured["diversity"] == pytest.approx(mean_distance(drawn) / mean_distance(images), rel=1e-5)


def test_what_is_measured_of_a_conditional_vae_is_its_code_given_the_label() -> None:
    model = training("conditional_vae", data(), {"hidden": 16, "latent_dim": 8}).model.eval()
    batch = data().all("train", torch.device("cpu"))
    with torch.no_grad():
        measured = measure(model, batch, samples=False)
        mean, log_var = model.head(torch.cat([model.features(batch.images), model.embedding(batch.labels)], 1)).chunk(
            2, 1
        )
    assert measured["units"] == 8  # and not the numbers of the label's vector
    assert measured["active"] == sum(float(column.var(correction=0)) > 0.01 for column in mean.T)
    assert measured["kl"] == pytest.approx(
        float((0.5 * (mean**2 + log_var.exp() - 1 - log_var)).sum(1).mean()), rel=1e-4
    )


@pytest.mark.parametrize(("images", "epochs"), [(200, 1000), (5000, 1000), (60_000, 50)])
def test_looks_take_a_fiftieth_of_the_work(images: int, epochs: int) -> None:
    work = 2 * 64 / 3 / looks_apart(images, epochs)  # images' worth of training steps, an epoch
    assert work <= 0.02 * images
    assert looks_apart(10, 40) == 4  # but ten looks fit into any run


def test_what_is_remembered_stays_small() -> None:
    doctor = training("vae", data(40), VAE).doctor
    doctor.every = 7
    for epoch in range(1, 200):
        doctor.visit(epoch, epoch, {"loss": 1.0}, {"loss": float(abs(epoch - 30))})
    kept = [look.epoch for look in doctor.looks]
    assert kept == sorted(set(kept))
    assert {1, 30, 199, 200 - MEMORY} <= set(kept)
    assert sum(bool(look.measured) for look in doctor.looks) == 5
    assert len(kept) <= MEMORY + 5


# told once, resumed, and heard by nobody else


class Scripted(Model, Descends):
    """A game whose discriminator's verdicts after each epoch are written down."""

    Parameters = Parameters
    SURE = (*[1] * 6, 0, 1, *[0] * 7, *[1] * 6)  # the window of five epochs holds a doubt from epoch 7 to 19

    def __init__(self) -> None:
        super().__init__(Shape(1, 8, 8), 0, Parameters())
        self.weight = nn.Parameter(torch.zeros(1))

    def players(self) -> dict[str, torch.optim.Optimizer]:
        return {"one": torch.optim.SGD(self.parameters(), lr=0.1)}

    def training_step(self, batch: Batch, step: Step, minimise: Callable[..., None]) -> dict[str, Tensor]:
        minimise(one=self.weight.sum())
        sure = torch.tensor(float(self.SURE[step.epoch]))
        return {"d_real": 0.5 + 0.49 * sure, "d_fake": 0.5 - 0.49 * sure}


CRITIC = "saturated discriminator"
COURSE = [(CRITIC, 5, False), (CRITIC, 14, True), (CRITIC, 20, False)]


def scripted() -> Training:
    images = ArrayBatches(np.zeros((8, 1, 8, 8), dtype=np.uint8), None, {"train": np.arange(8)})
    return Training(Scripted(), images, TrainingSettings(epochs=21, batch_size=4, device="cpu"))


def test_a_disease_is_told_when_it_comes_and_when_it_is_over() -> None:
    assert told(list(scripted().events())) == COURSE


@pytest.mark.parametrize("stop_at", [0, 7, *range(13, 19), *range(41, 46), *range(60, 67), 80])
def test_stopped_anywhere_it_tells_everything_once(stop_at: int) -> None:
    first = scripted()
    events: list[Event | None] = []
    for event in first.events():
        events.append(event)
        if len(events) > stop_at:
            break
    state = copy.deepcopy(first.state())
    second = scripted()
    second.load_state(state)
    assert told([*events, *second.events()]) == COURSE


def test_diagnoses_that_were_told_again_after_a_kill_count_once() -> None:
    events = [event for event in scripted().events() if event is not None]
    found = [(one.found.epoch, one.cured and one.cured.epoch) for one in illnesses([*events, *events[-3:]])]
    assert found == [(5, 14), (20, None)]


def test_looking_leaves_the_noise_and_the_weights_of_training_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def losses() -> list[float]:
        run = training("vae_gan", data(100), {"latent_dim": 4, "critic_hidden": 16}, epochs=4)
        return [event.scalars["loss"] for event in run.events() if isinstance(event, EpochFinished)]

    with_looks = losses()
    monkeypatch.setattr(Doctor, "visit", lambda self, *_: None)
    assert losses() == with_looks


def test_fitted_models_have_none() -> None:
    run = training("gaussian_naive_bayes", data(1000), {}, epochs=3)
    assert told(list(run.events())) == []


def test_fits_are_measured_on_held_out_images_in_every_iteration() -> None:
    run = training("gmm", data(1000), {"components": 2}, epochs=3)
    finished = [event for event in run.events() if isinstance(event, EpochFinished)]
    held = run.data.all("validation", torch.device("cpu"))
    joint = run.model.log_joint(held.images)
    assert len(finished) == 3
    assert finished[-1].validation == pytest.approx({
        "loss": -float(joint[range(100), held.labels].mean()),
        "log_likelihood": float(joint.logsumexp(1).mean()),
        "accuracy": float((joint.argmax(1) == held.labels).double().mean()),
    }, rel=1e-5)  # fmt: skip
    seen = [event.validation["loss"] for event in finished]
    assert len(set(seen)) == 3


@pytest.mark.parametrize(("loss", "accuracy", "ill"), [
    (31.9, 1.0, False), (32.1, 1.0, True), (10.0, 0.78, False), (10.0, 0.74, True), (None, None, False),
])  # fmt: skip
def test_a_fit_is_too_close_by_half_a_nat_a_value_or_by_more_wrong_classes_than_chance(
    loss: float | None, accuracy: float | None, ill: bool
) -> None:
    held = {} if loss is None else {"loss": loss, "accuracy": accuracy}
    look = Look(1, {"loss": 0.0, "accuracy": 1.0}, held, {"held_out": 100.0, "values": 64.0}, 1)
    found = overfitting([look], {"pca": 50, "components": 20})
    assert (found is not None) == ill
    if found is not None:
        assert found.changes == {"pca": 25}
        for values, changes in (
            ({"components": 20}, {"components": 10}),
            ({"smoothing": 1.0}, {"smoothing": 5.0}),
            ({}, {}),
        ):
            other = overfitting([look], values)
            assert other is not None
            assert other.changes == changes


class Spoilt(Scripted):
    """Its second term is no number in one step."""

    def training_step(self, batch: Batch, step: Step, minimise: Callable[..., None]) -> dict[str, Tensor]:
        minimise(one=self.weight.sum())
        return {"fine": torch.ones(()), "spoilt": torch.tensor(float("nan") if step.index == 26 else 1.0)}


def test_the_step_that_spoilt_a_number_is_told_exactly_though_it_is_looked_at_later() -> None:
    images = ArrayBatches(np.zeros((160, 1, 8, 8), dtype=np.uint8), None, {"train": np.arange(160)})
    run = Training(Spoilt(), images, TrainingSettings(epochs=1, batch_size=4, device="cpu"))
    with pytest.raises(NotFiniteError, match="'spoilt' stopped being a finite number in step 27") as caught:
        list(run.events())
    assert (caught.value.term, caught.value.step, run.step) == ("spoilt", 27, 28)


def test_a_rate_of_a_thousand_is_no_disease_but_the_end() -> None:
    run = training("vae", data(), VAE)
    for player in run.players.values():
        player.param_groups[0]["lr"] = 1e3
    with pytest.raises(NotFiniteError, match=r"'(reconstruction|kl)' stopped being a finite number in step \d"):
        list(run.events())


def test_every_detector_has_a_name_in_words() -> None:
    assert all(name == name.lower().replace("_", " ") for name in DETECTORS)
    assert not any(isinstance(event, Progressed) and event.learning_rates for event in scripted().events())

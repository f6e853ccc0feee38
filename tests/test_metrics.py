"""Every metric against a slow loop, a closed form or a library."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy import stats
from skimage.metrics import structural_similarity as skimage_ssim

import genlab
from genlab.core.capabilities import Bounds, Classifies, Scores, Translates
from genlab.core.errors import BadInputError, UnknownNameError
from genlab.core.model import Model
from genlab.core.parameters import Parameters
from genlab.core.registry import models
from genlab.core.shapes import Shape
from genlab.metrics import METRICS, Subject, applicable, evaluate
from genlab.metrics.likelihood import bits_per_dimension, independent_pixels
from genlab.metrics.reconstruction import mean_squared_errors, peak_signal_to_noise, structural_similarity
from genlab.metrics.sampling import mean_pairwise_distance
from genlab.nn.importance import NormalLatent

rng = np.random.default_rng(11)
IMAGES = rng.random((12, 1, 8, 8)).astype(np.float32)
LABELS = np.array([0] * 7 + [1] * 5)


@pytest.fixture
def vae() -> Subject:
    torch.manual_seed(0)
    model = genlab.create("vae", (1, 8, 8), latent_dim=4, hidden=16).eval()
    return Subject(model, IMAGES, training=IMAGES[:4], seed=3)


class Threshold(Model, Classifies, Scores):
    """Says class 1 where the first pixel is above one half; every pixel has density 2 − 2x."""

    Parameters = Parameters

    def __init__(self, measure: str = "density") -> None:
        super().__init__(Shape(1, 8, 8), 2, Parameters())
        self.register_buffer("zero", torch.zeros(1))
        self.pixel_measure = measure

    def classify(self, images):
        high = (images[:, 0, 0, 0] > 0.5).float()
        return torch.stack([1 - high, high], dim=1).clamp(min=1e-6).log()

    def log_likelihood(self, images):
        return (2 - 2 * images).log().flatten(1).sum(1)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 20, 13), (1, 28, 28)])
def test_ssim_equals_scikit_image(shape) -> None:
    a, b = rng.random((5, *shape)), rng.random((5, *shape))
    b = 0.7 * a + 0.3 * b
    expected = [skimage_ssim(x, y, data_range=1, channel_axis=0) for x, y in zip(a, b, strict=True)]
    assert np.allclose(structural_similarity(a, b), expected, atol=1e-10)
    assert np.allclose(structural_similarity(a, a), 1)


def test_ssim_of_small_images_uses_a_smaller_window() -> None:
    a, b = rng.random((2, 1, 6, 9)), rng.random((2, 1, 6, 9))
    expected = [skimage_ssim(x[0], y[0], data_range=1, win_size=5) for x, y in zip(a, b, strict=True)]
    assert np.allclose(structural_similarity(a, b), expected, atol=1e-10)
    with pytest.raises(BadInputError, match="3x3"):
        structural_similarity(a[:, :, :2], b[:, :, :2])


def test_ssim_in_chunks_keeps_the_order(monkeypatch) -> None:
    a, b = rng.random((7, 1, 8, 8)), rng.random((7, 1, 8, 8))
    whole = structural_similarity(a, b)
    monkeypatch.setattr("genlab.metrics.reconstruction.CHUNK", 2)
    assert np.array_equal(structural_similarity(a, b), whole)


def test_reconstruction_errors_equal_their_loops(vae: Subject) -> None:
    found = evaluate(vae, ["mse", "psnr", "ssim"])
    rebuilt = vae.reconstructions
    errors = [
        np.mean([(p - q) ** 2 for p, q in zip(x.ravel().tolist(), y.ravel().tolist(), strict=True)])
        for x, y in zip(rebuilt, IMAGES, strict=True)
    ]
    assert found["mse"].value == pytest.approx(np.mean(errors), rel=1e-6)
    assert found["psnr"].value == pytest.approx(np.mean([10 * math.log10(1 / error) for error in errors]), rel=1e-6)
    mean = IMAGES[:4].mean(0)
    assert found["mse"].baseline == pytest.approx(((IMAGES - mean) ** 2).mean(), rel=1e-5)
    expected = np.mean([skimage_ssim(mean[0], x[0], data_range=1) for x in IMAGES])
    assert found["ssim"].baseline == pytest.approx(expected, abs=1e-6)
    assert found["mse"].n == 12


def test_psnr_is_capped_where_nothing_differs() -> None:
    assert peak_signal_to_noise(IMAGES, IMAGES).tolist() == [100.0] * 12
    assert mean_squared_errors(IMAGES, IMAGES + 0.5)[0] == pytest.approx(0.25, abs=1e-6)


def test_bound_equals_the_models_terms(vae: Subject) -> None:
    found = evaluate(vae, ["elbo", "elbo_bits"])
    terms = vae.model.bound_terms(torch.from_numpy(IMAGES), torch.Generator().manual_seed(3))
    elbo = -(terms["reconstruction"] + terms["kl"]).detach().double().numpy()
    assert found["elbo"].value == pytest.approx(elbo.mean(), rel=1e-6)
    assert found["elbo_bits"].value == pytest.approx(-elbo.mean() / (64 * math.log(2)), rel=1e-6)
    assert found["elbo"].baseline == pytest.approx(independent_by_loop(IMAGES, IMAGES[:4], "bernoulli"), rel=1e-6)
    assert found["elbo_bits"].baseline == pytest.approx(-found["elbo"].baseline / 64 / math.log(2), rel=1e-6)
    assert found["elbo"].details["standard_error"] == pytest.approx(elbo.std() / math.sqrt(12), rel=1e-4)


def test_importance_sampling_lies_between_truth_and_bound(vae: Subject) -> None:
    """With weights that do not depend on the code the marginal is p(x|0) itself, and KL(q‖p) is the bound's gap."""
    with torch.no_grad():
        vae.model.decoder[0][0].weight.zero_()
        truth = vae.model.negative_log_likelihood(torch.zeros(12, 4), torch.from_numpy(IMAGES)).mean().item()
    found = evaluate(vae, ["nll"])["nll"]
    assert found.baseline > truth
    assert truth == pytest.approx(found.value, abs=0.2 * (found.baseline - truth))
    assert found.n == 12


def test_all_estimates_of_the_likelihood_stand_on_one_scale_of_bits(vae: Subject) -> None:
    found = evaluate(vae, ["elbo", "elbo_bits", "iwae", "iwae_bits", "nll", "nll_bits"])
    for nats, bits in (("elbo", "elbo_bits"), ("iwae", "iwae_bits")):
        assert found[bits].value == pytest.approx(-found[nats].value / 64 / math.log(2), rel=1e-6)
    assert found["nll_bits"].value == pytest.approx(found["nll"].value / 64 / math.log(2), rel=1e-6)
    assert max(found["nll_bits"].value, found["iwae_bits"].value) < found["elbo_bits"].value
    assert found["nll_bits"].baseline == pytest.approx(found["elbo_bits"].value, rel=1e-6)
    alone = evaluate(Subject(vae.model, IMAGES, training=IMAGES[:4], seed=3), ["nll_bits"])
    assert alone["nll_bits"].value == found["nll_bits"].value


def test_latent_usage_equals_a_loop(vae: Subject) -> None:
    found = evaluate(vae, ["kl", "active_units"])
    with torch.no_grad():
        codes = vae.model.encode(torch.from_numpy(IMAGES))
    for j, value in enumerate(found["kl"].details["per_dimension"]):
        pairs = zip(codes.mean[:, j].tolist(), codes.log_var[:, j].tolist(), strict=True)
        assert value == pytest.approx(np.mean([0.5 * (m * m + math.exp(v) - 1 - v) for m, v in pairs]), rel=1e-4)
    assert found["kl"].value == pytest.approx(sum(found["kl"].details["per_dimension"]))
    assert found["kl"].baselines == {"ignored_code": 0}
    assert found["active_units"].baselines == {"all_dimensions": 4, "ignored_code": 0}
    variances = codes.mean.double().var(0, unbiased=False)
    assert found["active_units"].value == int((variances > 0.01).sum())
    assert found["active_units"].details["variance"] == pytest.approx(variances.tolist(), rel=1e-4)


def test_active_units_counts_both_ways() -> None:
    model = genlab.create("vae", (1, 8, 8), latent_dim=3, hidden=16).eval()
    last = model.encoder[-1]
    torch.nn.init.zeros_(last.weight)
    subject = Subject(model, IMAGES)
    assert evaluate(subject, ["active_units"])["active_units"].value == 0
    with torch.no_grad():
        last.weight[1] = 50 * torch.randn(16)
    assert evaluate(Subject(model, IMAGES), ["active_units"])["active_units"].value == 1


@pytest.mark.parametrize(("measure", "offset", "uniform"), [("density", 8.0, 8.0), ("binary", 0.0, 1.0)])
def test_exact_likelihood_and_its_measure(measure: str, offset: float, uniform: float) -> None:
    subject = Subject(Threshold(measure), IMAGES, labels=LABELS)
    found = evaluate(subject, ["log_likelihood", "bits_per_dimension"])
    loop = np.mean([sum(math.log(2 - 2 * float(p)) for p in image.ravel()) for image in IMAGES])
    assert found["log_likelihood"].value == pytest.approx(loop, rel=1e-5)
    assert found["bits_per_dimension"].value == pytest.approx(-loop / 64 / math.log(2) + offset, rel=1e-5)
    assert found["bits_per_dimension"].baselines["uniform"] == uniform
    assert found["log_likelihood"].baselines["uniform"] == pytest.approx(
        0 if measure == "density" else -64 * math.log(2)
    )
    assert found["bits_per_dimension"].reading == measure
    assert measure in found["bits_per_dimension"].remark.lower() or "probability" in found["bits_per_dimension"].remark


def independent_by_loop(images: np.ndarray, training: np.ndarray, measure: str) -> float:
    """Mean log p(x) of pixels around those of the mean training image, one pixel and image after another, with SciPy."""
    mean = training.astype(float).mean(0).ravel()
    if measure == "density":
        spread = math.sqrt(
            np.mean([(p - m) ** 2 for x in training for p, m in zip(x.ravel().tolist(), mean, strict=True)])
        )
        return float(np.mean([stats.norm(mean, spread).logpdf(x.ravel().astype(float)).sum() for x in images]))
    if measure == "binary":
        images, training = (np.where(each >= 0.5, 1.0, 0.0) for each in (images, training))
    white = [
        (sum(column) + 1) / (len(training) + 2) for column in zip(*(x.ravel().tolist() for x in training), strict=True)
    ]
    logs = [
        sum(v * math.log(p) + (1 - v) * math.log(1 - p) for v, p in zip(x.ravel().tolist(), white, strict=True))
        for x in images
    ]
    return float(np.mean(logs))


@pytest.mark.parametrize("measure", ["density", "binary", "bernoulli"])
def test_the_likelihood_to_beat_is_that_of_independent_pixels(measure: str) -> None:
    subject = Subject(Threshold(measure), IMAGES, labels=LABELS, training=IMAGES[:4])
    found = evaluate(subject, ["log_likelihood", "bits_per_dimension"])
    nats = independent_by_loop(IMAGES, IMAGES[:4], measure)
    bits = -nats / 64 / math.log(2) + (8 if measure == "density" else 0)
    assert found["log_likelihood"].baseline == pytest.approx(nats, rel=1e-6)
    assert found["bits_per_dimension"].baseline == pytest.approx(bits, rel=1e-6)
    assert list(found["log_likelihood"].baselines) == ["independent_pixels", "uniform"]
    assert math.isfinite(independent_pixels(IMAGES, IMAGES[:1], measure))


BITS = ("elbo_bits", "iwae_bits", "nll_bits")


def blind(likelihood: str, sigma: float = 0.1) -> Model:
    """A VAE whose code says nothing and is nothing: q(z|x) = p(z), and every pixel is N(½, σ²), or white with probability ½."""
    model = genlab.create("vae", (1, 8, 8), latent_dim=2, hidden=4, likelihood=likelihood, sigma=sigma).eval()
    for weight in model.parameters():
        torch.nn.init.zeros_(weight)
    return model


@pytest.mark.parametrize("name", ["nice", "vae"])
def test_all_densities_of_uniform_noise_stand_on_the_scale_of_eight_bits(name: str) -> None:
    """Uniform noise costs 8 bits where its density is 1, as that of NICE whose couplings do nothing: a logit, and logistic codes.

    A Gaussian around ½ that is as wide as 256 levels costs its own entropy, ½ log₂(2πeσ²) = 0.26 bits, more.
    """
    sigma = np.std(np.arange(256) / 255)
    wide = 8 + 0.5 * math.log2(2 * math.pi * math.e * sigma**2)
    noise = np.random.default_rng(2).integers(0, 256, (400, 1, 8, 8)).astype(np.float32) / 255
    if name == "nice":
        model = genlab.create("nice", (1, 8, 8), hidden=4, depth=1).eval()
        for weight in model.parameters():
            torch.nn.init.zeros_(weight)
        found, exact, names = evaluate(Subject(model, noise)), 8.0, ("bits_per_dimension",)
    else:
        found, exact, names = evaluate(Subject(blind("gaussian", sigma), noise), BITS), wide, BITS
    for measured in names:
        assert found[measured].value == pytest.approx(exact, abs=0.01)
        assert found[measured].reading == "density"
        assert found[measured].baselines["uniform"] == 8
        assert found[measured].baselines["independent_pixels"] == pytest.approx(wide, abs=0.015)


@pytest.mark.parametrize("name", BITS)
@pytest.mark.parametrize(("likelihood", "levels"), [("gaussian", 256), ("bernoulli", 2)])
def test_code_lengths_of_all_levels_are_those_of_probabilities(name: str, likelihood: str, levels: int) -> None:
    """2^−bits of a pixel's levels add up to 1: over the 256 grey ones for a Gaussian, over black and white for a Bernoulli."""
    model = blind(likelihood)
    lengths = [
        evaluate(Subject(model, np.full((1, 1, 8, 8), level / (levels - 1), np.float32)), [name])[name].value
        for level in range(levels)
    ]
    assert sum(2**-bits for bits in lengths) == pytest.approx(1, abs=0.005)


def test_every_model_that_bounds_says_how_it_reads_a_pixel() -> None:
    """Bernoulli or Gaussian by its own numbers: given a code, −log p(x|z) is linear in x for the first only."""
    readings = {}
    for name, entry in models().items():
        if not issubclass(entry.model, Bounds):
            continue
        for likelihood in ("bernoulli", "gaussian"):
            values = {"likelihood": likelihood} if "likelihood" in entry.parameters else {}
            model = genlab.create(name, (1, 32, 32), classes=3, **values).eval()
            readings[name, likelihood] = model.pixel_measure
            if isinstance(model, NormalLatent):
                at = [
                    model.negative_log_likelihood(
                        torch.zeros(1, model.latent_dim), torch.full((1, 1, 32, 32), grey)
                    ).item()
                    for grey in (0.0, 0.5, 1.0)
                ]
                linear = at[1] == pytest.approx((at[0] + at[2]) / 2, rel=1e-5)
                assert model.pixel_measure == ("bernoulli" if linear else "density"), name
    assert readings["vq_vae", "gaussian"] == readings["vae", "gaussian"] == readings["ava1", "gaussian"] == "density"
    for name in ("vae", "vq_vae", "conditional_vae", "hierarchical_vae", "vae_gan", "soft_intro_vae"):
        assert readings[name, "bernoulli"] == "bernoulli"


def test_bits_of_a_density_are_those_of_the_grey_levels_it_gives() -> None:
    """A density p(x) = 2x on [0, 1], as masses of 256 levels, costs the same bits up to the width of a level."""
    levels = rng.integers(128, 256, 2000)
    exact = -np.mean(np.log2(((levels + 1) ** 2 - levels**2) / 256**2))
    density = bits_per_dimension(np.log(2 * (levels + 0.5) / 256), 1)
    assert density == pytest.approx(exact, abs=1e-4)
    assert 6.5 < exact < 8


def test_accuracy_counts_and_names_its_baseline() -> None:
    found = evaluate(Subject(Threshold(), IMAGES, labels=LABELS), ["accuracy"])["accuracy"]
    right = sum(int(image[0, 0, 0] > 0.5) == label for image, label in zip(IMAGES, LABELS, strict=True))
    assert found.value == right / 12
    assert found.details["right"] == right
    assert found.baseline == pytest.approx(7 / 12)


class Painter(Model, Translates):
    """Paints the lower half grey, and back again adds a tenth."""

    Parameters = Parameters

    def __init__(self) -> None:
        super().__init__(Shape(1, 8, 8), 0, Parameters())
        self.register_buffer("zero", torch.zeros(1))

    def translate(self, images, *, back=False):
        painted = images.clone()
        painted[:, :, 4:] = 0.5
        return painted if not back else images + 0.1


def test_the_error_there_and_back_equals_a_loop() -> None:
    found = evaluate(Subject(Painter(), IMAGES, training=IMAGES[:4]), ["cycle_error"])["cycle_error"]
    expected = [0.1 if row < 4 else abs(p - 0.6) for x in IMAGES.tolist() for row in range(8) for p in x[0][row]]
    changed = [0 if row < 4 else abs(p - 0.5) for x in IMAGES.tolist() for row in range(8) for p in x[0][row]]
    assert found.value == pytest.approx(np.mean(expected), rel=1e-5)
    assert found.details["changed_one_way"] == pytest.approx(np.mean(changed), rel=1e-5)
    assert found.baseline == pytest.approx(np.abs(IMAGES - IMAGES[:4].mean(0)).mean(), rel=1e-5)
    assert set(applicable(["descends", "translates"])) == {"cycle_error"}


def test_diversity_equals_a_loop_over_pairs(vae: Subject) -> None:
    found = evaluate(vae, ["diversity"])["diversity"]
    for value, images in ((found.value, vae.samples(12)), (found.baseline, IMAGES)):
        pairs = [(i, j) for i in range(12) for j in range(i)]
        loop = np.mean([np.sqrt(((images[i] - images[j]).astype(float) ** 2).mean()) for i, j in pairs])
        assert value == pytest.approx(loop, rel=1e-5)
    assert mean_pairwise_distance(IMAGES[:1]) == 0.0


def test_balance_metric_of_samples_has_all_its_baselines(vae: Subject) -> None:
    found = evaluate(vae, ["bm"])["bm"]
    samples = vae.samples(found.details["samples"]).astype(float)
    d = np.abs(samples[:, None] - IMAGES[None])[:, :, 0]
    assert found.value == pytest.approx(np.abs(d * (1 - d)).mean(), rel=1e-5)
    assert found.details["rmse"] == pytest.approx(np.sqrt((d**2).mean()), rel=1e-5)
    named = {"mean_image", "median_image", "training_images", "mid_grey", "uniform_noise", "white", "black"}
    assert named <= set(found.baselines)


def test_only_what_applies_is_measured(vae: Subject) -> None:
    names = set(evaluate(vae))
    assert {"mse", "psnr", "ssim", "elbo", "elbo_bits", "iwae", "nll", "kl", "active_units", "diversity", "bm"} <= names
    assert not names & {"accuracy", "log_likelihood", "bits_per_dimension", "mig", "dci", "factor_vae"}
    assert set(applicable(["classifies", "scores"])) == {"accuracy", "log_likelihood", "bits_per_dimension"}
    assert "accuracy" not in applicable(["classifies"], labelled=False)


def test_every_metric_explains_itself(vae: Subject) -> None:
    for entry in METRICS.values():
        assert entry.title
        assert entry.equation
        assert entry.definition.endswith(".")
        assert entry.source
        assert not entry.source.endswith(".")
        low, high = entry.range
        assert low is None or high is None or low < high
    for found in evaluate(vae).values():
        assert found.n == 12
        assert "Only 12 images" in found.warning
        assert isinstance(found.as_dict()["value"], float)
        assert found.source == METRICS[found.name].source
        assert found.baselines, found.name
        assert found.baseline == next(iter(found.baselines.values()))
        assert found.range == METRICS[found.name].range
        low, high = METRICS[found.name].range
        assert low is None or found.value >= low
        assert high is None or found.value <= high


def test_what_does_not_apply_is_said(vae: Subject) -> None:
    with pytest.raises(UnknownNameError, match="psnr"):
        evaluate(vae, ["pnsr"])
    with pytest.raises(BadInputError, match=r"demo cannot do what it needs \(classifies\)"):
        evaluate(vae, ["accuracy"], title="demo")
    with pytest.raises(BadInputError, match="no labels"):
        evaluate(Subject(Threshold(), IMAGES), ["accuracy"])
    with pytest.raises(BadInputError, match="no images"):
        Subject(Threshold(), IMAGES[:0])


def test_lenient_evaluation_leaves_out_what_does_not_apply(vae: Subject) -> None:
    assert list(evaluate(vae, ["psnr", "accuracy"], lenient=True)) == ["psnr"]
    with pytest.raises(UnknownNameError):
        evaluate(vae, ["pnsr"], lenient=True)


def test_a_seed_gives_the_same_values(vae: Subject) -> None:
    first, second = (
        {name: found.value for name, found in evaluate(Subject(vae.model, IMAGES, seed=seed)).items()}
        for seed in (5, 5)
    )
    assert first == second


def test_metrics_do_not_load_torch_before_they_measure() -> None:
    code = (
        "import sys, genlab.metrics; print([m for m in ('torch', 'sklearn', 'skimage', 'scipy') if m in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )

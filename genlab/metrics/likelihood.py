"""How probable a model finds held-out images: exactly, or from below."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np

from genlab.metrics.registry import Found, metric
from genlab.metrics.subject import Subject

MEASURES = {
    "density": (
        "A density over pixels in [0, 1]: it may exceed 1, most where many values are always the same, and compares "
        "only with other densities."
    ),
    "binary": "A probability of pixels thresholded at one half: it compares only with other models of binary pixels.",
    "bernoulli": (
        "Grey values scored as if they were probabilities of white (Bernoulli), which is no density: it compares only with "
        "other models that read pixels so."
    ),
}
CODES = 500  # weighted codes an image for the likelihood
K = 50  # weighted codes an image for the bound that is usually reported
WEIGHED = 2**25  # pixel values that all weighted codes together may decode to
LEVELS = 8.0  # bits of a grey level: what a uniform density over [0, 1] costs for each value
LEAST_VARIANCE = 1 / 256**2 / 12  # of values that are only known to one grey level
Scale = Literal["nats", "minus nats", "bits"]


def bits_per_dimension(log_likelihoods: np.ndarray, values: int, measure: str = "density") -> float:
    """Mean −log₂ p(x) / values, plus 8 for a density over [0, 1], whose cells of 8-bit images are 1/256 wide.

    `log_likelihoods` (N,) in nats, `values` numbers in one image. The 8 bits make a density a probability of an
    8-bit image as long as it is about constant over one grey level.

    >>> bits_per_dimension(np.zeros(3), 784)
    8.0
    >>> round(bits_per_dimension(np.full(2, -784 * math.log(2)), 784, "binary"), 6)
    1.0
    """
    bits = -float(np.mean(log_likelihoods, dtype=np.float64)) / (values * math.log(2))
    return bits + LEVELS if measure == "density" else bits


def independent_pixels(images: np.ndarray, training: np.ndarray, measure: str = "density") -> float:
    """Mean log p(x) in nats of `images` under independent pixels around the mean of the `training` images, (N, C, H, W) both.

    A density is a Gaussian with one variance for all pixels; else each is white with its own probability, (Σx + 1) / (N + 2).
    It is what a model reaches at best whose code says nothing.

    >>> half = np.full((2, 1, 1, 1), 0.5)
    >>> round(independent_pixels(half, half, "bernoulli") / math.log(2), 6)
    -1.0
    """
    images, training = images.astype(np.float64), training.astype(np.float64)
    if measure == "density":
        mean = training.mean(0)
        variance = max(float(((training - mean) ** 2).mean()), LEAST_VARIANCE)
        nats = -0.5 * (((images - mean) ** 2).mean() / variance + math.log(2 * math.pi * variance))
    else:
        images, training = (_binary(each) if measure == "binary" else each for each in (images, training))
        white = (training.sum(0) + 1) / (len(training) + 2)
        nats = (images * np.log(white) + (1 - images) * np.log1p(-white)).mean()
    return float(nats) * images[0].size


def _binary(images: np.ndarray) -> np.ndarray:
    return (images >= 0.5).astype(np.float64)


def _on_scale(
    subject: Subject,
    values: np.ndarray,
    scale: Scale,
    *,
    images: np.ndarray | None = None,
    above: Mapping[str, float] | None = None,
    details: Mapping[str, float] | None = None,
    remark: str = "",
) -> Found:
    """The mean of log-likelihoods (N,) in nats of `images`, beside the means of `above` and those of models that know nothing."""
    measure, images = subject.model.pixel_measure, subject.images if images is None else images

    def said(nats: float) -> float:
        if scale == "bits":
            return bits_per_dimension(np.array([nats]), images[0].size, measure)
        return -nats if scale == "minus nats" else nats

    known = {
        **(above or {}),
        "independent_pixels": independent_pixels(images, subject.training, measure),
        "uniform": 0.0 if measure == "density" else -images[0].size * math.log(2),
    }
    baselines = {name: said(nats) for name, nats in known.items()}
    value = said(float(values.mean(dtype=np.float64)))
    return Found(value, len(values), baselines, details or {}, f"{remark}{MEASURES[measure]}", measure)


def _spread(values: np.ndarray) -> Mapping[str, float]:
    """Standard error of a mean over images."""
    return {"standard_error": float(values.std(dtype=np.float64) / math.sqrt(len(values)))}


@metric(
    "log_likelihood",
    "Log-likelihood",
    "Mean exact log-probability (or density) that the model gives a held-out image.",
    r"\tfrac1N\sum_i\log p(x_i)",
    direction="higher",
    range=(None, None),
    unit="nats an image",
    needs=("scores",),
    source="Standard definition",
)
def log_likelihood(subject: Subject) -> Found:
    """Mean exact log p(x)."""
    values = subject.log_likelihoods
    return _on_scale(subject, values, "nats", details=_spread(values))


@metric(
    "bits_per_dimension",
    "Bits per dimension",
    "Mean exact code length of a pixel value: −log₂ p(x) over the number of values; a density is counted per grey level.",
    r"-\tfrac{1}{N\,CHW}\sum_i\log_2 p(x_i)\;(+\,8\text{ for a density})",
    direction="lower",
    range=(None, None),
    unit="bits",
    needs=("scores",),
    source="Theis, van den Oord & Bethge 2016, section 3.1",
)
def exact_bits(subject: Subject) -> Found:
    """Exact code length."""
    return _on_scale(subject, subject.log_likelihoods, "bits")


BOUND = "A bound with one draw of the code an image. "


@metric(
    "elbo",
    "Evidence lower bound",
    "Mean lower bound of log p(x): log-likelihood of the image given a drawn code, less the code's KL.",
    r"\tfrac1N\sum_i \log p(x_i|z)-\mathrm{KL}(q(z|x_i)\,\|\,p(z)),\; z\sim q(z|x_i)",
    direction="higher",
    range=(None, None),
    unit="nats an image",
    needs=("bounds",),
    source="Kingma & Welling 2014, (3)",
)
def elbo(subject: Subject) -> Found:
    """Mean evidence lower bound."""
    return _on_scale(subject, subject.bounds, "nats", details=_spread(subject.bounds), remark=BOUND)


@metric(
    "elbo_bits",
    "Bound in bits per dimension",
    "The evidence lower bound as a code length: −ELBO over the number of values, in bits; a density is counted per grey level.",
    r"-\tfrac{\mathrm{ELBO}}{CHW\,\ln 2}\;(+\,8\text{ for a density})",
    direction="lower",
    range=(None, None),
    unit="bits",
    needs=("bounds",),
    source="Kingma & Welling 2014, (3)",
)
def elbo_bits(subject: Subject) -> Found:
    """The bound as a code length."""
    return _on_scale(subject, subject.bounds, "bits", remark=BOUND)


def _weighted(subject: Subject, codes: int, scale: Scale, bound: str) -> Found:
    """By `codes` weighted codes of each of some images (fewer where they are large), beside their `bound` with one code."""
    import torch

    from genlab.nn.importance import iwae_bound
    from genlab.nn.inference import through

    count = int(np.clip(WEIGHED // (codes * subject.images[0].size), 16, 400))
    chosen = np.random.default_rng(subject.seed).permutation(len(subject.images))[:count]  # sets are sorted by class
    images = subject.images[chosen]
    if codes not in subject.weighted:
        generator = torch.Generator().manual_seed(subject.seed)
        subject.weighted[codes] = through(
            subject.model, lambda batch: iwae_bound(subject.model, batch, codes, generator), images
        )
    values, above = subject.weighted[codes], {bound: float(subject.bounds[chosen].mean(dtype=np.float64))}
    details = {"codes": codes} if scale == "bits" else {"codes": codes, **_spread(values)}
    return _on_scale(subject, values, scale, images=images, above=above, details=details)


@metric(
    "iwae",
    "Importance-weighted bound",
    "Mean lower bound of log p(x) from 50 weighted codes an image: on average above the evidence lower bound, below log p(x).",
    r"\log\tfrac1k\sum_{s=1}^k\frac{p(x|z_s)\,p(z_s)}{q(z_s|x)},\quad z_s\sim q(z|x),\ k=50",
    direction="higher",
    range=(None, None),
    unit="nats an image",
    needs=("importance_weighted",),
    source="Burda, Grosse & Salakhutdinov 2016, (8)",
)
def importance_weighted_bound(subject: Subject) -> Found:
    """Mean bound of k weighted codes, against that of one."""
    return _weighted(subject, K, "nats", "elbo")


@metric(
    "nll",
    "Negative log-likelihood, importance-sampled",
    "Mean −log p(x) estimated with 500 weighted codes an image: nearer to the truth than the bound, on average still above it.",
    r"-\log\tfrac1S\sum_{s=1}^S\frac{p(x|z_s)\,p(z_s)}{q(z_s|x)},\quad z_s\sim q(z|x),\ S=500",
    direction="lower",
    range=(None, None),
    unit="nats an image",
    needs=("importance_weighted",),
    source="Burda, Grosse & Salakhutdinov 2016, (8), with 500 codes",
)
def importance_sampled(subject: Subject) -> Found:
    """Mean importance-sampled −log p(x)."""
    return _weighted(subject, CODES, "minus nats", "bound")


@metric(
    "iwae_bits",
    "Importance-weighted bits per dimension",
    "The bound from 50 weighted codes an image as a code length: over the number of values, in bits; a density is counted per grey level.",
    r"-\tfrac{L_{50}}{CHW\,\ln 2}\;(+\,8\text{ for a density})",
    direction="lower",
    range=(None, None),
    unit="bits",
    needs=("importance_weighted",),
    source="Burda, Grosse & Salakhutdinov 2016, (8)",
)
def importance_weighted_bits(subject: Subject) -> Found:
    """Code length by the bound of k weighted codes."""
    return _weighted(subject, K, "bits", "bound")


@metric(
    "nll_bits",
    "Importance-sampled bits per dimension",
    "The estimate from 500 weighted codes an image as a code length: over the number of values, in bits; a density is counted per grey level.",
    r"-\tfrac{\log\hat p(x)}{CHW\,\ln 2}\;(+\,8\text{ for a density})",
    direction="lower",
    range=(None, None),
    unit="bits",
    needs=("importance_weighted",),
    source="Burda, Grosse & Salakhutdinov 2016, (8), with 500 codes",
)
def importance_sampled_bits(subject: Subject) -> Found:
    """Code length by the importance-sampled likelihood."""
    return _weighted(subject, CODES, "bits", "bound")

"""How probable a model finds held-out images: exactly, or from below."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from genlab.metrics.registry import Found, metric
from genlab.metrics.subject import Subject

MEASURES = {
    "density": (
        "A density over pixels in [0, 1]: it may exceed 1, most where many values are always the same, and compares "
        "only with other densities."
    ),
    "binary": "A probability of pixels thresholded at one half: it compares only with other models of binary pixels.",
}
READING = (
    "Under the model's own reading of a pixel (Bernoulli or Gaussian): it compares only between models that read alike."
)
CODES = 500  # weighted codes an image for the likelihood
K = 50  # weighted codes an image for the bound that is usually reported
WEIGHED = 2**25  # pixel values that all weighted codes together may decode to
LEVELS = 8.0  # bits of a grey level: what a uniform density over [0, 1] costs for each value


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
    measure = subject.model.pixel_measure
    uniform = 0.0 if measure == "density" else -subject.images[0].size * math.log(2)
    return Found(values.mean(dtype=np.float64), len(values), {"uniform": uniform}, _spread(values), MEASURES[measure])


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
    """Exact code length, against that of uniformly random pixels."""
    measure = subject.model.pixel_measure
    value = bits_per_dimension(subject.log_likelihoods, subject.images[0].size, measure)
    uniform = LEVELS if measure == "density" else 1.0
    return Found(value, len(subject.images), {"uniform": uniform}, remark=MEASURES[measure])


BOUND = f"A bound with one draw of the code an image. {READING}"


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
    values = subject.bounds
    return Found(values.mean(dtype=np.float64), len(values), {}, _spread(values), BOUND)


@metric(
    "elbo_bits",
    "Bound in bits per dimension",
    "The evidence lower bound as a code length: −ELBO over the number of values, in bits, without any offset.",
    r"-\tfrac{\mathrm{ELBO}}{CHW\,\ln 2}",
    direction="lower",
    range=(None, None),
    unit="bits",
    needs=("bounds",),
    source="Kingma & Welling 2014, (3)",
)
def elbo_bits(subject: Subject) -> Found:
    """−ELBO for each value, in bits."""
    value = bits_per_dimension(subject.bounds, subject.images[0].size, "binary")
    return Found(value, len(subject.images), remark=BOUND)


def _weighted(subject: Subject, codes: int) -> tuple[np.ndarray, dict[str, float]]:
    """The bound with `codes` weighted codes of each of some images (fewer where they are large), and details."""
    import torch

    from genlab.nn.importance import iwae_bound
    from genlab.nn.inference import through

    count = int(np.clip(WEIGHED // (codes * subject.images[0].size), 16, 400))
    chosen = np.random.default_rng(subject.seed).permutation(len(subject.images))[:count]  # sets are sorted by class
    if codes not in subject.weighted:
        generator = torch.Generator().manual_seed(subject.seed)
        subject.weighted[codes] = through(
            subject.model, lambda batch: iwae_bound(subject.model, batch, codes, generator), subject.images[chosen]
        )
    values = subject.weighted[codes]
    return values, {**_spread(values), "codes": codes, "elbo": float(subject.bounds[chosen].mean(dtype=np.float64))}


def _weighted_bits(subject: Subject, codes: int) -> Found:
    """The same as a code length, against that of the evidence lower bound on the same images."""
    values, details = _weighted(subject, codes)
    size = subject.images[0].size
    bound = bits_per_dimension(np.array([details["elbo"]]), size, "binary")
    return Found(bits_per_dimension(values, size, "binary"), len(values), {"bound": bound}, {"codes": codes}, READING)


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
    values, details = _weighted(subject, K)
    return Found(values.mean(dtype=np.float64), len(values), {"elbo": details["elbo"]}, details, READING)


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
    values, details = _weighted(subject, CODES)
    return Found(-values.mean(dtype=np.float64), len(values), {"bound": -details["elbo"]}, details, READING)


@metric(
    "iwae_bits",
    "Importance-weighted bits per dimension",
    "The bound from 50 weighted codes an image as a code length: over the number of values, in bits, without any offset.",
    r"-\tfrac{L_{50}}{CHW\,\ln 2}",
    direction="lower",
    range=(None, None),
    unit="bits",
    needs=("importance_weighted",),
    source="Burda, Grosse & Salakhutdinov 2016, (8)",
)
def importance_weighted_bits(subject: Subject) -> Found:
    """Code length by the bound of k weighted codes."""
    return _weighted_bits(subject, K)


@metric(
    "nll_bits",
    "Importance-sampled bits per dimension",
    "The estimate from 500 weighted codes an image as a code length: over the number of values, in bits, without any offset.",
    r"-\tfrac{\log\hat p(x)}{CHW\,\ln 2}",
    direction="lower",
    range=(None, None),
    unit="bits",
    needs=("importance_weighted",),
    source="Burda, Grosse & Salakhutdinov 2016, (8), with 500 codes",
)
def importance_sampled_bits(subject: Subject) -> Found:
    """Code length by the importance-sampled likelihood."""
    return _weighted_bits(subject, CODES)

"""The story of generative models on one image set, rung by rung, each with what it still gets wrong.

References:
    [1] Nikhil, Ravi & Shri, Generative Modelling and GANs, 2023, chapters 3 and 4.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from genlab.studies.study import Cell, Entry, Picture, Report, Result, Study, Table, chosen, mean_entry, spread

RUNGS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "multinomial": ("multinomial", {}),
    "naive Bayes": ("naive_bayes", {}),
    "Gaussian naive Bayes": ("gaussian_naive_bayes", {}),
    "Gaussian discriminants": ("gda", {}),
    "Gaussian mixture": ("gmm", {}),
    "autoencoder": ("autoencoder", {"latent_dim": 8}),
    "VAE": ("vae", {"latent_dim": 8}),
    "GAN, minimax": ("gan", {"loss": "minimax"}),
    "GAN, non-saturating": ("gan", {"loss": "non_saturating"}),
    "DCGAN": ("dcgan", {}),
    "conditional DCGAN": ("cdcgan", {}),
}
SAMPLES = 20  # of each rung in the picture
DRAWN = 500
FITTED = 1000  # training images that principal components are fitted to
FLOORS = ("frechet", "coverage", "feature_diversity")  # what training images reach in the samples' place is known
METRICS = ("frechet", "coverage", "feature_diversity", "bits_per_dimension", "elbo_bits")


def grid(quick: bool, images: int) -> Sequence[Cell]:
    """Every rung at its quick preset; three seeds in the full grid."""
    seeds = range(1 if quick else 3)
    return [
        Cell({"rung": rung, "seed": seed}, model, {**values, "seed": seed}, "quick")
        for rung, (model, values) in RUNGS.items() for seed in seeds
    ]  # fmt: skip


def measure(run: Any) -> dict[str, Any]:
    """Named metrics where the model allows them, and the numbers that show each shortcoming."""
    measured = run.evaluate(list(METRICS), lenient=True)
    numbers: dict[str, Any] = {name: each.value for name, each in measured.items()}
    numbers |= {f"{name}_of_data": each.baselines["real_images"] for name, each in measured.items() if name in FLOORS}
    numbers["seconds"] = run.state.seconds
    last = run.scalars()[-1]
    if "d_fake" in last:
        numbers["d_fake"] = last["d_fake"]
    data = run.images.tensor(run.images.splits["validation"]).numpy()
    numbers["correlation_of_data"] = neighbour_correlation(data)
    if run.can("samples"):
        numbers["correlation"] = neighbour_correlation(run.sample(DRAWN).array)
    if run.can("encodes", "decodes") and not run.can("classifies"):
        numbers |= prior_and_codes(run, data[:DRAWN])
    return numbers


def neighbour_correlation(images: Any) -> float:
    """Correlation of horizontally neighbouring pixels of images (N, C, H, W), each less its own mean over the images.

    >>> import numpy as np
    >>> same = np.random.default_rng(0).random((50, 1, 1, 1)).repeat(4, axis=3)
    >>> round(neighbour_correlation(same), 6)
    1.0
    """
    rest = images - images.mean(0)
    left, right = rest[..., :-1], rest[..., 1:]
    return float((left * right).sum() / math.sqrt((left**2).sum() * (right**2).sum() + 1e-12))


def prior_and_codes(run: Any, images: Any) -> dict[str, float]:
    """What decodes from N(0, I) and from the codes of `images` themselves, against `images`: Fréchet distance and coverage
    on pixels-PCA.

    Where the codes leave N(0, I) or have holes inside it, what is drawn from it covers few images.
    """
    import numpy as np

    from genlab.metrics.features import pca_features
    from genlab.metrics.fidelity import coverage, frechet_distance

    fitted = np.random.default_rng(0).permutation(run.images.splits["train"])[:FITTED]  # sets are often sorted by class
    of = pca_features(run.images.tensor(fitted).numpy()).of
    own = run.encode(images).mean
    real, again = of(images), of(run.decode(own).array)
    drawn = of(run.decode(np.random.default_rng(0).standard_normal(own.shape)).array)
    return {
        "prior_frechet": frechet_distance(real, drawn),
        "codes_frechet": frechet_distance(real, again),
        "prior_coverage": coverage(real, drawn),
        "code_deviation": float(own.std(0).mean()),
    }


def conclude(results: Sequence[Result], open_run: Callable[[str], Any]) -> Report:
    """One row a rung, the shortcomings in sentences, and samples side by side."""
    return Report(tuple(_findings(results)), (_table(results),), pictures=_samples(results, open_run))


def _number(name: str) -> Callable[[Result], float]:
    return lambda result: float(result.numbers[name])


def _mean(results: Sequence[Result], rung: str, name: str) -> float:
    return spread([_number(name)(r) for r in chosen(results, rung=rung) if name in r.numbers])[0]


def _table(results: Sequence[Result]) -> Table:
    columns = {"frechet": "Fréchet distance", "coverage": "coverage", "feature_diversity": "diversity",
               "bits_per_dimension": "bits/dim", "elbo_bits": "bits/dim (bound)", "correlation": "neighbours' correlation",
               "seconds": "seconds"}  # fmt: skip
    rows = []
    for rung in RUNGS:
        of_rung = chosen(results, rung=rung)
        cells = ([r for r in of_rung if name in r.numbers] for name in columns)
        rows.append((Entry(rung), *(mean_entry(c, _number(n), ".3g") for c, n in zip(cells, columns, strict=True))))
    floor = [Entry("real images"), *(Entry(_of_data(results, name)) for name in columns)]
    caption = (
        "Distances and diversity on the features of the project's own small classifier (or principal components where there are "
        "no labels); the last row is what real images reach. Bits per dimension compare only where pixels are read alike."
    )
    return Table("The ladder", ("rung", *columns.values()), (*rows, tuple(floor)), caption)


def _of_data(results: Sequence[Result], name: str) -> str:
    known = f"{name}_of_data"
    values = [float(r.numbers[known]) for r in results if known in r.numbers]
    return f"{spread(values)[0]:.3g}" if values else "–"


def _findings(results: Sequence[Result]) -> list[str]:
    def shown(rung: str, name: str) -> str:
        value = _mean(results, rung, name)
        return "not measured yet" if math.isnan(value) else f"{value:.3g}"

    data = spread([_number("correlation_of_data")(r) for r in results])[0] if results else math.nan
    saturated = _mean(results, "GAN, minimax", "d_fake")
    return [
        f"Independent pixels: neighbours in naive Bayes samples correlate by {shown('naive Bayes', 'correlation')}, those of the images "
        f"by {data:.3g}. What is left comes from the classes alone; samples are noise around a mean image.",
        f"Holes between codes: what the autoencoder decodes from N(0, I) covers {shown('autoencoder', 'prior_coverage')} of the images, at a "
        f"Fréchet distance of {shown('autoencoder', 'prior_frechet')} on pixels-PCA (its reconstructions: "
        f"{shown('autoencoder', 'codes_frechet')}); for the VAE it is {shown('VAE', 'prior_coverage')}, at {shown('VAE', 'prior_frechet')} "
        f"({shown('VAE', 'codes_frechet')}). A dimension of the autoencoder's codes has the standard deviation "
        f"{shown('autoencoder', 'code_deviation')}, of the VAE's {shown('VAE', 'code_deviation')}: nothing ties the first to the 1 of the prior.",
        f"Vanishing gradients: with the minimax loss the gradient at the discriminator's logit is D(G(z)) = {saturated:.3g} on average at "
        f"the end; the non-saturating loss has 1 − D(G(z)) = {1 - _mean(results, 'GAN, non-saturating', 'd_fake'):.3g}.",
        f"Mode collapse: samples of the minimax GAN cover {shown('GAN, minimax', 'coverage')} of the held-out images, of the non-saturating "
        f"one {shown('GAN, non-saturating', 'coverage')}, of the conditional DCGAN, which is told the class, "
        f"{shown('conditional DCGAN', 'coverage')}.",
    ]  # fmt: skip


def _samples(results: Sequence[Result], open_run: Callable[[str], Any]) -> tuple[Picture, ...]:
    """A strip of images for each rung that draws them, from the same seed."""
    strips = []
    for result in chosen(results, seed=0):
        run = open_run(result.run)
        if run.can("samples"):
            drawn = run.sample(SAMPLES, seed=0)
            title = str(result.cell.place["rung"])
            strips.append(Picture(title, drawn.png_bytes(columns=SAMPLES), drawn.caption, (result.run,)))
    return tuple(strips)


STUDY = Study(
    name="ladder",
    title="The ladder of generative models",
    paper="Nikhil, Ravi & Shri, Generative Modelling and GANs, chapters 3 and 4",
    question=(
        "From counting whole images to convolutional adversaries: what does each rung repair, and what does it still get wrong, on "
        "one and the same image set?"
    ),
    data="digits-28",
    grid=grid,
    measure=measure,
    conclude=conclude,
    departures=(
        "Every rung is trained with its quick preset: the order of the rungs is the lesson, not the last decimal.",
        "The book shows pictures; the numbers are on features that are named, and none of them is a published score.",
    ),
)

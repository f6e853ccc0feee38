"""The story of generative models on one image set, rung by rung, each with what it still gets wrong.

References:
    [1] Nikhil, Ravi & Shri, Generative Modelling and GANs, 2023, chapters 3 and 4.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from genlab.studies import ladder_measures, ladder_shown
from genlab.studies.study import (
    Cell,
    Chart,
    Entry,
    Line,
    Report,
    Result,
    Study,
    Table,
    chosen,
    mean_entry,
    p_value,
    spread,
)

MINIMAX, HEURISTIC, AUTOENCODER, VAE = "GAN, minimax", "GAN, non-saturating", "autoencoder", "VAE"
RUNGS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "multinomial": ("multinomial", {}),
    "naive Bayes": ("naive_bayes", {}),
    "Gaussian naive Bayes": ("gaussian_naive_bayes", {}),
    "Gaussian discriminants": ("gda", {}),
    "Gaussian mixture": ("gmm", {}),
    AUTOENCODER: ("autoencoder", {"latent_dim": 8}),
    VAE: ("vae", {"latent_dim": 8}),
    MINIMAX: ("gan", {"loss": "minimax"}),
    HEURISTIC: ("gan", {"loss": "non_saturating"}),
    "DCGAN": ("dcgan", {}),
    "conditional DCGAN": ("cdcgan", {}),
}
CONVOLUTIONAL = ("DCGAN", "conditional DCGAN")  # half of the time of a seed
SLOW = "GAN, slow discriminator"
SLOW_STEP = 5e-6  # of the discriminator: a hundredth of the usual one
PLAIN = ("GAN without batch norm, minimax", "GAN without batch norm, non-saturating")
PLANES = ("autoencoder, d = 2", "VAE, d = 2")
EXAMPLES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    SLOW: ("gan", {"loss": "non_saturating", "critic_learning_rate": SLOW_STEP}),
    PLAIN[0]: ("gan", {"loss": "minimax", "batch_norm": False, "epochs": 6}),
    PLAIN[1]: ("gan", {"loss": "non_saturating", "batch_norm": False, "epochs": 6}),
    PLANES[0]: ("autoencoder", {"latent_dim": 2}),
    PLANES[1]: ("vae", {"latent_dim": 2}),
}
DRAWN = 500
SURE = 0.05  # p below which a difference is called one
FLOORS = ("frechet", "coverage", "feature_diversity")  # what training images reach in the samples' place is known
METRICS = ("frechet", "coverage", "feature_diversity", "bits_per_dimension", "elbo_bits")


def grid(quick: bool, images: int) -> Sequence[Cell]:
    """Every rung and every example at its quick preset: three seeds, or two and one of what takes longest."""

    def seeds(rung: str) -> range:
        return range(3 if not quick else 1 if rung in CONVOLUTIONAL else 2)

    return [
        Cell({"rung": rung, "seed": seed}, model, {**values, "seed": seed}, "quick")
        for rung, (model, values) in {**RUNGS, **EXAMPLES}.items() for seed in seeds(rung)
    ]  # fmt: skip


def measure(run: Any) -> dict[str, Any]:
    """Named metrics where the model allows them, and the numbers that show each shortcoming; draws follow the run's seed."""
    seed = int(run.config.settings["seed"])
    measured = run.evaluate(list(METRICS), lenient=True, seed=seed)
    numbers: dict[str, Any] = {name: each.value for name, each in measured.items()}
    numbers |= {f"{name}_of_data": each.baselines["real_images"] for name, each in measured.items() if name in FLOORS}
    numbers["seconds"] = run.state.seconds
    last = run.scalars()[-1]
    numbers |= {name: last[name] for name in ("d_real", "d_fake") if name in last}
    numbers |= _of_data(run)
    if run.can("samples"):
        numbers |= _of_samples(run, seed)
    if run.can("encodes", "decodes") and not run.can("classifies"):
        numbers |= ladder_measures.latent_space(run)
    if run.config.parameters.get("loss") == "minimax":
        numbers["ahead"] = ladder_measures.ahead_of_run(run)
    return numbers


def _of_data(run: Any) -> dict[str, Any]:
    """Held-out images: how neighbouring pixels correlate, and how the small classifier reads them."""
    indices = run.images.splits["validation"]
    images = run.images.tensor(indices).numpy()
    numbers: dict[str, Any] = {"correlation_of_data": ladder_measures.neighbour_correlation(images)}
    if run.classifier() is None:
        return numbers
    labels = np.asarray(run.images.labels)[indices]
    shares = ladder_measures.class_shares(images, run)
    right = ladder_measures.class_probabilities(images, run).argmax(1) == labels
    return numbers | {
        "correlation_within_of_data": ladder_measures.neighbour_correlation(images, labels),
        "read_right": float(right.mean()),
        "shares_of_data": shares,
        "kinds_of_data": ladder_measures.kinds(shares),
    }


def _of_samples(run: Any, seed: int) -> dict[str, Any]:
    """The same of samples; within a class only where the class can be asked for."""
    images = run.sample(DRAWN, seed=seed).array
    numbers: dict[str, Any] = {"correlation": ladder_measures.neighbour_correlation(images)}
    if run.classifier() is None:
        return numbers
    shares = ladder_measures.class_shares(images, run)
    numbers |= {"shares": shares, "kinds": ladder_measures.kinds(shares)}
    if run.can("samples_by_label"):
        labels = np.arange(DRAWN) % len(run.images.class_names)
        drawn = run.sample(DRAWN, labels=labels.tolist(), seed=seed).array
        numbers["correlation_within"] = ladder_measures.neighbour_correlation(drawn, labels)
    return numbers


def conclude(results: Sequence[Result], open_run: Callable[[str], Any]) -> Report:
    """One row a rung, the shortcomings in sentences, tables and charts, and samples side by side."""
    findings = (pixels(results), *latent(results), *vanishing(results), collapse(results))
    runs = {str(result.cell.place["rung"]): open_run(result.run) for result in chosen(results, seed=0)}

    def these(*rungs: str) -> dict[str, Any]:
        return {rung: runs[rung] for rung in rungs if rung in runs}

    clouds, planes = ladder_shown.planes(these(*PLANES))
    pictures = (
        *ladder_shown.side_by_side(these(*RUNGS)),
        *ladder_shown.independent(these("naive Bayes", "Gaussian naive Bayes")),
        *ladder_shown.from_prior(these(AUTOENCODER, VAE)),
        *ladder_shown.walks(these(AUTOENCODER, VAE)),
        *planes,
        *ladder_shown.examples("Vanishing gradients", these(*PLAIN), "The two runs differ in the generator's loss alone."),
        *ladder_shown.examples("Mode collapse", these(HEURISTIC, SLOW), "The two runs differ in the discriminator's step size alone."),
    )  # fmt: skip
    tables = (_rungs(results), _spaces(results), _games(results))
    charts = (*_measures(results), *_ahead(results), *_shares(results))
    return Report(findings, tables, charts, pictures, clouds=clouds)


def _number(name: str) -> Callable[[Result], float]:
    return lambda result: float(result.numbers[name])


def _known(results: Sequence[Result], rung: str, name: str) -> list[Result]:
    return [result for result in chosen(results, rung=rung) if name in result.numbers]


def _told(results: Sequence[Result], rung: str, name: str, form: str = ".3g") -> str:
    """The mean of a number over a rung's seeds with its standard deviation."""
    found = _known(results, rung, name)
    return mean_entry(found, _number(name), form).text if found else "not measured yet"


def gaps(results: Sequence[Result], first: str, second: str, name: str) -> list[float]:
    """A number of the rung `second` minus that of `first`, seed by seed."""
    values = [
        {result.cell.place["seed"]: _number(name)(result) for result in _known(results, rung, name)}
        for rung in (first, second)
    ]
    return [values[1][seed] - values[0][seed] for seed in sorted(values[0].keys() & values[1].keys())]


def clear(differences: Sequence[float]) -> bool:
    """Whether the seeds bear out that paired differences are not 0: p < 0.05.

    >>> clear([0.5, 0.51]), clear([0.5, -0.1]), clear([0.5])
    (True, False, False)
    """
    return p_value(differences) < SURE  # never, where one seed has no p


def judged(differences: Sequence[float]) -> str:
    """Paired differences in words: by how much, and the p of it."""
    if not differences:
        return "no seed has both yet"
    mean = spread(differences)[0]
    if len(differences) == 1:
        return f"a difference of {mean:+.2g} with one seed, which cannot be judged"
    return f"a difference of {mean:+.2g} over {len(differences)} seeds, p = {p_value(differences):.2g}"


def pixels(results: Sequence[Result]) -> str:
    """Whether neighbouring pixels of naive Bayes samples know of one another."""
    within = "correlation_within" if _known(results, "naive Bayes", "correlation_within") else "correlation"
    known = [result for result in results if f"{within}_of_data" in result.numbers]
    data = spread([_number(f"{within}_of_data")(result) for result in known])[0]
    drawn = spread([_number(within)(result) for result in _known(results, "naive Bayes", within)])[0]
    said = (
        f"Independent pixels: within a class, neighbouring pixels of naive Bayes samples correlate by "
        f"{_told(results, 'naive Bayes', within, 'z.2f')}, those of held-out images by {data:.2f}."
    )
    if within == "correlation":
        said = said.replace("within a class, n", "n")
    if math.isnan(drawn):
        return said
    if drawn > data / 2:
        return f"{said} On this set the assumption costs little."
    return (
        f"{said} With the classes mixed it is {_told(results, 'naive Bayes', 'correlation', '.2f')}: most of what neighbours "
        "share comes from the class; samples are noise around its mean image."
    )


def latent(results: Sequence[Result]) -> list[str]:
    """Where codes lie, what is drawn from N(0, I), what lies between two codes, and the same of two dimensions."""

    def both(name: str, rungs: tuple[str, str] = (AUTOENCODER, VAE)) -> str:
        autoencoder, vae = (_told(results, rung, name, ".2f") for rung in rungs)
        return f"{autoencoder} with the autoencoder and {vae} with the VAE ({judged(gaps(results, *rungs, name))})"

    between = gaps(results, AUTOENCODER, VAE, "unsure_between")
    walks = "" if not between else (
        " The autoencoder's walks cross more unclear images than the VAE's."
        if clear(between) and spread(between)[0] < 0
        else " The autoencoder's walks cross no more unclear images than the VAE's, as far as these seeds tell."
    )  # fmt: skip
    return [
        f"Codes spread over a large area: the share of held-out codes outside the ball that holds 99 % of N(0, I) is {both('outside')}; "
        f"the standard deviation of a dimension is {both('code_deviation')}.",
        f"Draws from N(0, I): the share of held-out images that they cover once decoded, on pixels-PCA, is {both('prior_coverage')}. "
        f"The share of them of no clear class is {both('unsure_prior')}; of reconstructions it is {both('unsure_codes')}.",
        f"Between two codes: the share of images decoded halfway between those of two images that are of no clear class is "
        f"{both('unsure_between')}; the largest of {ladder_measures.STEPS - 1} steps in pixels over the mean one is {both('jump')}.{walks}",
        f"Two dimensions: the share of draws from N(0, I) in holes, farther from any code than held-out codes are, is "
        f"{both('holes', PLANES)}; the largest step of a walk over the mean one is {both('jump', PLANES)}.",
    ]  # fmt: skip


def vanishing(results: Sequence[Result]) -> list[str]:
    """What becomes of the generator's gradient as the discriminator learns alone, and whether training showed it."""
    plain, usual = (gaps(results, *pair, "coverage") for pair in (PLAIN, (MINIMAX, HEURISTIC)))
    stalls = clear(plain) and spread(plain)[0] > 0
    return [
        _gradients(_curves(results, "untrained")),
        f"In training, without batch normalisation in the generator: {_losses(results, *PLAIN)}"
        + ("The vanishing gradient stalls the first." if stalls else "That the first stalls is not borne out.") * bool(plain),
        f"With batch normalisation: {_losses(results, MINIMAX, HEURISTIC)}"
        + ("Here too the two losses differ." if clear(usual) else "That the losses differ is not borne out here.") * bool(usual),
    ]  # fmt: skip


def _losses(results: Sequence[Result], minimax: str, other: str) -> str:
    """Where two runs end that differ in the generator's loss."""
    differences = gaps(results, minimax, other, "coverage")
    if not differences:
        return "not measured yet."
    told = [
        f"ends at D(G(z)) = {_told(results, rung, 'd_fake', '.2g')} and covers {_told(results, rung, 'coverage', '.2f')} of the held-out images"
        for rung in (minimax, other)
    ]
    return f"minimax {told[0]}, the non-saturating loss {told[1]} ({judged(differences)}). "


def _gradients(curves: Sequence[Mapping[str, Sequence[float]]]) -> str:
    """How both gradients and D(G(z)) go from the first to the last step of the discriminator alone."""
    if not curves:
        return "Vanishing gradients: not measured yet."
    ends = {name: [_at(curves, name, place)[0] for place in (0, -1)] for name in ("d_fake", *ladder_measures.LOSSES)}
    course = {name: f"from {begun:.2g} to {ended:.2g}" for name, (begun, ended) in ends.items()}
    minimax, other = (ends[name] for name in ladder_measures.LOSSES)
    vanishes = minimax[1] < minimax[0] / 10 and minimax[1] < other[1] / 10
    return (
        f"Vanishing gradients: let the discriminator of an untrained GAN learn alone for {curves[0]['steps'][-1]} steps, and D(G(z)) goes "
        f"{course['d_fake']}. The norm of the generator's gradient goes {course['minimax']} under log(1 − D(G(z))), and "
        f"{course['non_saturating']} under −log D(G(z)): "
        + ("the first vanishes, the second does not." if vanishes else "the first does not vanish within these steps.")
    )


def collapse(results: Sequence[Result]) -> str:
    """Whether the GAN with the slow discriminator leaves out what the same GAN draws."""
    gap, covered = gaps(results, HEURISTIC, SLOW, "coverage"), spread(
        [_number("coverage")(result) for result in _known(results, HEURISTIC, "coverage")]
    )[0]  # fmt: skip
    if not gap:
        return "Mode collapse: not measured yet."
    named = ""
    if _known(results, SLOW, "kinds"):
        data = spread([_number("kinds_of_data")(result) for result in _known(results, SLOW, "kinds_of_data")])[0]
        named = (
            f" As the small classifier reads them, they are of {_told(results, SLOW, 'kinds', '.1f')} classes in effect, against "
            f"{_told(results, HEURISTIC, 'kinds', '.1f')} and {data:.1f} of held-out images."
        )
    collapsed = spread(gap)[0] < -covered / 2 and (len(gap) == 1 or clear(gap))
    verdict = (
        f"Its D(x) = {_told(results, SLOW, 'd_real', '.2f')} and D(G(z)) = {_told(results, SLOW, 'd_fake', '.2f')} look like the optimum: "
        "the losses do not tell."
        if collapsed
        else "A collapse would lose more than half of what the other covers, with p < 0.05."
    )
    return (
        f"Mode collapse{'' if collapsed else ' did not appear'}: with a discriminator that learns in steps a hundredth of the usual size, samples cover "
        f"{_told(results, SLOW, 'coverage', '.2f')} of the held-out images, and {_told(results, HEURISTIC, 'coverage', '.2f')} with the usual one "
        f"({judged(gap)}).{named} {verdict}"
    )  # fmt: skip


def _rungs(results: Sequence[Result]) -> Table:
    columns = {"frechet": "Fréchet distance", "coverage": "coverage", "feature_diversity": "diversity", "kinds": "classes",
               "bits_per_dimension": "bits/dim", "elbo_bits": "bits/dim (bound)", "correlation": "neighbours' correlation",
               "seconds": "seconds"}  # fmt: skip
    rows = [(Entry(rung), *_row(results, rung, columns)) for rung in RUNGS]
    floor = [Entry("real images"), *(Entry(_data(results, name)) for name in columns)]
    right = spread([_number("read_right")(result) for result in results if "read_right" in result.numbers])[0]
    caption = (
        "Mean ± standard deviation over seeds, which fix training and draws. Distances and diversity on the features of the project's own "
        "small classifier (or principal components where there are no labels); the last row is what real images reach. Bits per dimension "
        "compare only where pixels are read alike. Classes: exp of the entropy of the classes that the small classifier reads in samples"
        f"{'' if math.isnan(right) else f'; it reads {right:.1%} of held-out images right'}."
    )
    return Table("The ladder", ("rung", *columns.values()), (*rows, tuple(floor)), caption)


def _row(results: Sequence[Result], rung: str, columns: Mapping[str, str]) -> tuple[Entry, ...]:
    return tuple(mean_entry(_known(results, rung, name), _number(name), ".3g") for name in columns)


def _data(results: Sequence[Result], name: str) -> str:
    values = [float(r.numbers[f"{name}_of_data"]) for r in results if f"{name}_of_data" in r.numbers]
    return f"{spread(values)[0]:.3g}" if values else "–"


def _spaces(results: Sequence[Result]) -> Table:
    columns = {"code_deviation": "deviation of codes", "outside": "outside N(0, I)", "holes": "draws in holes", "jump": "largest step",
               "prior_coverage": "coverage by draws", "unsure_prior": "unclear draws", "unsure_between": "unclear halfway",
               "unsure_codes": "unclear reconstructions"}  # fmt: skip
    rows = [(Entry(rung), *_row(results, rung, columns)) for rung in (AUTOENCODER, VAE, *PLANES)]
    caption = (
        f"Codes of held-out images, {RUNGS[VAE][1]['latent_dim']} dimensions where not said. Outside: of the ball that holds 99 % of "
        "N(0, I). In holes: farther from any training code than 95 % of held-out codes; where codes lie far apart, that is far. Largest step: "
        "over the mean step of straight walks between codes, in pixels. Coverage by draws from N(0, I), on pixels-PCA. Unclear: the small "
        "classifier gives no class a probability of 0.9."
    )
    return Table("Latent spaces", ("", *columns.values()), tuple(rows), caption)


def _games(results: Sequence[Result]) -> Table:
    columns = {"coverage": "coverage", "feature_diversity": "diversity", "kinds": "classes", "d_real": "D(x)", "d_fake": "D(G(z))",
               "seconds": "seconds"}  # fmt: skip
    rows = [(Entry(rung), *_row(results, rung, columns)) for rung in (MINIMAX, HEURISTIC, SLOW, *PLAIN)]
    caption = (
        "The GANs of the ladder, and three that differ from them in what their names say: steps of the discriminator a hundredth of the usual size; "
        "no batch normalisation in the generator, 6 epochs. D over the last epoch."
    )
    return Table("GANs that fail, and GANs that do not", ("", *columns.values()), tuple(rows), caption)


def _measures(results: Sequence[Result]) -> tuple[Chart, ...]:
    """The rungs that draw, by their place on the ladder, beside what real images reach."""
    charts = []
    for name, label in (("coverage", "coverage"), ("frechet", "Fréchet distance")):
        places = [place for place, rung in enumerate(RUNGS, 1) if _known(results, rung, name)]
        if len(places) < 2:
            continue
        found = [spread([_number(name)(r) for r in _known(results, list(RUNGS)[place - 1], name)]) for place in places]
        line = Line("samples", places, [mean for mean, _ in found], [0.0 if math.isnan(d) else d for _, d in found])
        level = Line("real images", places, [float(_data(results, name))] * len(places), printed=True)
        named = ", ".join(f"{place} {list(RUNGS)[place - 1]}" for place in places)
        caption = f"{named}. Mean and standard deviation over seeds; dashed, training images in the samples' place."
        charts.append(Chart(f"Up the ladder: {label}", "rung", label, (line, level), caption))
    return tuple(charts)


def _curves(results: Sequence[Result], state: str, rung: str = MINIMAX) -> list[Mapping[str, Sequence[float]]]:
    return [result.numbers["ahead"][state] for result in _known(results, rung, "ahead")]


def _at(curves: Sequence[Mapping[str, Sequence[float]]], name: str, place: int) -> tuple[float, float]:
    return spread([curve[name][place] for curve in curves])


def _ahead(results: Sequence[Result]) -> tuple[Chart, ...]:
    """Gradients of both losses, and D(G(z)), over the steps that the discriminator has taken alone."""
    norms, verdicts, closed = [], [], {"minimax": "log(1 − D)", "non_saturating": "−log D"}
    for state in ("untrained", "trained"):
        curves = _curves(results, state)
        if not curves:
            return ()
        steps = curves[0]["steps"]
        for loss, told in closed.items():
            logs = [spread([math.log10(max(curve[loss][at], 1e-12)) for curve in curves]) for at in range(len(steps))]
            norms.append(_line(f"{told}, {state}", steps, logs))
        verdicts.append(
            _line(f"D(G(z)), {state}", steps, [_at(curves, "d_fake", place) for place in range(len(steps))])
        )
    players = f"The players of “{MINIMAX}”, untrained and trained; the discriminator goes on alone, mean and standard deviation over seeds."
    return (
        Chart("The generator's gradient as the discriminator runs ahead", "steps of the discriminator alone", "log₁₀ ‖∇θ L‖", tuple(norms),
              f"Norm over all weights of the generator, {ladder_measures.JUDGED} images. {players}"),
        Chart("The discriminator's verdict as it runs ahead", "steps of the discriminator alone", "D(G(z))", tuple(verdicts),
              f"At an image's logit the slope of log(1 − D) is −D, that of −log D is −(1 − D). {players}"),
    )  # fmt: skip


def _line(name: str, x: Sequence[float], points: Sequence[tuple[float, float]]) -> Line:
    """Means with a band of standard deviations, where there are such."""
    means, deviations = zip(*points, strict=True)
    return Line(name, tuple(x), means, () if any(map(math.isnan, deviations)) else deviations)


def _shares(results: Sequence[Result]) -> tuple[Chart, ...]:
    """The classes of samples, of the GAN that collapses and of the one that does not."""
    found = {rung: [r.numbers["shares"] for r in _known(results, rung, "shares")] for rung in (HEURISTIC, SLOW)}
    if not all(found.values()):
        return ()
    found = {"held-out images": [_known(results, SLOW, "shares_of_data")[0].numbers["shares_of_data"]], **found}
    lines = []
    for name, shares in found.items():
        points = [spread(values) for values in zip(*shares, strict=True)]
        lines.append(_line(name, range(len(points)), points))
    caption = f"Share of {DRAWN} samples by class, as the small classifier reads them; mean and standard deviation over seeds."
    return (Chart("Classes that samples are of", "class", "share", tuple(lines), caption),)


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
        "Every rung is trained with its quick preset: the order of the rungs is the lesson, not the last decimal. The quick grid has two "
        "seeds, and one of the convolutional GANs, about which nothing is claimed.",
        "The book shows pictures; the numbers are on features that are named, and none of them is a published score.",
        "The book names mode collapse and vanishing gradients without an example. Here they are brought about on purpose: by a discriminator "
        "that learns too slowly, and by one that runs ahead of a generator without batch normalisation.",
        "What the book calls discontinuous is read in four ways: where codes lie, what is drawn from N(0, I), what lies halfway between two "
        "codes, and how evenly a walk changes.",
    ),
)

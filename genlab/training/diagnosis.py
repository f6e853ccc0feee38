"""Diseases of training: detectors that look at each finished epoch and say in words what is wrong and what to try.

A detector is a pure function of the epochs so far and of the run's values. Its threshold stands above it with its reason.
Each asks for the same finding in several looks in a row, so that healthy runs are left in peace.

References:
    [1] Burda, Grosse & Salakhutdinov, Importance Weighted Autoencoders, 2016, 5.2 (active units).
    [2] Goodfellow et al., Generative Adversarial Nets, 2014, 3 and 4 (a discriminator that wins, D* = ½).
    [3] van den Oord, Vinyals & Kavukcuoglu, Neural Discrete Representation Learning, 2017 (perplexity).
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

Values = Mapping[str, Any]
PATIENCE = 3  # looks in a row that must agree before anything is said
SETTLED = 200  # steps before which codes may be idle and samples alike: healthy runs begin on such a plateau


class Look(NamedTuple):
    """One finished epoch: its scalars, those of the validation images, and what was measured on the model, if it was.

    Measured are, of models that draw codes or play a game, `active` and `units` (latent dimensions in use, and all), `kl` (nats an image), `spread` (mean distance
    between training images) and `diversity` (that between samples, as a part of `spread`); of
    models that are fitted, `held_out` (validation images) and `values` (of an image).
    """

    epoch: int
    scalars: Mapping[str, float]
    validation: Mapping[str, float] = {}
    measured: Mapping[str, float] = {}
    step: int = 0


class Finding(NamedTuple):
    """What is wrong, what to try, and the parameters or settings to try with their new values."""

    message: str
    remedy: str
    changes: dict[str, Any]


Detector = Callable[[Sequence[Look], Values], Finding | None]

# Codes in use say 2 to 30 nats about their image, and 0.2 in the slow beginning of a small run; dead ones under 0.01.
LEAST_INFORMATION = 0.1
LEAST_SPREAD = 0.01  # images nearer to one another than this need no code


def posterior_collapse(looks: Sequence[Look], values: Values) -> Finding | None:
    """The encoder is ignored: no active unit ([1]: Var of the mean > 0.01), or a KL under a tenth of a nat, in three looks.

    The first steps, and epochs in which the reconstruction is still being annealed in, do not count.
    """
    settled = [look for look in looks if look.step >= SETTLED and look.epoch > values.get("annealing", 0)]
    recent = [look.measured for look in settled if "kl" in look.measured][-PATIENCE:]
    if len(recent) < PATIENCE or recent[-1]["spread"] < LEAST_SPREAD:
        return None
    if any(seen["active"] > 0 and seen["kl"] > LEAST_INFORMATION for seen in recent):
        return None
    seen = recent[-1]
    message = (
        f"The code says nothing about its image: {seen['active']:.0f} of {seen['units']:.0f} latent dimensions are used, "
        f"and the KL is {seen['kl']:.2g} nats. Every code is decoded to much the same picture."
    )
    if values.get("mode") == "paper":
        return Finding(message, "Let the reconstruction reach the encoder (mode standard).", {"mode": "standard"})
    if (beta := values.get("beta", 1)) > 1:
        return Finding(message, f"Lower beta from {beta:g} to 1, so that rebuilding the image pays.", {"beta": 1.0})
    ramp = max(1, values["epochs"] // 3)
    if values.get("kl_warmup", ramp) < ramp:
        changes = {"kl_warmup": float(ramp)}
        return Finding(message, f"Let the weight of the KL grow in over {ramp} epochs (kl_warmup).", changes)
    if values.get("free_bits", 1) == 0:
        return Finding(message, "Leave 0.1 nats of each dimension unpunished (free_bits).", {"free_bits": 0.1})
    return Finding(message, "Weaken the decoder (fewer units or layers), or lower its learning rate.", {})


# A batch can use every code; the collapsed codebooks of the literature use a twentieth ([3] and later: 9 of 128).
LEAST_PERPLEXITY = 0.1


def dead_codes(looks: Sequence[Look], values: Values) -> Finding | None:
    """Most of a codebook is never used: perplexity under a tenth of the `codes`, in three epochs."""
    codes, recent = values.get("codes"), looks[-PATIENCE:]
    names = [name for name in looks[-1].scalars if name.startswith("perplexity")]
    low = [name for name in names if all(look.scalars[name] < LEAST_PERPLEXITY * (codes or 0) for look in recent)]
    if not codes or not low or len(recent) < PATIENCE:
        return None
    message = (
        f"Most of the codebook is dead: as much is said as {recent[-1].scalars[low[0]]:.0f} codes in even use "
        f"would say, of {codes} ({low[0]})."
    )
    if values.get("revival", 1) == 0:
        return Finding(message, "Move codes that nobody uses to where they are needed (revival).", {"revival": 0.05})
    fewer = max(2, codes // 4)
    return Finding(message, f"Use a smaller codebook, {fewer} codes instead of {codes}.", {"codes": fewer})


LONG = 5  # epochs that a discriminator must have won in a row
SURE = (
    0.95  # D(x) above it and D(G(z)) below its complement: the gradient of log(1 − D(G(z))) has shrunk to a twentieth
)
JUDGED = {"code_d": "codes", "first_d": "the first set", "second_d": "the second set"}  # what, beside generated images
HIGH = 0.9  # a Wasserstein critic has no scale; where the generator learns, the distance soon falls far below its peak


def saturated_critic(looks: Sequence[Look], values: Values) -> Finding | None:
    """The discriminator has won and the generator starves, for five epochs in a row.

    Probabilities: D(x) > 0.95 and D(G(z)) < 0.05. Least squares with targets a, b: both means within a twentieth of
    b − a of their target, or beyond. Hinge: both beyond nine tenths of their margin. Wasserstein: the distance
    E D(x) − E D(G(z)) has stayed above nine tenths of its peak for ten epochs, and grown.
    """
    recent = looks[-LONG:]
    if len(recent) < LONG:
        return None
    verdicts = {
        judge: [(look.scalars[f"{judge}_real"], look.scalars[f"{judge}_fake"]) for look in recent]
        for judge in judges(looks[-1].scalars)
    }
    if values.get("loss") == "wasserstein":
        won = [judge for judge in verdicts if _keeps_away(looks)]
    else:
        won = [judge for judge, pairs in verdicts.items() if _has_won(pairs, values)]
    if not won:
        return None
    (before, *_, (real, fake)) = verdicts[won[0]]
    which = "The discriminator" if won[0] == "d" else f"The discriminator of {JUDGED[won[0]]}"
    message = (
        f"{which} has won: its mean verdict is {real:.3g} on real images and {fake:.3g} on generated ones, "
        f"and was {before[0]:.3g} and {before[1]:.3g} {LONG - 1} epochs before. "
        "The generator learns little from one so sure."
    )
    loss = values.get("loss")
    if loss == "minimax":
        remedy = "Take the non-saturating loss, whose gradient lasts when the discriminator is sure."
        return Finding(message, remedy, {"loss": "non_saturating"})
    if loss != "wasserstein" and values.get("critic_steps", 1) > 1:
        return Finding(message, "Let the discriminator move once for each move of the generator.", {"critic_steps": 1})
    fast, slow = values.get("critic_learning_rate"), values.get("learning_rate")
    if fast and slow:
        rate = slow if fast > slow else fast / 4
        remedy = f"Slow the discriminator down: critic_learning_rate {rate:g} instead of {fast:g}."
        return Finding(message, remedy, {"critic_learning_rate": rate})
    return Finding(message, "Slow the discriminator down, or make it smaller.", {})


def judges(scalars: Mapping[str, float]) -> list[str]:
    """Names of the discriminators whose mean verdicts are logged, as `<name>_real` and `<name>_fake`."""
    return [name for name in ("d", *JUDGED) if {f"{name}_real", f"{name}_fake"} <= scalars.keys()]


def plays(scalars: Mapping[str, float]) -> bool:
    """Whether these scalars are those of a game, in which images are generated and judged while training."""
    return bool(judges(scalars)) or "kl_fake" in scalars


def _has_won(judged: Sequence[tuple[float, float]], values: Values) -> bool:
    """Whether mean verdicts on (real, generated) images are those of a discriminator that has won."""
    low, high, loss = 1 - SURE, SURE, values.get("loss")
    if loss == "hinge":
        low, high = -0.9, 0.9
    if loss == "least_squares":
        a, b = values.get("a", 0.0), values.get("b", 1.0)
        judged = [((real - a) / (b - a), (fake - a) / (b - a)) for real, fake in judged] if a != b else [(0.0, 0.0)]
    return all(real > high and fake < low for real, fake in judged)


def _keeps_away(looks: Sequence[Look]) -> bool:
    """Whether a Wasserstein critic still sees generated images about as far from the real ones as ever, or farther."""
    seen = [look.scalars for look in looks]
    leads = [scalars.get("distance", scalars["d_real"] - scalars["d_fake"]) for scalars in seen]
    recent = leads[-2 * LONG :]
    return len(recent) == 2 * LONG and min(recent) > HIGH * max(leads) and recent[-1] > recent[0]


# As a part of the distance between training images. Collapsed generators were measured at 0.03 to 0.25, and one that
# draws a single class of digits keeps 0.5 to 0.9: fewer kinds of images than there are need not be told, repetition is.
LEAST_DIVERSITY = 0.3
GROWING = 1.25  # a young generator draws much the same picture too, but more varied ones by a quarter over five looks


def mode_collapse(looks: Sequence[Look], values: Values) -> Finding | None:
    """Samples repeat one another: their mean distance is under 0.3 of that between training images, in five looks.

    One that grows is a generator which is still learning. One that never learned, because the discriminator has won or
    the code is ignored, repeats itself too: that is told instead.
    """
    recent = [look.measured for look in looks if "diversity" in look.measured and look.step >= SETTLED][-LONG:]
    if len(recent) < LONG or recent[-1]["spread"] < LEAST_SPREAD:
        return None
    diversity = [seen["diversity"] for seen in recent]
    if max(diversity) >= LEAST_DIVERSITY or diversity[-1] > GROWING * diversity[0]:
        return None
    if saturated_critic(looks, values) or posterior_collapse(looks, values):
        return None
    message = (
        f"The generator repeats itself: its images lie {diversity[-1]:.0%} as far apart as the training images do."
    )
    if values.get("loss") == "minimax":
        return Finding(message, "Take the non-saturating loss.", {"loss": "non_saturating"})
    if (beta := values.get("beta", 1)) < 1:
        remedy = f"Raise beta from {beta:g} to 1: drawn codes must be such as images have."
        return Finding(message, remedy, {"beta": 1.0})
    own, other = values.get("learning_rate", 0), values.get("critic_learning_rate", 0)
    if other and own > other:
        remedy = f"Slow the generator down: learning_rate {other:g} instead of {own:g}."
        return Finding(message, remedy, {"learning_rate": other})
    if values.get("latent_dim", 64) < 8:
        return Finding(message, "Give the generator more noise to start from (latent_dim 64).", {"latent_dim": 64})
    if "lipschitz" in values and values.get("loss") != "wasserstein":
        return Finding(message, "Take a Wasserstein loss with a gradient penalty.", {"loss": "wasserstein"})
    return Finding(message, "Lower both learning rates, or use larger batches.", {})


WORSE = 0.02  # of what validation had gained from its first epoch to its best: less is noise


def overfitting(looks: Sequence[Look], values: Values) -> Finding | None:
    """Images are learned by heart: five epochs after the best one, validation is worse while training went on to fall.

    Worse means that the median of the last three epochs lies above the best by a fiftieth of all that validation had
    gained. A game between players has no single objective; there the reconstruction, or what the way there and back loses,
    stands for it. The loss of mined
    triplets changes with what is mined; there the share of active triplets does. A fit has no course to follow: there
    the distance from training images to unseen ones counts.
    """
    if "held_out" in looks[-1].measured:
        return fitted_too_closely(looks[-1], values)
    term = objective(looks[-1].scalars)
    held = [look for look in looks if term in look.validation and term in look.scalars]
    if len(held) < LONG + 1:
        return None
    best = min(held, key=lambda look: look.validation[term])
    gained = held[0].validation[term] - best.validation[term]
    now = statistics.median(look.validation[term] for look in held[-PATIENCE:])
    falls = statistics.median(look.scalars[term] for look in held[-PATIENCE:]) < best.scalars[term]
    if held[-1].epoch - best.epoch < LONG or now - best.validation[term] <= WORSE * gained or not falls:
        return None
    message = (
        f"Training images are being learned by heart: the {term} of unseen images was best in epoch {best.epoch} "
        f"({best.validation[term]:.4g}) and is {now:.4g} now, while that of the training images fell "
        f"from {best.scalars[term]:.4g} to {held[-1].scalars[term]:.4g}."
    )
    changes: dict[str, Any] = {}
    if not values.get("early_stopping"):
        changes["early_stopping"] = LONG
    if values.get("augmentation") == "none":
        changes["augmentation"] = "shift"
    return Finding(message, "Stop earlier, vary the images, use more of them, or make the network smaller.", changes)


# Mixtures and Gaussians of 1600 to 4500 digits: at most 0.05 nats a value and 0.04 of the images; of 200 digits, 37 nats.
FAR = 0.5  # nats a value
RIGHT = 0.15  # of the images


def fitted_too_closely(look: Look, values: Values) -> Finding | None:
    """Unseen images are half a nat a value less likely than training images, or fewer by 0.15 are classified rightly.

    As many are needed as make that no matter of chance: twice the standard error of their accuracy is allowed for.
    """
    if "loss" not in look.validation:
        return None
    gap = (look.validation["loss"] - look.scalars["loss"]) / look.measured["values"]
    right, held = look.scalars.get("accuracy", 0.0), look.validation.get("accuracy", 0.0)
    chance = 2 * (held * (1 - held) / look.measured["held_out"]) ** 0.5
    if gap <= FAR and right - held <= RIGHT + chance:
        return None
    message = f"Training images are known by heart: unseen ones are less likely by {gap:.2g} nats a pixel value"
    if right:
        message += f", and {held:.0%} of them are classified rightly, against {right:.0%} of the training images"
    if (axes := values.get("pca", 0)) > 1:
        remedy = f"Use more images, or fewer principal components, {axes // 2} instead of {axes}."
        return Finding(f"{message}.", remedy, {"pca": axes // 2})
    if (count := values.get("components", 1)) > 1:
        remedy = f"Use more images, or fewer components, {count // 2} instead of {count}."
        return Finding(f"{message}.", remedy, {"components": count // 2})
    for name, most in (("shrinkage", 1.0), ("var_smoothing", 10.0), ("smoothing", 1000.0)):
        if 0 < values.get(name, most) < most:
            more = min(most, 5 * values[name])
            return Finding(f"{message}.", f"Use more images, or raise {name} to {more:g}.", {name: more})
    return Finding(f"{message}.", "Use more images, or a simpler model.", {})


def objective(scalars: Mapping[str, float]) -> str:
    """The scalar that falls as long as training gains."""
    if "semi_hard" in scalars:
        return "active"
    if judges(scalars):
        return next((term for term in ("reconstruction", "cycle") if term in scalars), "loss")
    return "loss"


def under_way(looks: Sequence[Look], values: Values) -> list[Look]:
    """Looks after the first 200 steps, or after the first quarter of a run that plans for fewer than 800."""
    last = looks[-1]
    planned = values["epochs"] * last.step / last.epoch
    return [look for look in looks if look.step >= min(SETTLED, planned / 4)]


LEAST_DISTANCE = 0.1  # of the margin: nearer than that, all images have collapsed to one point
DECAY = 0.01  # of every weight in each step: seventy steps halve it
USUAL_RATE = 1e-3  # of recognition


def margin_collapse(looks: Sequence[Look], values: Values) -> Finding | None:
    """All images are embedded at one point: those of different things lie under a tenth of the margin apart, in three epochs.

    Held-out images count, as the network is used; those of training where none of the held-out ones make a triplet, for the
    statistics of a batch can hide it. The loss then stays at the margin, or at 0 where only semi-hard triplets are kept.
    """
    seen = [look for look in under_way(looks, values) if "semi_hard" in look.scalars][-PATIENCE:]
    recent = [look.validation if look.validation.get("active") else look.scalars for look in seen]
    margin, rate = values.get("margin", 0), values.get("learning_rate", 0)
    if len(recent) < PATIENCE or any(told["negative_distance"] >= LEAST_DISTANCE * margin for told in recent):
        return None
    last = recent[-1]
    message = (
        f"All images are embedded alike: two of the same thing lie {last['positive_distance']:.2g} apart on average, and two of "
        f"different things {last['negative_distance']:.2g}, while the loss is {last['loss']:.2g} with a margin of {margin:g}. One point for "
        "all is a resting place of this loss: there every triplet costs the margin, and pull and push cancel out."
    )
    if (decay := rate * values.get("decoupled_weight_decay", 0)) >= DECAY:
        cause = f"Weight decay takes {decay:.0%} off every weight in each step, and what is left is the same for all images."
        return Finding(f"{message} {cause}", "Train without weight decay.", {"decoupled_weight_decay": 0.0})
    if rate > USUAL_RATE:
        cause = f"The learning rate is {rate / USUAL_RATE:,.3g} times the usual {USUAL_RATE:g}, and steps so long overshoot."
        remedy = f"Lower the learning rate, {rate / 10:g} instead of {rate:g}."
        return Finding(f"{message} {cause}", remedy, {"learning_rate": rate / 10})
    cause = f"A margin of {margin:g} asks for more distance than was found, and pulling all together cost less."
    remedy = f"Halve the margin, and check that the labels say which images show the same; the learning rate of {rate:g} is usual."
    return Finding(f"{message} {cause}", remedy, {"margin": margin / 2})


# Healthy embeddings hold it at 0.85 after the first epoch and at 0.3 in the end, those of meaningless labels at 0.94 to 1.
LIKE = 0.95


def nothing_told_apart(looks: Sequence[Look], values: Values) -> Finding | None:
    """Images of one thing lie no nearer to each other than images of two: a mean of five epochs that are under way.

    Where all lie at one point, that is told instead.
    """
    recent = [look.scalars for look in under_way(looks, values) if "semi_hard" in look.scalars][-LONG:]
    if len(recent) < LONG or margin_collapse(looks, values):
        return None
    near, far = (statistics.fmean(seen[f"{kind}_distance"] for seen in recent) for kind in ("positive", "negative"))
    if near < LIKE * far:
        return None
    message = f"The embedding tells nothing apart: two images of the same thing lie {near:.2g} apart on average, and two of different things {far:.2g}."
    remedy = (
        "Check that the labels say which images show the same; if so, lower the learning rate or widen the network."
    )
    return Finding(message, remedy, {"learning_rate": values["learning_rate"] / 10})


DETECTORS: dict[str, Detector] = {
    "posterior collapse": posterior_collapse,
    "dead codes": dead_codes,
    "saturated discriminator": saturated_critic,
    "mode collapse": mode_collapse,
    "overfitting": overfitting,
    "collapse at the margin": margin_collapse,
    "nothing told apart": nothing_told_apart,
}

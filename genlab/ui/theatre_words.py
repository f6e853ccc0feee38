"""What stands beside a play: titles, what is seen of each model, and what to try."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

MODELS = {"gan": "GAN", "vae": "VAE", "nice": "NICE", "realnvp": "RealNVP", "gmm": "Gaussian mixture"}
CLOUDS = {
    "ring": "Ring of Gaussians",
    "moons": "Two moons",
    "sine": "Wave",
    "spiral": "Spiral",
    "grid": "Grid of Gaussians",
    "drawn": "Drawn by hand",
}

DOTS = "Blue dots are the points to learn, orange diamonds what the model makes of the same 512 draws of noise in every step. "
CODES = "Beside the square are the codes of the points: the circles are one, two and three standard deviations of the normal that they should follow. "
NET = "The net is a grid of the latent square, laid such that every mesh holds as many draws: where meshes are small, samples are dense. "

SEEN = {
    "gan": DOTS + NET + (
        "The ground is the discriminator's verdict: blue where it takes a point for real, orange where for generated. "
        "On the full line it can only guess; on the broken line the best discriminator of all could only guess, "
        "$D^* = p/(p+q)$, with both densities smoothed in the same way. Short lines show where samples would go to fool it. "
        "In slow motion a step has two acts: the discriminator moves first, then the generator answers."
    ),
    "vae": DOTS + NET + (
        "Beside the square are the means of the points' codes, with circles of one, two and three standard deviations of the prior: "
        "a dimension in which all of them stay near 0 carries nothing, and the net is then a line. Grey rings are posteriors: one standard deviation around the codes of 24 points, decoded. The ground is the density "
        "that the bound of 8 codes vouches for; blotches far out are places of which the encoder has never seen anything. Samples are the decoder's means, so that they lie on a "
        "thinner line than the points, whose spread the likelihood's σ has to explain."
    ),
    "nice": DOTS + NET + CODES + (
        "The ground is the exact density, which the flow knows everywhere. It bends the plane without tearing it: the net may "
        "be squeezed thin between two parts of the cloud, but it never comes apart. NICE cannot change areas except by one scale "
        "for each direction, so that all meshes stay equally large but for the logits of its pixels."
    ),
    "realnvp": DOTS + NET + CODES + (
        "The ground is the exact density, which the flow knows everywhere. Its couplings stretch as well as shift, so that "
        "meshes may be small in one place and large in another, but the net never tears: bridges remain between parts of the cloud."
    ),
    "gmm": DOTS + (
        "A step is one round of EM over all points: each point is shared out among the components that may have made it, "
        "then each component moves to its share. Ellipses are one and two standard deviations, the stronger the more weight; "
        "the ground is the density of their sum. No round makes the points less likely."
    ),
}  # fmt: skip


class Trial(NamedTuple):
    """Something to try: what to do and to see, and the cloud and the values that one click sets (the others as at first)."""

    text: str
    cloud: str
    values: Mapping[str, Any] = {}


TRIALS = {
    "gan": (
        Trial("**The best discriminator.** Pause early, choose *D only* and play: the full line nears the broken one, and D's loss the best there is.", "moons"),
        Trial("**Mode collapse.** A generator that learns ten times as fast runs to where D is fooled, all of it at once, and on when D has noticed. Count the modes.", "ring", {"learning_rate": 0.01}),
        Trial("**A sure discriminator.** With *minimax*, G learns least where D is surest: let *D only* play first, then *G only*, and look at the pulls. Then the same with the loss *non saturating*.", "moons", {"loss": "minimax"}),
        Trial("**One number of noise.** The net is a curve, and has to pass through every mode.", "ring", {"latent_dim": 1}),
        Trial("**Wasserstein.** The critic's slope is held near 1, so that samples are pulled from anywhere, and swing long before they settle; G moves in every tenth step.", "ring", {"loss": "wasserstein", "critic_steps": 10, "critic_learning_rate": 0.01}),
    ),
    "vae": (
        Trial("**The price of a nat.** With β = 10 rings grow, and the net shrinks.", "moons", {"beta": 10.0}),
        Trial("**A sharper likelihood.** With σ = 0.02 samples come nearer to the points, and rings shrink.", "moons", {"sigma": 0.02}),
        Trial("**One dimension for a spiral**: does the curve follow it, or cut across?", "spiral", {"latent_dim": 1}),
    ),
    "nice": (
        Trial("**A hole.** A sheet without one has to learn a ring: look at the bridges between the modes.", "ring"),
        Trial("**More couplings** bend more: twelve of them on the spiral.", "spiral", {"couplings": 12}),
    ),
    "realnvp": (
        Trial("**Two moons**: how soon does the density follow, and where does a bridge remain?", "moons"),
        Trial("**The bound on scales**: with B = 0.3 a layer can hardly stretch, much like NICE.", "moons", {"bound": 0.3}),
    ),
    "gmm": (
        Trial("**Too few.** Four components have to share eight modes.", "ring", {"components": 4}),
        Trial("**Another start.** Eight components for eight modes, begun at random points: try seeds 1 and 4. EM only climbs the hill that it starts on.", "ring"),
        Trial("**A spiral of bells**: 25 components, step by step.", "spiral", {"components": 25}),
    ),
}  # fmt: skip
